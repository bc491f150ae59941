// SPDX-License-Identifier: GPL-2.0

//! The ring and the list of sources as they are shipped, with a source that has nothing but what
//! these two need: no work item tells its observer.

#[path = "../../../src/connector/changes/hub.rs"]
mod hub;
#[path = "../../../src/connector/changes/ring.rs"]
mod ring;
mod source;

pub(crate) mod list_models;
pub(crate) mod ring_models;

use crate::{wire::notify::Change, CbId};

/// As in the crate.
///
/// # Safety
///
/// As there.
pub(crate) unsafe fn init() {
    // SAFETY: By this function's contract.
    unsafe { hub::init() };
}

/// As in the crate.
pub(crate) fn note_registered(id: CbId) {
    hub::note(id, Change::Registered);
}

/// As in the crate.
pub(crate) fn note_unregistered(id: CbId, happen: impl FnOnce()) {
    hub::note_before(id, Change::Unregistered, happen);
}
