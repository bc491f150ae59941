// SPDX-License-Identifier: GPL-2.0

//! Who may listen to a group.
//!
//! Group 1 is for everybody, and so is a group that a registered service opens
//! ([`Handler::OPEN_GROUPS`](crate::Handler::OPEN_GROUPS)). Any other takes `CAP_NET_ADMIN`. (The
//! kernel's own core means to open group 1 alone, but looks at a bit of the group's *number*, which opens
//! all odd ones.)

use kernel::prelude::*;

use crate::net::netlink::Joiner;
use crate::{
    bindings,
    registry, //
};

/// Whether a socket may join a group.
///
/// Runs in process context, in `bind(2)` or `setsockopt(2)`; may sleep.
///
/// # Errors
///
/// `EPERM` if not.
pub(super) fn join(group: u32, by: &Joiner) -> Result {
    if is_open(group) || by.is_net_admin() {
        Ok(())
    } else {
        Err(EPERM)
    }
}

fn is_open(group: u32) -> bool {
    group == bindings::CN_IDX_PROC || registry::is_open(group)
}
