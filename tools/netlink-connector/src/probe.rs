// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Which connector the kernel has.

use std::fmt;

use connector_wire::netlink::{DONE, NlHeader};
use rustix::io::Errno;

use crate::{
    ack::{self, Ack},
    error::{Error, Result},
    socket::{self, Socket},
};

/// Whose connector it is that answers in this kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Core {
    /// The kernel's own, in C. It acknowledges nothing.
    Kernel,
    /// That of `rust_connector`, in the kernel's place: its module `cn`.
    RustConnector,
}

impl Core {
    /// Finds out which one there is: the one that acknowledges a message is not the kernel's (as of Linux
    /// 7.3). The message has no content, so that it is for nobody; it goes over a socket of its own.
    ///
    /// As long as a program has a [`Connector`](crate::Connector), its core cannot be replaced.
    ///
    /// # Errors
    ///
    /// Those of [`Builder::open`](crate::Builder::open); [`Error::Io`].
    pub fn find() -> Result<Self> {
        let socket = Socket::open(0, false, None)?;
        let nothing = NlHeader {
            len: NlHeader::SIZE as u32,
            kind: DONE,
            flags: ack::ASK,
            ..NlHeader::default()
        };
        socket::send(socket.fd(), &nothing.to_bytes()).map_err(socket::not_sent)?;
        // Its answer is there by now, or never will be.
        let mut answer = [0; 512];
        match socket::receive(socket.fd(), &mut answer) {
            Ok(len) => match answer.get(..len).and_then(Ack::parse) {
                Some(_) => Ok(Self::RustConnector),
                None => Err(Error::Unexpected(
                    "the connector answers to a message without content with something else than an \
                     acknowledgement",
                )),
            },
            Err(Errno::AGAIN) => Ok(Self::Kernel),
            Err(errno) => Err(Error::io("receiving", errno)),
        }
    }
}

impl fmt::Display for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kernel => "the kernel's own connector",
            Self::RustConnector => "rust_connector's own connector",
        })
    }
}
