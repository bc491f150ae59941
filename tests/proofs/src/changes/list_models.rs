// SPDX-License-Identifier: GPL-2.0

//! Noting changes while sources come and go.

use loom::thread;

use super::{hub, source::Source};
use crate::{models::Model, wire::notify::Change, CbId};

pub(crate) const MODELS: &[Model] = &[Model {
    name: "list-sources",
    property: "who notes a change finds sources that are complete, and none that was stopped",
    cpus: 4,
    preemptions: Some(3),
    run: sources,
}];

const ID: CbId = CbId { idx: 1, val: 1 };

fn sources() {
    // SAFETY: This comes first in an interleaving.
    unsafe { hub::init() };
    let noting = thread::spawn(|| hub::note(ID, Change::Registered));
    let other = thread::spawn(|| {
        let stays = Source::new().expect("there is memory");
        hub::start(&stays).expect("there is memory");
        stays
    });
    let goes = Source::new().expect("there is memory");
    hub::start(&goes).expect("there is memory");
    assert!(hub::stop(&goes));
    drop(goes);
    noting.join().expect("it ends");
    let stays = other.join().expect("it ends");
    hub::note(ID, Change::Unregistered);
    assert!(hub::stop(&stays));
    assert_eq!(stays.changes().last(), Some(&(ID, Change::Unregistered)));
}
