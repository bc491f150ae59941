// SPDX-License-Identifier: GPL-2.0

//! Messages from userspace.

use core::{
    marker::PhantomData,
    ptr::NonNull,
    slice, //
};

use crate::{
    bindings,
    CbId,
    Header, //
};

/// A message from userspace, as a [`Handler`](crate::Handler) gets it.
///
/// The data are bytes and nothing else: they may be empty, hold anything, and end in anything.
///
/// C counterpart: `struct cn_msg`.
///
/// # Invariants
///
/// - `raw` is valid, for reads and writes, for a header and the `len` bytes of data behind it, for
///   `'a`.
/// - Only this value writes to the header, and nothing writes to the data.
pub struct Message<'a> {
    raw: NonNull<bindings::cn_msg>,
    _raw: PhantomData<&'a bindings::cn_msg>,
}

impl Message<'_> {
    /// Makes a message of what the core passes to a callback.
    ///
    /// # Safety
    ///
    /// `raw` must be the message that the core passed to our callback, which must not have
    /// returned at the end of `'a`, and must not be used in any other way.
    #[inline(always)]
    pub(crate) unsafe fn from_raw(raw: NonNull<bindings::cn_msg>) -> Self {
        // INVARIANT: The message is in an skb that the core holds. The core has checked that the
        // datagram has `len` bytes of data behind the header (in cn_call_callback()), and uses it
        // no more but to free it. The sender's own copy is another one.
        Self {
            raw,
            _raw: PhantomData,
        }
    }

    #[inline(always)]
    fn raw(&self) -> &bindings::cn_msg {
        // SAFETY: By the type's invariants. It is written to by `as_reply` and `shortened` alone,
        // while nobody holds such a reference, since this type is not `Sync`.
        unsafe { self.raw.as_ref() }
    }

    /// The id that the message was sent to.
    #[inline]
    pub fn id(&self) -> CbId {
        let id = &self.raw().id;
        CbId {
            idx: id.idx,
            val: id.val,
        }
    }

    /// The sequence number, chosen by the sender.
    #[inline]
    pub fn seq(&self) -> u32 {
        self.raw().seq
    }

    /// The acknowledge number, chosen by the sender. A reply carries this plus one.
    #[inline]
    pub fn ack(&self) -> u32 {
        self.raw().ack
    }

    /// The flags; they mean what the service says.
    #[inline]
    pub fn flags(&self) -> u16 {
        self.raw().flags
    }

    /// The data: exactly as many bytes as the header announces, at most
    /// [`wire::MAX_DATA_SIZE`](crate::wire::MAX_DATA_SIZE).
    #[inline]
    pub fn data(&self) -> &[u8] {
        let len = self.raw().len.into();
        // SAFETY: `raw` is valid for a `cn_msg`, which `data` is the end of.
        let data = unsafe { &raw const (*self.raw.as_ptr()).data };
        // SAFETY: By the type's invariants.
        unsafe { slice::from_raw_parts(data.cast::<u8>(), len) }
    }

    /// The header as a whole.
    #[inline]
    pub fn header(&self) -> Header {
        Header {
            id: self.id(),
            seq: self.seq(),
            ack: self.ack(),
            len: self.raw().len,
            flags: self.flags(),
        }
    }

    /// Turns the message, where it lies, into its own reply, calls `send` with it and with how many
    /// bytes of data it has, and turns it back.
    ///
    /// This spares a reply that repeats the request an allocation and a copy.
    #[inline(always)]
    pub(crate) fn as_reply<R>(&self, send: impl FnOnce(NonNull<bindings::cn_msg>, u16) -> R) -> R {
        let ack = self.ack_mut();
        // SAFETY: `ack_mut` is valid for reads and writes.
        unsafe { *ack = (*ack).wrapping_add(1) };
        let result = send(self.raw, self.raw().len);
        // SAFETY: As above.
        unsafe { *ack = (*ack).wrapping_sub(1) };
        result
    }

    /// Calls `f` while the message has only the first `len` bytes of its data.
    ///
    /// # Safety
    ///
    /// The message has at least `len` bytes of data.
    pub(crate) unsafe fn shortened<R>(&self, len: u16, f: impl FnOnce() -> R) -> R {
        let whole = self.raw().len;
        // SAFETY: By the type's invariants the header is valid for writes, and only `self` writes
        // to it: `self` is not `Sync`, and `data` does not reach into the header.
        unsafe { (*self.raw.as_ptr()).len = len };
        let result = f();
        // SAFETY: As above.
        unsafe { (*self.raw.as_ptr()).len = whole };
        result
    }

    /// The header's `ack`, valid for reads and writes: see [`Self::shortened`].
    #[inline(always)]
    fn ack_mut(&self) -> *mut u32 {
        // SAFETY: `raw` is valid for a `cn_msg`.
        unsafe { &raw mut (*self.raw.as_ptr()).ack }
    }
}
