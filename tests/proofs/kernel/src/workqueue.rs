// SPDX-License-Identifier: GPL-2.0

//! As the kernel's module of that name. A model has a task that works, see [`work`], and what was queued
//! with a delay has its time come whenever that task has nothing else to do.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::marker::PhantomData;
use std::pin::Pin;

use loom::sync::{Condvar, Mutex};
use pinned_init::{PinInit, pin_init_from_closure};

use crate::execution;
use crate::str::CStr;
use crate::sync::{Arc, LockClassKey};
use crate::time::Jiffies;

/// The C side's structures and functions.
#[expect(non_camel_case_types, reason = "C calls them so")]
pub mod raw {
    use crate::execution;

    pub struct workqueue_struct;

    #[repr(C)]
    pub struct work_struct(pub(super) u64);

    #[repr(C)]
    pub struct delayed_work {
        pub work: work_struct,
    }

    /// Nothing may be waiting for its time then.
    ///
    /// # Safety
    ///
    /// As the kernel's.
    pub unsafe fn destroy_workqueue(_queue: *mut workqueue_struct) {
        let execution = execution::current();
        let works = execution.works.lock();
        assert!(works.timers.is_empty(), "work is queued there later");
    }

    /// Waits until an item runs no more that was queued without a delay.
    ///
    /// # Safety
    ///
    /// As the kernel's.
    #[track_caller]
    pub unsafe fn flush_work(work: *mut work_struct) {
        execution::might_sleep();
        execution::trace(|| "flush work".to_owned());
        let execution = execution::current();
        let mut works = execution.works.lock();
        while works.queue.iter().any(|it| it.work == work)
            || works.running == Some(work.cast_const())
        {
            works = execution.works.wait(works);
        }
    }

    /// Has an item not be queued any more, and waits until it does not run. Returns whether it was queued.
    ///
    /// # Safety
    ///
    /// As the kernel's.
    #[track_caller]
    pub unsafe fn disable_delayed_work_sync(work: *mut delayed_work) -> bool {
        execution::might_sleep();
        execution::trace(|| "disable work".to_owned());
        let work = work.cast::<work_struct>();
        let execution = execution::current();
        let mut works = execution.works.lock();
        works.disabled.push(work);
        let was_pending = works.is_pending(work);
        works.queue.retain(|it| it.work != work);
        works.timers.retain(|it| it.work != work);
        while works.running == Some(work.cast_const()) {
            works = execution.works.wait(works);
        }
        was_pending
    }
}

use raw::{work_struct, workqueue_struct};

/// An item that was queued, and a reference to what it is in.
struct Entry {
    work: *const work_struct,
    run: fn(*const ()),
    pointer: *const (),
}

/// All that there is to do.
#[derive(Default)]
pub(crate) struct Works {
    queue: VecDeque<Entry>,
    timers: VecDeque<Entry>,
    running: Option<*const work_struct>,
    disabled: Vec<*const work_struct>,
    is_over: bool,
}

impl Works {
    fn is_pending(&self, work: *const work_struct) -> bool {
        let mut entries = self.queue.iter().chain(&self.timers);
        entries.any(|it| it.work == work)
    }
}

/// The same, with a lock.
pub(crate) struct Shared {
    works: Mutex<Works>,
    changed: Condvar,
}

type Guard<'a> = loom::sync::MutexGuard<'a, Works>;

impl Shared {
    pub(crate) fn new() -> Self {
        Self {
            works: Mutex::new(Works::default()),
            changed: Condvar::new(),
        }
    }

    fn lock(&self) -> Guard<'_> {
        self.works.lock().expect("nobody has panicked")
    }

    fn wait<'a>(&'a self, works: Guard<'a>) -> Guard<'a> {
        self.changed.wait(works).expect("nobody has panicked")
    }
}

/// Runs what is queued, one after the other, until [`end`] was called.
pub fn work() {
    let execution = execution::current();
    loop {
        let mut works = execution.works.lock();
        let next = works.queue.pop_front();
        let Some(entry) = next.or_else(|| works.timers.pop_front()) else {
            if works.is_over {
                return;
            }
            drop(execution.works.wait(works));
            continue;
        };
        works.running = Some(entry.work);
        drop(works);
        execution::trace(|| "run work".to_owned());
        (entry.run)(entry.pointer);
        works = execution.works.lock();
        works.running = None;
        execution.works.changed.notify_all();
    }
}

/// Has [`work`] return when there is nothing to do.
pub fn end() {
    let execution = execution::current();
    execution.works.lock().is_over = true;
    execution.works.changed.notify_all();
}

/// As the kernel's type of that name.
pub struct Queue(());

impl Queue {
    /// # Safety
    ///
    /// As the kernel's.
    pub unsafe fn from_raw<'a>(queue: *const workqueue_struct) -> &'a Self {
        assert!(!queue.is_null(), "there is no workqueue");
        &Self(())
    }

    #[track_caller]
    pub fn enqueue_delayed<T: HasDelayedWork + WorkItem<Pointer = Arc<T>>>(
        &self,
        item: Arc<T>,
        delay: Jiffies,
    ) -> Result<(), Arc<T>> {
        execution::trace(|| format!("queue work after {delay}"));
        let work = Work::raw_get(DelayedWork::raw_as_work(item.delayed_work())).cast_const();
        let execution = execution::current();
        let mut works = execution.works.lock();
        if works.is_pending(work) || works.disabled.contains(&work) {
            drop(works);
            return Err(item);
        }
        let entry = Entry {
            work,
            run: |pointer| {
                // SAFETY: It comes from the reference that was queued.
                T::run(unsafe { Arc::from_raw(pointer.cast()) });
            },
            pointer: Arc::into_raw(item).cast(),
        };
        match delay {
            0 => works.queue.push_back(entry),
            _ => works.timers.push_back(entry),
        }
        execution.works.changed.notify_all();
        Ok(())
    }
}

/// As the kernel's trait of that name.
pub trait WorkItem {
    type Pointer;

    fn run(this: Self::Pointer);
}

/// As the kernel's type of that name.
#[repr(transparent)]
pub struct Work<T>(work_struct, PhantomData<fn(T)>);

impl<T> Work<T> {
    pub fn raw_get(this: *const Self) -> *mut work_struct {
        this.cast_mut().cast()
    }
}

/// As the kernel's type of that name.
#[repr(C)]
pub struct DelayedWork<T> {
    work: Work<T>,
}

impl<T> DelayedWork<T> {
    pub fn new(
        _: &'static CStr,
        _: Pin<&'static LockClassKey>,
        _: &'static CStr,
        _: Pin<&'static LockClassKey>,
    ) -> impl PinInit<Self> {
        let init = |memory: *mut Self| {
            let work = Work(work_struct(0), PhantomData);
            // SAFETY: It is to be initialised.
            unsafe { memory.write(Self { work }) };
            Ok::<(), Infallible>(())
        };
        // SAFETY: It was initialised then.
        unsafe { pin_init_from_closure(init) }
    }

    pub fn raw_as_work(this: *const Self) -> *const Work<T> {
        this.cast()
    }
}

/// As the kernel's trait of that name.
pub trait HasDelayedWork: Sized {
    fn delayed_work(&self) -> *const DelayedWork<Self>;
}

/// As the kernel's macro of that name.
#[macro_export]
macro_rules! impl_has_delayed_work {
    (impl HasDelayedWork<Self> for $name:ty { self.$field:ident }) => {
        impl $crate::workqueue::HasDelayedWork for $name {
            fn delayed_work(&self) -> *const $crate::workqueue::DelayedWork<Self> {
                &raw const self.$field
            }
        }
    };
}

pub use crate::impl_has_delayed_work;
