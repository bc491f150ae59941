// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The socket that programs use: opening it, its settings, and sending. `request.rs` has asking,
//! `receive.rs` receiving.

use std::{
    fmt,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd},
    sync::atomic::{AtomicU32, Ordering},
};

use connector_wire::{CbId, Group, Header};
use parking_lot::{Mutex, MutexGuard};
use rustix::io::Errno;

use crate::{
    batch::{self, Batch},
    error::{Error, Result},
    exchange::Exchange,
    frame::HEADERS,
    interrupter::Interrupter,
    listener::Listener,
    message::Sender,
    procfs,
    reader::Reader,
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
    /// [`Error::NoConnector`] or [`Error::NoNetlink`]; [`Error::Refused`] in another network
    /// namespace than the initial one, unless processes are accepted, which may send there too;
    /// [`Error::NotPermitted`]; [`Error::Io`].
    pub fn open(self) -> Result<Connector> {
        let socket = Socket::open(self.groups, self.accept_processes, self.receive_buffer)?;
        Ok(self.connector(socket, 0))
    }

    /// Takes over a socket that somebody else opened: one that systemd passes to a service, for
    /// example (`ListenNetlink=` in the unit's `.socket`). It keeps its port and its groups, to
    /// which those of this builder are added.
    ///
    /// # Errors
    ///
    /// [`Error::NotASocket`] if it is something else than a socket of the connector; those of
    /// [`Self::open`].
    pub fn adopt(self, fd: OwnedFd) -> Result<Connector> {
        let socket = Socket::adopt(fd, self.groups, self.accept_processes, self.receive_buffer)?;
        // What was lost before is not ours to report.
        let drops = procfs::drops(socket.portid()).unwrap_or(0);
        Ok(self.connector(socket, drops))
    }

    fn connector(self, socket: Socket, drops: u32) -> Connector {
        Connector {
            listener: Mutex::new(None),
            // Two programs on one service, or two runs of one, should not use the same numbers.
            next_seq: AtomicU32::new(socket.portid().wrapping_mul(0x9e37_79b9)),
            socket,
            accept_processes: self.accept_processes,
            state: Mutex::new(State {
                exchange: Exchange::new(self.inbox),
                reader: Some(Box::new(Reader::new(drops))),
            }),
        }
    }
}

/// A socket of the connector.
///
/// All methods take `&self`: threads may share one socket, each sending and waiting for its own
/// replies. Whoever waits receives for all; what is not the reply that some request waits for is
/// kept for [`Self::recv`], in order: whoever calls that first gets it. So a thread that is sent many messages in
/// answer to one should have a socket of its own.
///
/// A connector that gets process events tells the kernel when it is dropped that it wants no more.
pub struct Connector {
    /// What has to be given back, if process events were asked for.
    pub(crate) listener: Mutex<Option<Listener>>,
    pub(crate) socket: Socket,
    accept_processes: bool,
    next_seq: AtomicU32,
    state: Mutex<State>,
}

/// What threads that use one connector share.
pub(crate) struct State {
    pub(crate) exchange: Exchange,
    /// Absent while someone receives. Whoever has it receives for all.
    pub(crate) reader: Option<Box<Reader>>,
}

impl Connector {
    /// Opens a socket that is in no group.
    ///
    /// # Errors
    ///
    /// Those of [`Builder::open`].
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

    /// What ends the waits of other threads on this socket: those that begin after the first call
    /// of this. So call it before the thread that will wait is started, or starts to.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::thread;
    ///
    /// use netlink_connector::{Connector, Deadline, Error};
    ///
    /// let connector = Connector::open()?;
    /// let interrupter = connector.interrupter()?;
    /// thread::scope(|scope| {
    ///     let waiting = scope.spawn(|| connector.recv(Deadline::NEVER));
    ///     interrupter.interrupt();
    ///     let result = waiting.join().expect("it does not panic");
    ///     assert!(matches!(result, Err(Error::Interrupted)));
    /// });
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Io`].
    pub fn interrupter(&self) -> Result<Interrupter> {
        Ok(Interrupter::new(self.socket.interrupt()?))
    }

    /// A header for a new message to `id`: with the next `seq` of this socket, the same number for
    /// `ack` (see [`Header::request`]), no flags.
    pub fn header(&self, id: CbId) -> Header {
        Header::request(id, self.next_seq.fetch_add(1, Ordering::Relaxed))
    }

    /// Sends a message. Of the header, `len` is ignored: it becomes the length of `data`.
    ///
    /// Success means that the core got it, not that anybody wanted it: a message to an id that
    /// nobody registered is dropped. The service's handler runs inside this call. See also
    /// [`Self::send_acknowledged`].
    ///
    /// # Errors
    ///
    /// [`Error::TooLarge`] if `data` has more than [`MAX_DATA_SIZE`](crate::MAX_DATA_SIZE) bytes; [`Error::Refused`];
    /// [`Error::Io`].
    #[inline]
    pub fn send(&self, header: &Header, data: &[u8]) -> Result<()> {
        batch::check(data)?;
        self.send_checked(self.socket.fd(), header, 0, data)
            .map_err(not_sent)
    }

    /// Sends a message that is not too large, with these flags in the netlink header.
    #[inline(always)]
    pub(crate) fn send_checked(
        &self,
        fd: BorrowedFd<'_>,
        header: &Header,
        flags: u16,
        data: &[u8],
    ) -> Result<(), Errno> {
        let mut small = [0; SMALL];
        let (head, rest) = small.split_at_mut(HEADERS);
        if let Some(place) = rest.get_mut(..data.len()) {
            head.copy_from_slice(&batch::headers(header, flags, data.len()));
            place.copy_from_slice(data);
            return socket::send(fd, &small[..HEADERS + data.len()]);
        }
        self.send_large(fd, header, flags, data)
    }

    /// Sends a message that is not put together on the stack.
    #[inline(never)]
    fn send_large(
        &self,
        fd: BorrowedFd<'_>,
        header: &Header,
        flags: u16,
        data: &[u8],
    ) -> Result<(), Errno> {
        let headers = batch::headers(header, flags, data.len());
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
        let datagrams: Vec<_> = ends
            .iter()
            .map(|&end| &bytes[std::mem::replace(&mut start, end)..end])
            .collect();
        self.socket.send_many(&datagrams)
    }

    /// Sends bytes as they are, as one datagram: a netlink header and what follows it. For tools
    /// and tests that need what [`Self::send`] would not make. An acknowledgement that it asks for
    /// (`NLM_F_ACK`) is received by this socket, and shown to nobody.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`]; [`Error::Io`].
    pub fn send_raw(&self, datagram: &[u8]) -> Result<()> {
        socket::send(self.socket.fd(), datagram).map_err(not_sent)
    }

    #[inline]
    pub(crate) fn accepts(&self, sender: Sender) -> bool {
        sender.portid == 0 || self.accept_processes
    }

    #[inline]
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
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
    /// For `poll(2)`: readable means that [`Self::recv`] with [`Deadline::NOW`](crate::Deadline::NOW)
    /// is worth a try. Messages may have been kept while requests waited, so try before the first
    /// poll, too.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.fd()
    }
}

impl AsRawFd for Connector {
    /// As for [`AsFd`].
    fn as_raw_fd(&self) -> RawFd {
        self.socket.fd().as_raw_fd()
    }
}

impl TryFrom<OwnedFd> for Connector {
    type Error = Error;

    /// As [`Builder::adopt`], with a builder's defaults.
    fn try_from(fd: OwnedFd) -> Result<Self> {
        Self::builder().adopt(fd)
    }
}

impl From<Connector> for OwnedFd {
    /// The socket as it is: with its groups, and with process events if it asked for them. Messages
    /// that were kept for [`Connector::recv`] are lost.
    fn from(connector: Connector) -> Self {
        if let Some(listener) = connector.listener.into_inner() {
            listener.hand_on();
        }
        connector.socket.into_fd()
    }
}
