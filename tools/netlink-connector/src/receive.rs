// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Receiving. Of those who wait on one socket, one has the reader and receives for all; the others
//! sleep until something came for them, or until the one stops and it is their turn.

use std::{
    fmt,
    sync::Arc,
    task::{Wake, Waker},
};

use parking_lot::MutexGuard;

use crate::{
    ack::{self, Ack},
    connector::{Connector, State},
    deadline::Deadline,
    error::{Error, Result},
    event::Event,
    exchange::{Exchange, Ticket},
    frame::{self, Malformed, Reason},
    message::Sender,
    reader::{Datagram, Read, Reader},
    thread::{self, Thread},
};

/// Room for what several datagrams bring; see [`Connector::recv_many`].
///
/// It is allocated once and used again and again.
pub struct RecvBatch {
    datagrams: usize,
    events: Vec<Result<Event>>,
}

impl RecvBatch {
    /// For so many datagrams at most, at least 1.
    pub fn new(datagrams: usize) -> Self {
        Self {
            datagrams: datagrams.max(1),
            events: Vec::new(),
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

impl Connector {
    /// Receives the next message that is not the reply to a request in progress, or the next loss.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`]; [`Error::Interrupted`]; [`Error::Malformed`] and
    /// [`Error::ForeignSender`] for a datagram that was dropped, after which the next can be
    /// received; [`Error::Io`].
    pub fn recv(&self, deadline: impl Into<Deadline>) -> Result<Event> {
        let mut state = self.lock();
        let ticket = state.exchange.enter();
        self.wait(state, ticket, deadline.into())
    }

    /// Receives what is there, as [`Self::recv`] does, but several datagrams at a time; waits if
    /// there is nothing. On success there is at least one event in `batch`, or an error of the kinds
    /// that [`Self::recv`] continues after.
    ///
    /// It saves a system call for each message but one, which pays for small ones. For messages of many
    /// kilobytes [`Self::recv`] is the quicker one, whose buffer stays in the cache.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`]; [`Error::Interrupted`]; [`Error::Io`].
    pub fn recv_many(&self, batch: &mut RecvBatch, deadline: impl Into<Deadline>) -> Result<()> {
        let mut state = self.lock();
        let ticket = state.exchange.enter();
        let (state, first) = self.wait_in(state, ticket, &mut deadline.into());
        self.receive_behind(state, first, batch)
    }

    /// Puts into `batch` the first of what is received, and what there is behind it.
    #[inline]
    pub(crate) fn receive_behind(
        &self,
        mut state: MutexGuard<'_, State>,
        first: Result<Event>,
        batch: &mut RecvBatch,
    ) -> Result<()> {
        batch.events.clear();
        match first {
            Err(error) if !error.is_dropped_datagram() => return Err(error),
            first => batch.events.push(first),
        }
        let State { exchange, reader } = &mut *state;
        // Somebody is there for whatever comes.
        let ticket = exchange.enter();
        // What was kept comes first. If somebody else receives, that is all for now.
        batch.events.extend(std::iter::from_fn(|| exchange.take()));
        for _ in 1..batch.datagrams {
            let Some(reader) = reader.as_deref_mut() else {
                break;
            };
            let read = reader.look(&self.socket);
            if !matches!(self.hand_out(exchange, read, reader), Ok(Handed::Out)) {
                break;
            }
            batch.events.extend(std::iter::from_fn(|| exchange.take()));
        }
        exchange.leave(ticket);
        Ok(())
    }

    /// Waits for what `ticket` stands for; receives if nobody else does.
    pub(crate) fn wait(
        &self,
        state: MutexGuard<'_, State>,
        ticket: Ticket,
        mut deadline: Deadline,
    ) -> Result<Event> {
        self.wait_in(state, ticket, &mut deadline).1
    }

    /// [`Self::wait`], and leaves the lock to the caller.
    pub(crate) fn wait_in<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        ticket: Ticket,
        deadline: &mut Deadline,
    ) -> (MutexGuard<'a, State>, Result<Event>) {
        let result = loop {
            if let Some(found) = state.exchange.collect(ticket) {
                break found;
            }
            if state.exchange.is_interrupted(ticket) {
                state.exchange.leave(ticket);
                break Err(Error::Interrupted);
            }
            let (again, handed) = match state.reader.take() {
                Some(reader) => self.receive(state, reader, deadline),
                None => self.sleep(state, ticket, deadline),
            };
            state = again;
            match handed {
                Ok(Handed::Out) => {}
                Ok(Handed::Nothing) => {
                    let found = state.exchange.collect(ticket);
                    break found.unwrap_or_else(|| Err(state.exchange.leave(ticket)));
                }
                Err(error) => {
                    state.exchange.leave(ticket);
                    break Err(error);
                }
            }
        };
        // Others may have slept because this thread received.
        state.exchange.wake_one();
        (state, result)
    }

    /// Receives one datagram and hands out what is in it.
    fn receive<'a>(
        &'a self,
        state: MutexGuard<'a, State>,
        mut reader: Box<Reader>,
        deadline: &mut Deadline,
    ) -> (MutexGuard<'a, State>, Result<Handed>) {
        drop(state);
        let read = reader.read(&self.socket, deadline);
        let mut state = self.lock();
        let handed = self.hand_out(&mut state.exchange, read, &reader);
        state.reader = Some(reader);
        (state, handed)
    }

    /// Sleeps until someone else received something for `ticket` or stopped receiving, or until the
    /// time is up.
    fn sleep<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        ticket: Ticket,
        deadline: &mut Deadline,
    ) -> (MutexGuard<'a, State>, Result<Handed>) {
        let left = deadline.left();
        if left.is_some_and(|left| left.is_zero()) {
            return (state, Ok(Handed::Nothing));
        }
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        state.exchange.sleep(ticket, &waker);
        drop(state);
        match left {
            Some(left) => thread::park_timeout(left),
            None => thread::park(),
        }
        (self.lock(), Ok(Handed::Out))
    }

    /// Hands out what was received, if anything was.
    pub(crate) fn hand_out(
        &self,
        exchange: &mut Exchange,
        read: Result<Read>,
        reader: &Reader,
    ) -> Result<Handed> {
        match read? {
            Read::Datagram => self.deliver(exchange, reader.datagram()),
            Read::Lost(overrun) => {
                // The kernel tells once that it begins to drop. Who sent a request after that, and
                // before all was received, may have lost the reply as well.
                exchange.dropping();
                exchange.keep(Ok(Event::Overrun(overrun)));
            }
            Read::Dropping => exchange.dropping(),
            Read::Interrupted => exchange.interrupt(),
            Read::TimedOut => return Ok(Handed::Nothing),
        }
        Ok(Handed::Out)
    }

    /// Hands out what is in a datagram.
    fn deliver(&self, exchange: &mut Exchange, datagram: Datagram<'_>) {
        let sender = datagram.sender;
        if !self.accepts(sender) {
            let portid = sender.portid;
            return exchange.keep(Err(Error::ForeignSender { portid }));
        }
        for message in frame::messages(datagram.buffer, datagram.len) {
            match message {
                Ok(message) => exchange.message(message, sender),
                Err(malformed) => match acknowledgement(datagram, malformed) {
                    Some(ack) => exchange.acknowledge(&ack),
                    None => exchange.keep(Err(malformed.into())),
                },
            }
        }
    }

    /// Receives the acknowledgement of a request that asked for one, and whose reply has come, so that
    /// the socket is not readable on its account any more. If it is not the next datagram, or if
    /// somebody else receives, it is found by whoever comes to it.
    #[cold]
    pub(crate) fn pick_up_ack(&self, state: &mut State) {
        if let Some(reader) = state.reader.as_deref_mut() {
            let read = reader.look(&self.socket);
            // A failure to receive is for those who want something.
            let _ = self.hand_out(&mut state.exchange, read, reader);
        }
    }
}

/// The acknowledgement that a datagram is, of which it is known that it is no message of the
/// connector's. Only the core acknowledges: what a process sends is not looked at.
#[cold]
fn acknowledgement(datagram: Datagram<'_>, malformed: Malformed) -> Option<Ack<'_>> {
    let is_one =
        malformed.reason == Reason::Kind(ack::ERROR) && datagram.sender == Sender::default();
    Ack::parse(datagram.buffer.get(..datagram.len)?).filter(|_| is_one)
}

/// What came of an attempt to receive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Handed {
    /// Something came and is where it belongs; it is worth a look.
    Out,
    /// Nothing came in time.
    Nothing,
}

/// The parts that the asynchronous socket is made from.
#[cfg(feature = "tokio")]
impl Connector {
    /// Enters someone who waits for anything.
    pub(crate) fn enter(&self) -> Ticket {
        self.lock().exchange.enter()
    }

    /// What this waiter waited for, if it is there or can be received now. Otherwise `waker` is
    /// woken when someone else has received it.
    pub(crate) fn try_collect(&self, ticket: Ticket, waker: &Waker) -> Option<Result<Event>> {
        let state = &mut *self.lock();
        loop {
            if let Some(found) = state.exchange.collect(ticket) {
                return Some(found);
            }
            // Does not wait, so the lock is kept and the reader is always there.
            let reader = state.reader.as_deref_mut()?;
            let read = reader.look(&self.socket);
            match self.hand_out(&mut state.exchange, read, reader) {
                Ok(Handed::Out) => {}
                Ok(Handed::Nothing) => {
                    state.exchange.sleep(ticket, waker);
                    return None;
                }
                Err(error) => return Some(Err(error)),
            }
        }
    }

    /// Stops waiting, if it has not ended already.
    pub(crate) fn leave_exchange(&self, ticket: Ticket) -> Error {
        self.lock().exchange.leave(ticket)
    }
}

/// Wakes a thread.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
