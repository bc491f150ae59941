// SPDX-License-Identifier: GPL-2.0

//! The socket that programs use.

use std::{
    fmt,
    os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    task::{Wake, Waker},
    thread::{self, Thread},
};

use connector_wire::{CbId, Group, Header};
use nix::errno::Errno;
use parking_lot::{Mutex, MutexGuard};

use crate::{
    batch::{self, Batch, HEADERS},
    datagram,
    deadline::Deadline,
    error::{Error, Result},
    event::{Event, Message},
    exchange::{Answers, Exchange, Request, Ticket},
    intake::{self, Datagram, Intake, RecvBatch, Sender, Single},
    proc,
    reader::{Read, Reader},
    socket::{self, Socket, not_sent},
};

/// The largest datagram that is put together on the stack; larger ones are worth an allocation.
const SMALL: usize = HEADERS + 64;

/// From about how many bytes on it is cheaper to have the kernel put headers and data together than
/// to copy the data before.
const WORTH_PARTS: usize = 1024;

/// How much the inbox keeps unless told otherwise, in bytes.
const INBOX: usize = 4 << 20;

/// What to open a [`Connector`] with; see [`Connector::builder`].
#[derive(Clone, Debug)]
#[must_use]
pub struct Builder {
    groups: u32,
    receive_buffer: Option<usize>,
    inbox: usize,
    accept_processes: bool,
}

impl Builder {
    /// Joins `group` when the socket is bound.
    pub fn group(self, group: Group) -> Self {
        self.groups(group.mask())
    }

    /// Joins the groups of a bit mask when the socket is bound (`nl_groups`): bit 0 is group 1, bit
    /// 31 is group 32. The kernel joins all of them or, on an error, none.
    pub fn groups(mut self, mask: u32) -> Self {
        self.groups |= mask;
        self
    }

    /// Asks for a receive buffer of this size, before any group is joined; see
    /// [`Connector::set_receive_buffer`].
    pub fn receive_buffer(mut self, bytes: usize) -> Self {
        self.receive_buffer = Some(bytes);
        self
    }

    /// How many bytes of messages to keep at most for [`Connector::recv`] while requests wait for
    /// their replies; 4 MiB unless set. What goes beyond is dropped and reported as an
    /// [`Overrun`](crate::Overrun).
    pub fn inbox(mut self, bytes: usize) -> Self {
        self.inbox = bytes;
        self
    }

    /// Accepts datagrams from other processes, too.
    ///
    /// By default they are refused: any process can send to any netlink port, and could forge the
    /// kernel's replies. The kernel refuses what is sent to this socket alone, so that its sender
    /// gets an error; a broadcast of a privileged process is dropped here
    /// ([`Error::ForeignSender`]).
    pub fn accept_processes(mut self) -> Self {
        self.accept_processes = true;
        self
    }

    /// Opens the socket.
    ///
    /// # Errors
    ///
    /// [`Error::NoConnector`], [`Error::NotPermitted`], or [`Error::Io`].
    pub fn open(self) -> Result<Connector> {
        let socket = Socket::open(self.groups, self.accept_processes, self.receive_buffer)?;
        Ok(Connector {
            // Two programs on one service, or two runs of one, should not use the same numbers.
            next_seq: AtomicU32::new(socket.portid().wrapping_mul(0x9e37_79b9)),
            socket,
            accept_processes: self.accept_processes,
            subscribed_proc: AtomicBool::new(false),
            state: Mutex::new(State {
                exchange: Exchange::new(self.inbox),
                desk: Some(Box::new(Desk {
                    reader: Reader::default(),
                    single: Single::new(),
                })),
            }),
        })
    }
}

/// A socket of the connector.
///
/// All methods take `&self`: threads may share one socket, each sending and waiting for its own
/// replies. Whoever waits receives for all; what is not the reply that some request waits for is
/// kept for [`Self::recv`], in order.
pub struct Connector {
    socket: Socket,
    accept_processes: bool,
    next_seq: AtomicU32,
    /// Whether the kernel has confirmed that it sends process events.
    subscribed_proc: AtomicBool,
    state: Mutex<State>,
}

struct State {
    exchange: Exchange,
    /// Absent while someone receives.
    desk: Option<Box<Desk>>,
}

/// What one needs for receiving. Whoever has it receives for all.
struct Desk {
    reader: Reader,
    single: Single,
}

impl Connector {
    /// Opens a socket that is in no group.
    ///
    /// # Errors
    ///
    /// [`Error::NoConnector`], or [`Error::Io`].
    pub fn open() -> Result<Self> {
        Self::builder().open()
    }

    /// A socket with groups to join and sizes to set before it is opened.
    pub fn builder() -> Builder {
        Builder {
            groups: 0,
            receive_buffer: None,
            inbox: INBOX,
            accept_processes: false,
        }
    }

    /// The socket's netlink port: how the kernel addresses it.
    pub fn portid(&self) -> u32 {
        self.socket.portid()
    }

    /// Joins a group by its number (`NETLINK_ADD_MEMBERSHIP`).
    ///
    /// # Errors
    ///
    /// [`Error::NotPermitted`] for an even group without `CAP_NET_ADMIN`; [`Error::Io`].
    pub fn join(&self, group: Group) -> Result<()> {
        self.socket.join(group)
    }

    /// Leaves a group (`NETLINK_DROP_MEMBERSHIP`). What was received before is still delivered.
    ///
    /// # Errors
    ///
    /// As for [`Self::join`].
    pub fn leave(&self, group: Group) -> Result<()> {
        self.socket.leave(group)
    }

    /// The size of the receive buffer in bytes, as the kernel accounts them: it charges each
    /// message for its bookkeeping too, and grants twice what was asked for (`SO_RCVBUF`).
    ///
    /// # Errors
    ///
    /// [`Error::Io`].
    pub fn receive_buffer(&self) -> Result<usize> {
        self.socket.receive_buffer()
    }

    /// Asks for a receive buffer of `bytes`, and returns what the kernel granted; see
    /// [`Self::receive_buffer`]. Beyond `net.core.rmem_max` takes `CAP_NET_ADMIN`; without it the
    /// kernel cuts the size and reports no error.
    ///
    /// # Errors
    ///
    /// [`Error::Io`].
    pub fn set_receive_buffer(&self, bytes: usize) -> Result<usize> {
        self.socket.set_receive_buffer(bytes)?;
        self.socket.receive_buffer()
    }

    /// A header for a new message to `id`: with the next `seq` of this socket, `ack` 0, no flags.
    pub fn header(&self, id: CbId) -> Header {
        Header {
            id,
            seq: self.next_seq.fetch_add(1, Ordering::Relaxed),
            ..Header::default()
        }
    }

    /// Sends a message. Of the header, `len` is ignored: it becomes the length of `data`.
    ///
    /// Success means that the core got it, not that anybody wanted it: a message to an id that
    /// nobody registered is dropped. The service's handler runs inside this call.
    ///
    /// # Errors
    ///
    /// [`Error::TooLarge`] if `data` has more than [`MAX_DATA_SIZE`](crate::MAX_DATA_SIZE) bytes; [`Error::Refused`];
    /// [`Error::Io`].
    #[inline]
    pub fn send(&self, header: &Header, data: &[u8]) -> Result<()> {
        batch::check(data)?;
        self.send_checked(self.socket.fd(), header, data)
            .map_err(not_sent)
    }

    /// Sends a message that is not too large.
    #[inline(always)]
    fn send_checked(&self, fd: BorrowedFd<'_>, header: &Header, data: &[u8]) -> Result<(), Errno> {
        let mut small = [0; SMALL];
        let (head, rest) = small.split_at_mut(HEADERS);
        if let Some(place) = rest.get_mut(..data.len()) {
            head.copy_from_slice(&batch::headers(header, data.len()));
            place.copy_from_slice(data);
            return socket::send(fd, &small[..HEADERS + data.len()]);
        }
        self.send_large(fd, header, data)
    }

    /// Sends a message that is not put together on the stack.
    #[inline(never)]
    fn send_large(&self, fd: BorrowedFd<'_>, header: &Header, data: &[u8]) -> Result<(), Errno> {
        let headers = batch::headers(header, data.len());
        match data.len() < WORTH_PARTS {
            true => socket::send(fd, &[&headers, data].concat()),
            false => self.socket.send_parts(&headers, data),
        }
    }

    /// Sends one datagram with several messages; without a message, nothing.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`]; [`Error::Io`].
    pub fn send_batch(&self, batch: &Batch) -> Result<()> {
        match batch.is_empty() {
            true => Ok(()),
            false => socket::send(self.socket.fd(), batch.as_bytes()).map_err(not_sent),
        }
    }

    /// Sends messages, each as a datagram of its own, by one system call for up to 1024
    /// (`sendmmsg(2)`). Returns how many were sent: fewer than asked for only if sending the next
    /// one failed.
    ///
    /// # Errors
    ///
    /// [`Error::TooLarge`] if one of them is, and then none is sent; those of [`Self::send`] if the
    /// first could not be sent.
    pub fn send_many(&self, messages: &[(Header, &[u8])]) -> Result<usize> {
        let mut bytes = Vec::new();
        let mut ends = Vec::with_capacity(messages.len());
        for (header, data) in messages {
            batch::put_datagram(&mut bytes, header, data)?;
            ends.push(bytes.len());
        }
        let mut start = 0;
        self.socket.send_many(ends.iter().map(|&end| {
            let datagram = &bytes[start..end];
            start = end;
            datagram
        }))
    }

    /// Sends bytes as they are, as one datagram: a netlink header and what follows it. For tools
    /// and tests that need what [`Self::send`] would not make.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`]; [`Error::Io`].
    pub fn send_raw(&self, datagram: &[u8]) -> Result<()> {
        socket::send(self.socket.fd(), datagram).map_err(not_sent)
    }

    /// Sends a request and waits for the reply to it: the message with the same id, the same `seq`,
    /// and `ack` plus one. Everything else that comes meanwhile is kept for [`Self::recv`].
    ///
    /// Threads may do this at the same time over one socket, with headers that differ in `seq`, as
    /// those from [`Self::header`] do.
    ///
    /// # Errors
    ///
    /// Those of [`Self::send`], and [`Error::TimedOut`]. What else was wrong with received data
    /// ([`Error::Malformed`], [`Error::ForeignSender`]) is kept for [`Self::recv`], too.
    pub fn request(
        &self,
        header: &Header,
        data: &[u8],
        deadline: impl Into<Deadline>,
    ) -> Result<Message> {
        self.exchange_as(Answers::ByGenealogy, header, data, deadline.into())
    }

    /// [`Self::request`], with another idea of what the reply is.
    ///
    /// Usually nobody else receives, and the reply is there when the request has been sent. Then it
    /// is handed straight to the caller.
    pub(crate) fn exchange_as(
        &self,
        answers: Answers,
        header: &Header,
        data: &[u8],
        deadline: Deadline,
    ) -> Result<Message> {
        let fd = self.socket.fd();
        let (mut guard, ticket) = self.start_request(fd, answers, header, data)?;
        let state = &mut *guard;
        let Some(desk) = state.desk.as_deref_mut() else {
            return self.go_on_waiting(guard, ticket, deadline);
        };
        if state.exchange.is_first_unanswered(ticket) && !desk.reader.is_behind() {
            // Does not wait, so the lock is kept, and nobody has to be woken to receive instead.
            let received = desk.single.receive_now(&self.socket, fd);
            if received.is_ok() && self.is_sole_reply(&desk.single, answers, header) {
                state.exchange.answer_first();
                return desk.single.sole_message();
            }
            return self.received_else(guard, ticket, received, deadline);
        }
        self.go_on_waiting(guard, ticket, deadline)
    }

    /// Whether what was received is nothing but the reply to the request of `header`.
    #[inline]
    fn is_sole_reply(&self, single: &Single, answers: Answers, header: &Header) -> bool {
        let datagram = single.datagram();
        self.accepts(datagram.sender)
            && match answers {
                Answers::ByGenealogy => datagram::sole_header(datagram.buffer, datagram.len)
                    .is_some_and(|reply| reply.is_reply_to(header)),
                // Rare; what is received from here on finds its way, too.
                Answers::By(_) => false,
            }
    }

    /// [`Self::exchange_as`] when what came first was something else than the reply, or nothing.
    #[cold]
    fn received_else(
        &self,
        mut guard: MutexGuard<'_, State>,
        ticket: Ticket,
        received: Result<(), Errno>,
        deadline: Deadline,
    ) -> Result<Message> {
        let State { exchange, desk } = &mut *guard;
        if let Some(desk) = desk {
            let read = desk.reader.take(&self.socket, intake::received(received));
            if let Err(error) = self.hand_out(exchange, read, &desk.single) {
                exchange.leave(ticket);
                exchange.wake_one();
                return Err(error);
            }
        }
        self.go_on_waiting(guard, ticket, deadline)
    }

    /// [`Self::exchange_as`] when the reply was not there at once.
    #[cold]
    fn go_on_waiting(
        &self,
        guard: MutexGuard<'_, State>,
        ticket: Ticket,
        deadline: Deadline,
    ) -> Result<Message> {
        self.wait(guard, ticket, deadline)?.into_message()
    }

    /// Enters who waits for the reply to a request, and sends it.
    ///
    /// In this order, because another thread may receive the reply; and without receiving
    /// meanwhile, because the service's handler may take its time.
    #[inline(always)]
    fn start_request(
        &self,
        fd: BorrowedFd<'_>,
        answers: Answers,
        header: &Header,
        data: &[u8],
    ) -> Result<(MutexGuard<'_, State>, Ticket)> {
        batch::check(data)?;
        let ticket = self.lock().exchange.enter(Some(Request {
            header: *header,
            answers,
        }));
        match self.send_checked(fd, header, data) {
            Ok(()) => Ok((self.lock(), ticket)),
            Err(errno) => Err(self.not_started(ticket, errno)),
        }
    }

    /// A request could not be sent: nobody waits for the reply.
    #[cold]
    fn not_started(&self, ticket: Ticket, errno: Errno) -> Error {
        self.lock().exchange.leave(ticket);
        not_sent(errno)
    }

    /// Notes whether the kernel sends this socket process events. When that begins, those that came
    /// before are forgotten.
    pub(crate) fn set_subscribed_proc(&self, subscribed: bool) {
        let before = self.subscribed_proc.swap(subscribed, Ordering::Relaxed);
        if subscribed && !before {
            self.lock().exchange.forget(proc::is_event);
        }
    }

    /// Receives the next message that is not the reply to a request in progress, or the next loss.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`]; [`Error::Malformed`] and [`Error::ForeignSender`] for a datagram that
    /// was dropped, after which the next can be received; [`Error::Io`].
    pub fn recv(&self, deadline: impl Into<Deadline>) -> Result<Event> {
        let mut state = self.lock();
        let ticket = state.exchange.enter(None);
        self.wait(state, ticket, deadline.into())
    }

    /// Receives what is there, as [`Self::recv`] does, but several datagrams by one system call
    /// (`recvmmsg(2)`); waits if there is nothing. On success there is at least one event in
    /// `batch`, or an error of the kinds that [`Self::recv`] continues after.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`]; [`Error::Io`].
    pub fn recv_many(&self, batch: &mut RecvBatch, deadline: impl Into<Deadline>) -> Result<()> {
        let mut deadline = deadline.into();
        batch.events.clear();
        let mut state = self.lock();
        let ticket = state.exchange.enter(None);
        loop {
            batch
                .events
                .extend(std::iter::from_fn(|| state.exchange.take()));
            if !batch.events.is_empty() {
                state.exchange.leave(ticket);
                state.exchange.wake_one();
                return Ok(());
            }
            let (again, in_time) = match state.desk.take() {
                Some(mut desk) => {
                    drop(state);
                    let read = desk.reader.read(&self.socket, batch, &mut deadline);
                    let mut state = self.lock();
                    let in_time = self.hand_out(&mut state.exchange, read, batch);
                    state.desk = Some(desk);
                    (state, in_time)
                }
                None => self.sleep(state, ticket, &mut deadline),
            };
            state = again;
            if !matches!(in_time, Ok(true)) {
                let timed_out = state.exchange.leave(ticket);
                state.exchange.wake_one();
                return in_time.and(Err(timed_out));
            }
        }
    }

    /// Waits for what `ticket` stands for; receives if nobody else does.
    fn wait<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        ticket: Ticket,
        mut deadline: Deadline,
    ) -> Result<Event> {
        loop {
            if let Some(found) = state.exchange.collect(ticket) {
                // Others may have slept because this thread received.
                state.exchange.wake_one();
                return found;
            }
            let (again, in_time) = match state.desk.take() {
                Some(desk) => self.receive(state, desk, &mut deadline),
                None => self.sleep(state, ticket, &mut deadline),
            };
            state = again;
            match in_time {
                Ok(true) => {}
                Ok(false) => return self.give_up(state, ticket),
                Err(error) => {
                    state.exchange.leave(ticket);
                    state.exchange.wake_one();
                    return Err(error);
                }
            }
        }
    }

    /// Receives one datagram and hands out what is in it; `false` if none came in time.
    fn receive<'a>(
        &'a self,
        state: MutexGuard<'a, State>,
        mut desk: Box<Desk>,
        deadline: &mut Deadline,
    ) -> (MutexGuard<'a, State>, Result<bool>) {
        drop(state);
        let Desk { reader, single, .. } = &mut *desk;
        let read = reader.read(&self.socket, single, deadline);
        let mut state = self.lock();
        let in_time = self.hand_out(&mut state.exchange, read, single);
        state.desk = Some(desk);
        (state, in_time)
    }

    /// Hands out what was received; `false` if nothing came in time.
    fn hand_out(
        &self,
        exchange: &mut Exchange,
        read: Result<Read>,
        intake: &impl Intake,
    ) -> Result<bool> {
        match read? {
            Read::Datagrams => {
                for datagram in intake.datagrams() {
                    self.deliver(exchange, datagram);
                }
            }
            Read::Lost(overrun) => {
                // The kernel tells once that it begins to drop. Who sent a request after that, and
                // before all was received, may have lost the reply as well.
                exchange.dropping();
                exchange.keep(Ok(Event::Overrun(overrun)));
            }
            Read::Dropping => exchange.dropping(),
            Read::TimedOut => return Ok(false),
        }
        Ok(true)
    }

    /// Sleeps until someone else received something for `ticket` or stopped receiving; `false` if
    /// there is no time left for that.
    fn sleep<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        ticket: Ticket,
        deadline: &mut Deadline,
    ) -> (MutexGuard<'a, State>, Result<bool>) {
        let left = deadline.left();
        if left.is_some_and(|left| left.is_zero()) {
            return (state, Ok(false));
        }
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        state.exchange.sleep(ticket, &waker);
        drop(state);
        match left {
            Some(left) => thread::park_timeout(left),
            None => thread::park(),
        }
        (self.lock(), Ok(true))
    }

    /// Nothing came in time.
    fn give_up(&self, mut state: MutexGuard<'_, State>, ticket: Ticket) -> Result<Event> {
        let found = state.exchange.collect(ticket);
        let outcome = found.unwrap_or_else(|| Err(state.exchange.leave(ticket)));
        state.exchange.wake_one();
        outcome
    }

    /// Hands out what is in a datagram.
    fn deliver(&self, exchange: &mut Exchange, datagram: Datagram<'_>) {
        let sender = datagram.sender;
        if !self.accepts(sender) {
            let portid = sender.portid;
            return exchange.keep(Err(Error::ForeignSender { portid }));
        }
        for message in datagram::messages(datagram.buffer, datagram.len) {
            match message {
                Ok(message) => exchange.message(message, sender),
                Err(malformed) => exchange.keep(Err(malformed.into())),
            }
        }
    }

    #[inline]
    fn accepts(&self, sender: Sender) -> bool {
        sender.portid == 0 || self.accept_processes
    }

    #[inline]
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

/// The parts that the asynchronous socket is made from.
#[cfg(feature = "tokio")]
impl Connector {
    /// Enters someone who waits for anything.
    pub(crate) fn enter(&self) -> Ticket {
        self.lock().exchange.enter(None)
    }

    /// Sends a request and enters who waits for the reply.
    pub(crate) fn send_request(
        &self,
        answers: Answers,
        header: &Header,
        data: &[u8],
    ) -> Result<Ticket> {
        let (state, ticket) = self.start_request(self.socket.fd(), answers, header, data)?;
        drop(state);
        Ok(ticket)
    }

    /// What this waiter waited for, if it is there or can be received now. Otherwise `waker` is
    /// woken when someone else has received it, or has ceased to receive.
    pub(crate) fn try_collect(&self, ticket: Ticket, waker: &Waker) -> Option<Result<Event>> {
        let state = &mut *self.lock();
        loop {
            if let Some(found) = state.exchange.collect(ticket) {
                state.exchange.wake_one();
                return Some(found);
            }
            // Does not wait, so the lock is kept and the reader is always there.
            let Desk { reader, single, .. } = &mut **state.desk.as_mut()?;
            let read = reader.look(&self.socket, single);
            match self.hand_out(&mut state.exchange, read, single) {
                Ok(true) => {}
                Ok(false) => {
                    state.exchange.sleep(ticket, waker);
                    return None;
                }
                Err(error) => return Some(Err(error)),
            }
        }
    }

    /// Stops waiting, if it has not ended already.
    pub(crate) fn leave_exchange(&self, ticket: Ticket) -> Error {
        let state = &mut *self.lock();
        let error = state.exchange.leave(ticket);
        state.exchange.wake_one();
        error
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector")
            .field("portid", &self.portid())
            .finish_non_exhaustive()
    }
}

impl AsFd for Connector {
    /// For `poll(2)`: readable means that [`Self::recv`] with [`Deadline::NOW`] is worth a try.
    /// Messages may have been kept while requests waited, so try before the first poll, too.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl AsRawFd for Connector {
    /// As for [`AsFd`].
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

/// Wakes a thread.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
