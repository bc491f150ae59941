// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The system calls, and what their errors mean here. Nothing of the protocol's content.

use std::{
    io::IoSlice,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use connector_wire::{
    Group,
    netlink::{DONE, NlHeader},
};
use nix::libc;
use rustix::{
    event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll},
    io::Errno,
    net::{
        self, AddressFamily, MMsgHdr, RecvFlags, SendAncillaryBuffer, SendFlags, SocketFlags,
        SocketType,
        netlink::{self, SocketAddrNetlink},
        sockopt,
    },
};

use crate::{
    error::{Error, Result},
    message::Sender,
};

/// The most datagrams that the kernel sends by one call (`UIO_MAXIOV`).
const MOST_AT_ONCE: usize = 1024;

/// The largest receive buffer that can be asked for, in bytes: the kernel doubles the number, which
/// is an `int`.
const MOST_BUFFER: usize = i32::MAX as usize / 2;

/// `NETLINK_ADD_MEMBERSHIP` and `NETLINK_DROP_MEMBERSHIP`, which rustix does not know.
#[derive(Clone, Copy)]
struct Join;
#[derive(Clone, Copy)]
struct Leave;
nix::setsockopt_impl!(
    Join,
    libc::SOL_NETLINK,
    libc::NETLINK_ADD_MEMBERSHIP,
    u32,
    nix::sys::socket::sockopt::SetStruct<'_, u32>
);
nix::setsockopt_impl!(
    Leave,
    libc::SOL_NETLINK,
    libc::NETLINK_DROP_MEMBERSHIP,
    u32,
    nix::sys::socket::sockopt::SetStruct<'_, u32>
);

/// `NETLINK_EXT_ACK`, which rustix does not know either.
#[derive(Clone, Copy)]
struct Words;
nix::setsockopt_impl!(
    Words,
    libc::SOL_NETLINK,
    libc::NETLINK_EXT_ACK,
    u32,
    nix::sys::socket::sockopt::SetStruct<'_, u32>
);

/// A bound netlink socket of the connector's protocol.
#[derive(Debug)]
pub(crate) struct Socket {
    fd: OwnedFd,
    portid: u32,
    /// Whether datagrams may come from another sender than the kernel, or to a group, so that the
    /// kernel must be asked about each.
    has_senders: AtomicBool,
    /// What ends a wait, once somebody may want to.
    interrupt: OnceLock<Arc<OwnedFd>>,
}

/// What a wait came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waited {
    /// There is something to receive, or the time is up, or a signal came.
    Done,
    /// Somebody wants the wait to end.
    Interrupted,
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
        let fd = net::socket_with(
            AddressFamily::NETLINK,
            SocketType::DGRAM,
            SocketFlags::CLOEXEC,
            Some(netlink::CONNECTOR),
        )
        .map_err(not_opened)?;
        if let Some(bytes) = receive_buffer {
            set_receive_buffer(fd.as_fd(), bytes)?;
        }
        // Acknowledgements say in words what is wrong. Where that cannot be had, they do without.
        let _ = nix::sys::socket::setsockopt(&fd, Words, &1);
        net::bind(&fd, &SocketAddrNetlink::new(0, groups))
            .map_err(|errno| membership("binding the socket", groups, errno))?;
        Self::bound(fd, processes, groups != 0)
    }

    /// Takes over a socket that somebody else opened, such as systemd for a unit's `.socket`, and
    /// binds it if that was not done. Whether acknowledgements come with words (`NETLINK_EXT_ACK`) or
    /// without data (`NETLINK_CAP_ACK`) stays as it was: who has the socket later may count on it.
    pub(crate) fn adopt(
        fd: OwnedFd,
        groups: u32,
        processes: bool,
        receive_buffer: Option<usize>,
    ) -> Result<Self> {
        let family = sockopt::socket_domain(&fd);
        if family != Ok(AddressFamily::NETLINK)
            || sockopt::socket_protocol(&fd) != Ok(Some(netlink::CONNECTOR))
        {
            return Err(Error::NotASocket);
        }
        if let Some(bytes) = receive_buffer {
            set_receive_buffer(fd.as_fd(), bytes)?;
        }
        if own_address(&fd)?.pid() == 0 {
            net::bind(&fd, &SocketAddrNetlink::new(0, 0))
                .map_err(|errno| Error::io("binding the socket", errno))?;
        }
        // It may be in groups that nobody here knows of.
        let socket = Self::bound(fd, processes, true)?;
        for number in (1..=Group::MAX).filter(|number| groups & (1 << (number - 1)) != 0) {
            Group::new(number).map_or(Ok(()), |group| socket.join(group))?;
        }
        Ok(socket)
    }

    fn bound(fd: OwnedFd, processes: bool, has_groups: bool) -> Result<Self> {
        let portid = own_address(&fd)?.pid();
        if !processes {
            net::connect(&fd, &SocketAddrNetlink::new(0, 0))
                .map_err(|errno| Error::io("connecting to the kernel", errno))?;
            // Elsewhere than in the initial network namespace there is nobody to send to, which is
            // better told now than by silence. The core drops what has no message in it.
            let nothing = NlHeader {
                len: NlHeader::SIZE as u32,
                kind: DONE,
                ..NlHeader::default()
            };
            send(fd.as_fd(), &nothing.to_bytes()).map_err(not_sent)?;
        }
        Ok(Self {
            fd,
            portid,
            has_senders: AtomicBool::new(processes || has_groups),
            interrupt: OnceLock::new(),
        })
    }

    /// The port that the kernel knows this socket by.
    pub(crate) fn portid(&self) -> u32 {
        self.portid
    }

    /// The descriptor, for [`send`] and [`receive`].
    #[inline]
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    pub(crate) fn into_fd(self) -> OwnedFd {
        self.fd
    }

    pub(crate) fn join(&self, group: Group) -> Result<()> {
        self.has_senders.store(true, Ordering::Relaxed);
        join(self.fd(), group)
    }

    pub(crate) fn leave(&self, group: Group) -> Result<()> {
        nix::sys::socket::setsockopt(&self.fd, Leave, &group.number())
            .map_err(|errno| membership("leaving a group", group.mask(), errno))
    }

    /// `SO_RCVBUF` in bytes, as the kernel accounts them: twice what was asked for.
    pub(crate) fn receive_buffer(&self) -> Result<usize> {
        sockopt::socket_recv_buffer_size(&self.fd)
            .map_err(|errno| Error::io("asking for the size of the receive buffer", errno))
    }

    /// Asks for a receive buffer of `bytes`, beyond `net.core.rmem_max` if permitted.
    pub(crate) fn set_receive_buffer(&self, bytes: usize) -> Result<()> {
        set_receive_buffer(self.fd(), bytes)
    }

    /// Sends one datagram that consists of two parts, without putting them together first.
    pub(crate) fn send_parts(&self, first: &[u8], second: &[u8]) -> Result<(), Errno> {
        let parts = [IoSlice::new(first), IoSlice::new(second)];
        loop {
            let mut control = SendAncillaryBuffer::default();
            match net::sendmsg(&self.fd, &parts, &mut control, SendFlags::empty()) {
                Ok(_) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno),
            }
        }
    }

    /// Sends datagrams by as few system calls as possible, and returns how many were sent: all of
    /// them, or those before the first that failed. It is an error if that is the very first.
    pub(crate) fn send_many(&self, datagrams: &[&[u8]]) -> Result<usize> {
        let slices: Vec<_> = datagrams
            .iter()
            .map(|bytes| [IoSlice::new(bytes)])
            .collect();
        let mut sent = 0;
        while let Some(left) = slices.get(sent..).filter(|left| !left.is_empty()) {
            let left = &left[..left.len().min(MOST_AT_ONCE)];
            let mut controls: Vec<_> = left
                .iter()
                .map(|_| SendAncillaryBuffer::default())
                .collect();
            let mut messages: Vec<_> = left
                .iter()
                .zip(&mut controls)
                .map(|(parts, control)| MMsgHdr::new(parts, control))
                .collect();
            match net::sendmmsg(&self.fd, &mut messages, SendFlags::empty()) {
                Ok(count) => sent += count,
                Err(Errno::INTR) => {}
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

    /// What ends waits on this socket that begin from now on.
    pub(crate) fn interrupt(&self) -> Result<Arc<OwnedFd>> {
        if let Some(fd) = self.interrupt.get() {
            return Ok(Arc::clone(fd));
        }
        let fd = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
            .map_err(|errno| Error::io("opening an eventfd", errno))?;
        Ok(Arc::clone(self.interrupt.get_or_init(|| Arc::new(fd))))
    }

    /// Waits until there is something to receive, `most` has passed, or a signal came; perhaps for
    /// less.
    pub(crate) fn wait_readable(&self, most: Option<Duration>) -> Result<Waited> {
        let timeout = most.map(|most| {
            // A wait that ends early begins anew.
            Timespec::try_from(most).unwrap_or(Timespec {
                tv_sec: i32::MAX.into(),
                tv_nsec: 0,
            })
        });
        let interrupt = self.interrupt.get();
        let mut fds = [
            PollFd::new(&self.fd, PollFlags::IN),
            PollFd::new(interrupt.map_or(&self.fd, |fd| fd), PollFlags::IN),
        ];
        let used = if interrupt.is_some() { 2 } else { 1 };
        match poll(&mut fds[..used], timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(Error::io("waiting for a message", errno)),
        }
        let Some(interrupt) = interrupt.filter(|_| fds[1].revents().contains(PollFlags::IN)) else {
            return Ok(Waited::Done);
        };
        // Another thread may have been quicker; then it ends the waits of all.
        Ok(match rustix::io::read(interrupt, &mut [0; 8]) {
            Ok(_) => Waited::Interrupted,
            Err(_) => Waited::Done,
        })
    }
}

/// Joins a group by its number.
pub(crate) fn join(fd: BorrowedFd<'_>, group: Group) -> Result<()> {
    nix::sys::socket::setsockopt(&fd, Join, &group.number())
        .map_err(|errno| membership("joining a group", group.mask(), errno))
}

/// Sends one datagram to the kernel.
#[inline]
pub(crate) fn send(fd: BorrowedFd<'_>, datagram: &[u8]) -> Result<(), Errno> {
    loop {
        // Connected or not, without an address this goes to port 0, the kernel.
        match net::send(fd, datagram, SendFlags::empty()) {
            Ok(_) => return Ok(()),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

/// The flags to receive with: never to wait, and to be told a datagram's real size.
const NOW: RecvFlags = RecvFlags::TRUNC.union(RecvFlags::DONTWAIT);

/// Receives one datagram if there is one, and returns its size.
#[inline]
pub(crate) fn receive(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> Result<usize, Errno> {
    let (_, len) = net::recv(fd, buffer, NOW)?;
    Ok(len)
}

/// Receives one datagram if there is one: its size, and who sent it.
#[inline(never)]
pub(crate) fn receive_from(
    fd: BorrowedFd<'_>,
    buffer: &mut [u8],
) -> Result<(usize, Sender), Errno> {
    let (_, len, from) = net::recvfrom(fd, buffer, NOW)?;
    let sender = from
        .and_then(|from| SocketAddrNetlink::try_from(from).ok())
        .map_or(Sender::default(), |from| {
            Sender::new(from.pid(), from.groups())
        });
    Ok((len, sender))
}

fn own_address(fd: &OwnedFd) -> Result<SocketAddrNetlink> {
    net::getsockname(fd)
        .and_then(SocketAddrNetlink::try_from)
        .map_err(|errno| Error::io("asking for the socket's address", errno))
}

fn set_receive_buffer(fd: BorrowedFd<'_>, bytes: usize) -> Result<()> {
    let bytes = bytes.min(MOST_BUFFER);
    if sockopt::set_socket_recv_buffer_size_force(fd, bytes).is_ok() {
        return Ok(());
    }
    sockopt::set_socket_recv_buffer_size(fd, bytes)
        .map_err(|errno| Error::io("setting the size of the receive buffer", errno))
}

/// What it means that a netlink socket cannot be opened.
fn not_opened(errno: Errno) -> Error {
    match errno {
        Errno::PROTONOSUPPORT => Error::NoConnector,
        Errno::AFNOSUPPORT | Errno::PERM | Errno::ACCESS => Error::NoNetlink(errno.into()),
        _ => Error::io("opening a netlink socket", errno),
    }
}

/// What it means that a datagram was not sent.
#[cold]
pub(crate) fn not_sent(errno: Errno) -> Error {
    match errno {
        Errno::CONNREFUSED => Error::Refused,
        errno => Error::io("sending", errno),
    }
}

/// What an error from joining or leaving `groups` means.
fn membership(doing: &'static str, groups: u32, errno: impl Into<std::io::Error>) -> Error {
    let error = errno.into();
    match error.raw_os_error() {
        Some(libc::EPERM) => Error::NotPermitted { groups },
        _ => Error::io(doing, error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_forbids_a_socket_is_told_apart_from_a_kernel_without_a_connector() {
        assert!(matches!(
            not_opened(Errno::PROTONOSUPPORT),
            Error::NoConnector
        ));
        for errno in [Errno::AFNOSUPPORT, Errno::PERM, Errno::ACCESS] {
            let error = not_opened(errno);
            let text = error.to_string();
            assert!(text.contains("RestrictAddressFamilies"), "{text}");
            assert!(!text.contains("CONFIG_CONNECTOR"), "{text}");
        }
    }
}
