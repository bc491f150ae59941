// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Asking for process events: as messages among others, or as an iterator of their own.

use std::{collections::VecDeque, io, time::Duration};

use connector_wire::{Header, RawMessage};

use crate::{
    connector::Connector,
    deadline::Deadline,
    error::{Error, Result},
    event::Event,
    exchange::Answers,
    interrupter::Interrupter,
    listener::{self, Listener},
    message::Message,
    proc::{Events, GROUP, ID, ProcEvent, What},
    procfs,
    receive::RecvBatch,
};

/// How long [`ProcEvents::subscribe`] waits for the kernel's confirmation, which comes at once or
/// never.
pub(crate) const CONFIRMATION: Duration = Duration::from_secs(5);

/// How many datagrams are received at a time.
const AT_ONCE: usize = 32;

impl Connector {
    /// Joins group 1 and asks the kernel for process events, and waits until it confirms that.
    /// Events then arrive as messages; read them with [`ProcEvent::parse`]. [`ProcEvents`] does both
    /// on a socket of its own.
    ///
    /// The kernel sends only those in `events`; since Linux 6.6, before which it sent all. It can
    /// confirm a request for all events only, so this asks for all first: a few others than those
    /// asked for may come before the filter is in place, and acknowledgements of other sockets'
    /// requests may come too. Sort them out with [`Events::wants`].
    ///
    /// Calling it again changes the filter.
    ///
    /// What comes before the kernel confirms it is no part of it, and dropped: events that are made
    /// for others who listen, or did and never said that they ceased to. The kernel leaves out some
    /// while it enters a listener, which would look like a loss.
    ///
    /// When the connector is dropped, or this fails, the kernel is told that nobody listens any
    /// more.
    ///
    /// # Errors
    ///
    /// [`Error::NoEvents`] for none; [`Error::NoProcEvents`] if the kernel does not confirm it before
    /// the deadline, or [`Error::TimedOut`] if the confirmation may have been lost in an overrun:
    /// try again. [`Error::Service`] if it refuses: before Linux 6.6 this took `CAP_NET_ADMIN`. Those
    /// of [`Self::join`] and [`Self::send`].
    pub fn subscribe_proc(&self, events: Events, deadline: impl Into<Deadline>) -> Result<()> {
        let asking = self.start_asking(events)?;
        let known = asking.is_none();
        if let Some(asking) = asking {
            let (header, data) = (asking.request(), listener::request());
            let ack = self.request_as(Answers::By(is_ack), &header, &data, deadline.into());
            asking.confirmed(ack)?;
        }
        self.set_proc_filter(events, known)
    }

    /// Tells the kernel that this socket wants no more process events. Events that were received
    /// before are still delivered. A connector that is dropped does this by itself.
    ///
    /// The socket stays in group 1, where the kernel sends it nothing any more (before Linux 6.6:
    /// only what others asked for): what the kernel keeps of a socket that asked is freed only if the
    /// socket is in that group when it is closed.
    ///
    /// # Errors
    ///
    /// Those of [`Self::send`].
    pub fn unsubscribe_proc(&self) -> Result<()> {
        match &mut *self.listener.lock() {
            Some(listener) => listener.end(),
            None => Ok(()),
        }
    }

    /// Begins to ask for events, unless the kernel sends them already.
    pub(crate) fn start_asking(&self, events: Events) -> Result<Option<Asking<'_>>> {
        if events == Events::NONE {
            return Err(Error::NoEvents);
        }
        if matches!(&*self.listener.lock(), Some(listener) if listener.is_confirmed()) {
            return Ok(None);
        }
        self.join(GROUP)?;
        let slot = &mut *self.listener.lock();
        match slot {
            Some(listener) => listener.begin(),
            None => *slot = Some(Listener::new(self.socket.fd())?),
        }
        Ok(Some(Asking { connector: self }))
    }

    /// Has the kernel send only those in `events`; if it did not send any before, it now sends all.
    pub(crate) fn set_proc_filter(&self, events: Events, sent_before: bool) -> Result<()> {
        if events == Events::ALL && !sent_before {
            return Ok(());
        }
        self.send(&self.header(ID), &listener::filter(events))
    }
}

/// A request for events that has not been confirmed. Unless it is, the kernel is told that it is
/// over, also when the one who asks has ceased to wait.
#[derive(Debug)]
pub(crate) struct Asking<'a> {
    connector: &'a Connector,
}

impl Asking<'_> {
    /// The header of the request.
    pub(crate) fn request(&self) -> Header {
        let header = self.connector.header(ID);
        Header {
            // What comes back has a `seq` of the kernel's own, so that `ack` has to be unique.
            ack: header.seq.rotate_left(16) ^ self.connector.portid(),
            ..header
        }
    }

    /// What it means that the request was answered like this. When it was confirmed, events that
    /// came before are forgotten.
    pub(crate) fn confirmed(self, ack: Result<Message>) -> Result<()> {
        let event = match ack {
            Err(Error::NotRegistered { .. }) => {
                return Err(Error::NoProcEvents {
                    registered: Some(false),
                });
            }
            Err(Error::TimedOut { overrun: false, .. }) => {
                let registered = procfs::registered().ok();
                return Err(Error::NoProcEvents {
                    registered: registered.map(|all| all.iter().any(|entry| entry.id == ID)),
                });
            }
            ack => ProcEvent::from_bytes(&ack?.data)?,
        };
        if let What::Ack { err: err @ 1.. } = event.what {
            let error = io::Error::from_raw_os_error(err as i32);
            return Err(Error::Service(error));
        }
        self.connector.lock().exchange.forget(is_event);
        if let Some(listener) = &mut *self.connector.listener.lock() {
            listener.confirm();
        }
        Ok(())
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        let listener = &mut *self.connector.listener.lock();
        if let Some(listener) = listener.as_mut().filter(|it| !it.is_confirmed()) {
            // The connector tries again when it is dropped.
            let _ = listener.end();
        }
    }
}

/// Whether a message is a process event, or claims to be one.
fn is_event(message: &Message) -> bool {
    message.group == Some(GROUP) && message.header.id == ID
}

/// Whether a message acknowledges the request to listen with the header `request`. The kernel
/// overwrites the acknowledgement's `seq` with that of an event.
pub(crate) fn is_ack(request: &Header, message: &RawMessage<'_>) -> bool {
    message.header.id == ID
        && message.header.ack == request.ack.wrapping_add(1)
        && message.data.first_chunk() == Some(&[0; 4])
}

/// What an event of the socket is to who asked for `events`: a process event, a loss, something
/// that is wrong; or nothing, which is something else than was asked for.
pub(crate) fn wanted(events: Events, event: Result<Event>) -> Option<Result<ProcEvent>> {
    let message = match event {
        Ok(Event::Message(message)) => message,
        Ok(Event::Overrun(overrun)) => return Some(Err(Error::Overrun(overrun))),
        Err(error) => return Some(Err(error)),
    };
    if !is_event(&message) {
        return None;
    }
    match ProcEvent::parse(&message)? {
        Ok(event) if matches!(event.what, What::Ack { .. }) || !events.wants(&event) => None,
        event => Some(event),
    }
}

/// Process events, one after the other: an iterator that waits for the next one, and never ends by
/// itself. When it is dropped, the kernel is told that nobody listens any more.
///
/// A loss is an item as well: [`Error::Overrun`], at the place where events are missing. After it,
/// and after a [dropped datagram](Error::is_dropped_datagram), the next events come; any other error
/// comes again.
///
/// # Examples
///
/// ```no_run
/// use netlink_connector::{
///     ProcEvents,
///     proc::{Events, What},
/// };
///
/// for event in ProcEvents::subscribe(Events::EXEC | Events::NONZERO_EXIT)? {
///     match event?.what {
///         What::Exec { task } => println!("{} executes a program", task.pid),
///         What::Exit { task, status, .. } => println!("{} failed: {status}", task.pid),
///         _ => {}
///     }
/// }
/// # Ok::<(), netlink_connector::Error>(())
/// ```
#[derive(Debug)]
pub struct ProcEvents {
    connector: Connector,
    events: Events,
    batch: RecvBatch,
    received: VecDeque<Result<ProcEvent>>,
}

impl ProcEvents {
    /// Opens a socket and asks for `events`.
    ///
    /// # Errors
    ///
    /// Those of [`Connector::open`] and [`Connector::subscribe_proc`].
    pub fn subscribe(events: Events) -> Result<Self> {
        Self::on(Connector::open()?, events, CONFIRMATION)
    }

    /// Asks for `events` on a socket, one with a large receive buffer for example. What comes on it
    /// beside process events is dropped.
    ///
    /// # Errors
    ///
    /// Those of [`Connector::subscribe_proc`].
    pub fn on(connector: Connector, events: Events, deadline: impl Into<Deadline>) -> Result<Self> {
        connector.subscribe_proc(events, deadline)?;
        Ok(Self {
            connector,
            events,
            batch: RecvBatch::new(AT_ONCE),
            received: VecDeque::new(),
        })
    }

    /// The next event.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`]; those of [`Connector::recv`]; [`Error::Overrun`] where events are
    /// missing; [`Error::Unexpected`] for a message of another form.
    pub fn recv(&mut self, deadline: impl Into<Deadline>) -> Result<ProcEvent> {
        let mut deadline = deadline.into();
        loop {
            if let Some(event) = self.received.pop_front() {
                return event;
            }
            deadline.start();
            self.connector.recv_many(&mut self.batch, deadline)?;
            let events = self.batch.drain();
            self.received
                .extend(events.filter_map(|event| wanted(self.events, event)));
        }
    }

    /// What ends the wait of the thread that iterates; see [`Connector::interrupter`].
    ///
    /// # Errors
    ///
    /// Those of [`Connector::interrupter`].
    pub fn interrupter(&self) -> Result<Interrupter> {
        self.connector.interrupter()
    }

    /// The socket.
    pub fn connector(&self) -> &Connector {
        &self.connector
    }
}

impl Iterator for ProcEvents {
    type Item = Result<ProcEvent>;

    /// Waits for the next event; there always is one.
    fn next(&mut self) -> Option<Self::Item> {
        Some(self.recv(Deadline::NEVER))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_acknowledgement_is_known_by_its_ack_and_not_by_its_seq() {
        let request = Header {
            id: ID,
            seq: 5,
            ack: u32::MAX,
            ..Header::default()
        };
        let (none, fork) = ([0; 40], [1; 40]);
        let message = |ack, data| {
            let header = Header {
                seq: 99,
                ack,
                ..request
            };
            is_ack(&request, &RawMessage { header, data })
        };
        assert!(message(0, &none));
        assert!(!message(1, &none));
        assert!(!message(0, &fork));
        assert!(!message(0, &[]));
    }
}
