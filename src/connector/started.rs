// SPDX-License-Identifier: GPL-2.0

//! Whether all of the connector is there. What is registered before that, or where it could not be started, would
//! not be taken away when its module goes.

use kernel::{
    prelude::*,
    sync::atomic::{
        Acquire,
        Atomic,
        Release, //
    },
};

static IS_STARTED: Atomic<bool> = Atomic::new(false);

/// Whether it is: `EAGAIN` if not.
// Not inlined into users' modules: they would become larger.
#[inline(never)]
pub(crate) fn check() -> Result {
    match IS_STARTED.load(Acquire) {
        true => Ok(()),
        false => Err(EAGAIN),
    }
}

/// It is, as long as this exists.
pub(crate) struct Started(());

impl Started {
    /// To be made last.
    pub(crate) fn new() -> Self {
        IS_STARTED.store(true, Release);
        Self(())
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        IS_STARTED.store(false, Release);
    }
}
