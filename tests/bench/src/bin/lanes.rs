// SPDX-License-Identifier: GPL-2.0

//! What it is worth that each CPU has counters of its own: the access pattern of a message, in
//! userspace, where two threads are on two real CPUs at a time. It says nothing of the kernel's own
//! part. Each line is the median of pairs: how many rounds two threads do, per round of one.

use std::hint::black_box;
use std::sync::Barrier;
use std::sync::atomic::{
    AtomicI64, AtomicU64,
    Ordering::{Acquire, Relaxed, SeqCst},
};
use std::thread;
use std::time::{Duration, Instant};

/// How long is counted for.
const SPAN: Duration = Duration::from_millis(400);
const PAIRS: usize = 9;

/// As in `src/connector/slot.rs`.
#[repr(align(64))]
#[derive(Default)]
struct Lane {
    entered: AtomicI64,
    left: AtomicI64,
    replied: AtomicU64,
}

impl Lane {
    fn message(&self) {
        if self.entered.fetch_add(1, Acquire) >= 0 {
            self.replied.fetch_add(1, Relaxed);
            self.left.fetch_add(1, SeqCst);
        }
    }
}

/// How many messages this lane takes in the time, from one thread.
fn count(lane: &Lane, start: &Barrier) -> u64 {
    start.wait();
    let since = Instant::now();
    let mut rounds = 0;
    while since.elapsed() < SPAN {
        for _ in 0..1000 {
            black_box(lane).message();
        }
        rounds += 1000;
    }
    rounds
}

/// How many these take together, with a thread each.
fn rounds(lanes: &[&Lane]) -> f64 {
    let start = &Barrier::new(lanes.len());
    let total: u64 = thread::scope(|scope| {
        let count = |lane| scope.spawn(move || count(lane, start));
        let threads: Vec<_> = lanes.iter().copied().map(count).collect();
        let rounds = threads.into_iter().map(|thread| thread.join());
        rounds
            .map(|rounds| rounds.expect("it does not panic"))
            .sum()
    });
    total as f64
}

fn main() {
    let (first, second) = (Lane::default(), Lane::default());
    for (what, other) in [("one lane for all", &first), ("a lane for each", &second)] {
        let mut ratios: Vec<f64> = (0..PAIRS)
            .map(|_| rounds(&[&first, other]) / rounds(&[&first]))
            .collect();
        ratios.sort_by(f64::total_cmp);
        println!(
            "{what}: two CPUs do {:.2} times the work of one",
            ratios[PAIRS / 2]
        );
    }
}
