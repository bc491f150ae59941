// SPDX-License-Identifier: GPL-2.0

//! The function that the C core calls, for all ids.

use core::ptr::NonNull;

use kernel::sync::atomic::{
    Atomic,
    Relaxed, //
};

use crate::{
    bindings,
    registry,
    Message,
    Sender, //
};

/// How many messages came for an id that had just gone: between the core's look-up and ours.
static UNCLAIMED: Atomic<u64> = Atomic::new(0);

/// Finds the handler of a message and calls it.
///
/// Runs in the context of the sender. Nothing in here sleeps but the handler: that, and that the
/// task is inside a slot while it is in the handler, is what `Stragglers::drop` relies on.
///
/// # Safety
///
/// Only the connector core may call this, as the callback of an id.
pub(crate) unsafe extern "C" fn dispatch(
    message: *mut bindings::cn_msg,
    parms: *mut bindings::netlink_skb_parms,
) {
    // SAFETY: The core passes the message that it received, which lives until we return; it does
    // not use it any more but to free it.
    let message = unsafe { Message::from_raw(NonNull::new_unchecked(message)) };
    if let Some(slot) = registry::find(message.id()) {
        // SAFETY: The core passes the sender of that same message, which lives as long.
        let sender = unsafe { Sender::from_raw(parms, slot.stats()) };
        if let Some(inside) = slot.enter() {
            inside.handle(&message, &sender);
            return;
        }
    }
    UNCLAIMED.add(1, Relaxed);
}

/// How many messages came for an id that had just gone.
pub(crate) fn unclaimed() -> u64 {
    UNCLAIMED.load(Relaxed)
}
