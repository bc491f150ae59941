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
    started::Started,
    unload, //
};

/// All of it.
#[pin_data]
pub(crate) struct Parts {
    // Dropped in this order: nothing is registered any more, and nobody looks for services any more when the last
    // are freed.
    started: Started,
    #[pin]
    unload: Notifier,
    #[pin]
    closed: Notifier,
    #[pin]
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
    /// Must be called once, before anything else of the connector can be used, as the last step of the
    /// module's initialisation that can fail. What it makes must be dropped before its code goes.
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
            // After all that can fail, this and what follows: who has a socket or a file open keeps the
            // module, but not one that could not be initialised. Messages may come as soon as this is
            // there.
            //
            // SAFETY: It is called once by this function's contract, debugfs cannot fail, and the module
            // is initialised when its parts are. They are dropped when it goes.
            core: unsafe { cores::Core::new() }?,
            debugfs <- debugfs::files(),
            started: Started::new(),
        })
    }
}
