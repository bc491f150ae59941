// SPDX-License-Identifier: GPL-2.0

//! Messages from userspace.

use core::{
    marker::PhantomData,
    ptr::NonNull,
    slice, //
};

use crate::{
    bindings,
    layout,
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
/// `raw` is valid for reads of the `len` bytes of data behind the header, for `'a`, and nothing writes
/// to them.
pub struct Message<'a> {
    raw: NonNull<bindings::cn_msg>,
    /// As it was on arrival: a reply may have been written over it since.
    header: Header,
    _raw: PhantomData<&'a bindings::cn_msg>,
}

impl Message<'_> {
    /// Makes a message of what the core passes to a callback.
    ///
    /// # Safety
    ///
    /// `raw` must be the message that the core passed to our callback, which must not have
    /// returned at the end of `'a`. Its data must not be written to for so long.
    #[inline(always)]
    pub(crate) unsafe fn from_raw(raw: NonNull<bindings::cn_msg>) -> Self {
        // SAFETY: By this function's contract there is a header. This reference is gone before anybody
        // writes.
        let bindings::cn_msg {
            id,
            seq,
            ack,
            len,
            flags,
            ..
        } = unsafe { raw.as_ref() };
        // INVARIANT: The message is in an skb that the core holds. The core has checked that the
        // datagram has `len` bytes of data behind the header (in cn_call_callback()), and uses it
        // no more but to free it. The sender's own copy is another one.
        Self {
            raw,
            header: Header {
                id: layout::id_of(id),
                seq: *seq,
                ack: *ack,
                len: *len,
                flags: *flags,
            },
            _raw: PhantomData,
        }
    }

    /// The header as a whole.
    #[inline]
    pub fn header(&self) -> Header {
        self.header
    }

    /// The id that the message was sent to.
    #[inline]
    pub fn id(&self) -> CbId {
        self.header.id
    }

    /// The sequence number, chosen by the sender.
    #[inline]
    pub fn seq(&self) -> u32 {
        self.header.seq
    }

    /// The acknowledge number, chosen by the sender. A reply carries this plus one.
    #[inline]
    pub fn ack(&self) -> u32 {
        self.header.ack
    }

    /// The flags; they mean what the service says.
    #[inline]
    pub fn flags(&self) -> u16 {
        self.header.flags
    }

    /// The data: exactly as many bytes as the header announces, at most
    /// [`wire::MAX_DATA_SIZE`](crate::wire::MAX_DATA_SIZE).
    #[inline]
    pub fn data(&self) -> &[u8] {
        let len = self.header.len.into();
        // SAFETY: `raw` is valid for a `cn_msg`, which `data` is the end of.
        let data = unsafe { &raw const (*self.raw.as_ptr()).data };
        // SAFETY: By the type's invariants.
        unsafe { slice::from_raw_parts(data.cast::<u8>(), len) }
    }

    /// Where the message lies.
    #[inline(always)]
    pub(crate) fn as_ptr(&self) -> *mut bindings::cn_msg {
        self.raw.as_ptr()
    }
}
