// SPDX-License-Identifier: GPL-2.0

//! How a service is used: who is inside, which keeps it from going, and what became of messages.
//!
//! It knows neither whose it is nor what is done inside.

use core::ptr::NonNull;

use kernel::prelude::*;

use crate::{
    slot::{
        Lane,
        Slot, //
    },
    stats::{
        Dropped,
        Snapshot, //
    },
    SendError, //
};

/// How one service is used.
#[pin_data]
pub(crate) struct Usage {
    dropped: Dropped,
    // Not called `slot`, which means something in `pin_init!`.
    #[pin]
    inside: Slot,
}

impl Usage {
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            dropped: Dropped::new(),
            inside <- Slot::new(),
        })
    }

    /// How many messages are being handled, unless this is being closed.
    pub(crate) fn running(&self) -> i64 {
        self.inside.running()
    }

    /// Begins to handle a message, unless this is closed. Does not sleep.
    ///
    /// # Safety
    ///
    /// This is valid during the call; and if that returns a value, until it was drained.
    #[inline(always)]
    pub(crate) unsafe fn enter(&self) -> Option<InUse> {
        let lane = NonNull::from(self.inside.enter()?);
        // INVARIANT: Just entered; `self` is valid by this function's contract.
        Some(InUse {
            usage: NonNull::from(self),
            lane,
        })
    }

    /// Keeps this from being drained, unless it is closed, without counting a message.
    ///
    /// # Safety
    ///
    /// As of [`Self::enter`].
    pub(crate) unsafe fn visit(&self) -> Option<InUse> {
        let lane = NonNull::from(self.inside.visit()?);
        // INVARIANT: As above.
        Some(InUse {
            usage: NonNull::from(self),
            lane,
        })
    }

    /// Nobody enters any more. To be called once, by one who keeps this until it was drained.
    ///
    /// Returns how many messages there were, ever.
    pub(crate) fn close(&self) -> u64 {
        self.inside.close()
    }

    /// Waits until this was closed and nobody is inside. May sleep.
    pub(crate) fn wait_until_drained(&self) {
        self.inside.wait_until_drained();
    }

    /// Whether it was closed and nobody is inside; who was last may be about to say so.
    pub(crate) fn is_drained(&self) -> bool {
        self.inside.is_drained()
    }

    /// Whether somebody who handles a message is [noted](Lane::note).
    #[cfg_attr(CONFIG_CONNECTOR = "y", expect(dead_code))]
    pub(crate) fn has_noted<T>(&self, who: *const T) -> bool {
        self.inside.has_noted(who)
    }

    /// What `who`, who asks, noted in the lane of this CPU, or null.
    #[cfg_attr(CONFIG_CONNECTOR = "y", expect(dead_code))]
    pub(crate) fn noted_with<T>(&self, who: *const T) -> *const c_void {
        self.inside.noted_with(who)
    }

    /// What was counted by now, if this is not closed.
    pub(crate) fn snapshot(&self) -> Snapshot {
        self.snapshot_with(self.inside.received())
    }

    /// What was counted by now, if this is closed and there were so many messages.
    pub(crate) fn snapshot_with(&self, received: u64) -> Snapshot {
        self.dropped.snapshot(received, self.inside.replied())
    }
}

/// Who is inside, which keeps a service from going; dropping it ends that.
///
/// # Invariants
///
/// The task is inside `lane`, a lane of the slot of `usage`, which is valid until it was drained.
pub(crate) struct InUse {
    usage: NonNull<Usage>,
    lane: NonNull<Lane>,
}

impl InUse {
    /// What is used.
    #[inline(always)]
    pub(crate) fn usage(&self) -> &Usage {
        // SAFETY: By the type's invariants: while we are inside it is not drained.
        unsafe { self.usage.as_ref() }
    }

    /// The lane.
    #[inline(always)]
    #[cfg_attr(CONFIG_CONNECTOR = "y", expect(dead_code))]
    pub(crate) fn lane(&self) -> &Lane {
        // SAFETY: By the type's invariants, it is a lane of what is used.
        unsafe { self.lane.as_ref() }
    }

    /// Counts what became of a reply, and returns it.
    #[inline(always)]
    pub(crate) fn count_reply(&self, result: Result<(), SendError>) -> Result<(), SendError> {
        match result {
            // SAFETY: By the type's invariants, it is a lane of what is used.
            Ok(()) => unsafe { self.lane.as_ref() }.count_reply(),
            Err(error) => self.usage().dropped.count(error),
        }
        result
    }
}

impl Drop for InUse {
    #[inline(always)]
    fn drop(&mut self) {
        // SAFETY: `usage` is valid, by the type's invariants.
        let slot = unsafe { &raw const (*self.usage.as_ptr()).inside };
        // SAFETY: By the type's invariants we are inside; nothing of `self` is used any more.
        unsafe { Slot::leave(slot, self.lane.as_ptr()) };
    }
}
