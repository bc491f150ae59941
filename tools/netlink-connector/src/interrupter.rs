// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Ending the waits of other threads.

use std::{os::fd::OwnedFd, sync::Arc};

/// Ends the waits of other threads on a socket; see
/// [`Connector::interrupter`](crate::Connector::interrupter).
#[derive(Clone, Debug)]
pub struct Interrupter {
    eventfd: Arc<OwnedFd>,
}

impl Interrupter {
    pub(crate) fn new(eventfd: Arc<OwnedFd>) -> Self {
        Self { eventfd }
    }

    /// Has every call that waits for a message return
    /// [`Error::Interrupted`](crate::Error::Interrupted); if none waits, the next one that would.
    /// Does not block.
    pub fn interrupt(&self) {
        // It fails only where the counter is at its end, and then the wait ends anyway.
        let _ = rustix::io::write(&self.eventfd, &1u64.to_ne_bytes());
    }
}
