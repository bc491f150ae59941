// SPDX-License-Identifier: GPL-2.0

//! Counters.
//!
//! They are relaxed atomics: each is exact, but two of them read one after the other need not
//! belong to the same instant.

use core::ops::AddAssign;

use kernel::sync::atomic::{
    Atomic,
    Relaxed, //
};

use crate::SendError;

/// Replies that did not reach the client, by reason.
pub(crate) struct Dropped {
    full: Atomic<u64>,
    gone: Atomic<u64>,
    no_memory: Atomic<u64>,
    other: Atomic<u64>,
}

impl Dropped {
    pub(crate) const fn new() -> Self {
        Self {
            full: Atomic::new(0),
            gone: Atomic::new(0),
            no_memory: Atomic::new(0),
            other: Atomic::new(0),
        }
    }

    /// Counts a reply that was dropped.
    #[cold]
    #[inline(never)]
    pub(crate) fn count(&self, error: SendError) {
        let counter = match error {
            SendError::Full => &self.full,
            SendError::NoSuchPort => &self.gone,
            SendError::NoMemory => &self.no_memory,
            _ => &self.other,
        };
        counter.add(1, Relaxed);
    }

    /// The counters as they are now, with those that are kept elsewhere.
    pub(crate) fn snapshot(&self, received: u64, replied: u64) -> Snapshot {
        Snapshot {
            received,
            replied,
            full: self.full.load(Relaxed),
            gone: self.gone.load(Relaxed),
            no_memory: self.no_memory.load(Relaxed),
            other: self.other.load(Relaxed),
        }
    }
}

/// What became of the messages to an id, or to all ids, by some time.
#[derive(Clone, Copy)]
pub(crate) struct Snapshot {
    /// Messages that the handler was called with.
    pub(crate) received: u64,
    /// Replies that were sent.
    pub(crate) replied: u64,
    /// Replies that were not: the client's receive buffer was full.
    pub(crate) full: u64,
    /// The client had closed its socket.
    pub(crate) gone: u64,
    /// There was no memory.
    pub(crate) no_memory: u64,
    /// The reply was too large, or netlink refused it.
    pub(crate) other: u64,
}

impl Snapshot {
    pub(crate) const ZERO: Self = Self {
        received: 0,
        replied: 0,
        full: 0,
        gone: 0,
        no_memory: 0,
        other: 0,
    };
}

impl AddAssign for Snapshot {
    fn add_assign(&mut self, other: Self) {
        self.received += other.received;
        self.replied += other.replied;
        self.full += other.full;
        self.gone += other.gone;
        self.no_memory += other.no_memory;
        self.other += other.other;
    }
}
