// SPDX-License-Identifier: GPL-2.0

//! Allocation flags as C takes them, for messages that are sent.

use kernel::{
    alloc::Flags,
    prelude::*, //
};

use crate::bindings;

/// The C form of `flags`, as far as it means something for sending: whether to sleep, which reserves
/// to touch, and whom to account to. The kernel crate keeps the number to itself.
///
/// Never with the warning that a large allocation failed: the caller is told.
pub(crate) fn to_gfp(flags: Flags) -> bindings::gfp_t {
    let gfp = if flags.contains(GFP_KERNEL_ACCOUNT) {
        bindings::GFP_KERNEL_ACCOUNT
    } else if flags.contains(GFP_KERNEL) {
        bindings::GFP_KERNEL
    } else if flags.contains(GFP_ATOMIC) {
        bindings::GFP_ATOMIC
    } else {
        bindings::GFP_NOWAIT
    };
    gfp | bindings::__GFP_NOWARN
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
