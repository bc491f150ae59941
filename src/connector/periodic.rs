// SPDX-License-Identifier: GPL-2.0

//! Something that a module does again and again, in process context, for as long as it wants.
//!
//! A delayed work item that queues itself again is how C does it, with `cancel_delayed_work_sync()`
//! before the module goes. The kernel's own [`workqueue`] has no such thing for a safe
//! [`DelayedWork`]: one that is queued when its module goes runs code that is gone. Here the work
//! item is this crate's, and so it can be cancelled: when the [`Periodic`] is dropped; and if it never
//! is, when the module goes whose closure it calls.

use core::{
    pin::Pin,
    ptr::{
        self,
        NonNull, //
    },
};

use kernel::{
    prelude::*,
    sync::{
        atomic::{
            Acquire,
            Atomic,
            Full,
            Relaxed,
            Release, //
        },
        global_lock,
        static_lock_class,
        Arc,
        LockClassKey, //
    },
    time::{
        msecs_to_jiffies,
        Delta,
        Jiffies,
        Msecs, //
    },
    workqueue::{
        self,
        impl_has_delayed_work,
        DelayedWork,
        Work,
        WorkItem, //
    },
};

use crate::{
    bindings,
    text, //
};

global_lock! {
    /// Every task whose closure may be called. Nobody's code runs while this is held.
    unsafe(uninit) static TASKS: Mutex<KVec<Arc<Task>>> = KVec::new();
}

/// Makes this file usable.
///
/// # Safety
///
/// Must be called once, before anything else in this file.
pub(crate) unsafe fn init() {
    // SAFETY: By this function's contract.
    unsafe { TASKS.init() };
}

/// Calls a closure again and again, until it is dropped.
///
/// The closure is called in process context and may sleep; one call at a time, from different CPUs.
/// The first call comes after one period, and each one that period after the last one has returned.
/// No lock is held.
///
/// # Dropping it
///
/// waits until the closure is not called any more, and drops the closure; may sleep. So it must not
/// happen under a lock that the closure takes. In the closure itself there is no waiting: the call
/// that drops it is the last one, and the closure is dropped when that has returned.
///
/// If it is never dropped, it ends with the module that made it.
///
/// # Examples
///
/// ```
/// use connector::{Broadcaster, CbId, Periodic};
/// use kernel::{prelude::*, time::Delta};
///
/// /// Sends a sign of life every second.
/// fn heartbeat() -> Result<Periodic> {
///     let broadcaster = Broadcaster::new(CbId { idx: 20, val: 1 })?;
///     Periodic::new(Delta::from_secs(1), move || {
///         // That it could not be sent shows as a gap.
///         let _ = broadcaster.send(b"alive");
///     })
/// }
/// ```
pub struct Periodic(Arc<Task>);

impl Periodic {
    /// Calls `f` every `period`, which has milliseconds and is at least one.
    ///
    /// May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`: no memory.
    pub fn new<F: FnMut() + Send + 'static>(period: Delta, f: F) -> Result<Self> {
        let closure = KBox::into_raw(KBox::new(f, GFP_KERNEL)?);
        // SAFETY: What a box points to is not at null.
        let raw = unsafe { NonNull::new_unchecked(closure.cast()) };
        // SAFETY: `call::<F>` takes a pointer to a box's `F`, which is the task's until it hands it
        // back. An `F` is `Send`, so that any task may call it, if it is one at a time. Its code stays
        // until the module goes that it lies in, which ends the task.
        let task = unsafe { Task::new(period, call::<F>, raw) }.inspect_err(|_| {
            // SAFETY: Nobody has taken it.
            drop(unsafe { KBox::from_raw(closure) });
        })?;
        start(&task)?;
        Ok(Self(task))
    }
}

impl Drop for Periodic {
    fn drop(&mut self) {
        end(&self.0);
    }
}

/// Calls a closure of type `F`, or drops it if `over`.
///
/// # Safety
///
/// `closure` must come from [`KBox::into_raw`], of a box that belongs to whoever calls this and that
/// nobody else uses meanwhile; if `over`, it is not used any more.
unsafe fn call<F: FnMut()>(closure: NonNull<()>, over: bool) {
    let closure = closure.cast::<F>().as_ptr();
    if over {
        // SAFETY: By this function's contract.
        drop(unsafe { KBox::from_raw(closure) });
    } else {
        // SAFETY: As above.
        unsafe { (*closure)() };
    }
}

/// How a closure is called, or dropped: its type is known to this function alone.
type Call = unsafe fn(NonNull<()>, bool);

/// A closure, and the work item that calls it.
///
/// # Invariants
///
/// Unless `closure` is null, `call` may be called with it, by one task at a time.
#[pin_data]
struct Task {
    call: Call,
    closure: Atomic<*mut ()>,
    period: Jiffies,
    /// Whether the closure has dropped its own [`Periodic`]: it is not called any more.
    ended: Atomic<bool>,
    /// Whether the work item is done with it after that.
    done: Atomic<bool>,
    /// Each has a class of its own: a closure may wait for another one's end.
    #[pin]
    key: LockClassKey,
    #[pin]
    work: DelayedWork<Self>,
}

// SAFETY: The closure is `Send`, by the contract of `Task::new`.
unsafe impl Send for Task {}
// SAFETY: As above; it is used by one task at a time.
unsafe impl Sync for Task {}

impl_has_delayed_work! {
    impl HasDelayedWork<Self> for Task { self.work }
}

impl WorkItem for Task {
    type Pointer = Arc<Self>;

    fn run(this: Arc<Self>) {
        if let Some(closure) = NonNull::new(this.closure.load(Relaxed)) {
            // SAFETY: By the type's invariants. A work item is run by one worker at a time, and
            // whoever lets the closure go has waited for that, or is us.
            unsafe { (this.call)(closure, false) };
        }
        if this.ended.load(Relaxed) {
            this.let_go();
            this.done.store(true, Release);
        } else {
            this.queue();
        }
    }
}

impl Task {
    /// # Safety
    ///
    /// `call` may be called with `closure`, from any task, by one at a time, until that was with
    /// `true`, which comes once and last.
    unsafe fn new(period: Delta, call: Call, closure: NonNull<()>) -> Result<Arc<Self>> {
        // CAST: Just made to fit.
        let millis = period.as_millis().clamp(1, Msecs::MAX.into()) as Msecs;
        Arc::pin_init(
            // INVARIANT: By this function's contract.
            try_pin_init!(&this in Self {
                call,
                closure: Atomic::new(closure.as_ptr()),
                period: msecs_to_jiffies(millis),
                ended: Atomic::new(false),
                done: Atomic::new(false),
                key <- LockClassKey::new_dynamic(),
                work <- {
                    // SAFETY: The key was initialised, and is pinned. It lives longer than the work
                    // item is used: `TASKS` has a reference until that was disabled and waited for.
                    let key = unsafe { Pin::new_unchecked(&(*this.as_ptr()).key) };
                    DelayedWork::new(
                        c"rust_connector::periodic",
                        key,
                        c"rust_connector::periodic_timer",
                        static_lock_class!(),
                    )
                },
            }),
            GFP_KERNEL,
        )
    }

    /// Has the closure called after a period, unless that was disabled.
    fn queue(self: &Arc<Self>) {
        let _ = workqueue::system_long().enqueue_delayed(self.clone(), self.period);
    }

    fn raw_work(&self) -> *mut bindings::work_struct {
        // SAFETY: The field is initialised.
        unsafe { Work::raw_get(DelayedWork::raw_as_work(&raw const self.work)) }
    }

    /// Whether the closure is what runs here.
    fn is_current(&self) -> bool {
        // SAFETY: Can be called anywhere; only the address is used.
        ptr::eq(unsafe { bindings::current_work() }, self.raw_work())
    }

    /// Sees to it that the closure is not called any more, and lets it go. Returns `false` if it is
    /// the closure that calls this: it is let go when it has returned, and this has to be called once
    /// more, by somebody else.
    ///
    /// May sleep. May be called more than once.
    fn stop(self: &Arc<Self>) -> bool {
        // SAFETY: The work item is in a `delayed_work`, with all of which we may do that.
        let work = unsafe { kernel::container_of!(self.raw_work(), bindings::delayed_work, work) };
        if self.is_current() {
            self.ended.store(true, Relaxed);
            return false;
        }
        // SAFETY: The work item is initialised, and does not run here.
        if unsafe { bindings::disable_delayed_work_sync(work) } {
            // SAFETY: It was queued with an `Arc` of its own, which nobody else will take back.
            drop(unsafe { Arc::from_raw(Arc::as_ptr(self)) });
        }
        self.let_go();
        true
    }

    /// Lets the closure go, unless that was done.
    ///
    /// Only the work item may do so, or who has seen its end.
    fn let_go(&self) {
        // INVARIANT: It is null when the contract of `Self::new` ends.
        if let Some(closure) = NonNull::new(self.closure.xchg(ptr::null_mut(), Full)) {
            // SAFETY: By the type's invariants, and this is the one that finds it.
            unsafe { (self.call)(closure, true) };
        }
    }
}

/// Starts a task that is new, or lets its closure go.
fn start(task: &Arc<Task>) -> Result {
    // Those that could not be waited for when they ended.
    while let Some(done) = find(|task| task.done.load(Acquire)) {
        end(&done);
    }
    let listed = TASKS.lock().push(task.clone(), GFP_KERNEL);
    if listed.is_err() {
        task.let_go();
    } else {
        task.queue();
    }
    Ok(listed?)
}

/// Ends a task, see [`Task::stop`].
fn end(task: &Arc<Task>) {
    if task.stop() {
        let mut tasks = TASKS.lock();
        tasks.retain(|other| !Arc::ptr_eq(other, task));
        if tasks.is_empty() {
            // Nobody drops what is static.
            *tasks = KVec::new();
        }
    }
}

fn find(is_meant: impl Fn(&Task) -> bool) -> Option<Arc<Task>> {
    let tasks = TASKS.lock();
    tasks.iter().find(|task| is_meant(task)).cloned()
}

/// Ends the tasks whose closures' code lies in `module`. Returns whether there were any.
///
/// May sleep.
pub(crate) fn end_all_of(module: &bindings::module) -> bool {
    let mut found = false;
    while let Some(task) = find(|task| text::is_in(module, task.call as usize)) {
        if !task.ended.load(Relaxed) {
            pr_warn!("a module goes and left a Periodic: it was never dropped\n");
        }
        end(&task);
        found = true;
    }
    found
}
