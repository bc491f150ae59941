// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The socket for programs that run on tokio. Needs the feature `tokio`.

use std::{
    future::{Future, poll_fn},
    os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd},
    pin::{Pin, pin},
    task::{Context, Poll, ready},
    time::Duration,
};

use connector_wire::{CbId, Group, Header};
use futures_core::Stream;
use tokio::{io::unix::AsyncFd, time::timeout};

use crate::{
    batch::Batch,
    call,
    connector::{Builder, Connector},
    error::{Error, Result},
    event::Event,
    exchange::{Answers, Ticket},
    listener,
    message::Message,
    notify::{self, Ids},
    proc::{Events, ProcEvent},
    processes,
    receive::RecvBatch,
    request,
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
/// # async fn example() -> netlink_connector::Result<()> {
/// use std::time::Duration;
///
/// use netlink_connector::{AsyncConnector, CbId, Connector};
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
            .map_err(|error| Error::io("registering with the runtime", error))?;
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

    /// As [`Connector::receive_buffer`].
    ///
    /// # Errors
    ///
    /// Those of [`Connector::receive_buffer`].
    pub fn receive_buffer(&self) -> Result<usize> {
        self.connector().receive_buffer()
    }

    /// As [`Connector::set_receive_buffer`].
    ///
    /// # Errors
    ///
    /// Those of [`Connector::set_receive_buffer`].
    pub fn set_receive_buffer(&self, bytes: usize) -> Result<usize> {
        self.connector().set_receive_buffer(bytes)
    }

    /// As [`Connector::send`].
    ///
    /// # Errors
    ///
    /// Those of [`Connector::send`].
    pub fn send(&self, header: &Header, data: &[u8]) -> Result<()> {
        self.connector().send(header, data)
    }

    /// As [`Connector::send_batch`].
    ///
    /// # Errors
    ///
    /// Those of [`Connector::send_batch`].
    pub fn send_batch(&self, batch: &Batch) -> Result<()> {
        self.connector().send_batch(batch)
    }

    /// As [`Connector::send_many`].
    ///
    /// # Errors
    ///
    /// Those of [`Connector::send_many`].
    pub fn send_many(&self, messages: &[(Header, &[u8])]) -> Result<usize> {
        self.connector().send_many(messages)
    }

    /// As [`Connector::send_raw`].
    ///
    /// # Errors
    ///
    /// Those of [`Connector::send_raw`].
    pub fn send_raw(&self, datagram: &[u8]) -> Result<()> {
        self.connector().send_raw(datagram)
    }

    /// As [`Connector::request`]. The runtime must have time enabled. May be cancelled at any
    /// point; a reply that comes later is then a message like any other.
    ///
    /// # Errors
    ///
    /// Those of [`Connector::request`].
    pub async fn request(&self, header: &Header, data: &[u8], limit: Duration) -> Result<Message> {
        self.request_as(Answers::ByGenealogy, header, data, limit)
            .await
    }

    /// As [`Connector::send_acknowledged`], for tasks. The runtime must have time enabled.
    ///
    /// # Errors
    ///
    /// Those of [`Connector::send_acknowledged`].
    pub async fn send_acknowledged(
        &self,
        header: &Header,
        data: &[u8],
        limit: Duration,
    ) -> Result<bool> {
        let sent = self
            .connector()
            .send_request(Answers::Acknowledgement, header, data)?;
        request::acknowledged(self.wait(sent.ticket, limit).await)
    }

    /// As [`Connector::recv`], without a deadline of its own: use `tokio::time::timeout`. May be
    /// cancelled at any point; no event is lost then.
    ///
    /// # Errors
    ///
    /// Those of [`Connector::recv`].
    pub async fn recv(&self) -> Result<Event> {
        Waiting::new(self, self.connector().enter()).done().await
    }

    /// As [`Connector::recv_many`], without a deadline of its own. May be cancelled at any point; no
    /// event is lost then.
    ///
    /// # Errors
    ///
    /// Those of [`Connector::recv_many`].
    pub async fn recv_many(&self, batch: &mut RecvBatch) -> Result<()> {
        let first = self.recv().await;
        let connector = self.connector();
        connector.receive_behind(connector.lock(), first, batch)
    }

    /// What is received, as a stream, which has the socket to itself.
    pub fn into_stream(self) -> EventStream {
        EventStream { socket: self }
    }

    /// As [`Connector::subscribe_proc`]. When it is cancelled, the kernel is told that nobody
    /// listens. See [`ProcEventStream`] for a stream of events.
    ///
    /// # Errors
    ///
    /// Those of [`Connector::subscribe_proc`].
    pub async fn subscribe_proc(&self, events: Events, limit: Duration) -> Result<()> {
        let asking = self.connector().start_asking(events)?;
        let known = asking.is_none();
        if let Some(asking) = asking {
            let (header, data) = (asking.request(), listener::request());
            let ack = self.request_as(Answers::By(processes::is_ack), &header, &data, limit);
            asking.confirmed(ack.await)?;
        }
        self.connector().set_proc_filter(events, known)
    }

    /// As [`Connector::unsubscribe_proc`].
    ///
    /// # Errors
    ///
    /// Those of [`Connector::unsubscribe_proc`].
    pub fn unsubscribe_proc(&self) -> Result<()> {
        self.connector().unsubscribe_proc()
    }

    /// As [`Connector::watch_ids`].
    ///
    /// # Errors
    ///
    /// Those of [`Connector::watch_ids`].
    pub async fn watch_ids(&self, ids: &Ids, group: Group, limit: Duration) -> Result<()> {
        self.join(group)?;
        self.control(ids, group.number(), limit).await
    }

    /// As [`Connector::call`].
    ///
    /// # Errors
    ///
    /// Those of [`Connector::call`].
    pub async fn call(&self, id: CbId, data: &[u8], limit: Duration) -> Result<Vec<u8>> {
        let reply = self.request(&self.header(id), data, limit).await?;
        Ok(call::ended(&reply)?.to_vec())
    }

    /// As [`Connector::unwatch_ids`].
    ///
    /// # Errors
    ///
    /// Those of [`Connector::unwatch_ids`].
    pub async fn unwatch_ids(&self, ids: &Ids, limit: Duration) -> Result<()> {
        self.control(ids, 0, limit).await
    }

    /// The socket as one that blocks.
    pub fn into_inner(self) -> Connector {
        self.inner.into_inner()
    }

    async fn control(&self, ids: &Ids, group: u32, limit: Duration) -> Result<()> {
        let (request, data) = (self.header(CbId::NOTIFY), ids.control(group));
        notify::granted(&self.request(&request, &data, limit).await?)
    }

    async fn request_as(
        &self,
        answers: Answers,
        header: &Header,
        data: &[u8],
        limit: Duration,
    ) -> Result<Message> {
        let sent = self.connector().send_request(answers, header, data)?;
        let reply = self.wait(sent.ticket, limit).await?;
        if sent.asks {
            let state = &mut *self.connector().lock();
            self.connector().pick_up_ack(state);
        }
        reply.into_message()
    }

    /// Waits no longer than that.
    async fn wait(&self, ticket: Ticket, limit: Duration) -> Result<Event> {
        let waiting = Waiting::new(self, ticket);
        match timeout(limit, waiting.done()).await {
            Ok(event) => event,
            Err(_) => Err(self.connector().leave_exchange(ticket)),
        }
    }

    fn connector(&self) -> &Connector {
        self.inner.get_ref()
    }
}

impl AsFd for AsyncConnector {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.connector().as_fd()
    }
}

impl AsRawFd for AsyncConnector {
    fn as_raw_fd(&self) -> RawFd {
        self.connector().as_raw_fd()
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
    ///
    /// Everyone who waits is told by the runtime that something came, and looks: a task that holds
    /// a future and does not poll it keeps nothing from the others.
    async fn done(&self) -> Result<Event> {
        let connector = self.socket.connector();
        loop {
            let mut readable = pin!(self.socket.inner.readable());
            let ready =
                poll_fn(
                    |context| match connector.try_collect(self.ticket, context.waker()) {
                        Some(found) => Poll::Ready(Err(found)),
                        None => readable.as_mut().poll(context).map(Ok),
                    },
                );
            let mut readiness = match ready.await {
                Err(found) => return found,
                Ok(Ok(readiness)) => readiness,
                Ok(Err(error)) => return Err(Error::io("waiting for a message", error)),
            };
            // Between the look and the readiness something may have come.
            let found =
                poll_fn(|context| Poll::Ready(connector.try_collect(self.ticket, context.waker())));
            match found.await {
                Some(found) => return found,
                None => readiness.clear_ready(),
            }
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.socket.connector().leave_exchange(self.ticket);
    }
}

/// What a socket receives, as a stream, which never ends by itself; see
/// [`AsyncConnector::into_stream`].
///
/// After an error for which [`Error::is_dropped_datagram`] is true the next events come; any other
/// error comes again.
#[derive(Debug)]
pub struct EventStream {
    socket: AsyncConnector,
}

impl EventStream {
    /// The socket, to send something. What is received while requests wait is kept for this stream.
    pub fn socket(&self) -> &AsyncConnector {
        &self.socket
    }

    /// The socket, without the stream.
    pub fn into_inner(self) -> AsyncConnector {
        self.socket
    }

    fn poll_event(&self, context: &mut Context<'_>) -> Poll<Result<Event>> {
        loop {
            if let Some(found) = self.try_event(context) {
                return Poll::Ready(found);
            }
            let mut readiness = match ready!(self.socket.inner.poll_read_ready(context)) {
                Ok(readiness) => readiness,
                Err(error) => return Poll::Ready(Err(Error::io("waiting for a message", error))),
            };
            if let Some(found) = self.try_event(context) {
                return Poll::Ready(found);
            }
            readiness.clear_ready();
        }
    }

    fn try_event(&self, context: &mut Context<'_>) -> Option<Result<Event>> {
        let connector = self.socket.connector();
        let ticket = connector.enter();
        let found = connector.try_collect(ticket, context.waker());
        connector.leave_exchange(ticket);
        found
    }
}

impl Stream for EventStream {
    type Item = Result<Event>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_event(context).map(Some)
    }
}

/// Process events as a stream; what [`ProcEvents`](crate::ProcEvents) is for threads. When it is
/// dropped, the kernel is told that nobody listens any more.
///
/// # Examples
///
/// ```no_run
/// # async fn example() -> netlink_connector::Result<()> {
/// use std::{future::poll_fn, pin::Pin};
///
/// use netlink_connector::{ProcEventStream, proc::Events};
/// use futures_core::Stream;
///
/// let mut events = ProcEventStream::subscribe(Events::EXEC).await?;
/// // Or `events.next().await`, with the trait `StreamExt` of tokio-stream or futures.
/// while let Some(event) = poll_fn(|context| Pin::new(&mut events).poll_next(context)).await {
///     println!("{:?}", event?);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct ProcEventStream {
    stream: EventStream,
    events: Events,
}

impl ProcEventStream {
    /// Opens a socket and asks for `events`. Must be called from within a runtime that has I/O and
    /// time enabled.
    ///
    /// # Errors
    ///
    /// Those of [`AsyncConnector::open`] and [`AsyncConnector::subscribe_proc`].
    pub async fn subscribe(events: Events) -> Result<Self> {
        let socket = AsyncConnector::open(Connector::builder())?;
        Self::on(socket, events, processes::CONFIRMATION).await
    }

    /// Asks for `events` on a socket, one with a large receive buffer for example. What comes on it
    /// beside process events is dropped.
    ///
    /// # Errors
    ///
    /// Those of [`AsyncConnector::subscribe_proc`].
    pub async fn on(socket: AsyncConnector, events: Events, limit: Duration) -> Result<Self> {
        socket.subscribe_proc(events, limit).await?;
        Ok(Self {
            stream: socket.into_stream(),
            events,
        })
    }

    /// The socket; what [`ProcEvents::connector`](crate::ProcEvents::connector) is for threads.
    pub fn socket(&self) -> &AsyncConnector {
        self.stream.socket()
    }
}

impl Stream for ProcEventStream {
    type Item = Result<ProcEvent>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            let event = ready!(self.stream.poll_event(context));
            if let Some(event) = processes::wanted(self.events, event) {
                return Poll::Ready(Some(event));
            }
        }
    }
}
