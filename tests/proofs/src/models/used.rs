// SPDX-License-Identifier: GPL-2.0

//! What a handler uses, and whoever unregisters it frees.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use kernel::sync::atomic::{self, Atomic};
use loom::cell::UnsafeCell;

pub(super) struct Used {
    /// Loom finds who uses it, if that is not certain to be before it is freed.
    data: UnsafeCell<()>,
    /// Who looks stores here, and a handler loads it in its middle: so loom sees that it matters which of
    /// both is first. (To yield there would not do: loom has others go on then, and never this task.)
    looks: Atomic<bool>,
    // None is loom's, so that looking at them is no event in an interleaving.
    running: AtomicUsize,
    freed: AtomicBool,
    called: AtomicBool,
    dropped: AtomicBool,
}

impl Used {
    pub(super) fn new() -> Self {
        Self {
            data: UnsafeCell::new(()),
            looks: Atomic::new(false),
            running: AtomicUsize::new(0),
            freed: AtomicBool::new(false),
            called: AtomicBool::new(false),
            dropped: AtomicBool::new(false),
        }
    }

    /// A handler runs from beginning to end.
    pub(super) fn by_handler(&self) {
        self.running.fetch_add(1, Relaxed);
        self.called.store(true, Relaxed);
        assert!(
            !self.freed.load(Relaxed),
            "a handler starts after it was freed"
        );
        self.data.with(|_| ());
        self.looks.load(atomic::Relaxed);
        assert!(
            !self.freed.load(Relaxed),
            "a handler runs while it is freed"
        );
        self.data.with(|_| ());
        self.running.fetch_sub(1, Relaxed);
    }

    /// Whether the handler has run.
    pub(super) fn was_called(&self) -> bool {
        self.called.load(Relaxed)
    }

    /// It is dropped, for the first time.
    pub(super) fn is_dropped(&self) {
        assert!(!self.dropped.swap(true, Relaxed), "it is dropped twice");
    }

    pub(super) fn was_dropped(&self) -> bool {
        self.dropped.load(Relaxed)
    }

    /// Nobody is in the handler.
    pub(super) fn is_over(&self) {
        self.looks.store(true, atomic::Relaxed);
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
