// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Receiving datagrams: no longer than allowed, and with a loss at its place in the stream.

use std::os::fd::BorrowedFd;

use connector_wire::Header;
use rustix::io::Errno;

use crate::{
    deadline::Deadline,
    error::{Error, Result},
    frame::HEADERS,
    message::{Message, Sender},
    overrun::{Cause, Overrun},
    payload::Payload,
    procfs,
    socket::{self, Socket, Waited},
};

/// The room for a datagram in bytes. A message from the kernel has at most a netlink header (16), a
/// connector header (20) and 65535 bytes of data; `cn_netlink_send_mult()` can send no more either.
const ROOM: usize = 65536 + 64;

/// The least that the kernel charges the receive buffer for a message, in bytes: `SKB_TRUESIZE()`
/// of the smallest data area, rounded down to be on the safe side on every architecture.
const LEAST_CHARGE: usize = 512;

/// What the reader found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Read {
    /// A datagram, which is in the reader.
    Datagram,
    /// The place in the stream where messages are missing.
    Lost(Overrun),
    /// The kernel has begun to drop messages. Their place in the stream, [`Self::Lost`], comes
    /// later; but a reply may be among them.
    Dropping,
    /// Nothing came in time.
    TimedOut,
    /// Somebody wants the wait to end.
    Interrupted,
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

/// Room for a datagram, and what there is to know about a socket between two receiving system
/// calls.
pub(crate) struct Reader {
    buffer: Box<[u8; ROOM]>,
    len: usize,
    sender: Sender,
    /// After a loss was reported and before its place was reached: how many messages can still
    /// precede that place.
    before_loss: Option<usize>,
    /// How many drops the kernel had counted when a loss was last reported.
    drops: u32,
}

impl Reader {
    /// A reader of a socket for which the kernel has counted so many drops.
    pub(crate) fn new(drops: u32) -> Self {
        let buffer = vec![0; ROOM].into_boxed_slice();
        Self {
            // It has this size.
            buffer: buffer.try_into().unwrap_or_else(|_| Box::new([0; ROOM])),
            len: 0,
            sender: Sender::default(),
            before_loss: None,
            drops,
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

    /// The message in the datagram, of which it is known to have exactly one, with this header; if its
    /// data is kept in place.
    #[inline(always)]
    pub(crate) fn small_message(&self, header: Header) -> Option<Message> {
        let (_, data) = self.buffer.split_at(HEADERS);
        let Sender { portid, group } = self.sender;
        Some(Message {
            header,
            data: Payload::inline(data, header.len.into())?,
            group,
            portid,
        })
    }

    /// The same for data that takes an allocation.
    #[cold]
    pub(crate) fn large_message(&self, header: Header) -> Message {
        let (_, data) = self.buffer.split_at(HEADERS);
        Message {
            header,
            data: data[..header.len.into()].into(),
            group: self.sender.group,
            portid: self.sender.portid,
        }
    }

    /// Whether the place of a loss is still to come.
    #[inline]
    pub(crate) fn is_behind(&self) -> bool {
        self.before_loss.is_some()
    }

    /// Receives a datagram if there is one, by one system call. `fd` is the socket's.
    #[inline]
    pub(crate) fn receive_now(&mut self, socket: &Socket, fd: BorrowedFd<'_>) -> Result<(), Errno> {
        if socket.has_senders() {
            (self.len, self.sender) = socket::receive_from(fd, &mut self.buffer[..])?;
        } else {
            self.len = socket::receive(fd, &mut self.buffer[..])?;
            self.sender = Sender::default();
        }
        Ok(())
    }

    /// Receives what is there, without waiting; or finds the place of a loss.
    #[inline]
    pub(crate) fn look(&mut self, socket: &Socket) -> Result<Read> {
        if self.before_loss == Some(0) {
            return Ok(self.lost(socket));
        }
        let received = self.receive_now(socket, socket.fd());
        self.judge(socket, received)
    }

    /// What it means that a datagram was received, or was not.
    #[inline]
    pub(crate) fn judge(&mut self, socket: &Socket, received: Result<(), Errno>) -> Result<Read> {
        match received {
            Ok(()) => {
                if let Some(left) = &mut self.before_loss {
                    *left = left.saturating_sub(1);
                }
                Ok(Read::Datagram)
            }
            Err(errno) => self.judge_error(socket, errno),
        }
    }

    /// What it means that nothing was received.
    #[cold]
    fn judge_error(&mut self, socket: &Socket, errno: Errno) -> Result<Read> {
        match errno {
            // Behind the messages in the buffer there is a loss to tell of.
            Errno::AGAIN if self.is_behind() => Ok(self.lost(socket)),
            Errno::AGAIN | Errno::INTR => Ok(Read::TimedOut),
            Errno::NOBUFS => {
                if self.before_loss.is_none() {
                    self.before_loss = Some(socket.receive_buffer()? / LEAST_CHARGE);
                }
                Ok(Read::Dropping)
            }
            _ => Err(Error::io("receiving", errno)),
        }
    }

    /// Receives a datagram, or finds out that none comes in time.
    ///
    /// Whether the descriptor is non-blocking, which it may have been made by whoever opened it,
    /// does not matter: what waits is `poll(2)`.
    pub(crate) fn read(&mut self, socket: &Socket, deadline: &mut Deadline) -> Result<Read> {
        loop {
            match self.look(socket)? {
                Read::TimedOut => {}
                read => return Ok(read),
            }
            let left = deadline.left();
            if left.is_some_and(|left| left.is_zero()) {
                return Ok(Read::TimedOut);
            }
            if socket.wait_readable(left)? == Waited::Interrupted {
                return Ok(Read::Interrupted);
            }
        }
    }

    /// The place of a loss is reached.
    #[cold]
    fn lost(&mut self, socket: &Socket) -> Read {
        self.before_loss = None;
        let lost = procfs::drops(socket.portid()).map(|drops| {
            let lost = drops.wrapping_sub(self.drops);
            self.drops = drops;
            lost.into()
        });
        Read::Lost(Overrun {
            lost,
            cause: Cause::ReceiveBuffer,
        })
    }
}
