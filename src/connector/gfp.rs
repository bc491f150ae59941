// SPDX-License-Identifier: GPL-2.0

//! Allocation flags for messages that are sent. Users say what they like, and get what is known here.

use kernel::{
    alloc::{
        flags::__GFP_NOWARN,
        Flags, //
    },
    prelude::*, //
};

use crate::bindings;

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

/// The flags for memory of our own.
pub(crate) fn to_flags(flags: Flags) -> Flags {
    known(flags).0
}

/// The flags for netlink's memory.
pub(crate) fn to_gfp(flags: Flags) -> bindings::gfp_t {
    known(flags).1
}

/// The same, for a message to this port and group, as the cores take them. For one to a port alone the
/// flags say whether to wait for memory, but also whether to wait for room in the receiver's buffer, which
/// nobody shall.
#[inline(always)]
pub(crate) fn to_gfp_for(flags: Flags, portid: u32, group: u32) -> bindings::gfp_t {
    let gfp = to_gfp(flags);
    if portid != 0 && group == 0 {
        gfp & !bindings::__GFP_DIRECT_RECLAIM
    } else {
        gfp
    }
}
