// SPDX-License-Identifier: GPL-2.0

//! What the core in Rust has to know of where it lives: in the kernel, which does not go.

use core::ptr::{
    self,
    NonNull, //
};

use crate::bindings;

/// The module, for whoever keeps it loaded: none.
pub(in crate::connector) const OWNER: *mut bindings::module = ptr::null_mut();

/// How many groups there shall be: the parameter `groups`, in `drivers/connector/cn_rust.c`.
pub(in crate::connector) fn groups() -> u32 {
    // SAFETY: It is written when the command line is read, before anything else runs.
    unsafe { bindings::cn_rust_groups }
}

/// Has process events forget a socket that is closed.
///
/// # Safety
///
/// As of [`Protocol::closed`](kernel::net::netlink::Protocol::closed).
pub(in crate::connector) unsafe fn closed(socket: NonNull<bindings::sock>) {
    #[cfg(CONFIG_PROC_EVENTS)]
    // SAFETY: By this function's contract.
    unsafe {
        bindings::cn_proc_release(socket.as_ptr())
    };
    #[cfg(not(CONFIG_PROC_EVENTS))]
    let _ = socket;
}
