// SPDX-License-Identifier: GPL-2.0

//! Modules that go and leave something behind.
//!
//! A [`Registration`](crate::Registration), a [`Watch`](crate::changes::Watch) or a
//! [`Periodic`](crate::Periodic) that was leaked is never dropped, and the module that its code
//! belongs to can go all the same. The kernel announces a module that goes after its exit function
//! returned (or its init function failed) and before its memory is freed: here is where what it left
//! is taken away.

use kernel::prelude::*;

use crate::{
    bindings,
    job,
    notifier::Notifier,
    registry, //
};

/// Takes away what modules leave that go, as long as the notifier exists.
pub(crate) fn watch() -> impl PinInit<Notifier, Error> {
    // SAFETY: Both are the module chain's, which is a blocking one; `notify` is made for it.
    unsafe {
        Notifier::new(
            bindings::register_module_notifier,
            bindings::unregister_module_notifier,
            notify,
        )
    }
}

/// Called in process context, when a module changes its state.
///
/// # Safety
///
/// Must only be called as a module notifier.
unsafe extern "C" fn notify(
    _block: *mut bindings::notifier_block,
    state: c_ulong,
    module: *mut c_void,
) -> c_int {
    if state == bindings::module_state_MODULE_STATE_GOING as c_ulong {
        // SAFETY: The kernel passes the module, whose memory it frees only after this returned.
        let module = unsafe { &*module.cast::<bindings::module>() };
        // Handlers, observers and closures run until they are taken away, and may leave something
        // else meanwhile: until none is found.
        while registry::unregister_all_of(module) | job::end_all_of(module) {}
    }
    // `NOTIFY_DONE`: not our concern whether others are told.
    0
}
