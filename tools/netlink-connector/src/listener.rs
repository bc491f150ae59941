// SPDX-License-Identifier: GPL-2.0 OR MIT

//! What the kernel keeps of a socket that asked for process events, and how it is given back.
//!
//! The kernel counts those who listen, and makes events as long as there is one. It does not notice
//! by itself that a socket is gone: who asked has to say so. And it keeps a few bytes for each
//! socket that ever asked, which it frees with the socket only if that is in group 1 then.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use connector_wire::Header;

use crate::{
    batch,
    error::{Error, Result},
    proc, socket,
};

/// `PROC_CN_MCAST_LISTEN`.
const LISTEN: u32 = 1;
/// `PROC_CN_MCAST_IGNORE`.
const IGNORE: u32 = 2;

/// The data of a request for all events.
pub(crate) fn request() -> [u8; 4] {
    LISTEN.to_ne_bytes()
}

/// The data of a request for those in `events` only: `struct proc_input`.
pub(crate) fn filter(events: proc::Events) -> [u8; 8] {
    let mut data = [0; 8];
    data[..4].copy_from_slice(&LISTEN.to_ne_bytes());
    data[4..].copy_from_slice(&events.bits().to_ne_bytes());
    data
}

/// A socket that asked for process events. When this is dropped the kernel is told that nobody
/// listens any more, however the program came to that.
#[derive(Debug)]
pub(crate) struct Listener {
    /// The socket, by a descriptor of its own: where the connector's own goes does not matter.
    fd: OwnedFd,
    /// Whether the kernel counts it as one who listens.
    counted: bool,
    /// Whether the kernel has confirmed that.
    confirmed: bool,
    /// Whether the socket has gone to somebody else, whose business all this is now.
    handed_on: bool,
}

impl Listener {
    /// Of a socket that is about to ask for the first time.
    ///
    /// # Errors
    ///
    /// [`Error::Io`](crate::Error::Io) if there is no descriptor left.
    pub(crate) fn new(fd: BorrowedFd<'_>) -> Result<Self> {
        let fd = fd
            .try_clone_to_owned()
            .map_err(|error| Error::io("duplicating the socket's descriptor", error))?;
        Ok(Self {
            fd,
            counted: true,
            confirmed: false,
            handed_on: false,
        })
    }

    /// The socket is about to ask once more.
    pub(crate) fn begin(&mut self) {
        self.counted = true;
    }

    /// The kernel has confirmed that it sends events.
    pub(crate) fn confirm(&mut self) {
        self.confirmed = true;
    }

    /// Whether the kernel sends events, and said so.
    pub(crate) fn is_confirmed(&self) -> bool {
        self.counted && self.confirmed
    }

    /// Tells the kernel that this socket wants no more events.
    pub(crate) fn end(&mut self) -> Result<()> {
        if std::mem::replace(&mut self.counted, false) {
            self.confirmed = false;
            let datagram = batch::datagram(&Header::request(proc::ID, 0), &IGNORE.to_ne_bytes())?;
            socket::send(self.fd.as_fd(), &datagram).map_err(socket::not_sent)?;
        }
        Ok(())
    }

    /// Leaves it to somebody else to say that nobody listens: the socket is handed on.
    pub(crate) fn hand_on(mut self) {
        self.handed_on = true;
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if self.handed_on {
            return;
        }
        // What fails here cannot be mended by anyone.
        let _ = self.end();
        let _ = socket::join(self.fd.as_fd(), proc::GROUP);
    }
}
