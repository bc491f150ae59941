// SPDX-License-Identifier: GPL-2.0

//! A queue of changes that can be filled anywhere.
//!
//! Probes fill it, on any CPU and with preemption off, where even a spinlock may be too much on
//! some kernels; one task at a time empties it. It has a fixed size. Changes that find it full are
//! counted.

use kernel::{
    prelude::*,
    sync::atomic::{
        Acquire,
        Atomic,
        Full,
        Relaxed,
        Release, //
    },
    time::{
        delay::fsleep,
        Delta, //
    },
};

use crate::{
    wire::notify::Change,
    CbId, //
};

/// A place for a change.
struct Place {
    /// The id, in one piece.
    id: Atomic<u64>,
    /// Which change it is, counted from 1 and doubled, plus 1 if the id went. Written last, and
    /// thereby says that the place is filled.
    stamp: Atomic<u64>,
}

pub(super) struct Ring {
    places: KVec<Place>,
    /// How many changes were put in.
    head: Atomic<u64>,
    /// How many were taken out.
    tail: Atomic<u64>,
    lost: Atomic<u64>,
}

impl Ring {
    /// More than modules come and go while the work item waits for a CPU.
    const SIZE: u64 = 1024;

    pub(super) fn new() -> Result<Self> {
        let mut places = KVec::with_capacity(Self::SIZE as usize, GFP_KERNEL)?;
        for _ in 0..Self::SIZE {
            let place = Place {
                id: Atomic::new(0),
                stamp: Atomic::new(0),
            };
            places.push_within_capacity(place)?;
        }
        Ok(Self {
            places,
            head: Atomic::new(0),
            tail: Atomic::new(0),
            lost: Atomic::new(0),
        })
    }

    fn place(&self, position: u64) -> Option<&Place> {
        self.places.get((position % Self::SIZE) as usize)
    }

    /// Puts a change in. Neither sleeps nor waits for who takes out.
    pub(super) fn push(&self, id: CbId, change: Change) {
        let mut position = self.head.load(Relaxed);
        loop {
            // The place is free once `tail` has passed it.
            match position.checked_sub(self.tail.load(Acquire)) {
                Some(filled) if filled < Self::SIZE => {}
                Some(_) => {
                    self.lost.add(1, Relaxed);
                    return;
                }
                // Others have put changes in since we looked, which were taken out already.
                None => {
                    position = self.head.load(Relaxed);
                    continue;
                }
            }
            match self.head.cmpxchg(position, position + 1, Full) {
                Ok(_) => break,
                Err(other) => position = other,
            }
        }
        if let Some(place) = self.place(position) {
            let id = u64::from(id.idx) << 32 | u64::from(id.val);
            place.id.store(id, Relaxed);
            place.stamp.store(Self::stamp(position, change), Release);
        }
    }

    fn stamp(position: u64, change: Change) -> u64 {
        (position + 1) << 1 | u64::from(change == Change::Unregistered)
    }

    /// Takes all changes out that are in by now. One caller at a time; may sleep.
    pub(super) fn take_all(&self, mut f: impl FnMut(CbId, Change)) {
        let end = self.head.load(Acquire);
        let mut position = self.tail.load(Relaxed);
        while position < end {
            let Some(place) = self.place(position) else {
                return;
            };
            let change = match place.stamp.load(Acquire) {
                stamp if stamp == Self::stamp(position, Change::Registered) => Change::Registered,
                stamp if stamp == Self::stamp(position, Change::Unregistered) => {
                    Change::Unregistered
                }
                // It is about to be written. Those behind it may be complete, and have to be told
                // before this returns.
                _ => {
                    fsleep(Delta::from_micros(1));
                    continue;
                }
            };
            let id = place.id.load(Relaxed);
            position += 1;
            self.tail.store(position, Release);
            // CAST: Takes the number apart.
            let id = CbId {
                idx: (id >> 32) as u32,
                val: id as u32,
            };
            f(id, change);
        }
    }

    /// How many changes found no place, ever.
    pub(super) fn lost(&self) -> u64 {
        self.lost.load(Relaxed)
    }
}
