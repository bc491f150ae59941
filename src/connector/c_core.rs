// SPDX-License-Identifier: GPL-2.0

//! Registering with the C core, and who is doing so.

use core::ptr;

use kernel::{
    bindings::task_struct,
    sync::atomic::{
        Atomic,
        Relaxed, //
    },
    task::Task, //
};

/// The task of this module that is in one of the core's functions.
static CALLER: Atomic<*mut task_struct> = Atomic::new(ptr::null_mut());

/// Whether it is this module that called one of the core's functions in this task.
pub(crate) fn called_by_us() -> bool {
    CALLER.load(Relaxed) == Task::current_raw()
}

/// Calls one of the core's functions. One caller at a time.
pub(crate) fn calling<T>(f: impl FnOnce() -> T) -> T {
    CALLER.store(Task::current_raw(), Relaxed);
    let returned = f();
    CALLER.store(ptr::null_mut(), Relaxed);
    returned
}
