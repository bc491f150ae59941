// SPDX-License-Identifier: GPL-2.0

//! All sources: whoever notes a change passes it to each of them.
//!
//! Those who note changes are probes, which may take no lock, and the registry, which holds its
//! own. So they go through a list that RCU protects: it lets a source go when that was taken off it and
//! a grace period is over.
//!
//! That an id is unregistered is noted before it is so. Whoever was told of it would still find the id
//! registered, if nobody waited: the lock `COMING` is held from the one to the other, and [`settle`] waits
//! for it.
//!
//! The hub's lock is held while a source is put on the list or taken off it, together with the
//! probes, which are there as long as the list is not empty; and while somebody looks how well
//! changes are seen. No observer is called, made or dropped meanwhile.

use core::ptr;

use kernel::{
    prelude::*,
    sync::{
        atomic::{
            Acquire,
            Atomic,
            Relaxed,
            Release, //
        },
        global_lock,
        rcu,
        Arc, //
    },
    time::Delta,
};

use super::source::{
    Feed,
    Sight,
    Source, //
};
use crate::{
    cores::{
        self,
        Probes,
        Sink, //
    },
    grace,
    wire::notify::Change,
    CbId,
    Periodic, //
};

/// How often it is checked whether anything gets lost. Nobody waits for it: it is also checked whenever
/// there is something to tell.
const CHECK_PERIOD: Delta = Delta::from_secs(1);

global_lock! {
    unsafe(uninit) static HUB: Mutex<Hub> = Hub { probes: None, said_blind: false, check: None };
}

global_lock! {
    /// Held while a change is noted that is about to happen, until it has.
    unsafe(uninit) static COMING: Mutex<()> = ();
}

struct Hub {
    /// `None` without sources, and where there can be no probes.
    probes: Option<Probes<Everyone>>,
    /// Whether it was said that there are none, since the first source came.
    said_blind: bool,
    /// Has all observers told what was lost. `None` without sources.
    check: Option<Periodic>,
}

/// The list of sources that changes are noted in; null at its end.
///
/// # Invariants
///
/// The list has a reference to each source on it, and keeps that for an RCU grace period after it took
/// the source off: who finds one here in a read-side critical section can use it until the end of that.
static FIRST: Atomic<*const Source> = Atomic::new(ptr::null());

/// Makes this file usable.
///
/// # Safety
///
/// Must be called once, before anything else in this file.
pub(super) unsafe fn init() {
    // SAFETY: By this function's contract.
    unsafe {
        HUB.init();
        COMING.init();
    }
}

/// Calls `f` with every source on the list.
fn for_each(f: impl Fn(&Source)) {
    let _rcu = rcu::read_lock();
    // Changes are rare: unlike in a look-up for a message, this may cost a call.
    let mut next = FIRST.load(Acquire);
    // SAFETY: By the invariants of `FIRST`.
    while let Some(source) = unsafe { next.as_ref() } {
        f(source);
        // What is behind a source was on the list before it.
        next = source.next.load(Relaxed);
    }
}

/// Notes a change, and has everyone told. Does not sleep.
pub(super) fn note(id: CbId, change: Change) {
    for_each(|source| {
        source.note(id, change);
        source.wake();
    });
}

/// Notes a change, and then has it happen. May sleep as `happen` does, which must note nothing.
pub(super) fn note_before(id: CbId, change: Change, happen: impl FnOnce()) {
    let _coming = COMING.lock();
    note(id, change);
    happen();
}

/// Waits until all that was noted before it happened has happened. May sleep.
pub(super) fn settle() {
    drop(COMING.lock());
}

/// What the probes report to: every source on the list.
struct Everyone;

impl Sink for Everyone {
    fn note(id: CbId, change: Change) {
        for_each(|source| source.note(id, change));
    }

    fn wake() {
        for_each(|source| source.wake());
    }
}

impl Hub {
    /// Puts a source on the list.
    fn link(&mut self, source: Arc<Source>) {
        source.next.store(FIRST.load(Relaxed), Relaxed);
        // INVARIANT: This is the list's reference.
        FIRST.store(Arc::into_raw(source), Release);
    }

    /// Takes the source of a feed off the list, if it is on it: the list's reference, to be dropped
    /// after a grace period.
    fn unlink(&mut self, feed: &Feed) -> Option<Arc<Source>> {
        let mut at = &FIRST;
        loop {
            let next = at.load(Relaxed);
            // SAFETY: By the invariants of `FIRST`: only who holds the lock takes a source off.
            let source = unsafe { next.as_ref() }?;
            if ptr::eq(&*source.feed, feed) {
                // Its own `next` stays, for those who have come to it already.
                at.store(source.next.load(Relaxed), Release);
                // SAFETY: By the invariants of `FIRST` the list has that reference.
                return Some(unsafe { Arc::from_raw(next) });
            }
            at = &source.next;
        }
    }

    /// Has changes of C modules noted, if that can be had.
    fn probe(&mut self) {
        if self.probes.is_none() {
            self.probes = Probes::register()
                .inspect_err(|error| {
                    // It is tried again, at every check.
                    if cores::AVAILABLE && !self.said_blind {
                        self.said_blind = true;
                        pr_warn!("the ids of C modules are not seen: no probe ({error:?})\n");
                    }
                })
                .ok();
        }
    }

    /// How well changes are seen.
    fn look(&self) -> Sight {
        Sight {
            c_modules: self.probes.as_ref().is_some_and(Probes::fire),
            missed: self.probes.as_ref().map_or(0, Probes::missed),
        }
    }
}

/// How well changes are seen, after what could not be had before was tried again. May sleep.
pub(super) fn look() -> Sight {
    let mut hub = HUB.lock();
    // Who looks late may be the last, whose source is off the list: for nobody there are no probes.
    if !FIRST.load(Relaxed).is_null() {
        hub.probe();
    }
    hub.look()
}

/// Has changes noted in a source that is new.
///
/// May sleep.
///
/// # Errors
///
/// `ENOMEM`; or `ENODEV` if the source's job was ended meanwhile, because its module is going.
pub(super) fn start(source: Arc<Source>) -> Result {
    // Whether or not it is needed: to make one is to wait for others that have ended, which may wait for
    // the lock.
    let check = Periodic::new(CHECK_PERIOD, || for_each(Source::wake))?;
    let mut hub = HUB.lock();
    if source.has_ended() {
        // Its end has called `stop`, or is about to, which nobody would do again.
        return Err(ENODEV);
    }
    hub.check.get_or_insert(check);
    hub.probe();
    source.feed.begin(hub.look());
    hub.link(source);
    Ok(())
}

/// Has no more changes noted in a feed. When this has returned, nobody notes one any more.
///
/// May sleep. May be called more than once.
pub(super) fn stop(feed: &Feed) {
    let source = {
        let mut hub = HUB.lock();
        let source = hub.unlink(feed);
        if source.is_some() {
            feed.will_stop(hub.look());
        }
        if FIRST.load(Relaxed).is_null() {
            // Here, so that there are never two sets of them, which would note everything twice.
            hub.probes = None;
            hub.said_blind = false;
            // It takes no lock of ours.
            hub.check = None;
        }
        source
    };
    if source.is_some() {
        // INVARIANT: The list's reference is dropped after that.
        grace::synchronize_rcu();
    }
}
