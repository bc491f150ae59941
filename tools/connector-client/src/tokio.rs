// SPDX-License-Identifier: GPL-2.0

//! The socket for programs that run on tokio. Needs the feature `tokio`.

use std::{
    future::{Future, poll_fn},
    task::{Context, Poll, ready},
    time::Duration,
};

use connector_wire::{CbId, Group, Header};
use tokio::{io::unix::AsyncFd, time::timeout};

use crate::{
    connector::{Builder, Connector},
    error::Result,
    event::{Event, Message},
    exchange::{Answers, Ticket},
    proc,
};

/// A [`Connector`] whose waiting is asynchronous. Tasks may share it, as threads may share a
/// [`Connector`].
///
/// Sending does not wait and is not asynchronous: the service's handler runs inside the system
/// call, as it does for every sender.
///
/// # Examples
///
/// ```no_run
/// # async fn example() -> connector_client::Result<()> {
/// use std::time::Duration;
///
/// use connector_client::{AsyncConnector, CbId, Connector};
///
/// let connector = AsyncConnector::new(Connector::open()?)?;
/// let request = connector.header(CbId { idx: 16, val: 1 });
/// let reply = connector.request(&request, b"hello", Duration::from_secs(1)).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct AsyncConnector {
    inner: AsyncFd<Connector>,
}

impl AsyncConnector {
    /// Makes the waiting of `connector` asynchronous. Must be called from within a runtime that has
    /// I/O enabled.
    ///
    /// # Errors
    ///
    /// [`Error::Io`](crate::Error::Io).
    #[allow(
        deprecated,
        reason = "the replacement since tokio 1.53 is unsafe, and this crate has no unsafe code; its \
                  conditions are met: a Connector owns one open descriptor and never changes it"
    )]
    pub fn new(connector: Connector) -> Result<Self> {
        let inner = AsyncFd::new(connector)
            .map_err(|error| crate::Error::io("registering with the runtime", error))?;
        Ok(Self { inner })
    }

    /// Opens a socket; see [`Connector::builder`].
    ///
    /// # Errors
    ///
    /// Those of [`Builder::open`] and [`Self::new`].
    pub fn open(builder: Builder) -> Result<Self> {
        Self::new(builder.open()?)
    }

    /// As [`Connector::portid`].
    pub fn portid(&self) -> u32 {
        self.connector().portid()
    }

    /// As [`Connector::header`].
    pub fn header(&self, id: CbId) -> Header {
        self.connector().header(id)
    }

    /// As [`Connector::join`].
    ///
    /// # Errors
    ///
    /// Those of [`Connector::join`].
    pub fn join(&self, group: Group) -> Result<()> {
        self.connector().join(group)
    }

    /// As [`Connector::leave`].
    ///
    /// # Errors
    ///
    /// Those of [`Connector::leave`].
    pub fn leave(&self, group: Group) -> Result<()> {
        self.connector().leave(group)
    }

    /// As [`Connector::send`].
    ///
    /// # Errors
    ///
    /// Those of [`Connector::send`].
    pub fn send(&self, header: &Header, data: &[u8]) -> Result<()> {
        self.connector().send(header, data)
    }

    /// As [`Connector::request`]. The runtime must have time enabled. May be cancelled at any
    /// point; a reply that comes later is then a message like any other.
    ///
    /// # Errors
    ///
    /// Those of [`Connector::request`].
    pub async fn request(&self, header: &Header, data: &[u8], limit: Duration) -> Result<Message> {
        self.exchange_as(Answers::ByGenealogy, header, data, limit)
            .await
    }

    /// As [`Connector::recv`], without a deadline of its own: use `tokio::time::timeout`. May be
    /// cancelled at any point; no event is lost then.
    ///
    /// # Errors
    ///
    /// Those of [`Connector::recv`].
    pub async fn recv(&self) -> Result<Event> {
        let waiting = Waiting::new(self, self.connector().enter());
        waiting.done().await
    }

    /// As [`Connector::subscribe_proc`].
    ///
    /// # Errors
    ///
    /// Those of [`Connector::subscribe_proc`].
    pub async fn subscribe_proc(&self, events: proc::Events, limit: Duration) -> Result<()> {
        self.join(proc::GROUP)?;
        let (header, listen) = proc::listen(self.connector());
        let ack = self.exchange_as(Answers::By(proc::is_ack), &header, &listen, limit);
        proc::confirmed(self.connector(), ack.await)?;
        proc::set_filter(self.connector(), events)
    }

    /// As [`Connector::unsubscribe_proc`].
    ///
    /// # Errors
    ///
    /// Those of [`Connector::unsubscribe_proc`].
    pub fn unsubscribe_proc(&self) -> Result<()> {
        self.connector().unsubscribe_proc()
    }

    async fn exchange_as(
        &self,
        answers: Answers,
        header: &Header,
        data: &[u8],
        limit: Duration,
    ) -> Result<Message> {
        let ticket = self.connector().send_request(answers, header, data)?;
        let waiting = Waiting::new(self, ticket);
        match timeout(limit, waiting.done()).await {
            Ok(event) => event?.into_message(),
            Err(_) => Err(self.connector().leave_exchange(ticket)),
        }
    }

    fn connector(&self) -> &Connector {
        self.inner.get_ref()
    }
}

/// Someone who waits; stops waiting when dropped.
struct Waiting<'a> {
    socket: &'a AsyncConnector,
    ticket: Ticket,
}

impl<'a> Waiting<'a> {
    fn new(socket: &'a AsyncConnector, ticket: Ticket) -> Self {
        Self { socket, ticket }
    }

    /// What was waited for.
    fn done(&self) -> impl Future<Output = Result<Event>> {
        poll_fn(|context| self.poll(context))
    }

    fn poll(&self, context: &mut Context<'_>) -> Poll<Result<Event>> {
        let connector = self.socket.connector();
        loop {
            if let Some(found) = connector.try_collect(self.ticket, context.waker()) {
                return Poll::Ready(found);
            }
            // Only the last task that asked is woken when something comes. It receives for all, and
            // when it has done it wakes another, which then asks.
            match ready!(self.socket.inner.poll_read_ready(context)) {
                Ok(mut readiness) => {
                    if let Some(found) = connector.try_collect(self.ticket, context.waker()) {
                        return Poll::Ready(found);
                    }
                    readiness.clear_ready();
                }
                Err(error) => {
                    return Poll::Ready(Err(crate::Error::io("waiting for a message", error)));
                }
            }
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.socket.connector().leave_exchange(self.ticket);
    }
}
