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

use connector_wire::Header;
use parking_lot::MutexGuard;
use rustix::io::Errno;

use crate::{
    batch,
    connector::{Connector, State},
    deadline::Deadline,
    error::{Error, Result},
    exchange::{Answers, Request, Ticket},
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
    /// # Errors
    ///
    /// Those of [`Self::send`], [`Error::TimedOut`] and [`Error::Interrupted`]. What else was wrong
    /// with received data ([`Error::Malformed`], [`Error::ForeignSender`]) is kept for
    /// [`Self::recv`], too.
    pub fn request(
        &self,
        header: &Header,
        data: &[u8],
        deadline: impl Into<Deadline>,
    ) -> Result<Message> {
        self.request_as(Answers::ByGenealogy, header, data, deadline.into())
    }

    /// [`Self::request`], with another idea of what the reply is.
    pub(crate) fn request_as(
        &self,
        answers: Answers,
        header: &Header,
        data: &[u8],
        deadline: Deadline,
    ) -> Result<Message> {
        let ticket = self.send_request(answers, header, data)?;
        let mut guard = self.lock();
        let state = &mut *guard;
        let Some(reader) = state.reader.as_deref_mut() else {
            return self.wait_for_reply(guard, ticket, None, deadline);
        };
        if !state.exchange.is_first_unanswered(ticket) || reader.is_behind() {
            return self.wait_for_reply(guard, ticket, None, deadline);
        }
        // Does not wait, so the lock is kept, and nobody has to be woken to receive instead.
        let received = reader.receive_now(&self.socket, self.socket.fd());
        if received.is_ok() {
            if let Some(reply) = self.sole_reply(reader, answers, header) {
                state.exchange.answer_first();
                return Ok(reader.sole_message(reply));
            }
        }
        self.wait_for_reply(guard, ticket, Some(received), deadline)
    }

    /// Enters who waits for the reply to a request, and sends it.
    #[inline(always)]
    pub(crate) fn send_request(
        &self,
        answers: Answers,
        header: &Header,
        data: &[u8],
    ) -> Result<Ticket> {
        batch::check(data)?;
        let ticket = self.lock().exchange.enter(Some(Request {
            header: *header,
            answers,
        }));
        match self.send_checked(self.socket.fd(), header, data) {
            Ok(()) => Ok(ticket),
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
            Answers::By(_) => None,
        }
    }

    /// Waits for the reply, since what was received at once, if anything, was something else.
    #[cold]
    fn wait_for_reply(
        &self,
        mut guard: MutexGuard<'_, State>,
        ticket: Ticket,
        received: Option<Result<(), Errno>>,
        deadline: Deadline,
    ) -> Result<Message> {
        let State { exchange, reader } = &mut *guard;
        if let (Some(received), Some(reader)) = (received, reader) {
            let read = reader.judge(&self.socket, received);
            if let Err(error) = self.hand_out(exchange, read, reader) {
                exchange.leave(ticket);
                exchange.wake_one();
                return Err(error);
            }
        }
        self.wait(guard, ticket, deadline)?.into_message()
    }
}
