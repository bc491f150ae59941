// SPDX-License-Identifier: GPL-2.0

//! RCU. A task that reads holds a lock of its own, and a grace period takes them all, one after the
//! other: so it waits for those who read, comes before those who read later, and has readers know
//! nothing of each other.

use std::mem::transmute;
use std::rc::Rc;

use loom::sync::MutexGuard;

use crate::execution::{self, Execution, TASKS};

/// Ends a read-side critical section when dropped.
pub struct Guard {
    /// Of the outermost one.
    lock: Option<MutexGuard<'static, ()>>,
    task: usize,
    execution: Rc<Execution>,
}

#[track_caller]
pub fn read_lock() -> Guard {
    execution::trace(|| "begin to read under RCU".to_owned());
    let (execution, task) = (execution::current(), execution::task());
    let is_inside = execution.depths.borrow()[task] > 0;
    let lock = (!is_inside).then(|| {
        let lock = execution.readers[task].lock().expect("nobody has panicked");
        // SAFETY: Only the lifetime changes; the guard keeps what the lock is in.
        unsafe { transmute::<MutexGuard<'_, ()>, MutexGuard<'static, ()>>(lock) }
    });
    execution.depths.borrow_mut()[task] += 1;
    Guard {
        lock,
        task,
        execution,
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.execution.depths.borrow_mut()[self.task] -= 1;
        self.lock = None;
    }
}

#[track_caller]
pub fn synchronize_rcu() {
    execution::might_sleep();
    execution::trace(|| "wait for a grace period".to_owned());
    let execution = execution::current();
    for task in 0..TASKS {
        drop(execution.readers[task].lock());
    }
}

/// Has a function called after a grace period.
pub fn call(f: impl FnOnce() + 'static) {
    let execution = execution::current();
    // What came before this has come before the function is called, whoever calls it.
    let _order = execution.calls.lock();
    execution.callbacks.borrow_mut().push(Box::new(f));
}

/// Waits for all functions that are to be called; here, it calls them.
#[track_caller]
pub fn rcu_barrier() {
    execution::might_sleep();
    let execution = execution::current();
    let callbacks = {
        let _order = execution.calls.lock();
        execution.callbacks.take()
    };
    if callbacks.is_empty() {
        return;
    }
    synchronize_rcu();
    for callback in callbacks {
        callback();
    }
}
