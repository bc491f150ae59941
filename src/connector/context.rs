// SPDX-License-Identifier: GPL-2.0

//! Where netlink may be used: wherever interrupts are on.
//!
//! To give back a lock that is taken with softirqs off is to run those that came meanwhile, and that
//! switches interrupts on. Netlink's taps have such locks, and so have the kernel's core and a
//! [`Broadcaster`](crate::Broadcaster). Who has switched interrupts off, be it by a lock of his own, would
//! have what he keeps out run under that lock.

use crate::{
    bindings,
    SendError, //
};

/// Fails where netlink must not be used.
// Not inlined into users' modules, for which the helper is not there.
#[inline(never)]
pub(crate) fn check() -> Result<(), SendError> {
    // SAFETY: Can be called anywhere.
    match unsafe { bindings::connector_helper_irqs_disabled() } {
        true => Err(SendError::InterruptsOff),
        false => Ok(()),
    }
}
