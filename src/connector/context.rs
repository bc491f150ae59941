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
#[inline(always)]
pub(crate) fn check() -> Result<(), SendError> {
    match interrupts_are_off() {
        true => Err(SendError::InterruptsOff),
        false => Ok(()),
    }
}

// Not inlined into users' modules, for which the helper is not there. No more than that, so that it is
// a jump to the helper.
#[inline(never)]
fn interrupts_are_off() -> bool {
    // SAFETY: Can be called anywhere.
    unsafe { bindings::connector_helper_irqs_disabled() }
}
