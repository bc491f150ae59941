// SPDX-License-Identifier: GPL-2.0

//! Messages to userspace.
//!
//! All of this may be called from process context and, with `GFP_ATOMIC`, from softirq. With interrupts
//! off it is [`SendError::InterruptsOff`]: netlink and the core have locks that are given back by
//! running softirqs, with interrupts on. Of the allocation flags `GFP_KERNEL`, `GFP_KERNEL_ACCOUNT`, `GFP_ATOMIC` and `GFP_NOWAIT` mean what they
//! say; others that are added make no difference. That there is no memory is an error, and no
//! warning in the kernel log.
//!
//! **A client that does not read blocks nobody.** A message to a port whose buffer is full is not
//! sent, and the caller gets [`SendError::Full`], whatever the flags say: in C, flags that allow
//! sleeping make `cn_netlink_send()` wait for room without limit. A broadcast leaves out listeners
//! without room. Either way the listener is told: its next receive fails with `ENOBUFS`.

use core::{
    ffi::c_void,
    marker::PhantomData,
    mem::MaybeUninit,
    num::NonZero,
    ptr::{
        self,
        NonNull, //
    },
    slice, //
};

use kernel::{
    alloc::{
        flags::__GFP_NOWARN,
        Flags, //
    },
    prelude::*, //
};

use crate::{
    bindings,
    cores,
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
        Ok(self.0.reserve(bytes, to_flags(flags))?)
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
        self.0.reserve(size, to_flags(flags))?;
        let room = self.0.spare_capacity_mut();
        let added = lay_out(&header, &[message.data], room).ok_or(SendError::NoMemory)?;
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
/// Process context, or softirq with `GFP_ATOMIC`. Never waits for a receiver.
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
/// | [`NoGroup`](SendError::NoGroup) (`EINVAL`) | to `Registered`: the id's `idx` is no group's number |
/// | [`NotRegistered`](SendError::NotRegistered) (`ENODEV`) | to `Registered`: the id is not |
/// | [`Full`](SendError::Full) (`EAGAIN`) | to a port: its buffer is full |
/// | [`NoSuchPort`](SendError::NoSuchPort) (`ECONNREFUSED`) | to a port: nobody has it |
/// | [`TooLarge`](SendError::TooLarge) (`EMSGSIZE`) | more than 65535 bytes of data |
/// | [`NoMemory`](SendError::NoMemory) (`ENOMEM`) | no memory for the message |
/// | [`InterruptsOff`](SendError::InterruptsOff) (`EDEADLK`) | interrupts are off |
/// | [`Overrun`](SendError::Overrun) (`ENOBUFS`) | to a group: a listener that wants senders to know had no room |
pub fn send(message: &OutMessage<'_>, to: Destination, flags: Flags) -> Result<(), SendError> {
    let header = message.header()?;
    with_cn_msg(&header, &[message.data], flags, |raw| {
        // SAFETY: `raw` points to a header that says `header.len`, and that many bytes of data.
        unsafe { to_destination(raw, header.len, to, flags) }
    })?
}

/// Sends a message to the group of its id, be that registered or not. Does not sleep.
pub(crate) fn broadcast(message: &OutMessage<'_>) -> Result<(), SendError> {
    let header = message.header()?;
    if !cores::has_group(header.id.idx) {
        return Err(SendError::NoGroup);
    }
    with_cn_msg(&header, &[message.data], GFP_ATOMIC, |raw| {
        // SAFETY: `raw` points to a header that says `header.len`, and that many bytes of data.
        unsafe { send_mult(raw, header.len, 0, header.id.idx, to_gfp(GFP_ATOMIC)) }
    })?
}

/// Sends a reply to a request to a port, whose data are these, one behind the other. Does not sleep.
pub(crate) fn reply(request: &Header, data: &[&[u8]], portid: u32) -> Result<(), SendError> {
    let len = data.iter().try_fold(0u16, |len, part| {
        len.checked_add(u16::try_from(part.len()).ok()?)
    });
    let header = request.reply(len.ok_or(SendError::TooLarge)?);
    with_cn_msg(&header, data, GFP_NOWAIT, |raw| {
        // SAFETY: `raw` points to a header that says `header.len`, and that many bytes of data.
        unsafe { unicast(raw, header.len, portid, to_gfp(GFP_NOWAIT)) }
    })?
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
    check_context()?;
    let bytes = &batch.0;
    let Some(behind_header) = bytes.len().checked_sub(Header::SIZE) else {
        return Ok(());
    };
    let len = u16::try_from(behind_header).map_err(|_| SendError::TooLarge)?;
    let raw = NonNull::from(bytes.as_slice()).cast();
    // SAFETY: A batch that is not empty begins with a header, behind which are `len` bytes. The
    // allocator aligns to more than the four bytes that a header needs.
    unsafe { to_destination(raw, len, to, flags) }
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
/// /// Sends to everyone in the group but `who`, a [`Sender::socket`](connector::Sender::socket).
/// fn tell_others(
///     message: &OutMessage<'_>,
///     group: Group,
///     who: &Socket,
/// ) -> Result<(), SendError> {
///     connector::send_filtered(message, group, GFP_KERNEL, |listener| listener.socket() != who)
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
    let header = message.header()?;
    with_cn_msg(&header, &[message.data], flags, |raw| {
        // SAFETY: `raw` points to a header that says `header.len`, and that many bytes of data.
        // `call_filter::<F>` takes a pointer to an `F`, which is not used otherwise meanwhile.
        SendError::check(unsafe {
            cores::send_mult(
                raw,
                header.len,
                0,
                group.number(),
                to_gfp(flags),
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

/// Sends to one port, which is not 0.
///
/// # Safety
///
/// `raw` must be valid for a header and `len` bytes behind it.
#[inline(always)]
pub(crate) unsafe fn unicast(
    raw: NonNull<bindings::cn_msg>,
    len: u16,
    portid: u32,
    gfp: bindings::gfp_t,
) -> Result<(), SendError> {
    // The flags say whether to wait for memory, but also whether to wait for room in the
    // receiver's buffer, which nobody shall.
    let gfp = gfp & !bindings::__GFP_DIRECT_RECLAIM;
    // SAFETY: By this function's contract.
    unsafe { send_mult(raw, len, portid, 0, gfp) }
}

/// Calls the C function: sends to a group, to all but `portid` if that is not 0; to the port, if
/// `group` is 0; or to the id's own group, if both are.
///
/// # Safety
///
/// `raw` must be valid for a header and `len` bytes behind it.
#[inline(always)]
unsafe fn send_mult(
    raw: NonNull<bindings::cn_msg>,
    len: u16,
    portid: u32,
    group: u32,
    gfp: bindings::gfp_t,
) -> Result<(), SendError> {
    // SAFETY: By this function's contract; the core copies what it sends.
    SendError::check(unsafe {
        cores::send_mult(raw, len, portid, group, gfp, None, ptr::null_mut())
    })
}

/// Whether the id that a message comes from has a group.
///
/// # Safety
///
/// `raw` must be valid for a header.
unsafe fn has_group(raw: NonNull<bindings::cn_msg>) -> bool {
    // SAFETY: By this function's contract.
    cores::has_group(unsafe { (*raw.as_ptr()).id.idx })
}

/// # Safety
///
/// `raw` must be valid for a header and `len` bytes behind it.
unsafe fn to_destination(
    raw: NonNull<bindings::cn_msg>,
    len: u16,
    to: Destination,
    flags: Flags,
) -> Result<(), SendError> {
    let gfp = to_gfp(flags);
    // SAFETY: By this function's contract, in every branch.
    unsafe {
        match to {
            Destination::Registered if !has_group(raw) => Err(SendError::NoGroup),
            Destination::Registered => send_mult(raw, len, 0, 0, gfp),
            Destination::Port(portid) => unicast(raw, len, portid.get(), gfp),
            Destination::Group(group) => send_mult(raw, len, 0, group.number(), gfp),
            Destination::PortAndGroup(portid, group) => {
                let to_port = unicast(raw, len, portid.get(), gfp);
                to_port.and(send_mult(raw, len, portid.get(), group.number(), gfp))
            }
        }
    }
}

/// Fails where netlink must not be used.
///
/// To give back a lock that is taken with softirqs off is to run those that came meanwhile, and that
/// switches interrupts on: netlink's taps have such locks, and so has the core.
// Not inlined into users' modules, for which the helper is not there.
#[inline(never)]
pub(crate) fn check_context() -> Result<(), SendError> {
    // SAFETY: Can be called anywhere.
    match unsafe { bindings::connector_helper_irqs_disabled() } {
        true => Err(SendError::InterruptsOff),
        false => Ok(()),
    }
}

/// What of `flags` means something for sending: whether to sleep, which reserves to touch, and whom to
/// account to. In the kernel crate's form and in C's, whose number that one keeps to itself.
///
/// Never with the warning that a large allocation failed: the caller is told.
fn known(flags: Flags) -> (Flags, bindings::gfp_t) {
    let (flags, gfp) = if flags.contains(GFP_KERNEL_ACCOUNT) {
        (GFP_KERNEL_ACCOUNT, bindings::GFP_KERNEL_ACCOUNT)
    } else if flags.contains(GFP_KERNEL) {
        (GFP_KERNEL, bindings::GFP_KERNEL)
    } else if flags.contains(GFP_ATOMIC) {
        (GFP_ATOMIC, bindings::GFP_ATOMIC)
    } else {
        (GFP_NOWAIT, bindings::GFP_NOWAIT)
    };
    (flags | __GFP_NOWARN, gfp | bindings::__GFP_NOWARN)
}

/// The flags for netlink's memory.
pub(crate) fn to_gfp(flags: Flags) -> bindings::gfp_t {
    known(flags).1
}

/// The flags for memory of our own.
pub(crate) fn to_flags(flags: Flags) -> Flags {
    known(flags).0
}

/// Lays a message out as C wants it, and calls `f` with it.
///
/// The C functions take header and data in one piece: a small message is put together on the
/// stack, a larger one in memory that is allocated with `flags`.
fn with_cn_msg<R>(
    header: &Header,
    data: &[&[u8]],
    flags: Flags,
    f: impl FnOnce(NonNull<bindings::cn_msg>) -> R,
) -> Result<R, SendError> {
    /// Aligned as `cn_msg` is.
    #[repr(C, align(4))]
    struct OnStack([MaybeUninit<u8>; 128]);

    check_context()?;
    let mut on_stack = OnStack([MaybeUninit::uninit(); 128]);
    if let Some(bytes) = lay_out(header, data, &mut on_stack.0) {
        return Ok(f(NonNull::from(bytes).cast()));
    }
    let mut allocated =
        KVec::with_capacity(Header::SIZE + usize::from(header.len), to_flags(flags))?;
    let room = allocated.spare_capacity_mut();
    let bytes = lay_out(header, data, room).ok_or(SendError::NoMemory)?;
    Ok(f(NonNull::from(bytes).cast()))
}

/// Writes a header and data to the start of `room`, and returns them; or `None` if they do not fit.
///
/// Copies each part in one piece: [`KVec::extend_from_slice`] goes byte by byte, since it clones.
#[inline(always)]
fn lay_out<'a>(
    header: &Header,
    data: &[&[u8]],
    room: &'a mut [MaybeUninit<u8>],
) -> Option<&'a mut [u8]> {
    let size = Header::SIZE + data.iter().map(|part| part.len()).sum::<usize>();
    let to = room.get_mut(..size)?.as_mut_ptr().cast::<u8>();
    // SAFETY: `to` is valid for writes of `size` bytes, and nobody else refers to them. They are
    // all written here, so that they can be read then.
    unsafe {
        to.cast::<[u8; Header::SIZE]>().write(header.to_bytes());
        let mut at = to.add(Header::SIZE);
        for part in data {
            ptr::copy_nonoverlapping(part.as_ptr(), at, part.len());
            at = at.add(part.len());
        }
        Some(slice::from_raw_parts_mut(to, size))
    }
}
