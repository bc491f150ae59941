// SPDX-License-Identifier: GPL-2.0

//! Where datagrams are received to: one at a time, or several by one system call.

use std::{
    fmt,
    io::IoSliceMut,
    os::fd::{AsRawFd, BorrowedFd},
};

use connector_wire::{Group, Header, netlink::NlHeader};
use nix::{
    errno::Errno,
    sys::socket::{MsgFlags, MultiHeaders, NetlinkAddr, recvmmsg},
};

use crate::{
    error::{Error, Result},
    event::{Event, Message},
    payload::Payload,
    socket::{self, Socket},
};

/// The room for a datagram in bytes. A message from the kernel has at most a netlink header (16), a
/// connector header (20) and 65535 bytes of data; `cn_netlink_send_mult()` can send no more either.
const ROOM: usize = 65536 + 64;

/// Who a datagram came from, and how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sender {
    /// 0 is the kernel.
    pub(crate) portid: u32,
    /// The group that it was sent to.
    pub(crate) group: Option<Group>,
}

impl Sender {
    /// From the fields of `struct sockaddr_nl`. The kernel sets the bit of one group, or none.
    pub(crate) fn new(portid: u32, groups: u32) -> Self {
        let group = match groups {
            0 => None,
            mask => Group::new(mask.trailing_zeros() + 1),
        };
        Self { portid, group }
    }
}

/// A datagram as it was received.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Datagram<'a> {
    /// Its bytes are at the start of this.
    pub(crate) buffer: &'a [u8],
    /// Its size, which may exceed that of the buffer.
    pub(crate) len: usize,
    pub(crate) sender: Sender,
}

/// What a receiving system call came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Received {
    /// So many datagrams came.
    Datagrams(usize),
    /// There is none, or a signal came first.
    Nothing,
    /// The receive buffer was full (`ENOBUFS`).
    Overrun,
}

/// Where datagrams are received to.
pub(crate) trait Intake {
    /// Receives what is there, by one system call; waits for the first datagram if `wait`.
    fn receive(&mut self, socket: &Socket, wait: bool) -> Result<Received>;

    /// What the last call of [`Self::receive`] received.
    fn datagrams(&self) -> impl Iterator<Item = Datagram<'_>>;
}

/// Room for one datagram.
pub(crate) struct Single {
    buffer: Box<[u8; ROOM]>,
    len: usize,
    sender: Sender,
}

impl Single {
    pub(crate) fn new() -> Self {
        let buffer = vec![0; ROOM].into_boxed_slice();
        Self {
            // It has this size.
            buffer: buffer.try_into().unwrap_or_else(|_| Box::new([0; ROOM])),
            len: 0,
            sender: Sender::default(),
        }
    }

    /// The datagram that was received last.
    #[inline]
    pub(crate) fn datagram(&self) -> Datagram<'_> {
        Datagram {
            buffer: &self.buffer[..],
            len: self.len,
            sender: self.sender,
        }
    }

    /// Receives a datagram if there is one. `fd` is the socket's.
    #[inline]
    pub(crate) fn receive_now(&mut self, socket: &Socket, fd: BorrowedFd<'_>) -> Result<(), Errno> {
        self.receive_with(socket, fd, false)
    }

    #[inline]
    fn receive_with(
        &mut self,
        socket: &Socket,
        fd: BorrowedFd<'_>,
        wait: bool,
    ) -> Result<(), Errno> {
        if socket.has_senders() {
            (self.len, self.sender) = socket.receive_from(&mut self.buffer[..], flags(wait))?;
        } else {
            self.len = socket::receive(fd, &mut self.buffer[..], wait)?;
            self.sender = Sender::default();
        }
        Ok(())
    }

    /// The message in the datagram, of which it is known to have exactly one.
    #[inline]
    pub(crate) fn sole_message(&self) -> Result<Message> {
        let (_, message) = self.buffer.split_at(NlHeader::SIZE);
        let header = Header::parse(message).unwrap_or_default();
        let (_, data) = message.split_at(Header::SIZE);
        let len = header.len.into();
        let group = self.sender.group;
        match Payload::inline(data, len) {
            Some(data) => Ok(Message {
                header,
                data,
                group,
            }),
            None => large_message(header, &data[..len], group),
        }
    }
}

/// A message whose data takes an allocation.
#[cold]
fn large_message(header: Header, data: &[u8], group: Option<Group>) -> Result<Message> {
    let data = data.into();
    Ok(Message {
        header,
        data,
        group,
    })
}

impl Intake for Single {
    #[inline]
    fn receive(&mut self, socket: &Socket, wait: bool) -> Result<Received> {
        received(self.receive_with(socket, socket.fd(), wait))
    }

    fn datagrams(&self) -> impl Iterator<Item = Datagram<'_>> {
        std::iter::once(self.datagram())
    }
}

/// What it means that one datagram was received, or was not.
#[inline]
pub(crate) fn received(result: Result<(), Errno>) -> Result<Received> {
    match result {
        Ok(()) => Ok(Received::Datagrams(1)),
        Err(errno) => not_received(errno),
    }
}

/// Room for several datagrams, to be received by one system call (`recvmmsg(2)`); see
/// [`Connector::recv_many`](crate::Connector::recv_many).
///
/// It is allocated once and used again and again by one thread. Each datagram has room for the
/// largest that there can be, 64 KiB, of which the kernel provides only what is used.
pub struct RecvBatch {
    headers: MultiHeaders<NetlinkAddr>,
    buffers: Box<[u8]>,
    received: Vec<(usize, Sender)>,
    pub(crate) events: Vec<Result<Event>>,
}

impl RecvBatch {
    /// Room for `datagrams`, at least 1 and at most 1024, the most that the kernel takes in one
    /// call.
    pub fn new(datagrams: usize) -> Self {
        let datagrams = datagrams.clamp(1, 1024);
        Self {
            headers: MultiHeaders::preallocate(datagrams, None),
            buffers: vec![0; datagrams * ROOM].into(),
            received: Vec::with_capacity(datagrams),
            events: Vec::with_capacity(datagrams),
        }
    }

    /// Takes out what was received, in order. What is not taken out is dropped by the next call
    /// that receives.
    pub fn drain(&mut self) -> impl Iterator<Item = Result<Event>> {
        self.events.drain(..)
    }
}

impl fmt::Debug for RecvBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecvBatch")
            .field("events", &self.events)
            .finish_non_exhaustive()
    }
}

impl Intake for RecvBatch {
    fn receive(&mut self, socket: &Socket, wait: bool) -> Result<Received> {
        let flags = flags(wait) | MsgFlags::MSG_WAITFORONE;
        let mut slices: Vec<_> = self
            .buffers
            .chunks_exact_mut(ROOM)
            .map(|buffer| [IoSliceMut::new(buffer)])
            .collect();
        self.received.clear();
        let results = recvmmsg(
            socket.as_raw_fd(),
            &mut self.headers,
            &mut slices,
            flags,
            None,
        );
        match results {
            Ok(results) => {
                self.received.extend(results.map(|result| {
                    let sender = result.address.map_or(Sender::default(), |address| {
                        Sender::new(address.pid(), address.groups())
                    });
                    (result.bytes, sender)
                }));
                Ok(Received::Datagrams(self.received.len()))
            }
            Err(errno) => not_received(errno),
        }
    }

    fn datagrams(&self) -> impl Iterator<Item = Datagram<'_>> {
        self.received
            .iter()
            .zip(self.buffers.chunks_exact(ROOM))
            .map(|(&(len, sender), buffer)| Datagram {
                buffer,
                len,
                sender,
            })
    }
}

/// The flags to receive with. `MSG_TRUNC` has the kernel tell a datagram's real size.
fn flags(wait: bool) -> MsgFlags {
    match wait {
        true => MsgFlags::MSG_TRUNC,
        false => MsgFlags::MSG_TRUNC | MsgFlags::MSG_DONTWAIT,
    }
}

/// What it means that nothing was received.
#[cold]
fn not_received(errno: Errno) -> Result<Received> {
    match errno {
        Errno::EAGAIN | Errno::EINTR => Ok(Received::Nothing),
        Errno::ENOBUFS => Ok(Received::Overrun),
        _ => Err(Error::io("receiving", errno.into())),
    }
}
