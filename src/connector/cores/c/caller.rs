// SPDX-License-Identifier: GPL-2.0

//! Telling ids of ours from those of C modules, in the core's two functions for both.

use core::ptr;

use kernel::{
    sync::atomic::{
        Atomic,
        Relaxed, //
    },
    task::Task, //
};

use crate::bindings;

/// The task that is in one of the two for us, or null.
static CALLER: Atomic<*const bindings::task_struct> = Atomic::new(ptr::null());

/// Calls `f`, which calls one of the two. One call at a time.
pub(super) fn as_caller<R>(f: impl FnOnce() -> R) -> R {
    CALLER.store(Task::current_raw(), Relaxed);
    let result = f();
    CALLER.store(ptr::null(), Relaxed);
    result
}

/// Whether the current task is in one of the two for us.
pub(super) fn called_by_us() -> bool {
    ptr::eq(CALLER.load(Relaxed), Task::current_raw())
}
