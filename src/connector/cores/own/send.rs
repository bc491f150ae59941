// SPDX-License-Identifier: GPL-2.0

//! Messages to userspace.

use core::{
    ffi::c_void,
    mem::size_of,
    ptr::{
        self,
        NonNull, //
    }, //
};

use kernel::{
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    }, //
};

use crate::{
    bindings,
    dispatch::TABLE,
    CbId, //
};

/// The connector's socket, as long as the core exists.
pub(super) static SOCKET: Atomic<*mut bindings::sock> = Atomic::new(ptr::null_mut());

/// Sends messages, of which the first announces its own data, to a group, to all but `portid` if that is
/// not 0; to the port, if `group` is 0; or to the group of the first message's id, if both are.
///
/// May be called in any context that `gfp` allows. C counterpart: `cn_netlink_send_mult()`, with the
/// same results.
///
/// # Safety
///
/// `message` must be valid for a header and `len` bytes behind it, and `filter`, if there is one, may be
/// called with `filter_data`.
// Not inlined into users' modules, for which the helpers are not there.
#[inline(never)]
pub(crate) unsafe fn send_mult(
    message: NonNull<bindings::cn_msg>,
    len: u16,
    portid: u32,
    group: u32,
    gfp: bindings::gfp_t,
    filter: bindings::netlink_filter_fn,
    filter_data: *mut c_void,
) -> c_int {
    let socket = SOCKET.load(Relaxed);
    // SAFETY: By this function's contract.
    let header = unsafe { message.as_ref() };
    let group = if portid == 0 && group == 0 {
        let id = CbId {
            idx: header.id.idx,
            val: header.id.val,
        };
        if !TABLE.contains(id) {
            return ENODEV.to_errno();
        }
        id.idx
    } else {
        group
    };
    // SAFETY: The socket is open as long as this module is there, which whoever calls this keeps.
    if portid == 0 && unsafe { bindings::netlink_has_listeners(socket, group) } == 0 {
        return ESRCH.to_errno();
    }

    let size = size_of::<bindings::cn_msg>() + usize::from(len);
    // SAFETY: Can be called in any context that `gfp` allows.
    let skb = unsafe { bindings::connector_helper_nlmsg_new(size, gfp) };
    if skb.is_null() {
        return ENOMEM.to_errno();
    }
    // SAFETY: The skb is new, and has room for a netlink message of this size, to which as many bytes are
    // copied as this function's contract says that there are. Netlink takes the skb over in any case.
    unsafe {
        let netlink = bindings::__nlmsg_put(
            skb,
            0,
            header.seq,
            bindings::NLMSG_DONE as c_int,
            // CAST: At most 20 + 65535.
            size as c_int,
            0,
        );
        ptr::copy_nonoverlapping(
            message.as_ptr().cast::<u8>(),
            netlink.add(1).cast::<u8>(),
            size,
        );
        let parms = (&raw mut (*skb).cb).cast::<bindings::netlink_skb_parms>();
        (*parms).dst_group = group;
        if group != 0 {
            bindings::netlink_broadcast_filtered(
                socket,
                skb,
                portid,
                group,
                gfp,
                filter,
                filter_data,
            )
        } else {
            let may_wait = gfp & bindings::__GFP_DIRECT_RECLAIM != 0;
            bindings::netlink_unicast(socket, skb, portid, c_int::from(!may_wait))
        }
    }
}
