// SPDX-License-Identifier: GPL-2.0

//! All sources: whoever notes a change passes it to each of them.
//!
//! Those who note changes are probes, which may take no lock, and the registry, which holds its
//! own. So they go through a list that RCU protects: a source is taken off it and a grace period
//! waited for, before it is stopped.
//!
//! The hub's lock is held while a source starts or stops being on the list, together with the
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
};

use super::source::{
    Sight,
    Source, //
};
use crate::{
    bindings,
    cores::{
        self,
        Probes,
        Sink, //
    },
    text,
    wire::notify::Change,
    CbId, //
};

global_lock! {
    unsafe(uninit) static HUB: Mutex<Hub> = Hub { sources: KVec::new(), probes: None };
}

struct Hub {
    /// Every source whose observer may be called: from before it is on the list until it was
    /// stopped.
    sources: KVec<Arc<Source>>,
    /// `None` without sources, and where there can be no probes.
    probes: Option<Probes<Everyone>>,
}

/// The list of sources that changes are noted in; null at its end.
///
/// # Invariants
///
/// Who finds a source here in an RCU read-side critical section can use it until the end of that.
static FIRST: Atomic<*const Source> = Atomic::new(ptr::null());

/// Makes this file usable.
///
/// # Safety
///
/// Must be called once, before anything else in this file.
pub(super) unsafe fn init() {
    // SAFETY: By this function's contract.
    unsafe { HUB.init() };
}

/// Calls `f` with every source on the list.
fn for_each(f: impl Fn(&Arc<Source>)) {
    let _rcu = rcu::read_lock();
    // Changes are rare: unlike in a look-up for a message, this may cost a call.
    let mut next = FIRST.load(Acquire);
    while !next.is_null() {
        // SAFETY: By the invariants of `FIRST` the source exists; it is in an `Arc`, whose count is
        // left alone.
        let source = core::mem::ManuallyDrop::new(unsafe { Arc::from_raw(next) });
        f(&source);
        next = source.next.load(Acquire);
    }
}

/// Notes a change, and has everyone told. Does not sleep.
pub(super) fn note(id: CbId, change: Change) {
    for_each(|source| {
        source.note(id, change);
        source.wake();
    });
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
    fn link(&mut self, source: &Source) {
        source.next.store(FIRST.load(Relaxed), Relaxed);
        // INVARIANT: It is in `self.sources` until it was taken off the list, and longer.
        FIRST.store(source, Release);
    }

    /// Takes a source off the list. Returns whether it was on it.
    fn unlink(&mut self, source: &Source) -> bool {
        let mut at = &FIRST;
        loop {
            let next = at.load(Relaxed);
            if ptr::eq(next, source) {
                // Its own `next` stays, for those who have come to it already.
                at.store(source.next.load(Relaxed), Release);
                return true;
            }
            // SAFETY: By the invariants of `FIRST`: only who holds the lock takes a source off.
            match unsafe { next.as_ref() } {
                Some(source) => at = &source.next,
                None => return false,
            }
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

/// How well changes are seen. May sleep.
pub(super) fn look() -> Sight {
    HUB.lock().look()
}

/// Has changes noted in a source that is new, and stops it if that fails.
///
/// May sleep.
pub(super) fn start(source: &Arc<Source>) -> Result {
    // A source whose observer ended it could not be stopped at that time.
    while let Some(done) = find(|source| source.is_done() && !source.is_current()) {
        stop(&done);
    }
    let started = || {
        let mut hub = HUB.lock();
        hub.sources.push(source.clone(), GFP_KERNEL)?;
        if hub.probes.is_none() {
            hub.probes = Probes::register()
                .inspect_err(|error| {
                    if cores::AVAILABLE {
                        pr_warn!("the ids of C modules are not seen: no probe ({error:?})\n");
                    }
                })
                .ok();
        }
        source.begin(hub.look());
        hub.link(source);
        Ok(())
    };
    started().inspect_err(|_| {
        source.stop();
    })
}

/// Has no more changes noted in a source, and stops it; see [`Source::stop`]. Returns whether it
/// was on the list.
///
/// May sleep.
pub(super) fn stop(source: &Arc<Source>) -> bool {
    let was_linked = {
        let mut hub = HUB.lock();
        let was_linked = hub.unlink(source);
        if was_linked {
            source.will_stop(hub.look());
        }
        if FIRST.load(Relaxed).is_null() {
            // Here, so that there are never two sets of them, which would note everything twice.
            hub.probes = None;
        }
        was_linked
    };
    // INVARIANT: Whoever found the source on the list is done with it.
    rcu::synchronize_rcu();
    if source.stop() {
        let sources = &mut HUB.lock().sources;
        sources.retain(|other| !Arc::ptr_eq(other, source));
        if sources.is_empty() {
            // Nobody drops what is static.
            *sources = KVec::new();
        }
    }
    was_linked
}

fn find(mut is_meant: impl FnMut(&Source) -> bool) -> Option<Arc<Source>> {
    let hub = HUB.lock();
    hub.sources.iter().find(|source| is_meant(source)).cloned()
}

/// Stops the sources whose observers' code lies in `module`. Returns whether there were any.
///
/// May sleep.
pub(super) fn stop_all_of(module: &bindings::module) -> bool {
    let mut found = false;
    while let Some(source) = find(|source| text::is_in(module, source.code())) {
        found = true;
        if stop(&source) {
            pr_warn!("a module goes and left a Watch: it was never dropped\n");
        }
    }
    found
}
