// SPDX-License-Identifier: GPL-2.0

//! What netlink says of a request: who sent it, and from which socket.

use core::{
    cell::Cell,
    marker::PhantomData,
    ptr::NonNull, //
};

use crate::bindings;

/// What netlink says of a request.
///
/// C counterpart: `struct netlink_skb_parms`.
///
/// # Invariants
///
/// - `raw` is the control block of an skb that is valid for `'a`, and nothing but a reply that takes the
///   request's place writes to it.
/// - `portid` is not 0: netlink gives a socket a port before it sends.
/// - `sk` is the socket that sends: it is open until the callback returned.
pub(crate) struct Parms<'a> {
    raw: NonNull<bindings::netlink_skb_parms>,
    /// As they were on arrival.
    copy: bindings::netlink_skb_parms,
    /// Whether a reply has taken the request's place.
    are_replaced: Cell<bool>,
    _raw: PhantomData<&'a bindings::netlink_skb_parms>,
}

impl Parms<'_> {
    /// # Safety
    ///
    /// `raw` must be what the core passed to our callback, which must not have returned at the end
    /// of `'a`, and must not be written to but after [`Self::replace`].
    #[inline(always)]
    pub(crate) unsafe fn from_raw(raw: NonNull<bindings::netlink_skb_parms>) -> Self {
        // INVARIANT: The core passes a pointer into the control block of an skb that it holds, which
        // netlink filled in for the socket whose `sendmsg(2)` we are in.
        Self {
            raw,
            // SAFETY: By this function's contract. All of it is plain data.
            copy: unsafe { raw.as_ptr().read() },
            are_replaced: Cell::new(false),
            _raw: PhantomData,
        }
    }

    #[inline(always)]
    pub(crate) fn get(&self) -> &bindings::netlink_skb_parms {
        &self.copy
    }

    /// The socket that sends.
    #[inline(always)]
    pub(crate) fn socket(&self) -> NonNull<bindings::sock> {
        // SAFETY: By the type's invariants it is a socket.
        unsafe { NonNull::new_unchecked(self.copy.sk) }
    }

    /// Where they lie, unless a reply has taken their place.
    #[inline(always)]
    pub(crate) fn as_ptr(&self) -> Option<NonNull<bindings::netlink_skb_parms>> {
        (!self.are_replaced.get()).then_some(self.raw)
    }

    /// Says that a reply takes their place.
    #[inline(always)]
    pub(crate) fn replace(&self) {
        self.are_replaced.set(true);
    }
}
