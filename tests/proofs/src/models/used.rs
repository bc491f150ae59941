// SPDX-License-Identifier: GPL-2.0

//! What a handler uses, and whoever unregisters it frees.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use loom::cell::UnsafeCell;

pub(super) struct Used {
    /// Loom finds who uses it, if that is not certain to be before it is freed.
    data: UnsafeCell<()>,
    // Neither is loom's, so that looking at them is no event in an interleaving.
    running: AtomicUsize,
    freed: AtomicBool,
}

impl Used {
    pub(super) fn new() -> Self {
        Self {
            data: UnsafeCell::new(()),
            running: AtomicUsize::new(0),
            freed: AtomicBool::new(false),
        }
    }

    /// A handler runs from beginning to end.
    pub(super) fn by_handler(&self) {
        self.running.fetch_add(1, Relaxed);
        assert!(
            !self.freed.load(Relaxed),
            "a handler starts after it was freed"
        );
        self.data.with(|_| ());
        // Here others may go on.
        loom::thread::yield_now();
        assert!(
            !self.freed.load(Relaxed),
            "a handler runs while it is freed"
        );
        self.data.with(|_| ());
        self.running.fetch_sub(1, Relaxed);
    }

    /// Nobody is in the handler.
    pub(super) fn is_over(&self) {
        assert_eq!(self.running.load(Relaxed), 0, "a handler runs still");
        self.data.with(|_| ());
    }

    /// It is freed.
    pub(super) fn is_freed(&self) {
        self.is_over();
        self.freed.store(true, Relaxed);
        self.data.with_mut(|_| ());
    }
}
