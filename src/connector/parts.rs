// SPDX-License-Identifier: GPL-2.0

//! What exists once, from the start of the connector to its end.

use kernel::prelude::*;

use crate::{
    changes,
    closed,
    cores,
    debugfs,
    going,
    job,
    notifier::Notifier,
    registry,
    unload, //
};

/// All of it.
#[pin_data]
pub(crate) struct Parts {
    // Dropped in this order: nobody looks for services any more when the last are freed.
    #[pin]
    unload: Notifier,
    #[pin]
    closed: Notifier,
    debugfs: debugfs::Files,
    core: cores::Core,
    jobs: job::Queue,
    memory: registry::Memory,
}

impl Parts {
    /// Makes it.
    ///
    /// # Safety
    ///
    /// Must be called once, before anything else of the connector can be used.
    pub(crate) unsafe fn new() -> impl PinInit<Self, Error> {
        // SAFETY: By this function's contract.
        unsafe {
            going::init();
            registry::init();
            changes::init();
            job::init();
        }
        try_pin_init!(Self {
            memory: registry::Memory,
            unload <- unload::watch(),
            closed <- closed::watch(),
            jobs: job::Queue::new()?,
            // Messages may come as soon as this is there.
            core: cores::Core::new()?,
            // After all that can fail: who has a file open keeps the module, but not one that could
            // not be initialised.
            debugfs: debugfs::Files::new(),
        })
    }
}
