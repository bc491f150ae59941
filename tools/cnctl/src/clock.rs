// SPDX-License-Identifier: GPL-2.0

//! Times since boot, as the kernel's log and its process events have them.

use std::{fmt, time::Duration};

use nix::time::{ClockId, clock_gettime};

use crate::digits;

/// A time since boot (`CLOCK_MONOTONIC`). Shown as in the kernel's log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stamp(pub(crate) Duration);

impl Stamp {
    pub(crate) fn now() -> Self {
        // This clock always exists.
        Self(clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(Duration::ZERO, Duration::from))
    }

    /// Appends what is displayed; formatting it would take several times as long.
    pub(crate) fn append(self, out: &mut String) {
        out.push('[');
        digits::append(out, self.0.as_secs(), 5);
        out.push('.');
        digits::append_fraction(out, self.0.subsec_micros(), 1_000_000);
        out.push(']');
    }

    /// For JSON: seconds with all nine digits.
    pub(crate) fn seconds(self) -> impl fmt::Display {
        format!("{}.{:09}", self.0.as_secs(), self.0.subsec_nanos())
    }
}

/// How long the machine was suspended since it was booted.
pub(crate) fn suspended() -> Duration {
    let boot = clock_gettime(ClockId::CLOCK_BOOTTIME).map_or(Duration::ZERO, Duration::from);
    boot.saturating_sub(Stamp::now().0)
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{:5}.{:06}]", self.0.as_secs(), self.0.subsec_micros())
    }
}
