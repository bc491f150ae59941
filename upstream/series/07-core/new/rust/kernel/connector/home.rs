// SPDX-License-Identifier: GPL-2.0

//! What depends on where the connector lives: it is a part of the kernel, which does not go.

use core::ptr;

use crate::bindings;

/// The module, for whoever keeps it loaded: none.
pub(in crate::connector) const OWNER: *mut bindings::module = ptr::null_mut();

#[cfg(CONFIG_CONNECTOR_RUST)]
pub(in crate::connector) use self::core_only::*;

/// For the core in Rust.
#[cfg(CONFIG_CONNECTOR_RUST)]
mod core_only {
    use kernel::ffi::{
        c_uint,
        c_ulong, //
    };

    use crate::bindings;

    extern "C" {
        // The parameter `groups`, in `drivers/connector/cn_rust.c`.
        static cn_rust_groups: c_uint;
    }

    /// How many groups there shall be.
    pub(in crate::connector) fn groups() -> u32 {
        // SAFETY: It is written when the command line is read, before anything else runs.
        unsafe { cn_rust_groups }
    }

    /// What netlink calls when a socket is closed.
    pub(in crate::connector) const RELEASE: Option<
        unsafe extern "C" fn(*mut bindings::sock, *mut c_ulong),
    > = if cfg!(CONFIG_PROC_EVENTS) {
        Some(release)
    } else {
        None
    };

    /// Has process events forget a socket.
    ///
    /// # Safety
    ///
    /// Only netlink may call this, with a socket that nobody uses any more.
    unsafe extern "C" fn release(socket: *mut bindings::sock, _groups: *mut c_ulong) {
        #[cfg(CONFIG_PROC_EVENTS)]
        // SAFETY: By this function's contract.
        unsafe {
            bindings::cn_proc_release(socket)
        };
        #[cfg(not(CONFIG_PROC_EVENTS))]
        let _ = socket;
    }
}
