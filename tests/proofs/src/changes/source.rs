// SPDX-License-Identifier: GPL-2.0

//! A source: a ring, and a place in the list.

use loom::cell::UnsafeCell;

use kernel::{
    prelude::*,
    sync::{
        atomic::{Atomic, Relaxed},
        Arc,
    },
};

use super::ring::Ring;
use crate::{wire::notify::Change, CbId};

#[derive(Clone, Copy)]
pub(crate) struct Sight {
    pub(super) c_modules: bool,
    pub(super) missed: u64,
}

#[pin_data]
pub(crate) struct Source {
    ring: Ring,
    pub(super) next: Atomic<*const Source>,
    /// Loom finds who uses it without knowing that it was made.
    made: UnsafeCell<()>,
}

// SAFETY: `made` is only read; `next` is only an address here.
unsafe impl Send for Source {}
// SAFETY: As above.
unsafe impl Sync for Source {}

impl Source {
    pub(super) fn new() -> Result<Arc<Self>> {
        let ring = Ring::new()?;
        let next = Atomic::new(core::ptr::null());
        let made = UnsafeCell::new(());
        Arc::pin_init(pin_init!(Self { ring, next, made }), GFP_KERNEL)
    }

    /// What was noted. By one task at a time.
    pub(crate) fn changes(&self) -> Vec<(CbId, Change)> {
        core::iter::from_fn(|| self.ring.pop()).collect()
    }

    pub(super) fn begin(&self, sight: Sight) {
        let Sight { .. } = sight;
    }

    pub(super) fn will_stop(&self, sight: Sight) {
        let Sight { .. } = sight;
    }

    pub(super) fn note(&self, id: CbId, change: Change) {
        self.made.with(|_| ());
        self.ring.push(id, change);
    }

    pub(super) fn wake(&self) {
        let _ = self.next.load(Relaxed);
    }

    /// Whoever stopped it has waited for those who note: what it has is theirs no more.
    pub(super) fn stop(&self) -> bool {
        true
    }

    pub(super) fn is_done(&self) -> bool {
        false
    }

    pub(super) fn is_current(&self) -> bool {
        false
    }

    pub(super) fn code(&self) -> usize {
        0
    }
}
