// SPDX-License-Identifier: GPL-2.0

//! The connector core, which is written in C: taking ids from it and giving them back, and what it
//! calls with a message.
//!
//! The core calls one function of ours for every id and passes no context, so that the service is
//! looked up here.

use core::ptr::{
    self,
    NonNull, //
};

use kernel::{
    error::to_result,
    prelude::*,
    str::CStr,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        rcu, //
    },
    task::Task, //
};

use crate::{
    bindings,
    table::Table,
    CbId,
    Message,
    Sender, //
};

/// The services that the core's messages are for.
pub(crate) static TABLE: Table = Table::new();

/// How many messages came for an id that had just gone: between the core's look-up and ours.
static UNCLAIMED: Atomic<u64> = Atomic::new(0);

/// The task that is in one of the core's two functions for us, or null.
static CALLER: Atomic<*const bindings::task_struct> = Atomic::new(ptr::null());

/// Has the core call [`dispatch`] with the messages to `id`.
///
/// May sleep. One call at a time of this and [`del`].
///
/// # Errors
///
/// `EINVAL` if the id is taken, `ENOMEM`, or `EAGAIN` if the core is not up yet.
pub(crate) fn add(id: CbId, name: &CStr) -> Result {
    as_caller(|| {
        // SAFETY: The core copies the id and the name. `dispatch` may be called until this module
        // is gone, which `LastCalls::drop` sees to.
        to_result(unsafe {
            bindings::cn_add_callback(&raw_id(id), name.as_char_ptr(), Some(dispatch))
        })
    })
}

/// Gives an id back, that [`add`] took.
///
/// May sleep. Messages may come for a while yet.
pub(crate) fn del(id: CbId) {
    // SAFETY: The core only reads the id.
    as_caller(|| unsafe { bindings::cn_del_callback(&raw_id(id)) });
}

/// Whether the current task is in one of the core's two functions for [`add`] or [`del`]: so that a
/// probe in there can tell our ids from those of C modules.
pub(crate) fn called_by_us() -> bool {
    ptr::eq(CALLER.load(Relaxed), Task::current_raw())
}

fn as_caller<R>(f: impl FnOnce() -> R) -> R {
    CALLER.store(Task::current_raw(), Relaxed);
    let result = f();
    CALLER.store(ptr::null(), Relaxed);
    result
}

fn raw_id(id: CbId) -> bindings::cb_id {
    bindings::cb_id {
        idx: id.idx,
        val: id.val,
    }
}

/// Finds the service of a message and calls its handler.
///
/// Runs in the context of the sender. Nothing in here sleeps but the handler: that, and that
/// whoever unregisters waits for the handler, is what [`LastCalls`] relies on.
///
/// # Safety
///
/// Only the connector core may call this, as the callback of an id.
pub(crate) unsafe extern "C" fn dispatch(
    message: *mut bindings::cn_msg,
    parms: *mut bindings::netlink_skb_parms,
) {
    // SAFETY: The core passes the message that it received, which lives until we return; it does
    // not use it any more but to free it.
    let message = unsafe { Message::from_raw(NonNull::new_unchecked(message)) };
    match TABLE.enter(message.id()) {
        Some(running) => {
            // SAFETY: The core passes the sender of that same message, which lives as long.
            let sender = unsafe { Sender::from_raw(NonNull::new_unchecked(parms), &running) };
            running.handle(&message, &sender);
        }
        None => UNCLAIMED.add(1, Relaxed),
    }
}

/// How many messages came for an id that had just gone.
pub(crate) fn unclaimed() -> u64 {
    UNCLAIMED.load(Relaxed)
}

/// Waits, when dropped, for the last calls of the core.
///
/// Every module that registered an id is gone by then, and with it every id. But a task may have
/// found an id in the core's list before the id went, and have been preempted before its first
/// instruction in [`dispatch`], or on `dispatch`'s last ones: nothing of ours counts it there. It
/// does not sleep in that stretch, so that waiting until every task has slept, or has been in
/// userspace, is waiting for it.
///
/// With PREEMPT_RT it can sleep once there: to give the core's lock back may be to run softirqs,
/// which wait for each other. Bottom halves are off until that is over, which on such a kernel is a
/// read-side critical section of RCU that began before the id was found. So that is waited for
/// first.
pub(crate) struct LastCalls;

impl Drop for LastCalls {
    fn drop(&mut self) {
        // On a kernel that does not preempt itself this is enough: a task leaves that stretch before
        // its CPU does anything else.
        rcu::synchronize_rcu();
        #[cfg(CONFIG_TASKS_RCU)]
        // SAFETY: Modules are removed in process context, which may sleep.
        unsafe {
            bindings::synchronize_rcu_tasks()
        };
        Table::wait_for_frees();
    }
}
