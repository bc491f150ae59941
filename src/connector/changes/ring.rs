// SPDX-License-Identifier: GPL-2.0

//! A queue of changes that can be filled anywhere.
//!
//! Probes fill it, on any CPU and as if in an NMI, where no lock may be taken; one task at a time
//! empties it. Neither waits for the other: a change that finds the ring full is counted and left
//! out, and who takes out stops at an entry that is still being written, see [`Ring::pop`].

use kernel::{
    prelude::*,
    sync::atomic::{
        Acquire,
        Atomic,
        Relaxed,
        Release, //
    },
};

use crate::{
    wire::notify::Change,
    CbId, //
};

#[cfg(connector_kunit)]
#[path = "../../../tests/kunit/ring.rs"]
mod tests;

/// Room for a change.
struct Entry {
    /// The id, in one piece.
    id: Atomic<u64>,
    /// Which change it is, counted from 1 and doubled, plus 1 if the id went. Written last, and
    /// thereby says that the entry is filled.
    stamp: Atomic<u64>,
}

/// A ring of changes, of a fixed size.
///
/// Positions count all changes since the ring was made. The entry of a position belongs to whoever
/// moved `head` past it, until its stamp says that it is filled, and then to who takes out, until
/// `tail` has passed it.
pub(super) struct Ring {
    entries: KVec<Entry>,
    /// The position of the next change to be put in.
    head: Atomic<u64>,
    /// The position of the next change to be taken out.
    tail: Atomic<u64>,
    lost: Atomic<u64>,
}

impl Ring {
    /// How many changes there is room for: more than modules come and go while the work item waits
    /// for a CPU.
    // Two, where loom is to see what happens in a full one.
    pub(super) const SIZE: u64 = if cfg!(connector_proofs) { 2 } else { 1024 };

    pub(super) fn new() -> Result<Self> {
        let mut entries = KVec::with_capacity(Self::SIZE as usize, GFP_KERNEL)?;
        for _ in 0..Self::SIZE {
            let entry = Entry {
                id: Atomic::new(0),
                stamp: Atomic::new(0),
            };
            entries.push_within_capacity(entry)?;
        }
        Ok(Self {
            entries,
            head: Atomic::new(0),
            tail: Atomic::new(0),
            lost: Atomic::new(0),
        })
    }

    fn entry(&self, position: u64) -> Option<&Entry> {
        self.entries.get((position % Self::SIZE) as usize)
    }

    /// Puts a change in, or counts it as lost if there is no room. May be called anywhere.
    pub(super) fn push(&self, id: CbId, change: Change) {
        match self.reserve() {
            Some(position) => self.fill(position, id, change),
            None => self.lost.add(1, Relaxed),
        }
    }

    /// Reserves the next position. It has to be filled soon: what is behind it waits for that.
    pub(super) fn reserve(&self) -> Option<u64> {
        let mut position = self.head.load(Relaxed);
        loop {
            // The entry is free once `tail` has passed it.
            match position.checked_sub(self.tail.load(Acquire)) {
                Some(filled) if filled < Self::SIZE => {}
                Some(_) => return None,
                // Others have put changes in since we looked, which were taken out already.
                None => {
                    position = self.head.load(Relaxed);
                    continue;
                }
            }
            match self.head.cmpxchg(position, position + 1, Relaxed) {
                Ok(_) => return Some(position),
                Err(other) => position = other,
            }
        }
    }

    /// Fills the entry of a position that the caller has reserved.
    pub(super) fn fill(&self, position: u64, id: CbId, change: Change) {
        if let Some(entry) = self.entry(position) {
            let id = (u64::from(id.idx) << 32) | u64::from(id.val);
            entry.id.store(id, Relaxed);
            entry.stamp.store(Self::stamp(position, change), Release);
        }
    }

    fn stamp(position: u64, change: Change) -> u64 {
        ((position + 1) << 1) | u64::from(change == Change::Unregistered)
    }

    /// Takes the next change out, if there is one and it is complete. One caller at a time.
    ///
    /// An entry that was reserved and is not filled yet is not waited for. Who is filling it has
    /// the observer told of it afterwards.
    pub(super) fn pop(&self) -> Option<(CbId, Change)> {
        let position = self.tail.load(Relaxed);
        let entry = self.entry(position)?;
        let change = match entry.stamp.load(Acquire) {
            stamp if stamp == Self::stamp(position, Change::Registered) => Change::Registered,
            stamp if stamp == Self::stamp(position, Change::Unregistered) => Change::Unregistered,
            _ => return None,
        };
        let id = entry.id.load(Relaxed);
        self.tail.store(position + 1, Release);
        // CAST: Takes the number apart.
        let id = CbId {
            idx: (id >> 32) as u32,
            val: id as u32,
        };
        Some((id, change))
    }

    /// How many changes were put in, ever, complete or not.
    pub(super) fn head(&self) -> u64 {
        self.head.load(Relaxed)
    }

    /// How many changes were taken out, ever.
    pub(super) fn tail(&self) -> u64 {
        self.tail.load(Relaxed)
    }

    /// How many changes found no room, ever.
    pub(super) fn lost(&self) -> u64 {
        self.lost.load(Relaxed)
    }
}
