// SPDX-License-Identifier: GPL-2.0

//! The system calls, and what their errors mean here. Nothing of the protocol.

use std::{
    io::{self, IoSlice},
    os::fd::{AsFd, AsRawFd, BorrowedFd},
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use connector_wire::{Group, netlink};
use netlink_sys::SocketAddr;
use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::socket::{MsgFlags, MultiHeaders, sendmmsg, sendmsg, setsockopt, sockopt},
};
use rustix::net::{RecvFlags, SendFlags};

use crate::{
    error::{Error, Result},
    intake::Sender,
};

/// The most datagrams that the kernel sends by one call (`UIO_MAXIOV`).
const MOST_AT_ONCE: usize = 1024;

/// A bound netlink socket of the connector's protocol.
#[derive(Debug)]
pub(crate) struct Socket {
    inner: netlink_sys::Socket,
    portid: u32,
    /// Whether datagrams may come from another sender than the kernel, or to a group, so that the
    /// kernel must be asked about each.
    has_senders: AtomicBool,
}

impl Socket {
    /// Opens a socket, binds it to a port of the kernel's choice, and joins `groups`. Unless it is
    /// to hear from `processes`, too, it is connected to the kernel; who else sends to it is then
    /// refused. (A broadcast of a privileged process still arrives.)
    ///
    /// The size of the receive buffer is set first: what comes from the moment of joining on finds it.
    pub(crate) fn open(
        groups: u32,
        processes: bool,
        receive_buffer: Option<usize>,
    ) -> Result<Self> {
        let mut inner = netlink_sys::Socket::new(netlink::PROTOCOL.into()).map_err(|error| {
            match errno(&error) {
                Errno::EPROTONOSUPPORT | Errno::EAFNOSUPPORT => Error::NoConnector,
                _ => Error::io("opening a netlink socket", error),
            }
        })?;
        if let Some(bytes) = receive_buffer {
            set_receive_buffer(&inner, bytes)?;
        }
        inner
            .bind(&SocketAddr::new(0, groups))
            .map_err(|error| membership("binding the socket", groups, error))?;
        let mut own = SocketAddr::new(0, 0);
        inner
            .get_address(&mut own)
            .map_err(|error| Error::io("asking for the socket's address", error))?;
        if !processes {
            inner
                .connect(&SocketAddr::new(0, 0))
                .map_err(|error| Error::io("connecting to the kernel", error))?;
        }
        Ok(Self {
            inner,
            portid: own.port_number(),
            has_senders: AtomicBool::new(processes || groups != 0),
        })
    }

    /// The port that the kernel knows this socket by.
    pub(crate) fn portid(&self) -> u32 {
        self.portid
    }

    pub(crate) fn join(&self, group: Group) -> Result<()> {
        self.has_senders.store(true, Ordering::Relaxed);
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
        set_receive_buffer(&self.inner, bytes)
    }

    /// Looks the descriptor up, for [`send`] and [`receive`]: which netlink-sys does out of line,
    /// so that once for both is worth it.
    #[inline]
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.inner.as_fd()
    }

    /// Sends one datagram that consists of two parts, without putting them together first.
    pub(crate) fn send_parts(&self, first: &[u8], second: &[u8]) -> Result<(), Errno> {
        let parts = [IoSlice::new(first), IoSlice::new(second)];
        loop {
            let fd = self.inner.as_raw_fd();
            match sendmsg(fd, &parts, &[], MsgFlags::empty(), None::<&()>) {
                Ok(_) => return Ok(()),
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno),
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
                Err(errno) => return Err(not_sent(errno)),
            }
        }
        Ok(sent)
    }

    /// Whether the kernel has to be asked who sent a datagram, and to which group.
    #[inline]
    pub(crate) fn has_senders(&self) -> bool {
        self.has_senders.load(Ordering::Relaxed)
    }

    /// Receives one datagram: its size, and who sent it.
    #[inline(never)]
    pub(crate) fn receive_from(
        &self,
        mut buffer: &mut [u8],
        flags: MsgFlags,
    ) -> Result<(usize, Sender), Errno> {
        let received = self.inner.recv_from(&mut buffer, flags.bits());
        let (len, from) = received.map_err(|error| errno(&error))?;
        let sender = Sender::new(from.port_number(), from.multicast_groups());
        Ok((len, sender))
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

/// Sends one datagram to the kernel.
#[inline]
pub(crate) fn send(fd: BorrowedFd<'_>, datagram: &[u8]) -> Result<(), Errno> {
    loop {
        // Connected or not, without an address this goes to port 0, the kernel.
        match rustix::net::send(fd, datagram, SendFlags::empty()) {
            Ok(_) => return Ok(()),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(Errno::from_raw(error.raw_os_error())),
        }
    }
}

/// Receives one datagram, and returns its size.
#[inline]
pub(crate) fn receive(fd: BorrowedFd<'_>, buffer: &mut [u8], wait: bool) -> Result<usize, Errno> {
    let flags = match wait {
        true => RecvFlags::TRUNC,
        false => RecvFlags::TRUNC | RecvFlags::DONTWAIT,
    };
    match rustix::net::recv(fd, buffer, flags) {
        Ok((_, len)) => Ok(len),
        Err(error) => Err(Errno::from_raw(error.raw_os_error())),
    }
}

fn set_receive_buffer(socket: &netlink_sys::Socket, bytes: usize) -> Result<()> {
    if setsockopt(socket, sockopt::RcvBufForce, &bytes).is_ok() {
        return Ok(());
    }
    setsockopt(socket, sockopt::RcvBuf, &bytes)
        .map_err(|errno| Error::io("setting the size of the receive buffer", errno.into()))
}

/// The error number of an error from a system call.
#[cold]
fn errno(error: &io::Error) -> Errno {
    Errno::from_raw(error.raw_os_error().unwrap_or(0))
}

/// What it means that a datagram was not sent.
#[cold]
pub(crate) fn not_sent(errno: Errno) -> Error {
    match errno {
        Errno::ECONNREFUSED => Error::Refused,
        errno => Error::io("sending", errno.into()),
    }
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
