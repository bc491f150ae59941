// SPDX-License-Identifier: GPL-2.0

//! A slot: what keeps a service alive while its handlers run.
//!
//! This is what makes unregistering safe. A task that brings a message enters the slot of the
//! message's id, calls the handler, and leaves. Closing the slot turns away those who come later,
//! and [`Slot::wait_until_drained`] waits for those who are inside. Entering and leaving wait for
//! nobody.
//!
//! A slot has several lanes, [`LANES`], each in 64 bytes of its own, and a task takes one by the
//! number of its CPU: up to that many CPUs handle messages to one id without writing to the same
//! cache line, if that has 64 bytes; on s390 it has 256. (In a model of the three additions that a
//! message makes, two real CPUs do 2.0 times the work of one, and 0.7 times where both take one
//! lane: `tests/bench/src/bin/lanes.rs`. It costs a message 7 instructions.)
//! Each lane counts how many have ever entered and how many have ever left. Closing makes the first
//! number negative, and takes it away from the second, so that the last one to leave takes that to
//! zero: that one task, and nobody else, touches the slot after it has left, and whoever waits for
//! the slot goes on only after it did. So a slot may be freed as soon as it is drained, and entering
//! needs no more than that the slot is not freed meanwhile.
//!
//! # Why not what the kernel has
//!
//! - `percpu_ref` counts as cheaply, but to close one takes a grace period of RCU, instead of some
//!   thousand instructions: a service that registers an id for every session would crawl.
//! - SRCU has two memory barriers for every message, and a grace period as well.
//! - [`Revocable`](kernel::revocable::Revocable) is plain RCU: a handler could not sleep.

use core::ptr;

use kernel::{
    cpu::CpuId,
    prelude::*,
    sync::{
        atomic::{
            Acquire,
            Atomic,
            Full,
            Relaxed,
            Release, //
        },
        Completion, //
    },
};

/// How many lanes messages have, a power of two. If there are more CPUs, they share them.
const LANES: usize = if cfg!(CONFIG_SMP) { 8 } else { 1 };

/// What the CPUs that share a lane count.
///
/// # Invariants
///
/// - `entered` is negative if and only if the lane is closed.
/// - A task is inside if it has added to `entered` while that was not negative, and has not yet
///   added to `left`.
#[repr(align(64))]
pub(crate) struct Lane {
    /// How many have entered, ever; negative, from [`Self::CLOSED`] up, once closed.
    entered: Atomic<i64>,
    /// How many have left, ever; less those that had entered, once closed.
    left: Atomic<i64>,
    /// How many replies were sent from here.
    replied: Atomic<u64>,
    /// Who is inside and has [noted](Self::note) it, or null.
    noted: Atomic<*const c_void>,
    /// What with, or null.
    noted_with: Atomic<*const c_void>,
}

// SAFETY: What is noted is only compared, and told to who noted it.
unsafe impl Send for Lane {}
// SAFETY: As above.
unsafe impl Sync for Lane {}

impl Lane {
    const CLOSED: i64 = i64::MIN;

    const fn new() -> Self {
        // INVARIANT: Open, and nobody inside.
        Self {
            entered: Atomic::new(0),
            left: Atomic::new(0),
            replied: Atomic::new(0),
            noted: Atomic::new(ptr::null()),
            noted_with: Atomic::new(ptr::null()),
        }
    }

    /// Whether this enters: whether the lane is open.
    #[inline(always)]
    fn enter(&self) -> bool {
        // That the lane was open is all there is to know: what a handler did is ordered by leaving.
        self.entered.fetch_add(1, Relaxed) >= 0
    }

    /// Closes the lane. Returns how many had entered, ever, and whether nobody is inside.
    fn close(&self) -> (i64, bool) {
        let entered = self.entered.fetch_add(Self::CLOSED, Relaxed);
        (entered, self.left.fetch_sub(entered, Relaxed) == entered)
    }

    /// Leaves. Returns whether the lane was closed and this was the last one inside.
    #[inline(always)]
    fn leave(&self) -> bool {
        // While the lane is open, `left` is not negative. Whoever finds that it was the last one
        // goes on with `busy_lanes`, which has the other half of this.
        self.left.fetch_add(1, Release) == -1
    }

    /// How many are inside.
    fn inside(&self) -> i64 {
        // In this order, so that the difference is not negative while the lane is open.
        let left = self.left.load(Acquire);
        match self.entered.load(Relaxed) {
            closed if closed < 0 => -left,
            entered => entered - left,
        }
    }

    /// Notes who is inside, and what with. Returns whether nobody else has done so: there is room for one.
    ///
    /// Whoever has noted it must [strike it out](Self::strike_out) before leaving.
    #[inline(always)]
    #[cfg_attr(CONFIG_CONNECTOR = "y", expect(dead_code))]
    pub(crate) fn note<T, W>(&self, who: *const T, with: *const W) -> bool {
        // Acquires what the last one struck out: an interrupt of this task may ask before the next store.
        let has_room = self.noted.cmpxchg(ptr::null(), who.cast(), Acquire).is_ok();
        if has_room {
            self.noted_with.store(with.cast(), Relaxed);
        }
        has_room
    }

    /// Makes room for another one.
    #[inline(always)]
    #[cfg_attr(CONFIG_CONNECTOR = "y", expect(dead_code))]
    pub(crate) fn strike_out(&self) {
        // In this order: an interrupt of who has noted it finds what was noted, or nothing; and so does one of
        // who notes it next, on whichever CPU.
        self.noted_with.store(ptr::null(), Relaxed);
        self.noted.store(ptr::null(), Release);
    }

    /// What `who` noted that it is inside with, or null. Only `who`, or an interrupt of it, may ask.
    fn noted_with<T>(&self, who: *const T) -> *const c_void {
        match ptr::eq(self.noted.load(Relaxed), who.cast()) {
            true => self.noted_with.load(Relaxed),
            false => ptr::null(),
        }
    }

    /// Counts a reply that was sent.
    #[inline(always)]
    pub(crate) fn count_reply(&self) {
        self.replied.add(1, Relaxed);
    }
}

/// See the [module's documentation](self). A new slot is open; a closed one stays closed.
#[pin_data]
pub(crate) struct Slot {
    lanes: [Lane; LANES],
    /// For those who look, but bring no message: they are waited for, but not counted.
    visitors: Lane,
    /// How many lanes are open, or closed with somebody inside.
    busy_lanes: Atomic<i32>,
    /// Completed when that is zero.
    #[pin]
    drained: Completion,
}

impl Slot {
    /// Makes a slot, which is open.
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            lanes: [const { Lane::new() }; LANES],
            visitors: Lane::new(),
            // CAST: A small number.
            busy_lanes: Atomic::new(LANES as i32 + 1),
            drained <- Completion::new(),
        })
    }

    /// Enters with a message, unless the slot is closed. Does not sleep.
    ///
    /// Whoever has entered must [`leave`](Self::leave) that lane.
    #[inline(always)]
    pub(crate) fn enter(&self) -> Option<&Lane> {
        let lane = self.lane();
        lane.enter().then_some(lane)
    }

    /// The lane of this CPU.
    #[allow(clippy::modulo_one, reason = "without SMP there is one lane")]
    #[inline(always)]
    fn lane(&self) -> &Lane {
        // Any lane would do, so that it does no harm if the task moves to another CPU meanwhile.
        let cpu = CpuId::current().as_u32() as usize;
        &self.lanes[cpu % LANES]
    }

    /// Enters without a message, unless the slot is closed. Does not sleep.
    ///
    /// Whoever has entered must [`leave`](Self::leave) that lane.
    pub(crate) fn visit(&self) -> Option<&Lane> {
        self.visitors.enter().then_some(&self.visitors)
    }

    /// Leaves a lane of this slot. Does not sleep.
    ///
    /// # Safety
    ///
    /// The caller is inside `lane`, a lane of the slot that `this` points to, and is not any more
    /// when this returns: the slot may be freed then.
    #[inline(always)]
    pub(crate) unsafe fn leave(this: *const Self, lane: *const Lane) {
        // SAFETY: By this function's contract the slot is not drained, so that it is valid.
        if unsafe { (*lane).leave() } {
            // SAFETY: The lane was closed and this was the last one inside: it is still counted
            // among the busy ones, so that the slot is not drained.
            unsafe { (*this).lane_drained() };
        }
    }

    /// Closes the slot: nobody enters any more. To be called once.
    ///
    /// Returns how many messages it got, ever.
    pub(crate) fn close(&self) -> u64 {
        let mut received = 0;
        for lane in &self.lanes {
            let (entered, empty) = lane.close();
            received += entered;
            if empty {
                self.lane_drained();
            }
        }
        let (_, empty) = self.visitors.close();
        if empty {
            self.lane_drained();
        }
        u64::try_from(received).unwrap_or_default()
    }

    #[cold]
    fn lane_drained(&self) {
        // After all that is known to have left any lane, and before whoever waits goes on.
        if self.busy_lanes.fetch_sub(1, Full) == 1 {
            // Who waits goes on only when this does not need the completion any more.
            self.drained.complete_all();
        }
    }

    /// Waits until the slot is closed and nobody is inside.
    ///
    /// May sleep.
    pub(crate) fn wait_until_drained(&self) {
        self.drained.wait_for_completion();
    }

    /// How many messages are being handled.
    pub(crate) fn running(&self) -> i64 {
        self.lanes.iter().map(Lane::inside).sum()
    }

    /// How many messages came while the slot was open. To be asked of an open slot.
    pub(crate) fn received(&self) -> u64 {
        let entered = self.lanes.iter().map(|lane| lane.entered.load(Relaxed));
        entered
            .map(|entered| u64::try_from(entered).unwrap_or_default())
            .sum()
    }

    /// What `who`, which asks, noted in the lane of this CPU, or null.
    pub(crate) fn noted_with<T>(&self, who: *const T) -> *const c_void {
        self.lane().noted_with(who)
    }

    /// Whether somebody is noted in one of the lanes.
    pub(crate) fn has_noted<T>(&self, who: *const T) -> bool {
        let mut noted = self.lanes.iter().map(|lane| lane.noted.load(Relaxed));
        noted.any(|noted| ptr::eq(noted, who.cast()))
    }

    /// How many replies were sent.
    pub(crate) fn replied(&self) -> u64 {
        self.lanes
            .iter()
            .map(|lane| lane.replied.load(Relaxed))
            .sum()
    }

    /// Whether nobody is inside and nobody will be. The last one to leave may not have completed
    /// `drained` yet: [`Self::wait_until_drained`] waits for that.
    pub(crate) fn is_drained(&self) -> bool {
        self.busy_lanes.load(Relaxed) == 0
    }
}
