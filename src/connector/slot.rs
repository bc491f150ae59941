// SPDX-License-Identifier: GPL-2.0

//! A slot: the place of one id, which tasks enter and leave.
//!
//! This is what makes unregistering safe. A slot is open while its id is registered. A task that
//! brings a message enters, calls the handler, and leaves. Closing a slot turns away those who come
//! later, and tells when the last of those inside has left. Entering and leaving are one atomic
//! addition each, and wait for nobody.
//!
//! A slot is never freed while `rust_connector` is loaded, so that a task which is about to enter
//! needs neither a lock nor a reference. What a slot *points to* goes when its module goes, and is
//! touched only by those inside.

use core::{
    cell::UnsafeCell,
    ptr::NonNull, //
};

use kernel::sync::{
    atomic::{
        Acquire,
        Atomic,
        Full,
        Relaxed,
        Release, //
    },
    Completion,
};

use crate::{
    stats::{
        Snapshot,
        Stats, //
    },
    Message,
    Sender, //
};

/// How a handler is called: its type is known to the function alone.
pub(crate) type Call = unsafe fn(NonNull<()>, &Message<'_>, &Sender<'_>);

/// What an open slot leads to.
#[derive(Clone, Copy)]
pub(crate) struct Target {
    /// Called with `handler`.
    pub(crate) call: Call,
    pub(crate) handler: NonNull<()>,
    /// Completed when the last task has left after the slot was closed.
    pub(crate) drained: NonNull<Completion>,
}

/// The place of an id.
///
/// # Invariants
///
/// - `entered` is negative if and only if the slot is closed.
/// - While the slot is open, and after that until the last task inside has left, `target` is
///   initialised, is not written to, and what it points to is valid.
/// - A task is inside if it has added to `entered` while that was not negative, and has not yet
///   added to `left`.
pub(crate) struct Slot {
    /// How many have entered, ever; negative, from [`Self::CLOSED`] up, while closed.
    entered: Atomic<i64>,
    /// How many have left, ever. [`Self::close`] takes away how many have entered, so that the last
    /// one to leave takes it to zero.
    left: Atomic<i64>,
    /// What `entered` was when the slot was closed.
    entered_at_close: Atomic<i64>,
    target: UnsafeCell<Option<Target>>,
    stats: Stats,
}

// SAFETY: What `target` points to may be used from any task, which `Self::open` asks for. Access to
// `target` itself is governed by `entered` and `left`, see the type's invariants.
unsafe impl Send for Slot {}
// SAFETY: As above.
unsafe impl Sync for Slot {}

impl Slot {
    const CLOSED: i64 = i64::MIN;

    /// Makes a slot, which is closed.
    pub(crate) const fn new() -> Self {
        // INVARIANT: Closed, and nobody inside.
        Self {
            entered: Atomic::new(Self::CLOSED),
            left: Atomic::new(0),
            entered_at_close: Atomic::new(0),
            target: UnsafeCell::new(None),
            stats: Stats::new(),
        }
    }

    /// Opens the slot.
    ///
    /// # Safety
    ///
    /// - The slot is closed, nobody is inside, and nobody else opens it.
    /// - `target.call` may be called with `target.handler`, from any task, and `target.drained` is
    ///   valid, until the slot was closed and `target.drained` was completed.
    pub(crate) unsafe fn open(&self, target: Target) {
        // SAFETY: Nobody is inside, and nobody can enter.
        unsafe { *self.target.get() = Some(target) };
        let entered = self.entered_at_close.load(Relaxed);
        self.left.store(entered, Relaxed);
        // Who sees the slot open sees all of the above. What was added by those whom the closed
        // slot turned away is forgotten.
        self.entered.store(entered, Release);
    }

    /// Closes the slot: nobody enters any more. `target.drained` is completed as soon as nobody is
    /// inside, which may be before this returns.
    ///
    /// # Safety
    ///
    /// The slot is open, and nobody else closes it.
    pub(crate) unsafe fn close(&self) {
        let entered = self.entered.fetch_add(Self::CLOSED, Full);
        self.entered_at_close.store(entered, Relaxed);
        if self.left.fetch_sub(entered, Full) == entered {
            // SAFETY: Nobody is inside, and we are the one to say so.
            unsafe { self.complete() };
        }
    }

    /// Enters, if the slot is open.
    #[inline(always)]
    pub(crate) fn enter(&'static self) -> Option<Inside> {
        if self.entered.fetch_add(1, Acquire) < 0 {
            return None;
        }
        // INVARIANT: Added to `entered`, and it was not negative.
        Some(Inside { slot: self })
    }

    /// Completes `target.drained`.
    ///
    /// # Safety
    ///
    /// The slot is closed, nobody is inside, and this was not done yet.
    #[cold]
    unsafe fn complete(&self) {
        // SAFETY: Nobody writes to `target` before the completion, which only now happens.
        if let Some(target) = unsafe { *self.target.get() } {
            // SAFETY: By the type's invariants. Who waits for the completion goes on only when
            // `complete_all` does not need it any more.
            unsafe { target.drained.as_ref() }.complete_all();
        }
    }

    /// How many tasks are inside.
    pub(crate) fn running(&self) -> i64 {
        // In this order, so that the difference is not negative while the slot is open.
        let left = self.left.load(Acquire);
        match self.entered.load(Relaxed) {
            closed if closed < 0 => -left,
            entered => entered - left,
        }
    }

    /// What replies are counted in.
    #[inline(always)]
    pub(crate) fn stats(&self) -> &Stats {
        &self.stats
    }

    /// The counters as they are now.
    pub(crate) fn snapshot(&self) -> Snapshot {
        let received = match self.entered.load(Relaxed) {
            closed if closed < 0 => self.entered_at_close.load(Relaxed),
            entered => entered,
        };
        self.stats.snapshot(received)
    }
}

/// A task's stay inside a slot; dropping it leaves.
///
/// # Invariants
///
/// The task is inside `slot`.
pub(crate) struct Inside {
    slot: &'static Slot,
}

impl Inside {
    /// Calls the handler.
    #[inline(always)]
    pub(crate) fn handle(&self, message: &Message<'_>, sender: &Sender<'_>) {
        // SAFETY: By the type's invariants we are inside, so that by the slot's `target` is
        // initialised and not written to, ...
        let target = unsafe { (*self.slot.target.get()).unwrap_unchecked() };
        // SAFETY: ... and what it points to is valid.
        unsafe { (target.call)(target.handler, message, sender) }
    }
}

impl Drop for Inside {
    #[inline(always)]
    fn drop(&mut self) {
        // While the slot is open, `left` is not negative.
        if self.slot.left.fetch_add(1, Full) == -1 {
            // SAFETY: `left` came to zero: the slot was closed and we were the last one inside.
            unsafe { self.slot.complete() };
        }
    }
}
