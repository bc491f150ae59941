// SPDX-License-Identifier: GPL-2.0

//! The connector core: what brings messages from userspace and takes others there.
//!
//! There are two. Where the kernel has its own built in, the crate is a user of that one (`cores/c.rs`),
//! and `rust_connector.ko` is what comes of it. Where it has not (`CONFIG_CONNECTOR=m`, or not set), the
//! crate is the core itself (`cores/own.rs`), and the module is `cn.ko`, in the place of the kernel's.
//! Which one it is, is decided here, and nobody else knows. Both have:
//!
//! - `Core`, which is there as long as the module is;
//! - `add()` and `del()`, which tell the core of an id that the registry adds or removes;
//! - `send_mult()`, with the arguments and results of `cn_netlink_send_mult()`;
//! - `may_be_overwritten()`, which says whether nobody needs a message when its handler has returned;
//! - `Probes`, by which ids of C modules are seen that the registry does not know of.

#[cfg(CONFIG_CONNECTOR = "y")]
mod c;
#[cfg(not(CONFIG_CONNECTOR = "y"))]
mod own;

use core::ptr::NonNull;

use kernel::sync::atomic::{
    Atomic,
    Relaxed, //
};

#[cfg(CONFIG_CONNECTOR = "y")]
pub(crate) use self::c::*;
#[cfg(not(CONFIG_CONNECTOR = "y"))]
pub(crate) use self::own::*;
use crate::{
    bindings,
    table::Table,
    wire::notify::Change,
    CbId,
    Message,
    Sender, //
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

/// The id that no service may have, on either core: the probes are tried out by unregistering it. Its
/// `idx` belongs to nobody, and there is no group 0.
pub(crate) const CANARY_ID: CbId = CbId {
    idx: 0,
    val: u32::MAX,
};

/// Where probes report to.
///
/// # Context
///
/// Preemption is off.
pub(crate) trait Sink {
    /// A module other than this one has changed an id. May run as if in an NMI: must take no lock.
    fn note(id: CbId, change: Change);

    /// What was noted can be told. Not in an NMI.
    fn wake();
}

/// Finds the service of a message and calls its handler. Returns whether there is one.
///
/// Runs in the context of the sender. Nothing in here sleeps but the handler.
///
/// # Safety
///
/// For the time of this call, `message` must be valid for reads of a header and the data that it
/// announces, and `parms` must be the control block of the skb that the message lies in; nobody else
/// may use them.
#[inline(always)]
pub(crate) unsafe fn deliver(
    message: NonNull<bindings::cn_msg>,
    parms: NonNull<bindings::netlink_skb_parms>,
) -> bool {
    // SAFETY: By this function's contract.
    let message = unsafe { Message::from_raw(message) };
    let Some(running) = TABLE.enter(message.id()) else {
        UNCLAIMED.add(1, Relaxed);
        return false;
    };
    // SAFETY: As above.
    let sender = unsafe { Sender::from_raw(parms, &running) };
    running.handle(&message, &sender);
    true
}
