// SPDX-License-Identifier: GPL-2.0

//! What one watch is made of: a ring that changes are put into, and a work item that takes them out
//! and tells an observer.
//!
//! The work item alone calls the observer, and holds no lock meanwhile. So whatever an observer
//! does, it delays nobody but itself; and whether a call comes from inside the observer is known by
//! [`Source::is_current`].

use core::{
    pin::Pin,
    ptr::NonNull, //
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
        rcu,
        static_lock_class,
        Arc,
        LockClassKey, //
    },
    time::msecs_to_jiffies,
    workqueue::{
        self,
        impl_has_delayed_work,
        impl_has_work,
        DelayedWork,
        Work,
        WorkItem, //
    },
};

use super::ring::Ring;
use crate::{
    bindings,
    wire::notify::Change,
    CbId, //
};

/// How often, in milliseconds, it is checked whether anything gets lost. Nobody waits for it: it is
/// also checked whenever there is something to tell.
const CHECK_PERIOD: u32 = 1000;

/// What an observer is told, and that it is not needed any more.
pub(super) enum Event {
    Changed(CbId, Change),
    Lost(u64),
    SeesCModules(bool),
    Over,
}

/// How an observer is told: its type is known to this function alone.
pub(super) type Call = unsafe fn(NonNull<()>, Event);

/// What is known about how well changes are seen.
#[derive(Clone, Copy)]
pub(super) struct Sight {
    /// Whether changes of C modules' ids are seen.
    pub(super) c_modules: bool,
    /// How many changes may have been missed, ever.
    pub(super) missed: u64,
}

/// Where the changes of one watch are kept until its observer was told.
///
/// # Invariants
///
/// Unless `observer` is null, `call` may be called with it by the work item.
#[pin_data]
pub(super) struct Source {
    call: Call,
    observer: Atomic<*mut ()>,
    look: fn() -> Sight,
    ring: Ring,
    /// How many changes that found no room in the ring the observer knows of.
    lost: Atomic<u64>,
    /// How many that the probes missed it knows of, and those that are not its concern.
    missed: Atomic<u64>,
    /// How many the probes had missed when the watch ended.
    missed_at_end: Atomic<u64>,
    /// What the observer knows about C modules.
    sees_c_modules: Atomic<bool>,
    /// Whether the watch is over. What was noted before is still told.
    stopping: Atomic<bool>,
    /// Whether the observer ended its own watch: it is not called any more.
    ended: Atomic<bool>,
    /// Whether the work item is done with the observer after that.
    done: Atomic<bool>,
    /// The next source in the list that those who note changes go through. Not ours to look at.
    pub(super) next: Atomic<*const Source>,
    /// Each source has a class of its own: an observer may wait for another one's work item.
    #[pin]
    key: LockClassKey,
    #[pin]
    work: Work<Self, 0>,
    #[pin]
    check: DelayedWork<Self, 1>,
}

// SAFETY: `observer` points to an `Observer`, which is `Send` and `Sync`; `next` is only an address
// here.
unsafe impl Send for Source {}
// SAFETY: As above.
unsafe impl Sync for Source {}

impl Source {
    /// Makes a source. `look` may sleep; it is called by the work item.
    ///
    /// # Safety
    ///
    /// `call` may be called with `observer`, from any task, until that was [`Event::Over`], which
    /// comes once and last: from [`Self::stop`], or from the work item after that.
    pub(super) unsafe fn new(
        call: Call,
        observer: NonNull<()>,
        look: fn() -> Sight,
    ) -> Result<Arc<Self>> {
        Arc::pin_init(
            // INVARIANT: By this function's contract.
            try_pin_init!(&this in Self {
                call,
                observer: Atomic::new(observer.as_ptr()),
                look,
                ring: Ring::new()?,
                lost: Atomic::new(0),
                missed: Atomic::new(0),
                missed_at_end: Atomic::new(0),
                sees_c_modules: Atomic::new(false),
                stopping: Atomic::new(false),
                ended: Atomic::new(false),
                done: Atomic::new(false),
                next: Atomic::new(core::ptr::null()),
                key <- LockClassKey::new_dynamic(),
                work <- {
                    // SAFETY: The key was initialised, and is pinned. It lives longer than the work
                    // item is used: whoever drops the last reference is not the work item itself,
                    // which `Self::stop` has waited for by then.
                    let key = unsafe { Pin::new_unchecked(&(*this.as_ptr()).key) };
                    Work::new(c"rust_connector::changes", key)
                },
                check <- DelayedWork::new(
                    c"rust_connector::changes::check",
                    static_lock_class!(),
                    c"rust_connector::changes::check_timer",
                    static_lock_class!(),
                ),
            }),
            GFP_KERNEL,
        )
    }

    /// Takes what is known now as what the observer knows. Before anything is noted.
    pub(super) fn begin(self: &Arc<Self>, sight: Sight) {
        self.missed.store(sight.missed, Relaxed);
        self.sees_c_modules.store(sight.c_modules, Relaxed);
        self.check_later();
    }

    /// The code that is called.
    pub(super) fn code(&self) -> usize {
        self.call as usize
    }

    /// Whether changes of C modules' ids are seen, as far as the observer was told.
    pub(super) fn sees_c_modules(&self) -> bool {
        self.sees_c_modules.load(Relaxed)
    }

    /// Notes a change. Takes no lock; [`Self::wake`] has to follow.
    pub(super) fn note(&self, id: CbId, change: Change) {
        self.ring.push(id, change);
    }

    /// Has the observer told what was noted, soon. Does not sleep.
    pub(super) fn wake(self: &Arc<Self>) {
        // Telling may take a while. An error says that it is queued already, or was stopped.
        let _ = workqueue::system_long().enqueue::<_, 0>(self.clone());
    }

    fn check_later(self: &Arc<Self>) {
        let period = msecs_to_jiffies(CHECK_PERIOD);
        // As above.
        let _ = workqueue::system_long().enqueue_delayed::<_, 1>(self.clone(), period);
    }

    fn raw_work(&self) -> *mut bindings::work_struct {
        // SAFETY: The field is initialised.
        unsafe { Work::raw_get(&raw const self.work) }
    }

    /// Whether the observer is what runs here.
    pub(super) fn is_current(&self) -> bool {
        // SAFETY: Can be called anywhere; only the address is used.
        unsafe { bindings::current_work() == self.raw_work() }
    }

    /// Whether an observer that ended its own watch has returned, and is let go.
    pub(super) fn is_done(&self) -> bool {
        self.done.load(Acquire)
    }

    /// Has the observer told all changes that are complete, and returns when it was told.
    ///
    /// May sleep. In the observer itself it does nothing.
    pub(super) fn flush(self: &Arc<Self>) {
        if self.is_current() {
            return;
        }
        let end = self.ring.head();
        self.tell_now();
        if self.ring.tail() < end {
            // An entry was still being written, and those behind it may be complete. Whoever writes
            // does so in an RCU read-side critical section.
            rcu::synchronize_rcu();
            self.tell_now();
        }
    }

    /// Has the work item run from begin to end.
    fn tell_now(self: &Arc<Self>) {
        self.wake();
        // SAFETY: The work item is initialised, and we have a reference to what it is in.
        unsafe { bindings::flush_work(self.raw_work()) };
    }

    /// Says that the watch is over and [`Self::stop`] follows: what is known now is the last that
    /// the observer has to know. To be called before the probes may go.
    pub(super) fn will_stop(&self, sight: Sight) {
        self.missed_at_end.store(sight.missed, Relaxed);
        self.stopping.store(true, Relaxed);
    }

    /// Has the observer told what was noted, lets it go, and returns `true` when it is not called
    /// any more, and never will be.
    ///
    /// In the observer itself, that cannot be waited for: it is not called again, and let go after
    /// it has returned. The return value is `false` then, and this has to be called once more, by
    /// somebody else.
    ///
    /// May sleep. Nobody may note changes any more. May be called more than once.
    pub(super) fn stop(self: &Arc<Self>) -> bool {
        let check = {
            // SAFETY: The field is initialised.
            let work = unsafe { Work::raw_get(DelayedWork::raw_as_work(&raw const self.check)) };
            // SAFETY: `work` is in a `delayed_work`, with all of which we may do that.
            unsafe { kernel::container_of!(work, bindings::delayed_work, work) }
        };
        // SAFETY: The work item is initialised, and does not run here: it calls nobody.
        let queued = unsafe { bindings::disable_delayed_work_sync(check) };
        self.take_back(queued);

        if self.is_current() {
            self.ended.store(true, Relaxed);
            // SAFETY: The work item is initialised.
            let queued = unsafe { bindings::disable_work(self.raw_work()) };
            self.take_back(queued);
            return false;
        }
        self.tell_now();
        // SAFETY: The work item is initialised, and does not run here.
        let queued = unsafe { bindings::disable_work_sync(self.raw_work()) };
        self.take_back(queued);
        self.let_go();
        true
    }

    /// Takes back the reference that a work item had which was `queued` and will not run.
    fn take_back(self: &Arc<Self>, queued: bool) {
        if queued {
            // SAFETY: It was queued with an `Arc` of its own, which nobody else will take back.
            drop(unsafe { Arc::from_raw(Arc::as_ptr(self)) });
        }
    }

    /// Tells the observer, unless it was let go.
    ///
    /// Only the work item may do so.
    fn tell(&self, event: Event) {
        if let Some(observer) = NonNull::new(self.observer.load(Relaxed)) {
            // SAFETY: By the type's invariants. The observer is let go by us, after this, or when
            // we do not run any more.
            unsafe { (self.call)(observer, event) };
        }
    }

    /// Lets the observer go, unless that was done.
    ///
    /// Only the work item may do so, or who has seen its end.
    fn let_go(&self) {
        // INVARIANT: It is null when the contract of `Self::new` ends.
        if let Some(observer) = NonNull::new(self.observer.xchg(core::ptr::null_mut(), Full)) {
            // SAFETY: By the type's invariants, and this is the one that finds it.
            unsafe { (self.call)(observer, Event::Over) };
        }
    }

    fn has_ended(&self) -> bool {
        self.ended.load(Relaxed)
    }

    /// Tells the observer what there is to tell.
    fn tell_all(&self) {
        let end = self.ring.head();
        let sight = (self.look)();
        while !self.has_ended() && self.ring.tail() < end {
            match self.ring.pop() {
                Some((id, change)) => self.tell(Event::Changed(id, change)),
                // Who fills the entry wakes us afterwards.
                None => break,
            }
        }
        // What was looked at may be gone, or be that of a later watch.
        let stopping = self.stopping.load(Relaxed);
        let missed = match stopping {
            true => self.missed_at_end.load(Relaxed),
            false => sight.missed,
        };
        let more = take_more(&self.lost, self.ring.lost()) + take_more(&self.missed, missed);
        if more > 0 && !self.has_ended() {
            self.tell(Event::Lost(more));
        }
        if sight.c_modules != self.sees_c_modules() && !stopping {
            self.sees_c_modules.store(sight.c_modules, Relaxed);
            self.tell(Event::SeesCModules(sight.c_modules));
        }
        if self.has_ended() {
            self.let_go();
            self.done.store(true, Release);
        }
    }
}

/// Raises what is known of a count to what it is. Returns by how much.
fn take_more(known: &Atomic<u64>, count: u64) -> u64 {
    let more = count.saturating_sub(known.load(Relaxed));
    known.add(more, Relaxed);
    more
}

impl_has_work! {
    impl HasWork<Self, 0> for Source { self.work }
}

impl WorkItem<0> for Source {
    type Pointer = Arc<Self>;

    fn run(this: Arc<Self>) {
        this.tell_all();
    }
}

impl_has_delayed_work! {
    impl HasDelayedWork<Self, 1> for Source { self.check }
}

impl WorkItem<1> for Source {
    type Pointer = Arc<Self>;

    fn run(this: Arc<Self>) {
        this.wake();
        this.check_later();
    }
}
