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

/// What our own core has netlink call when a socket is closed: nothing, without process events.
#[cfg(not(CONFIG_CONNECTOR = "y"))]
pub(crate) const RELEASE: Option<
    unsafe extern "C" fn(*mut bindings::sock, *mut kernel::ffi::c_ulong),
> = None;
