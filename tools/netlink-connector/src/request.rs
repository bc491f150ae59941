// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Asking, and getting the reply. A request's way:
//!
//! 1. [`Connector::request`] *enters* who waits for the reply, and *sends*. In this order, because
//!    another thread may receive the reply; and without the lock, because the service's handler runs
//!    inside the system call and may take its time.
//! 2. Usually nobody else receives, and the reply is there when the request has been sent. Then it
//!    is received, still under the lock, and handed straight to the caller.
//! 3. Otherwise the caller waits, as all do who receive (`receive.rs`): whoever gets at the reader
//!    receives for all.
//!
//! A request to an id that has not answered yet asks for an acknowledgement, which a core of
//! `rust_connector`'s gives: behind a reply that is sent by the handler itself, before one that comes
//! later.

use connector_wire::Header;
use parking_lot::MutexGuard;
use rustix::io::Errno;

use crate::{
    ack, batch,
    connector::{Connector, State},
    deadline::Deadline,
    error::{Error, Result},
    event::Event,
    exchange::{Answers, Ticket},
    frame,
    message::Message,
    reader::Reader,
    socket::not_sent,
};

impl Connector {
    /// Sends a request and waits for the reply to it: the message with the same id and `seq` that
    /// [answers](Header::answers) it. Everything else that comes meanwhile is kept for
    /// [`Self::recv`].
    ///
    /// Threads may do this at the same time over one socket, with headers that differ in `seq`, as
    /// those from [`Self::header`] do.
    ///
    /// If nobody has registered the id, the connector of `rust_connector` says so, and this fails at
    /// once; the kernel's says nothing. An id that has answered this socket before is not asked about,
    /// for that would cost as much as another request: if it is gone, the first request ends by the
    /// deadline, and the next one at once.
    ///
    /// # Errors
    ///
    /// Those of [`Self::send`], [`Error::NotRegistered`], [`Error::Rejected`], [`Error::TimedOut`] and
    /// [`Error::Interrupted`]. What else was wrong
    /// with received data ([`Error::Malformed`], [`Error::ForeignSender`]) is kept for
    /// [`Self::recv`], too.
    pub fn request(
        &self,
        header: &Header,
        data: &[u8],
        deadline: impl Into<Deadline>,
    ) -> Result<Message> {
        self.request_by_genealogy(header, data, deadline.into())
    }

    /// [`Self::request`], of which there is one for all kinds of deadlines.
    fn request_by_genealogy(
        &self,
        header: &Header,
        data: &[u8],
        deadline: Deadline,
    ) -> Result<Message> {
        self.request_as(Answers::ByGenealogy, header, data, deadline)
    }

    /// [`Self::request`], with another idea of what the reply is. For each it is compiled anew.
    #[inline(always)]
    pub(crate) fn request_as(
        &self,
        answers: Answers,
        header: &Header,
        data: &[u8],
        deadline: Deadline,
    ) -> Result<Message> {
        let sent = self.send_request(answers, header, data)?;
        let mut guard = self.lock();
        let state = &mut *guard;
        let Some(reader) = state.reader.as_deref_mut() else {
            return self.wait_for_reply(guard, sent, None, deadline);
        };
        if !state.exchange.is_first_unanswered(sent.ticket) || reader.is_behind() {
            return self.wait_for_reply(guard, sent, None, deadline);
        }
        // Does not wait, so the lock is kept, and nobody has to be woken to receive instead.
        let received = reader.receive_now(&self.socket, self.socket.fd());
        // What asked for an acknowledgement has more to receive.
        if received.is_ok() && !sent.asks {
            if let Some(reply) = self.sole_reply(reader, answers, header) {
                state.exchange.answer_first();
                // Two ways out: a message that is made at one place is copied once less.
                if let Some(message) = reader.small_message(reply) {
                    return Ok(message);
                }
                return Ok(reader.large_message(reply));
            }
        }
        self.wait_for_reply(guard, sent, Some(received), deadline)
    }

    /// Sends a message, and says whether the connector has acknowledged it by the deadline: its handler
    /// has returned then. Of the header, `len` is ignored: it becomes the length of `data`.
    ///
    /// The connector of `rust_connector` acknowledges; the kernel's does not, and `false` is all that it
    /// comes to. An acknowledgement is there when a message has been sent, so that
    /// [`Deadline::NOW`] is enough, unless other threads receive from this socket.
    ///
    /// # Errors
    ///
    /// [`Error::NotRegistered`], [`Error::Rejected`], [`Error::Interrupted`]; those of [`Self::send`].
    pub fn send_acknowledged(
        &self,
        header: &Header,
        data: &[u8],
        deadline: impl Into<Deadline>,
    ) -> Result<bool> {
        let sent = self.send_request(Answers::Acknowledgement, header, data)?;
        acknowledged(self.wait(self.lock(), sent.ticket, deadline.into()))
    }

    /// Enters who waits for the reply to a request, and sends it.
    #[inline(always)]
    pub(crate) fn send_request(
        &self,
        answers: Answers,
        header: &Header,
        data: &[u8],
    ) -> Result<Sent> {
        batch::check(data)?;
        let (ticket, asks) = self.lock().exchange.enter_request(header, answers);
        let flags = if asks { ack::ASK } else { 0 };
        match self.send_checked(self.socket.fd(), header, flags, data) {
            Ok(()) => Ok(Sent { ticket, asks }),
            Err(errno) => Err(self.not_started(ticket, errno)),
        }
    }

    /// A request could not be sent: nobody waits for the reply.
    #[cold]
    fn not_started(&self, ticket: Ticket, errno: Errno) -> Error {
        self.lock().exchange.leave(ticket);
        not_sent(errno)
    }

    /// The header of the reply to the request of `header`, if what was received is nothing else.
    #[inline]
    fn sole_reply(&self, reader: &Reader, answers: Answers, header: &Header) -> Option<Header> {
        let datagram = reader.datagram();
        if !self.accepts(datagram.sender) {
            return None;
        }
        match answers {
            Answers::ByGenealogy => frame::sole_header(datagram.buffer, datagram.len)
                .filter(|reply| reply.answers(header)),
            // Rare; what is received from here on finds its way, too.
            Answers::By(_) | Answers::Acknowledgement => None,
        }
    }

    /// Waits for the reply, since what was received at once, if anything, was something else.
    #[cold]
    fn wait_for_reply(
        &self,
        mut guard: MutexGuard<'_, State>,
        sent: Sent,
        received: Option<Result<(), Errno>>,
        mut deadline: Deadline,
    ) -> Result<Message> {
        let State { exchange, reader } = &mut *guard;
        if let (Some(received), Some(reader)) = (received, reader) {
            let read = reader.judge(&self.socket, received);
            if let Err(error) = self.hand_out(exchange, read, reader) {
                exchange.leave(sent.ticket);
                exchange.wake_one();
                return Err(error);
            }
        }
        let (mut guard, reply) = self.wait_in(guard, sent.ticket, &mut deadline);
        if reply.is_ok() && sent.asks {
            self.pick_up_ack(&mut guard);
        }
        drop(guard);
        reply?.into_message()
    }
}

/// A request that was sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sent {
    /// Who waits for the reply.
    pub(crate) ticket: Ticket,
    /// Whether it asks for an acknowledgement.
    pub(crate) asks: bool,
}

/// Whether what a wait for an acknowledgement came to is one.
pub(crate) fn acknowledged(waited: Result<Event>) -> Result<bool> {
    match waited {
        Ok(_) => Ok(true),
        Err(Error::TimedOut { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}
