// SPDX-License-Identifier: GPL-2.0

//! Messages to userspace.
//!
//! All of this may be called from process context and, with `GFP_ATOMIC`, from softirq. With interrupts
//! off it is [`SendError::InterruptsOff`]. Of the allocation flags `GFP_KERNEL`, `GFP_KERNEL_ACCOUNT`, `GFP_ATOMIC` and `GFP_NOWAIT` mean what they
//! say; others that are added make no difference. That there is no memory is an error, and no
//! warning in the kernel log.
//!
//! **A client that does not read blocks nobody.** A message to a port whose buffer is full is not
//! sent, and the caller gets [`SendError::Full`], whatever the flags say: in C, flags that allow
//! sleeping make `cn_netlink_send()` wait for room without limit. A broadcast leaves out listeners
//! without room. Either way the listener is told: its next receive fails with `ENOBUFS`.

use core::{
    marker::PhantomData,
    num::NonZero,
    ptr::{
        self,
        NonNull, //
    }, //
};

use kernel::{
    alloc::Flags,
    prelude::*, //
};

use crate::{
    bindings,
    context,
    cores,
    gfp,
    layout,
    parms::Parms,
    socket::Socket,
    CbId,
    Group,
    Header,
    SendError, //
};

/// A message to send.
#[derive(Clone, Copy, Debug)]
pub struct OutMessage<'a> {
    /// The id that the message comes from. It need not be registered.
    pub id: CbId,
    /// The sequence number; a broadcaster counts it up so that listeners can see a gap.
    pub seq: u32,
    /// The acknowledge number; 0 in a message that starts something.
    pub ack: u32,
    /// The flags; they mean what the service says.
    pub flags: u16,
    /// The data, at most 65535 bytes.
    pub data: &'a [u8],
}

impl<'a> OutMessage<'a> {
    /// A message that replies to none: `seq`, `ack` and `flags` are 0.
    pub const fn new(id: CbId, data: &'a [u8]) -> Self {
        Self {
            id,
            seq: 0,
            ack: 0,
            flags: 0,
            data,
        }
    }

    /// A reply to `request`.
    ///
    /// [`Sender::reply`](crate::Sender::reply) sends one at once; this is for a reply that is sent
    /// later, to the [`portid`](crate::Sender::portid) that the handler kept.
    pub const fn reply(request: &Header, data: &'a [u8]) -> Self {
        let header = request.reply(0);
        Self {
            id: header.id,
            seq: header.seq,
            ack: header.ack,
            flags: header.flags,
            data,
        }
    }

    fn header(&self) -> Result<Header, SendError> {
        Ok(Header {
            id: self.id,
            seq: self.seq,
            ack: self.ack,
            len: u16::try_from(self.data.len()).map_err(|_| SendError::TooLarge)?,
            flags: self.flags,
        })
    }
}

/// Where a message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// The group of the message's own id, which must be registered: the group whose number is the
    /// id's `idx`.
    ///
    /// An `idx` that is the number of no group is [`SendError::NoGroup`], be it registered or not. The
    /// kernel's own core has groups up to [`Group::MAX`]; our own has as many as its parameter `groups`
    /// says.
    Registered,
    /// One socket, by its port id.
    Port(NonZero<u32>),
    /// Everyone who joined the group.
    Group(Group),
    /// One socket, and everyone else who joined the group: nobody gets the message twice.
    ///
    /// The C function's comment promises this for both arguments given, but the code sends to the
    /// group only, *without* that port. Here the message is sent to the port first and then to the
    /// rest of the group; an error of either is returned, the port's if both fail.
    PortAndGroup(NonZero<u32>, Group),
}

/// Several messages that travel in one datagram.
///
/// The receiver's one `recvmsg(2)` returns them all. They lie behind each other without padding.
pub struct Batch(KVec<u8>);

impl Batch {
    /// The most that a batch can hold, headers included: 65555 bytes.
    pub const MAX_SIZE: usize = Header::SIZE + u16::MAX as usize;

    /// Makes an empty batch.
    pub const fn new() -> Self {
        Self(KVec::new())
    }

    /// Makes room for `bytes` more, headers included, so that pushing them does not allocate.
    ///
    /// # Errors
    ///
    /// [`SendError::NoMemory`].
    pub fn reserve(&mut self, bytes: usize, flags: Flags) -> Result<(), SendError> {
        let bytes = bytes.min(Self::MAX_SIZE - self.0.len());
        Ok(self.0.reserve(bytes, gfp::to_flags(flags))?)
    }

    /// Adds a message.
    ///
    /// # Errors
    ///
    /// [`SendError::TooLarge`] if it does not fit, or [`SendError::NoMemory`]. The batch then is as
    /// it was.
    pub fn push(&mut self, message: &OutMessage<'_>, flags: Flags) -> Result<(), SendError> {
        let header = message.header()?;
        let size = Header::SIZE + message.data.len();
        if self.0.len() + size > Self::MAX_SIZE {
            return Err(SendError::TooLarge);
        }
        self.0.reserve(size, gfp::to_flags(flags))?;
        let room = self.0.spare_capacity_mut();
        let added = layout::lay_out(&header, &[message.data], room).ok_or(SendError::NoMemory)?;
        let size = added.len();
        // SAFETY: So many bytes behind the vector's end were just written.
        unsafe { self.0.inc_len(size) };
        Ok(())
    }

    /// Takes all messages out, and keeps the memory.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// The size of the batch in bytes, headers included.
    pub fn size(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no message in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Default for Batch {
    fn default() -> Self {
        Self::new()
    }
}

/// A socket that would get a broadcast, as [`send_filtered`] shows it to its filter.
///
/// # Invariants
///
/// The socket has a reference during `'a`.
pub struct Listener<'a> {
    socket: NonNull<bindings::sock>,
    _socket: PhantomData<&'a bindings::sock>,
}

impl Listener<'_> {
    /// The socket, to compare it with that of a [`Sender`](crate::Sender) who asked for something.
    pub fn socket(&self) -> &Socket {
        // SAFETY: By the type's invariants.
        unsafe { Socket::from_raw(self.socket) }
    }
}

/// Sends a message.
///
/// Process context, or softirq with `GFP_ATOMIC`. Never waits for a receiver. Before the connector is up, and
/// where it could not be started, it comes to `NoListeners` or `NoSuchPort`: nobody has a socket of it.
///
/// C counterpart: `cn_netlink_send()`.
///
/// # Examples
///
/// ```
/// use connector::{CbId, Destination, OutMessage, SendError};
/// use kernel::prelude::*;
///
/// /// Tells whoever listens to the id's own group; that nobody does is no error here.
/// fn announce(id: CbId, seq: u32, text: &str) -> Result {
///     let message = OutMessage { seq, ..OutMessage::new(id, text.as_bytes()) };
///     match connector::send(&message, Destination::Registered, GFP_KERNEL) {
///         Ok(()) | Err(SendError::NoListeners) => Ok(()),
///         Err(error) => Err(error.into()),
///     }
/// }
/// ```
///
/// # Errors
///
/// | error | when |
/// | --- | --- |
/// | [`NoListeners`](SendError::NoListeners) (`ESRCH`) | to a group: nobody got it |
/// | [`NoGroup`](SendError::NoGroup) (`EINVAL`) | to `Registered`: its `idx` is no group |
/// | [`NotRegistered`](SendError::NotRegistered) (`ENODEV`) | to `Registered`: the id is not |
/// | [`Full`](SendError::Full) (`EAGAIN`) | to a port: its buffer is full |
/// | [`NoSuchPort`](SendError::NoSuchPort) (`ECONNREFUSED`) | to a port: nobody has it |
/// | [`TooLarge`](SendError::TooLarge) (`EMSGSIZE`) | more than 65535 bytes of data |
/// | [`NoMemory`](SendError::NoMemory) (`ENOMEM`) | no memory for the message |
/// | [`InterruptsOff`](SendError::InterruptsOff) (`EDEADLK`) | interrupts are off |
/// | [`Overrun`](SendError::Overrun) (`ENOBUFS`) | a listener that tells senders had no room |
pub fn send(message: &OutMessage<'_>, to: Destination, flags: Flags) -> Result<(), SendError> {
    // The two that say where by themselves go on at once, which saves some five instructions.
    match to {
        Destination::Port(portid) => send_to(message, portid.get(), 0, flags),
        Destination::Group(group) => send_to(message, 0, group.number(), flags),
        _ => send_further(message, to, flags),
    }
}

/// Sends a message to the group of its id, or to a port and a group.
#[inline(never)]
fn send_further(message: &OutMessage<'_>, to: Destination, flags: Flags) -> Result<(), SendError> {
    let to_port = port_first(to, |port| send(message, port, flags));
    let (portid, group) = address(to, message.id)?;
    to_port.and(send_to(message, portid, group, flags))
}

/// Sends a message to the group, to all but `portid` if that is not 0; to the port, if `group` is 0; or to the group
/// of its id, if both are.
#[inline(never)]
fn send_to(
    message: &OutMessage<'_>,
    portid: u32,
    group: u32,
    flags: Flags,
) -> Result<(), SendError> {
    context::check()?;
    let header = message.header()?;
    // SAFETY: `header.len` is how many bytes of data there are.
    unsafe { cores::send(&header, &[message.data], portid, group, flags) }
}

/// Sends a message to the group of its id, be that registered or not. Does not sleep.
pub(crate) fn broadcast(message: &OutMessage<'_>) -> Result<(), SendError> {
    let header = message.header()?;
    if !cores::has_group(header.id.idx) {
        return Err(SendError::NoGroup);
    }
    // SAFETY: `header.len` is how many bytes of data there are.
    unsafe { cores::send(&header, &[message.data], 0, header.id.idx, GFP_ATOMIC) }
}

/// Sends a reply to a request to who sent that. Its data are these, one behind the other. Does not sleep.
pub(crate) fn reply(request: &Header, data: &[&[u8]], sender: &Parms<'_>) -> Result<(), SendError> {
    context::check()?;
    let len = data.iter().try_fold(0u16, |len, part| {
        len.checked_add(u16::try_from(part.len()).ok()?)
    });
    let header = request.reply(len.ok_or(SendError::TooLarge)?);
    // SAFETY: `header.len` is how many bytes of data there are.
    unsafe { cores::reply(&header, data, sender) }
}

/// Sends all messages of a batch in one datagram.
///
/// [`Destination::Registered`] takes the id of the first message. An empty batch is sent to nobody
/// and is not an error.
///
/// Context and errors are those of [`send`]. C counterpart: `cn_netlink_send_mult()`.
///
/// # Examples
///
/// ```
/// use connector::{Batch, CbId, Destination, Group, OutMessage, SendError};
/// use kernel::prelude::*;
///
/// fn report(id: CbId, group: Group, levels: &[u32]) -> Result<(), SendError> {
///     let mut batch = Batch::new();
///     for level in levels {
///         batch.push(&OutMessage::new(id, &level.to_ne_bytes()), GFP_KERNEL)?;
///     }
///     connector::send_multi(&batch, Destination::Group(group), GFP_KERNEL)
/// }
/// ```
pub fn send_multi(batch: &Batch, to: Destination, flags: Flags) -> Result<(), SendError> {
    context::check()?;
    let bytes = &batch.0;
    let Some(behind_header) = bytes.len().checked_sub(Header::SIZE) else {
        return Ok(());
    };
    let len = u16::try_from(behind_header).map_err(|_| SendError::TooLarge)?;
    let raw = NonNull::from(bytes.as_slice()).cast::<bindings::cn_msg>();
    // SAFETY: A batch that is not empty begins with a header. The allocator aligns to more than the
    // four bytes that one needs.
    let id = layout::id_of(unsafe { &raw.as_ref().id });
    let to_port = port_first(to, |port| send_multi(batch, port, flags));
    let (portid, group) = address(to, id)?;
    let gfp = gfp::to_gfp_for(flags, portid, group);
    // SAFETY: As above, and behind the header are `len` bytes; the core copies what it sends.
    let sent = SendError::check(unsafe {
        cores::send_mult(raw, len, portid, group, gfp, None, ptr::null_mut())
    });
    to_port.and(sent)
}

/// Sends a message to those listeners of a group for which `filter` returns true.
///
/// `filter` is called once for every listener, one after the other, and must not sleep.
///
/// Context and errors are those of [`send`]. C counterpart: `cn_netlink_send_mult()` with a
/// filter.
///
/// # Examples
///
/// ```
/// use connector::{Group, OutMessage, SendError, Socket};
/// use kernel::prelude::*;
///
/// /// Sends to everyone in the group but `who`, which is the `socket()` of a sender.
/// fn tell_others(
///     message: &OutMessage<'_>,
///     group: Group,
///     who: &Socket,
/// ) -> Result<(), SendError> {
///     connector::send_filtered(message, group, GFP_KERNEL, |listener| {
///         listener.socket() != who
///     })
/// }
/// ```
pub fn send_filtered<F>(
    message: &OutMessage<'_>,
    group: Group,
    flags: Flags,
    mut filter: F,
) -> Result<(), SendError>
where
    F: FnMut(&Listener<'_>) -> bool,
{
    context::check()?;
    let header = message.header()?;
    layout::with_cn_msg(&header, &[message.data], flags, |raw| {
        // SAFETY: `raw` points to a header that says `header.len`, and that many bytes of data.
        // `call_filter::<F>` takes a pointer to an `F`, which is not used otherwise meanwhile.
        SendError::check(unsafe {
            cores::send_mult(
                raw,
                header.len,
                0,
                group.number(),
                gfp::to_gfp(flags),
                Some(call_filter::<F>),
                (&raw mut filter).cast(),
            )
        })
    })?
}

/// Asks a filter of type `F` about a listener. Returns 0 if the listener shall get the message.
///
/// # Safety
///
/// `filter` must point to an `F` that nobody else uses, `socket` to a socket, for the time of the
/// call.
unsafe extern "C" fn call_filter<F>(
    socket: *mut bindings::sock,
    _skb: *mut bindings::sk_buff,
    filter: *mut c_void,
) -> c_int
where
    F: FnMut(&Listener<'_>) -> bool,
{
    let Some(socket) = NonNull::new(socket) else {
        return 1;
    };
    // SAFETY: By this function's contract.
    let filter = unsafe { &mut *filter.cast::<F>() };
    // INVARIANT: By this function's contract.
    let passes = filter(&Listener {
        socket,
        _socket: PhantomData,
    });
    c_int::from(!passes)
}

/// Sends to the port first, if a message is for that and a group.
#[inline(always)]
fn port_first(
    to: Destination,
    send: impl FnOnce(Destination) -> Result<(), SendError>,
) -> Result<(), SendError> {
    match to {
        Destination::PortAndGroup(portid, _) => send(Destination::Port(portid)),
        _ => Ok(()),
    }
}

/// A destination as the cores take it, for a message from `id`: a port and a group.
#[inline(always)]
fn address(to: Destination, id: CbId) -> Result<(u32, u32), SendError> {
    match to {
        Destination::Registered if !cores::has_group(id.idx) => Err(SendError::NoGroup),
        Destination::Registered => Ok((0, 0)),
        Destination::Port(portid) => Ok((portid.get(), 0)),
        Destination::Group(group) => Ok((0, group.number())),
        Destination::PortAndGroup(portid, group) => Ok((portid.get(), group.number())),
    }
}
