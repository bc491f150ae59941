// SPDX-License-Identifier: GPL-2.0

//! What netlink says of a request: who sent it, and from which socket.

use core::{
    cell::OnceCell,
    marker::PhantomData,
    ptr::NonNull, //
};

use crate::bindings;

/// What netlink says of a request. It lies in the request's skb, until a reply takes its place there.
///
/// C counterpart: `struct netlink_skb_parms`.
///
/// # Invariants
///
/// - `raw` is valid for `'a`, and nothing writes to it unless `kept` has it.
/// - `portid` is not 0: netlink gives a socket a port before it sends.
/// - `sk` is the socket that sends: it is open until the callback returned.
pub(crate) struct Parms<'a> {
    raw: NonNull<bindings::netlink_skb_parms>,
    /// What was there, once it is not any more.
    kept: OnceCell<bindings::netlink_skb_parms>,
    _raw: PhantomData<&'a bindings::netlink_skb_parms>,
}

impl Parms<'_> {
    /// # Safety
    ///
    /// `raw` must be what the core passed to our callback, which must not have returned at the end
    /// of `'a`, and must not be written to but after [`Self::keep`].
    #[inline(always)]
    pub(crate) unsafe fn from_raw(raw: NonNull<bindings::netlink_skb_parms>) -> Self {
        // INVARIANT: The core passes a pointer into the control block of an skb that it holds, which
        // netlink filled in for the socket whose `sendmsg(2)` we are in.
        Self {
            raw,
            kept: OnceCell::new(),
            _raw: PhantomData,
        }
    }

    #[inline(always)]
    pub(crate) fn get(&self) -> &bindings::netlink_skb_parms {
        match self.kept.get() {
            Some(kept) => kept,
            // SAFETY: By the type's invariants. Whoever writes there keeps it before, and has no
            // such reference.
            None => unsafe { self.raw.as_ref() },
        }
    }

    /// Where they lie.
    #[inline(always)]
    pub(crate) fn as_ptr(&self) -> *mut bindings::netlink_skb_parms {
        self.raw.as_ptr()
    }

    /// Whether they were kept: what is in memory may be something else.
    #[inline(always)]
    pub(crate) fn are_kept(&self) -> bool {
        self.kept.get().is_some()
    }

    /// Keeps them as they are: what is written to them in memory from now on is not seen here.
    #[inline(always)]
    pub(crate) fn keep(&self) {
        // SAFETY: By the type's invariants they can be read, and all of it is plain data.
        self.kept
            .get_or_init(|| unsafe { self.raw.as_ptr().read() });
    }
}
