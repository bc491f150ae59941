// SPDX-License-Identifier: GPL-2.0

//! Who may listen to a group.
//!
//! Group 1 is for everybody, and so is a group that a registered service opens
//! ([`Handler::OPEN_GROUPS`](crate::Handler::OPEN_GROUPS)). Any other takes `CAP_NET_ADMIN`. (The
//! kernel's own core means to open group 1 alone, but looks at a bit of the group's *number*, which opens
//! all odd ones.)

use kernel::prelude::*;

use crate::{
    bindings,
    registry, //
};

/// Whether a socket may join a group: 0, or `-EPERM`.
///
/// Runs in process context, in `bind(2)` or `setsockopt(2)`; may sleep.
///
/// # Safety
///
/// Only netlink may call this, with the network namespace of the socket.
pub(super) unsafe extern "C" fn bind(net: *mut bindings::net, group: c_int) -> c_int {
    // CAST: Netlink passes the number of a group that there is.
    if is_open(group as u32) {
        return 0;
    }
    // SAFETY: The socket's network namespace exists, and keeps its user namespace.
    let may = unsafe { bindings::ns_capable((*net).user_ns, bindings::CAP_NET_ADMIN as c_int) };
    if may {
        0
    } else {
        EPERM.to_errno()
    }
}

fn is_open(group: u32) -> bool {
    group == bindings::CN_IDX_PROC || registry::is_open(group)
}
