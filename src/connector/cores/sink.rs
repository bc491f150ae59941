// SPDX-License-Identifier: GPL-2.0

//! Where the probes of a core report to, and the id that they are tried out with.

use crate::{
    wire::notify::Change,
    CbId, //
};

/// The id that no service may have, on either core: the probes are tried out by unregistering it. Its
/// `idx` belongs to nobody, and there is no group 0.
pub(crate) const CANARY_ID: CbId = CbId {
    idx: 0,
    val: u32::MAX,
};

/// Where probes report to.
///
/// # Context
///
/// Preemption is off.
pub(crate) trait Sink {
    /// A module other than this one has changed an id. May run as if in an NMI: must take no lock.
    fn note(id: CbId, change: Change);

    /// What was noted can be told. Not in an NMI.
    fn wake();
}
