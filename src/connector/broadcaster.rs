// SPDX-License-Identifier: GPL-2.0

//! Messages to whoever listens to an id's own group.

use kernel::{
    new_spinlock,
    prelude::*,
    sync::SpinLock, //
};

use crate::{
    bindings,
    context,
    cores,
    send::{
        self,
        OutMessage, //
    },
    CbId,
    SendError, //
};

/// Sends messages from an id to the id's own group, and numbers them.
///
/// `seq` is 0 in the first message and grows by one in each: whoever sees a gap has lost something.
/// Messages are sent in the order of their numbers, whoever sends at a time. That nobody listens is
/// no error.
///
/// Nothing needs to be registered for this. An ordinary value that can be shared, moved, leaked and
/// dropped anywhere.
///
/// # Examples
///
/// ```
/// use connector::{Broadcaster, CbId};
/// use kernel::prelude::*;
///
/// fn tell() -> Result {
///     let broadcaster = Broadcaster::new(CbId { idx: 20, val: 1 })?;
///     broadcaster.send(b"one")?;
///     broadcaster.send(b"two")?;
///     Ok(())
/// }
/// ```
pub struct Broadcaster {
    id: CbId,
    /// The number of the next message.
    seq: Pin<KBox<SpinLock<u32>>>,
}

impl Broadcaster {
    /// Makes a broadcaster for an id. May sleep.
    ///
    /// # Errors
    ///
    /// - `EINVAL`: the id's `idx` is the number of no group, so that nobody could ever listen. See
    ///   [`Group`](crate::Group) for how many there are.
    /// - `ENOMEM`: no memory.
    pub fn new(id: CbId) -> Result<Self> {
        if !cores::has_group(id.idx) {
            return Err(SendError::NoGroup.into());
        }
        Ok(Self {
            id,
            seq: KBox::pin_init(new_spinlock!(0), GFP_KERNEL)?,
        })
    }

    /// Sends a message.
    ///
    /// Process context or softirq, with interrupts on; does not sleep. It takes a time that grows with the
    /// number of listeners, some microseconds each, and softirqs are off for so long.
    ///
    /// # Errors
    ///
    /// [`SendError::InterruptsOff`]: nothing was done. The message is lost, and its number missing, with
    ///
    /// - [`SendError::NoMemory`]: no memory for it.
    /// - [`SendError::TooLarge`]: more than 65535 bytes.
    /// - [`SendError::Overrun`]: a listener that wants senders to know had no room; others got it.
    pub fn send(&self, data: &[u8]) -> Result<(), SendError> {
        // Else softirqs would run here, under a lock of the caller's that keeps them off.
        context::check()?;
        let _no_softirq = NoSoftirq::new();
        let mut seq = self.seq.lock();
        let message = OutMessage {
            seq: *seq,
            ..OutMessage::new(self.id, data)
        };
        *seq = seq.wrapping_add(1);
        // Under the lock, or they would overtake each other. It calls nobody's code.
        match send::broadcast(&message) {
            Err(SendError::NoListeners) => Ok(()),
            other => other,
        }
    }
}

/// No softirq comes on this CPU as long as this exists: one that sends, too, would wait for the lock
/// that its CPU holds.
struct NoSoftirq;

impl NoSoftirq {
    fn new() -> Self {
        // SAFETY: `Drop` undoes it, on the same CPU: who is in here does not move.
        unsafe { bindings::connector_helper_local_bh_disable() };
        Self
    }
}

impl Drop for NoSoftirq {
    fn drop(&mut self) {
        // SAFETY: `new` has disabled it.
        unsafe { bindings::connector_helper_local_bh_enable() };
    }
}
