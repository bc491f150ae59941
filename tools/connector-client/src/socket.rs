// SPDX-License-Identifier: GPL-2.0

//! The system calls, and what their errors mean here. Nothing of the protocol.

use std::{
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd},
    time::Duration,
};

use connector_wire::{Group, netlink};
use netlink_sys::SocketAddr;
use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::socket::{MsgFlags, setsockopt, sockopt},
};

use crate::error::{Error, Result};

/// A bound netlink socket of the connector's protocol.
#[derive(Debug)]
pub(crate) struct Socket {
    inner: netlink_sys::Socket,
    portid: u32,
}

/// Who a datagram came from, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sender {
    /// 0 is the kernel.
    pub(crate) portid: u32,
    /// The group that it was sent to.
    pub(crate) group: Option<Group>,
}

impl Sender {
    pub(crate) fn new(portid: u32, groups: u32) -> Self {
        // The kernel sets no bit, or the bit of one group.
        let group = match groups {
            0 => None,
            mask => Group::new(mask.trailing_zeros() + 1),
        };
        Self { portid, group }
    }
}

/// What a receiving system call came to.
pub(crate) enum Received {
    /// A datagram of `len` bytes, of which as many as fit are in the buffer.
    Datagram { len: usize, sender: Sender },
    /// There is none.
    Nothing,
    /// The receive buffer was full.
    Overrun,
}

impl Socket {
    /// Opens a socket, binds it to a port of the kernel's choice, and joins `groups`.
    pub(crate) fn open(groups: u32) -> Result<Self> {
        let mut inner = netlink_sys::Socket::new(netlink::PROTOCOL.into()).map_err(|error| {
            match Errno::from_raw(error.raw_os_error().unwrap_or(0)) {
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

    /// Receives one datagram into `buffer`; waits for one if `wait`.
    pub(crate) fn receive(&self, mut buffer: &mut [u8], wait: bool) -> Result<Received> {
        let flags = match wait {
            true => MsgFlags::MSG_TRUNC,
            false => MsgFlags::MSG_TRUNC | MsgFlags::MSG_DONTWAIT,
        };
        match self.inner.recv_from(&mut buffer, flags.bits()) {
            Ok((len, from)) => Ok(Received::Datagram {
                len,
                sender: Sender::new(from.port_number(), from.multicast_groups()),
            }),
            Err(error) => not_received(error),
        }
    }

    /// Waits until there is something to receive; `false` if nothing came in `timeout`.
    pub(crate) fn wait_readable(&self, timeout: Option<Duration>) -> Result<bool> {
        let timeout = timeout.map_or(PollTimeout::NONE, |duration| {
            // Rounded up, so that a wait is never cut short; long ones are repeated by the caller.
            let millis = duration.as_nanos().div_ceil(1_000_000);
            PollTimeout::from(u16::try_from(millis).unwrap_or(u16::MAX))
        });
        let mut fds = [PollFd::new(self.as_fd(), PollFlags::POLLIN)];
        match poll(&mut fds, timeout) {
            Ok(ready) => Ok(ready > 0),
            Err(Errno::EINTR) => Ok(false),
            Err(errno) => Err(Error::io("waiting for a message", errno.into())),
        }
    }
}

/// What it means that nothing was received.
fn not_received(error: io::Error) -> Result<Received> {
    match Errno::from_raw(error.raw_os_error().unwrap_or(0)) {
        Errno::EAGAIN | Errno::EINTR => Ok(Received::Nothing),
        Errno::ENOBUFS => Ok(Received::Overrun),
        _ => Err(Error::io("receiving", error)),
    }
}

/// What an error from joining or leaving `groups` means.
fn membership(doing: &'static str, groups: u32, error: io::Error) -> Error {
    match Errno::from_raw(error.raw_os_error().unwrap_or(0)) {
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
