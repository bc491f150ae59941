// SPDX-License-Identifier: GPL-2.0

//! A source: a feed with a ring, and a place in the list.

use std::sync::atomic::{AtomicU64, Ordering as Of};

use kernel::{
    prelude::*,
    sync::{
        atomic::{Atomic, Relaxed},
        Arc,
    },
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
    /// Up to which change who tells was woken. Not loom's: to look is no event in an interleaving.
    woken: AtomicU64,
}

impl Feed {
    pub(super) fn new() -> Result<Arc<Self>> {
        let feed = Self {
            ring: Ring::new()?,
            made: UnsafeCell::new(()),
            woken: AtomicU64::new(0),
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
        assert_eq!(
            self.woken.load(Of::Relaxed),
            self.ring.head(),
            "nobody was woken to tell of the last change"
        );
    }
}

pub(crate) struct Source {
    pub(super) feed: Arc<Feed>,
    pub(super) next: Atomic<*const Source>,
    ended: Atomic<bool>,
}

// SAFETY: `next` is only an address here.
unsafe impl Send for Source {}
// SAFETY: As above.
unsafe impl Sync for Source {}

impl Source {
    pub(super) fn new(feed: Arc<Feed>) -> Result<Arc<Self>> {
        let source = Self {
            feed,
            next: Atomic::new(core::ptr::null()),
            ended: Atomic::new(false),
        };
        Arc::new(source, GFP_KERNEL)
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended.load(Relaxed)
    }

    /// Its job ends: first that is known, and then it stops what is left.
    pub(super) fn end(&self) {
        self.ended.store(true, Relaxed);
        super::hub::stop(&self.feed);
    }

    pub(super) fn note(&self, id: CbId, change: Change) {
        self.feed.made.with(|_| ());
        self.feed.ring.push(id, change);
    }

    /// There is something to tell, or nobody would be woken.
    pub(super) fn wake(&self) {
        self.feed.made.with(|_| ());
        let head = self.feed.ring.head();
        assert!(head > 0, "nothing was noted");
        self.feed.woken.fetch_max(head, Of::Relaxed);
    }
}
