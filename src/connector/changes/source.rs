// SPDX-License-Identifier: GPL-2.0

//! What one watch is made of: a feed, into which changes are put, and a job that takes them out and
//! tells an observer.
//!
//! The job alone calls the observer, and holds no lock meanwhile. So whatever an observer does, it
//! delays nobody but itself; and whether a call comes from inside the observer is known by
//! [`Job::is_current`].

use core::ptr;

use kernel::{
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc, //
    },
};

use super::ring::Ring;
use crate::{
    grace,
    job::{
        Item,
        Job,
        Run, //
    },
    wire::notify::Change,
    CbId, //
};

#[cfg(connector_kunit)]
#[path = "../../../tests/kunit/source.rs"]
mod tests;

/// What an observer is told.
pub(super) enum Event {
    Changed(CbId, Change),
    Lost(u64),
    SeesCModules(bool),
}

/// What is known about how well changes are seen.
#[derive(Clone, Copy)]
pub(super) struct Sight {
    /// Whether changes of C modules' ids are seen.
    pub(super) c_modules: bool,
    /// How many changes may have been missed, ever.
    pub(super) missed: u64,
}

/// Where those who note changes find a feed, and the job that tells of it.
pub(super) struct Source {
    pub(super) feed: Arc<Feed>,
    job: Job,
    /// The next source in the list that those who note changes go through. Not ours to look at.
    pub(super) next: Atomic<*const Source>,
}

impl Source {
    /// Makes a source. `teller` is called to [`tell`](Feed::tell) the observer.
    pub(super) fn new(feed: Arc<Feed>, teller: impl Run) -> Result<Arc<Self>> {
        let source = Self {
            feed,
            job: Job::new(teller)?,
            next: Atomic::new(ptr::null()),
        };
        Ok(Arc::new(source, GFP_KERNEL)?)
    }

    /// Notes a change. Takes no lock; [`Self::wake`] has to follow.
    pub(super) fn note(&self, id: CbId, change: Change) {
        self.feed.ring.push(id, change);
    }

    /// Whether nobody is told any more.
    pub(super) fn has_ended(&self) -> bool {
        self.job.has_ended()
    }

    /// Has the observer told what was noted, soon. Does not sleep.
    pub(super) fn wake(&self) {
        self.job.queue(0);
    }

    /// Has the observer told all changes that are complete, and returns when it was told.
    ///
    /// May sleep. In the observer itself it does nothing.
    pub(super) fn flush(&self) {
        if self.job.is_current() {
            return;
        }
        let ring = &self.feed.ring;
        let end = ring.head();
        self.job.call();
        if ring.tail() < end {
            // An entry was still being written, and those behind it may be complete. Whoever writes
            // does so in an RCU read-side critical section.
            grace::synchronize_rcu();
            self.job.call();
        }
    }
}

/// The changes of one watch until its observer was told, and what it was told.
pub(super) struct Feed {
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
}

impl Feed {
    /// Makes a feed. `look` may sleep; it is called by [`Self::tell`].
    pub(super) fn new(look: fn() -> Sight) -> Result<Arc<Self>> {
        let feed = Self {
            look,
            ring: Ring::new()?,
            lost: Atomic::new(0),
            missed: Atomic::new(0),
            missed_at_end: Atomic::new(0),
            sees_c_modules: Atomic::new(false),
            stopping: Atomic::new(false),
        };
        Ok(Arc::new(feed, GFP_KERNEL)?)
    }

    /// Takes what is known now as what the observer knows. Before anything is noted.
    pub(super) fn begin(&self, sight: Sight) {
        self.missed.store(sight.missed, Relaxed);
        self.sees_c_modules.store(sight.c_modules, Relaxed);
    }

    /// Says that the watch is over: what is known now is the last that the observer has to know. To
    /// be called before the probes may go.
    pub(super) fn will_stop(&self, sight: Sight) {
        self.missed_at_end.store(sight.missed, Relaxed);
        self.stopping.store(true, Relaxed);
    }

    /// Whether changes of C modules' ids are seen, as far as the observer was told.
    pub(super) fn sees_c_modules(&self) -> bool {
        self.sees_c_modules.load(Relaxed)
    }

    /// Has the observer told by `to` what there is to tell, until `item` has ended. One call at a time.
    pub(super) fn tell(&self, item: &Item, to: &dyn Fn(Event)) {
        let end = self.ring.head();
        let sight = (self.look)();
        while !item.has_ended() && self.ring.tail() < end {
            match self.ring.pop() {
                Some((id, change)) => to(Event::Changed(id, change)),
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
        if more > 0 && !item.has_ended() {
            to(Event::Lost(more));
        }
        if sight.c_modules != self.sees_c_modules() && !stopping && !item.has_ended() {
            self.sees_c_modules.store(sight.c_modules, Relaxed);
            to(Event::SeesCModules(sight.c_modules));
        }
    }
}

/// Raises what is known of a count to what it is. Returns by how much.
fn take_more(known: &Atomic<u64>, count: u64) -> u64 {
    let more = count.saturating_sub(known.load(Relaxed));
    known.add(more, Relaxed);
    more
}
