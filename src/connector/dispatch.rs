// SPDX-License-Identifier: GPL-2.0

//! Where messages go: a core delivers them here, and the handler of their service is called.

use core::ptr::NonNull;

use kernel::sync::atomic::{
    Atomic,
    Relaxed, //
};

use crate::{
    bindings,
    layout,
    table::Table, //
};

/// The services that messages are for.
pub(crate) static TABLE: Table = Table::new();

/// How many messages came for an id that nobody has. The kernel's own core brings only those that it
/// found the id for, which had just gone then.
static UNCLAIMED: Atomic<u64> = Atomic::new(0);

/// How many messages came for an id that nobody has, or has any more.
pub(crate) fn unclaimed() -> u64 {
    UNCLAIMED.load(Relaxed)
}

/// Finds the service of a message and calls its handler. Returns whether there is one.
///
/// Runs in the context of the sender. Nothing in here sleeps but the handler.
///
/// # Safety
///
/// That of [`Running::handle`](crate::service::Running::handle).
#[inline(always)]
pub(crate) unsafe fn deliver(
    message: NonNull<bindings::cn_msg>,
    parms: NonNull<bindings::netlink_skb_parms>,
) -> bool {
    // SAFETY: By this function's contract.
    let id = layout::id_of(unsafe { &message.as_ref().id });
    let Some(running) = TABLE.enter(id) else {
        UNCLAIMED.add(1, Relaxed);
        return false;
    };
    // SAFETY: By this function's contract.
    unsafe { running.handle(message, parms) };
    true
}
