// SPDX-License-Identifier: GPL-2.0

//! Modules that go and leave something behind.
//!
//! A [`Registration`](crate::Registration), a [`Watch`](crate::changes::Watch) or a
//! [`Periodic`](crate::Periodic) that was leaked is never dropped, and the module that its code
//! belongs to can go all the same. The kernel announces a module that goes after its exit function
//! returned (or its init function failed) and before its memory is freed: here is where what it left
//! is taken away.
//!
//! # Why nothing of it is called after that
//!
//! The crate calls a module's code for what is on one of two lists, the registry's and that of
//! [`job`], and takes it off only when that code has returned and will not be called again.
//!
//! 1. First of all the module is [`going`], and so nothing of it is added to either list any more.
//! 2. Then one list after the other is looked through, under its lock, until nothing of the module is on
//!    it. What is found is closed and waited for, whoever else is about to end it. That may be done by
//!    the module's own code, which can therefore end something that is on the other list, but add
//!    nothing: a list that was found without it stays so.
//! 3. After both, none of the module's code runs for the connector, and nothing of it will.
//!
//! It does not matter in which order the lists are looked through, nor how many modules go at once.

use core::ptr::NonNull;

use kernel::prelude::*;

use crate::{
    bindings,
    going,
    job,
    notifier::Notifier,
    registry,
    text::Module, //
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
        // SAFETY: The kernel passes the module, whose memory it frees only after this returned. It was initialised,
        // or has failed to be.
        let module = unsafe { Module::from_raw(NonNull::new_unchecked(module.cast())) };
        // Handlers, observers and closures run until they are taken away, but leave nothing new.
        going::during(module, || {
            registry::unregister_all_of(module);
            job::end_all_of(module);
        });
    }
    // `NOTIFY_DONE`: not our concern whether others are told.
    0
}
