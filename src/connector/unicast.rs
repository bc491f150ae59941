// SPDX-License-Identifier: GPL-2.0

//! Giving an skb to the socket that a request came from.
//!
//! Netlink looks for the socket of a port in a hash table, and takes a reference to it, each time that it
//! is given an skb. But the sender of a request is known, and cannot close its socket before its
//! `sendmsg(2)` has returned: for a reply there is nothing to look for. It goes into the socket's receive
//! queue at once, counted for its buffer as netlink does it. That takes some 250 instructions less than
//! `netlink_unicast()`, which are 7 % of an echo.
//!
//! Where netlink would do more than to queue the skb, it is asked as ever, as if nothing had happened before:
//! there is no room, which it tells the receiver; the socket has lost a message, ever, for then netlink
//! gives it no other one before it has read all, and tells nobody whether it has; it has a filter; or it is
//! connected to another port. What it would show to who captures packets are other protocols than the
//! connector's.

use core::ptr::NonNull;

use kernel::prelude::*;

use crate::bindings;

/// Gives an skb to a socket. Sleeps if it may wait for room, and there is none.
///
/// Returns what `netlink_unicast()` does, which is used where `to` is not known.
///
/// # Safety
///
/// - Nobody else may write to the skb, which this consumes, or read it before it is received. Its data
///   are no memory of `vmalloc()`.
/// - `netlink` must be the connector's socket.
/// - `to`, if there is one, must be a socket of netlink's whose `sendmsg(2)` has not returned, and `portid`
///   its port.
#[inline(always)]
pub(crate) unsafe fn unicast(
    netlink: *mut bindings::sock,
    skb: *mut bindings::sk_buff,
    to: Option<NonNull<bindings::sock>>,
    portid: u32,
    may_wait: bool,
) -> c_int {
    if let Some(to) = to {
        // SAFETY: By this function's contract. The skb is not used any more if it was queued.
        unsafe {
            // CAST: At most 64 KiB and some bytes.
            let len = (*skb).len as c_int;
            if bindings::connector_helper_netlink_queue(to.as_ptr(), skb) {
                return len;
            }
        }
    }
    // SAFETY: By this function's contract. Netlink takes skbs that have no owner.
    unsafe {
        bindings::connector_helper_skb_orphan(skb);
        bindings::netlink_unicast(netlink, skb, portid, c_int::from(!may_wait))
    }
}
