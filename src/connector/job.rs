// SPDX-License-Identifier: GPL-2.0

//! What a work item does for a module, until it is ended: from outside, or by itself while it runs, or
//! because the module goes that its code lies in.
//!
//! A delayed work item that queues itself again is how C does something again and again, with
//! `cancel_delayed_work_sync()` before the module goes. The kernel's own [`workqueue`] has no such thing
//! for a safe [`DelayedWork`]: one that is queued when its module goes runs code that is gone. Here the
//! work item is the connector's, and so it can be cancelled.
//!
//! Whatever the code does that runs, it cannot end twice or be called after its end: it is an owned
//! value, [`Callee`], which whoever uses it takes out of the work item first. While it runs, the work item has
//! it, and puts it back unless it was ended meanwhile; and whoever ends a job from outside waits for that,
//! and finds it, or finds that somebody else has it to drop it. Then that is waited for: to drop it is to
//! call its code, too.
//!
//! Jobs may wait for each other's end, any number of them. So each has to be called whatever all others
//! wait for: they have a workqueue of their own, and there are no more of them than it runs at a time.
//!
//! The exception to waiting is who does so from inside: the task that is in that code just now, be it called or
//! dropped. Which task that is, is noted, see [`Item::is_current`]. `current_work()` would not
//! tell: it is the address of a work item, which may be freed while it runs, and another item may have that
//! address by then.

use core::{
    mem::forget,
    pin::Pin,
    ptr::{
        self,
        NonNull, //
    },
};

use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        atomic::{
            Acquire,
            Atomic,
            Relaxed,
            Release, //
        },
        global_lock,
        static_lock_class,
        Arc,
        Completion,
        LockClassKey,
        Mutex, //
    },
    task::Task,
    time::Jiffies,
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
    going,
    text::{
        self,
        Module, //
    }, //
};

#[cfg(connector_kunit)]
#[path = "../../tests/kunit/job.rs"]
mod tests;

/// How many jobs there can be: as many as a workqueue runs at a time on one CPU.
const MOST: usize = bindings::wq_consts_WQ_MAX_ACTIVE as usize;

/// Where jobs run, from [`Queue::new`] until that is dropped; null before and after.
static QUEUE: Atomic<*mut bindings::workqueue_struct> = Atomic::new(ptr::null_mut());

/// The workqueue.
///
/// # Invariants
///
/// [`QUEUE`] is a workqueue that this owns, or null.
pub(crate) struct Queue(());

impl Queue {
    /// Makes it. To be called once, before there are jobs; it is dropped when there are none any more.
    ///
    /// May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new() -> Result<Self> {
        // SAFETY: The name has nothing to be formatted; the function copies it. It may sleep here.
        let queue = unsafe {
            bindings::alloc_workqueue_noprof(
                c"rust_connector".as_char_ptr(),
                bindings::wq_flags_WQ_PERCPU,
                // CAST: It was one.
                MOST as c_int,
            )
        };
        if queue.is_null() {
            return Err(ENOMEM);
        }
        QUEUE.store(queue, Relaxed);
        // INVARIANT: Just made, and not null.
        Ok(Self(()))
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        let queue = QUEUE.xchg(ptr::null_mut(), Relaxed);
        // SAFETY: By the invariants it is ours. There is no job any more that would use it.
        unsafe { bindings::destroy_workqueue(queue) };
    }
}

global_lock! {
    /// Every job that may be called, or may be running. Nobody's code runs while this is held.
    unsafe(uninit) static JOBS: Mutex<KVec<Arc<Item>>> = KVec::new();
}

/// Makes this file usable.
///
/// # Safety
///
/// Must be called once, before anything else in this file.
pub(crate) unsafe fn init() {
    // SAFETY: By this function's contract.
    unsafe { JOBS.init() };
}

/// What a job does.
pub(crate) trait Run: Send + 'static {
    /// What the module knows the job as.
    const KIND: Kind;

    /// Called by `item`, in process context and without a lock; may sleep. Returns after how long it
    /// is called again, if nobody has it called before.
    fn run(&mut self, item: &Item) -> Option<Jiffies>;
}

/// What a module knows a job as.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Periodic,
    Watch,
}

/// A job, which ends when this is dropped.
///
/// To drop it waits until the job's code does not run any more, and drops the value that has the code; it
/// may sleep. In the job's own code it does not wait: the value is dropped when the code has returned.
pub(crate) struct Job(Arc<Item>);

impl Job {
    /// Makes a job, which is not called yet. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`; `EBUSY` if there are [`MOST`]; or `ENODEV` if the module is [`going`] whose code `value`
    /// is, which is leaked then: to drop it might be to try again.
    pub(crate) fn new<T: Run>(value: T) -> Result<Self> {
        Self::of(T::KIND, Callee::new(value)?)
    }

    fn of(kind: Kind, callee: Callee) -> Result<Self> {
        // Those that ended themselves: nobody could wait for them.
        while let Some(done) = find(|item| item.done.load(Acquire)) {
            Item::end(&done);
        }
        let item = Arc::pin_init(Item::new(kind, callee), GFP_KERNEL)?;
        let mut jobs = JOBS.lock();
        if going::is_any_of([item.code]) {
            drop(jobs);
            forget(item.callee.lock().take());
            return Err(ENODEV);
        }
        // If this fails, the item is dropped, and what it would call with it, after the lock.
        if jobs.len() >= MOST {
            return Err(EBUSY);
        }
        jobs.push(item.clone(), GFP_KERNEL)?;
        Ok(Self(item))
    }

    /// Has it called after `delay`, unless it is waiting for a call already. Does not sleep.
    pub(crate) fn queue(&self, delay: Jiffies) {
        Item::queue(&self.0, delay);
    }

    /// Has it called, and returns when it was, from beginning to end. May sleep. Not in the job itself.
    pub(crate) fn call(&self) {
        self.queue(0);
        self.0.finish();
    }

    /// Whether it was ended, which somebody else than the owner does when its module goes.
    pub(crate) fn has_ended(&self) -> bool {
        self.0.has_ended()
    }

    /// Whether this is called in the job itself.
    pub(crate) fn is_current(&self) -> bool {
        self.0.is_current()
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        Item::end(&self.0);
    }
}

/// The work item of a job.
#[pin_data]
pub(crate) struct Item {
    kind: Kind,
    /// Where the code is that is called.
    code: usize,
    /// What is called. Not in here while it runs, and once somebody has taken it to drop it. Nobody's code
    /// runs while the lock is held.
    #[pin]
    callee: Mutex<Option<Callee>>,
    /// The task that is in the code of what is called, or null.
    inside: Atomic<*const bindings::task_struct>,
    /// Whether it was ended: it is not called again.
    ended: Atomic<bool>,
    /// Whether what is called was dropped.
    done: Atomic<bool>,
    /// Completed then.
    #[pin]
    dropped: Completion,
    #[pin]
    work: DelayedWork<Self>,
}

impl_has_delayed_work! {
    impl HasDelayedWork<Self> for Item { self.work }
}

impl WorkItem for Item {
    type Pointer = Arc<Self>;

    fn run(this: Arc<Self>) {
        let taken = this.callee.lock().take();
        let Some(mut callee) = taken else {
            return;
        };
        let again = this.enter(|| callee.run(&this));
        if this.has_ended() {
            this.let_go(callee);
            return;
        }
        *this.callee.lock() = Some(callee);
        if let Some(delay) = again {
            Self::queue(&this, delay);
        }
    }
}

impl Item {
    fn new(kind: Kind, callee: Callee) -> impl PinInit<Self> {
        pin_init!(Self {
            kind,
            code: callee.call as usize,
            callee <- new_mutex!(Some(callee)),
            inside: Atomic::new(ptr::null()),
            ended: Atomic::new(false),
            done: Atomic::new(false),
            dropped <- Completion::new(),
            work <- DelayedWork::new(
                c"rust_connector::job",
                lock_class(),
                c"rust_connector::job_timer",
                static_lock_class!(),
            ),
        })
    }

    /// Calls `f`, which runs or drops what is called. To be called by whoever has that.
    fn enter<R>(&self, f: impl FnOnce() -> R) -> R {
        self.inside.store(Task::current_raw(), Relaxed);
        let result = f();
        self.inside.store(ptr::null(), Relaxed);
        result
    }

    /// Drops what is called, which was taken out. Not under a lock.
    fn let_go(&self, callee: Callee) {
        self.enter(|| drop(callee));
        self.done.store(true, Release);
        self.dropped.complete_all();
    }

    fn queue(this: &Arc<Self>, delay: Jiffies) {
        // SAFETY: It is there as long as there are jobs, by what `Queue::new` asks for.
        let queue = unsafe { workqueue::Queue::from_raw(QUEUE.load(Relaxed)) };
        // An error says that it is queued already, or was ended.
        let _ = queue.enqueue_delayed(this.clone(), delay);
    }

    fn raw_work(&self) -> *mut bindings::work_struct {
        // SAFETY: The field is initialised.
        unsafe { Work::raw_get(DelayedWork::raw_as_work(&raw const self.work)) }
    }

    /// Waits until the calls are over that were to come without a delay. Not in the job itself.
    fn finish(&self) {
        // SAFETY: The work item is initialised, and there is a reference to what it is in.
        unsafe { bindings::flush_work(self.raw_work()) };
    }

    /// Whether the current task is in the code of what is called: only a task itself notes that it is, and
    /// notes that it is not before it goes on.
    fn is_current(&self) -> bool {
        ptr::eq(self.inside.load(Relaxed), Task::current_raw())
    }

    /// Whether it was ended: then what is called returns when it can.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended.load(Relaxed)
    }

    /// Ends it, see [`Job`]. If that was in the job itself, this has to be called once more, by somebody
    /// else.
    ///
    /// May sleep. May be called more than once, and by several tasks: all of them wait.
    fn end(this: &Arc<Self>) {
        if this.is_current() {
            this.ended.store(true, Relaxed);
            return;
        }
        this.finish();
        this.ended.store(true, Relaxed);
        // SAFETY: The work item is in a `delayed_work`, with all of which we may do that.
        let work = unsafe { kernel::container_of!(this.raw_work(), bindings::delayed_work, work) };
        // SAFETY: The work item is initialised, and does not run here.
        if unsafe { bindings::disable_delayed_work_sync(work) } {
            // SAFETY: It was queued with an `Arc` of its own, which nobody else will take back.
            drop(unsafe { Arc::from_raw(Arc::as_ptr(this)) });
        }
        let callee = this.callee.lock().take();
        match callee {
            Some(callee) => this.let_go(callee),
            // Somebody else does, or has.
            None => this.dropped.wait_for_completion(),
        }
        let mut jobs = JOBS.lock();
        jobs.retain(|other| !Arc::ptr_eq(other, this));
        if jobs.is_empty() {
            // Nobody drops what is static.
            *jobs = KVec::new();
        }
    }
}

/// A value that is called, and dropped, by a function that alone knows its type. That function is what
/// tells whose module's it is, see [`text`].
///
/// # Invariants
///
/// This owns what `value` points to, which any task may use, and for which `call` is made.
struct Callee {
    value: NonNull<()>,
    call: unsafe fn(NonNull<()>, Option<&Item>) -> Option<Jiffies>,
}

// SAFETY: Any task may use the value, by the type's invariants.
unsafe impl Send for Callee {}

impl Callee {
    fn new<T: Run>(value: T) -> Result<Self> {
        let value = NonNull::from(KBox::leak(KBox::new(value, GFP_KERNEL)?));
        // INVARIANT: A `T` is `Send`; and `call` is that for a `T`.
        Ok(Self {
            value: value.cast(),
            call: call::<T>,
        })
    }

    fn run(&mut self, item: &Item) -> Option<Jiffies> {
        // SAFETY: By the type's invariants; and this is borrowed for the call.
        unsafe { (self.call)(self.value, Some(item)) }
    }
}

impl Drop for Callee {
    fn drop(&mut self) {
        // SAFETY: By the type's invariants; and this is the value's end.
        unsafe { (self.call)(self.value, None) };
    }
}

/// Runs a `T` for a work item; or drops it, if there is none.
///
/// # Safety
///
/// `value` must come from [`KBox::leak`], of a box of a `T` that belongs to whoever calls this, and that
/// nobody else uses meanwhile; without an `item` it is not used any more.
unsafe fn call<T: Run>(value: NonNull<()>, item: Option<&Item>) -> Option<Jiffies> {
    let value = value.cast::<T>().as_ptr();
    match item {
        // SAFETY: By this function's contract.
        Some(item) => unsafe { (*value).run(item) },
        None => {
            // SAFETY: As above.
            drop(unsafe { KBox::from_raw(value) });
            None
        }
    }
}

/// The lock class of the work items: that of what lockdep does not look at.
///
/// A job may wait for another one's end, which with one class for all would be taken for a job that waits
/// for itself; and a class for each is more than lockdep has room for.
fn lock_class() -> Pin<&'static LockClassKey> {
    #[cfg(CONFIG_LOCKDEP)]
    {
        let key = (&raw const bindings::__lockdep_no_track__).cast::<LockClassKey>();
        // SAFETY: It is a static object, and a `LockClassKey` is what C calls that.
        Pin::static_ref(unsafe { &*key })
    }
    #[cfg(not(CONFIG_LOCKDEP))]
    static_lock_class!()
}

fn find(is_meant: impl Fn(&Item) -> bool) -> Option<Arc<Item>> {
    let jobs = JOBS.lock();
    jobs.iter().find(|item| is_meant(item)).cloned()
}

/// Ends the jobs whose code lies in `module`, which is [`going`]. After that it has none, for good.
///
/// May sleep.
pub(crate) fn end_all_of(module: &Module) {
    while let Some(item) = find(|item| text::is_in(module, item.code)) {
        if !item.has_ended() {
            let kind = item.kind;
            pr_warn!("a module goes and left a {kind:?}: it was never dropped\n");
        }
        Item::end(&item);
    }
}
