// SPDX-License-Identifier: GPL-2.0

//! The system calls, and what their errors mean here. Nothing of the protocol.

use std::{
    io::{self, IoSlice},
    os::fd::{AsFd, AsRawFd, BorrowedFd},
    time::Duration,
};

use connector_wire::{Group, netlink};
use netlink_sys::SocketAddr;
use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::socket::{MsgFlags, MultiHeaders, sendmmsg, setsockopt, sockopt},
};

use crate::error::{Error, Result};

/// The most datagrams that the kernel sends by one call (`UIO_MAXIOV`).
const MOST_AT_ONCE: usize = 1024;

/// A bound netlink socket of the connector's protocol.
#[derive(Debug)]
pub(crate) struct Socket {
    inner: netlink_sys::Socket,
    portid: u32,
}

impl Socket {
    /// Opens a socket, binds it to a port of the kernel's choice, and joins `groups`.
    pub(crate) fn open(groups: u32) -> Result<Self> {
        let mut inner = netlink_sys::Socket::new(netlink::PROTOCOL.into()).map_err(|error| {
            match errno(&error) {
                Errno::EPROTONOSUPPORT | Errno::EAFNOSUPPORT => Error::NoConnector,
                _ => Error::io("opening a netlink socket", error),
            }
        })?;
        inner
            .bind(&SocketAddr::new(0, groups))
            .map_err(|error| membership("binding the socket", groups, error))?;
        let mut own = SocketAddr::new(0, 0);
        inner
            .get_address(&mut own)
            .map_err(|error| Error::io("asking for the socket's address", error))?;
        Ok(Self {
            inner,
            portid: own.port_number(),
        })
    }

    /// The port that the kernel knows this socket by.
    pub(crate) fn portid(&self) -> u32 {
        self.portid
    }

    pub(crate) fn join(&self, group: Group) -> Result<()> {
        self.inner
            .add_membership(group.number())
            .map_err(|error| membership("joining a group", group.mask(), error))
    }

    pub(crate) fn leave(&self, group: Group) -> Result<()> {
        self.inner
            .drop_membership(group.number())
            .map_err(|error| membership("leaving a group", group.mask(), error))
    }

    /// `SO_RCVBUF` in bytes, as the kernel accounts them: twice what was asked for.
    pub(crate) fn receive_buffer(&self) -> Result<usize> {
        self.inner
            .get_rx_buf_sz()
            .map_err(|error| Error::io("asking for the size of the receive buffer", error))
    }

    /// Asks for a receive buffer of `bytes`, beyond `net.core.rmem_max` if permitted.
    pub(crate) fn set_receive_buffer(&self, bytes: usize) -> Result<()> {
        let doing = "setting the size of the receive buffer";
        if setsockopt(&self.inner, sockopt::RcvBufForce, &bytes).is_ok() {
            return Ok(());
        }
        setsockopt(&self.inner, sockopt::RcvBuf, &bytes)
            .map_err(|errno| Error::io(doing, errno.into()))
    }

    /// Sends one datagram to the kernel.
    pub(crate) fn send(&self, datagram: &[u8]) -> Result<()> {
        loop {
            // The socket is not connected, so this goes to port 0, the kernel.
            match self.inner.send(datagram, 0) {
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                    return Err(Error::Refused);
                }
                Err(error) => return Err(Error::io("sending", error)),
            }
        }
    }

    /// Sends datagrams by as few system calls as possible, and returns how many were sent: all of
    /// them, or those before the first that failed. It is an error if that is the very first.
    pub(crate) fn send_many<'a>(
        &self,
        datagrams: impl ExactSizeIterator<Item = &'a [u8]>,
    ) -> Result<usize> {
        let slices: Vec<_> = datagrams.map(|bytes| [IoSlice::new(bytes)]).collect();
        let mut headers = MultiHeaders::preallocate(slices.len().min(MOST_AT_ONCE), None);
        let mut sent = 0;
        while let Some(left) = slices.get(sent..).filter(|left| !left.is_empty()) {
            let to_kernel = vec![None::<()>; left.len().min(MOST_AT_ONCE)];
            let fd = self.inner.as_raw_fd();
            match sendmmsg(fd, &mut headers, left, to_kernel, [], MsgFlags::empty()) {
                Ok(results) => sent += results.count(),
                Err(Errno::EINTR) => {}
                Err(_) if sent > 0 => break,
                Err(Errno::ECONNREFUSED) => return Err(Error::Refused),
                Err(errno) => return Err(Error::io("sending", errno.into())),
            }
        }
        Ok(sent)
    }

    /// Receives one datagram: its size, the sender's port, and the group that it was sent to as a
    /// bit mask.
    pub(crate) fn receive(
        &self,
        mut buffer: &mut [u8],
        flags: MsgFlags,
    ) -> Result<(usize, u32, u32), Errno> {
        match self.inner.recv_from(&mut buffer, flags.bits()) {
            Ok((len, from)) => Ok((len, from.port_number(), from.multicast_groups())),
            Err(error) => Err(errno(&error)),
        }
    }

    /// Waits until there is something to receive, `most` has passed, or a signal came; perhaps for
    /// less.
    pub(crate) fn wait_readable(&self, most: Duration) -> Result<()> {
        // Rounded up: a wait of no time at all would make the caller spin.
        let millis = most.as_nanos().div_ceil(1_000_000);
        let timeout = PollTimeout::from(u16::try_from(millis).unwrap_or(u16::MAX));
        let mut fds = [PollFd::new(self.as_fd(), PollFlags::POLLIN)];
        match poll(&mut fds, timeout) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(errno) => Err(Error::io("waiting for a message", errno.into())),
        }
    }
}

/// The error number of an error from a system call.
fn errno(error: &io::Error) -> Errno {
    Errno::from_raw(error.raw_os_error().unwrap_or(0))
}

/// What an error from joining or leaving `groups` means.
fn membership(doing: &'static str, groups: u32, error: io::Error) -> Error {
    match errno(&error) {
        Errno::EPERM => Error::NotPermitted { groups },
        _ => Error::io(doing, error),
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner.as_fd()
    }
}

impl AsRawFd for Socket {
    fn as_raw_fd(&self) -> i32 {
        self.inner.as_raw_fd()
    }
}
