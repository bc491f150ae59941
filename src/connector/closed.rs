// SPDX-License-Identifier: GPL-2.0

//! Sockets that are closed: netlink tells of every one, and services are told of the connector's.

use core::ptr;

use kernel::prelude::*;

use crate::{
    bindings,
    notifier::Notifier,
    registry, //
};

#[cfg(connector_kunit)]
#[path = "../../tests/kunit/closed.rs"]
mod tests;

/// Tells services which sockets are closed, as long as the notifier exists.
pub(crate) fn watch() -> impl PinInit<Notifier, Error> {
    // SAFETY: Both are netlink's chain's, which is a blocking one; `notify` is made for it.
    unsafe {
        Notifier::new(
            bindings::netlink_register_notifier,
            bindings::netlink_unregister_notifier,
            notify,
        )
    }
}

/// Called in process context, when a netlink socket is closed.
///
/// # Safety
///
/// Must only be called as a netlink notifier.
unsafe extern "C" fn notify(
    _block: *mut bindings::notifier_block,
    event: c_ulong,
    socket: *mut c_void,
) -> c_int {
    if event == bindings::NETLINK_URELEASE as c_ulong {
        // SAFETY: With this event the kernel passes a `netlink_notify`.
        let socket = unsafe { &*socket.cast::<bindings::netlink_notify>() };
        // The connector exists in the initial namespace only. CAST: A small number.
        if socket.protocol == bindings::NETLINK_CONNECTOR as c_int
            && ptr::eq(socket.net, &raw const bindings::init_net)
        {
            registry::tell_closed(socket.portid);
        }
    }
    // `NOTIFY_DONE`: not our concern whether others are told.
    0
}
