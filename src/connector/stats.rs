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

/// What became of the replies to the messages of an id.
pub(crate) struct Stats {
    replied: Atomic<u64>,
    dropped: Dropped<Atomic<u64>>,
}

/// Replies that did not reach the client, by reason.
#[derive(Clone, Copy, Default)]
pub(crate) struct Dropped<C> {
    /// The client's receive buffer was full.
    pub(crate) full: C,
    /// The client had closed its socket.
    pub(crate) gone: C,
    /// There was no memory.
    pub(crate) no_memory: C,
    /// The reply was too large, or netlink refused it.
    pub(crate) other: C,
}

/// [`Stats`] as they were at one time.
#[derive(Clone, Copy, Default)]
pub(crate) struct Snapshot {
    pub(crate) received: i64,
    pub(crate) replied: u64,
    pub(crate) dropped: Dropped<u64>,
}

impl AddAssign for Snapshot {
    fn add_assign(&mut self, other: Self) {
        self.received += other.received;
        self.replied += other.replied;
        self.dropped.full += other.dropped.full;
        self.dropped.gone += other.dropped.gone;
        self.dropped.no_memory += other.dropped.no_memory;
        self.dropped.other += other.dropped.other;
    }
}

impl Stats {
    pub(crate) const fn new() -> Self {
        Self {
            replied: Atomic::new(0),
            dropped: Dropped {
                full: Atomic::new(0),
                gone: Atomic::new(0),
                no_memory: Atomic::new(0),
                other: Atomic::new(0),
            },
        }
    }

    /// Counts what became of a reply, and returns it.
    #[inline(always)]
    pub(crate) fn count_reply(&self, result: Result<(), SendError>) -> Result<(), SendError> {
        match result {
            Ok(()) => self.replied.add(1, Relaxed),
            Err(error) => self.count_dropped(error),
        }
        result
    }

    #[cold]
    #[inline(never)]
    fn count_dropped(&self, error: SendError) {
        let counter = match error {
            SendError::Full => &self.dropped.full,
            SendError::NoSuchPort => &self.dropped.gone,
            SendError::NoMemory => &self.dropped.no_memory,
            _ => &self.dropped.other,
        };
        counter.add(1, Relaxed);
    }

    /// The counters as they are now, with what [`Slot`](crate::slot::Slot) counts.
    pub(crate) fn snapshot(&self, received: i64) -> Snapshot {
        Snapshot {
            received,
            replied: self.replied.load(Relaxed),
            dropped: Dropped {
                full: self.dropped.full.load(Relaxed),
                gone: self.dropped.gone.load(Relaxed),
                no_memory: self.dropped.no_memory.load(Relaxed),
                other: self.dropped.other.load(Relaxed),
            },
        }
    }
}
