// SPDX-License-Identifier: GPL-2.0

//! Entering, leaving, closing and waiting, with a slot that is freed as soon as that is allowed.

use std::rc::Rc;

use kernel::{
    prelude::GFP_KERNEL,
    sync::{
        atomic::{Acquire, Atomic, Relaxed, Release},
        rcu, Arc,
    },
};
use loom::thread;

use super::{used::Used, Model};
use crate::slot::Slot;

pub(super) const MODELS: &[Model] = &[
    Model {
        name: "slot-messages",
        property: "nobody is inside a slot that was drained, with two messages at once",
        cpus: 1,
        preemptions: Some(4),
        run: messages,
    },
    Model {
        name: "slot-lanes",
        property: "nobody is in any lane of a slot that was drained",
        cpus: 4,
        preemptions: Some(4),
        run: lanes,
    },
    Model {
        name: "slot-waiters",
        property:
            "all who wait for a slot go on, once nobody is inside, and the last one may free it",
        cpus: 4,
        preemptions: None,
        run: waiters,
    },
    Model {
        name: "slot-count",
        property: "the number of those inside is one that there was",
        cpus: 4,
        preemptions: None,
        run: count,
    },
];

/// A slot that can be found, as in the table, and what its handlers use.
struct Service {
    found: Atomic<*const Slot>,
    used: Used,
}

impl Service {
    fn new() -> Rc<Self> {
        let slot = Arc::pin_init(Slot::new(), GFP_KERNEL).expect("there is memory");
        Rc::new(Self {
            found: Atomic::new(Arc::into_raw(slot)),
            used: Used::new(),
        })
    }

    fn handle(&self, is_message: bool) {
        let guard = rcu::read_lock();
        // SAFETY: What is found is freed after a grace period only.
        let Some(slot) = (unsafe { self.found.load(Acquire).as_ref() }) else {
            return;
        };
        let lane = match is_message {
            true => slot.enter(),
            false => slot.visit(),
        };
        let lane = lane.map(core::ptr::from_ref);
        let slot = core::ptr::from_ref(slot);
        drop(guard);
        if let Some(lane) = lane {
            self.used.by_handler();
            // SAFETY: It was entered, and nothing is used after this.
            unsafe { Slot::leave(slot, lane) };
        }
    }

    /// Has nobody find the slot any more.
    fn hide(&self) -> *const Slot {
        let slot = self.found.load(Relaxed);
        self.found.store(core::ptr::null(), Release);
        slot
    }

    /// Waits, and frees everything.
    ///
    /// # Safety
    ///
    /// The slot is hidden, and nobody else frees it.
    unsafe fn wait_and_free(&self, slot: *const Slot) {
        // SAFETY: By this function's contract.
        unsafe { &*slot }.wait_until_drained();
        self.used.is_freed();
        rcu::synchronize_rcu();
        // SAFETY: It comes from `Arc::into_raw`.
        drop(unsafe { Arc::from_raw(slot) });
    }

    /// Closes the slot, waits, and frees everything.
    fn end(&self) {
        let slot = self.hide();
        // SAFETY: It is freed below.
        unsafe { &*slot }.close();
        // SAFETY: It was just hidden, and this is done once.
        unsafe { self.wait_and_free(slot) };
    }
}

fn messages() {
    let service = Service::new();
    let tasks = [0, 1].map(|_| {
        let service = service.clone();
        thread::spawn(move || service.handle(true))
    });
    service.end();
    for task in tasks {
        task.join().expect("it ends");
    }
}

fn lanes() {
    let service = Service::new();
    let tasks = [true, false].map(|is_message| {
        let service = service.clone();
        thread::spawn(move || service.handle(is_message))
    });
    service.end();
    for task in tasks {
        task.join().expect("it ends");
    }
}

fn waiters() {
    let service = Service::new();
    let handler = {
        let service = service.clone();
        thread::spawn(move || service.handle(true))
    };
    let slot = service.hide();
    let closer = {
        // SAFETY: It is freed after this task has ended.
        let (service, slot) = (service.clone(), unsafe { &*slot });
        thread::spawn(move || {
            assert!(slot.close() <= 1);
            slot.wait_until_drained();
            assert!(slot.is_drained());
            service.used.is_over();
        })
    };
    closer.join().expect("it ends");
    // SAFETY: It was just hidden, and this is done once.
    unsafe { service.wait_and_free(slot) };
    handler.join().expect("it ends");
}

fn count() {
    let service = Service::new();
    let handler = {
        let service = service.clone();
        thread::spawn(move || service.handle(true))
    };
    // SAFETY: It is freed by `end`.
    let slot = unsafe { &*service.found.load(Relaxed) };
    let running = slot.running();
    assert!((0..=1).contains(&running), "{running} are inside");
    assert!(slot.received() <= 1);
    let slot = service.hide();
    // SAFETY: It is freed below.
    let closed = unsafe { &*slot };
    closed.close();
    let running = closed.running();
    assert!((0..=1).contains(&running), "{running} are inside, of one");
    handler.join().expect("it ends");
    assert_eq!(closed.running(), 0);
    // SAFETY: It was just hidden, and this is done once.
    unsafe { service.wait_and_free(slot) };
}
