// SPDX-License-Identifier: GPL-2.0

//! Two tasks that fill a ring, and one that empties it, round and round.

use std::rc::Rc;

use loom::thread;

use super::ring::Ring;
use crate::{models::Model, wire::notify::Change, CbId};

pub(crate) const MODELS: &[Model] = &[
    Model {
        name: "ring-changes",
        property:
            "each change is taken out once, as it was put in, and in order, or counted as lost",
        cpus: 4,
        preemptions: Some(2),
        run: changes,
    },
    Model {
        name: "ring-room",
        property: "no change is lost while there is room",
        cpus: 4,
        preemptions: Some(4),
        run: room,
    },
];

/// The change of this number: each is of an id of its own, and every second one goes.
fn change(number: u32) -> (CbId, Change) {
    let change = match number % 2 {
        0 => Change::Registered,
        _ => Change::Unregistered,
    };
    let id = CbId {
        idx: number,
        val: number,
    };
    (id, change)
}

fn changes() {
    let ring = Rc::new(Ring::new().expect("there is memory"));
    let writers = [[1, 2], [3, 4]].map(|numbers: [u32; 2]| {
        let ring = ring.clone();
        thread::spawn(move || {
            for number in numbers {
                let (id, change) = change(number);
                ring.push(id, change);
            }
        })
    });
    let mut out = Vec::new();
    let mut take = |ring: &Ring| {
        while let Some((id, what)) = ring.pop() {
            assert_eq!((id, what), change(id.idx), "it is not one that was put in");
            out.push(id.idx);
        }
    };
    take(&ring);
    take(&ring);
    for writer in writers {
        writer.join().expect("it ends");
    }
    take(&ring);
    assert_eq!(ring.head(), ring.tail());
    assert_eq!(out.len() as u64 + ring.lost(), 4, "{out:?}");
    for (before, after) in [(1, 2), (3, 4)] {
        let at = |number| out.iter().position(|it| *it == number);
        if let (Some(before), Some(after)) = (at(before), at(after)) {
            assert!(before < after, "{out:?}");
        }
    }
    out.sort_unstable();
    out.dedup();
    assert_eq!(out.len() as u64 + ring.lost(), 4, "one was taken out twice");
}

fn room() {
    let ring = Rc::new(Ring::new().expect("there is memory"));
    let writers = [1, 2].map(|number| {
        let ring = ring.clone();
        thread::spawn(move || {
            let (id, change) = change(number);
            ring.push(id, change);
        })
    });
    // There is room for two.
    let taken = usize::from(ring.pop().is_some());
    for writer in writers {
        writer.join().expect("it ends");
    }
    let rest = core::iter::from_fn(|| ring.pop()).count();
    assert_eq!((taken + rest, ring.lost()), (2, 0));
}
