// SPDX-License-Identifier: GPL-2.0

//! Waiting for RCU. (`kernel::sync::rcu` has these functions from Linux 7.3 on.)

use crate::bindings;

/// Waits until all RCU read-side critical sections are over that had begun. May sleep.
pub(crate) fn synchronize_rcu() {
    // SAFETY: Can be called wherever one may sleep.
    unsafe { bindings::synchronize_rcu() };
}

/// Waits until all is freed that `call_rcu()` was called for. May sleep.
pub(crate) fn rcu_barrier() {
    // SAFETY: As above.
    unsafe { bindings::rcu_barrier() };
}
