// SPDX-License-Identifier: GPL-2.0

//! Noting changes while sources come and go.

use kernel::{
    prelude::GFP_KERNEL,
    sync::{
        atomic::{Atomic, Relaxed},
        Arc,
    },
};
use loom::thread;

use super::{
    hub,
    source::{Feed, Source},
};
use crate::{models::Model, wire::notify::Change, CbId};

pub(crate) const MODELS: &[Model] = &[
    Model {
        name: "list-sources",
        property: "who notes a change finds sources that are complete, and none that was stopped",
        cpus: 4,
        preemptions: Some(3),
        run: sources,
    },
    Model {
        name: "list-ended",
        property: "a source whose job ends while it is started is not left on the list",
        cpus: 4,
        preemptions: None,
        run: ended,
    },
    Model {
        name: "list-settled",
        property:
            "who begins to watch an id that goes is told, or does not find it when that has settled",
        cpus: 4,
        preemptions: None,
        run: settled,
    },
];

const ID: CbId = CbId { idx: 1, val: 1 };

fn start(feed: &Arc<Feed>) {
    let source = Source::new(feed.clone()).expect("there is memory");
    hub::start(source).expect("there is memory");
}

fn sources() {
    // SAFETY: This comes first in an interleaving.
    unsafe { hub::init() };
    let noting = thread::spawn(|| hub::note(ID, Change::Registered));
    let other = thread::spawn(|| {
        let stays = Feed::new().expect("there is memory");
        start(&stays);
        stays
    });
    let goes = Feed::new().expect("there is memory");
    start(&goes);
    hub::stop(&goes);
    goes.is_over();
    noting.join().expect("it ends");
    let stays = other.join().expect("it ends");
    hub::note(ID, Change::Unregistered);
    hub::stop(&stays);
    stays.is_over();
    assert_eq!(stays.changes().last(), Some(&(ID, Change::Unregistered)));
}

fn settled() {
    // SAFETY: This comes first in an interleaving.
    unsafe { hub::init() };
    let is_registered = Arc::new(Atomic::new(true), GFP_KERNEL).expect("there is memory");
    let going = {
        let is_registered = is_registered.clone();
        thread::spawn(move || {
            hub::note_before(ID, Change::Unregistered, || {
                is_registered.store(false, Relaxed);
            });
        })
    };
    let feed = Feed::new().expect("there is memory");
    start(&feed);
    hub::settle();
    let is_found = is_registered.load(Relaxed);
    going.join().expect("it ends");
    hub::stop(&feed);
    feed.is_over();
    let is_told = !feed.changes().is_empty();
    assert!(is_told || !is_found, "it went, and nobody was told");
}

fn ended() {
    // SAFETY: This comes first in an interleaving.
    unsafe { hub::init() };
    let feed = Feed::new().expect("there is memory");
    let source = Source::new(feed.clone()).expect("there is memory");
    let ends = {
        let source = source.clone();
        thread::spawn(move || source.end())
    };
    // Either way, there is nobody who would stop it.
    let _ = hub::start(source);
    ends.join().expect("it ends");
    hub::note(ID, Change::Registered);
    feed.is_over();
    assert!(feed.changes().is_empty());
}
