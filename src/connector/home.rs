// SPDX-License-Identifier: GPL-2.0

//! What depends on where the connector lives. This is for a module of its own, which has a parameter, and
//! which those keep loaded who are in it; in the kernel's tree, where it is a part of the kernel, this
//! file is another one.

use crate::bindings;

extern "C" {
    // A `module`, of which only the address is used here.
    static __this_module: u8;
}

/// The module, for whoever keeps it loaded.
#[cfg_attr(all(CONFIG_CONNECTOR = "y", not(CONFIG_DEBUG_FS)), expect(dead_code))]
pub(crate) const OWNER: *mut bindings::module = (&raw const __this_module).cast_mut().cast();

/// How many groups there shall be on our own core.
#[cfg(not(CONFIG_CONNECTOR = "y"))]
pub(crate) fn groups() -> u32 {
    #[expect(
        clippy::clone_on_copy,
        reason = "value() is a reference before Linux 7.3"
    )]
    crate::module_parameters::groups.value().clone()
}

/// What our own core does when a socket of the connector is closed: nothing, without process events.
///
/// # Safety
///
/// As of [`Protocol::closed`](crate::net::netlink::Protocol::closed).
#[cfg(not(CONFIG_CONNECTOR = "y"))]
pub(crate) unsafe fn closed(_socket: core::ptr::NonNull<bindings::sock>) {}
