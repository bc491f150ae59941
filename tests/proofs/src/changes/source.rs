// SPDX-License-Identifier: GPL-2.0

//! A source: a feed with a ring, and a place in the list.

use kernel::{
    prelude::*,
    sync::{atomic::Atomic, Arc},
};
use loom::cell::UnsafeCell;

use super::ring::Ring;
use crate::{wire::notify::Change, CbId};

#[derive(Clone, Copy)]
pub(crate) struct Sight {
    pub(super) c_modules: bool,
    pub(super) missed: u64,
}

pub(crate) struct Feed {
    ring: Ring,
    /// Loom finds who uses it without knowing that it was made.
    made: UnsafeCell<()>,
}

impl Feed {
    pub(super) fn new() -> Result<Arc<Self>> {
        let feed = Self {
            ring: Ring::new()?,
            made: UnsafeCell::new(()),
        };
        Arc::new(feed, GFP_KERNEL)
    }

    pub(super) fn begin(&self, sight: Sight) {
        let Sight { .. } = sight;
    }

    pub(super) fn will_stop(&self, sight: Sight) {
        let Sight { .. } = sight;
    }

    /// What was noted. By one task at a time.
    pub(super) fn changes(&self) -> Vec<(CbId, Change)> {
        core::iter::from_fn(|| self.ring.pop()).collect()
    }

    /// The job has ended, and nobody notes any more: from now on it is used by nobody.
    pub(super) fn is_over(&self) {
        self.made.with_mut(|_| ());
    }
}

pub(crate) struct Source {
    pub(super) feed: Arc<Feed>,
    pub(super) next: Atomic<*const Source>,
}

// SAFETY: `next` is only an address here.
unsafe impl Send for Source {}
// SAFETY: As above.
unsafe impl Sync for Source {}

impl Source {
    pub(super) fn new(feed: Arc<Feed>) -> Result<Arc<Self>> {
        let next = Atomic::new(core::ptr::null());
        Arc::new(Self { feed, next }, GFP_KERNEL)
    }

    pub(super) fn has_ended(&self) -> bool {
        false
    }

    pub(super) fn note(&self, id: CbId, change: Change) {
        self.feed.made.with(|_| ());
        self.feed.ring.push(id, change);
    }

    /// There is something to tell, or nobody would be woken.
    pub(super) fn wake(&self) {
        self.feed.made.with(|_| ());
        assert!(self.feed.ring.head() > 0, "nothing was noted");
    }
}
