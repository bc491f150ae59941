// SPDX-License-Identifier: GPL-2.0

//! Times of events on the wall clock. The kernel tells them since boot; what that is on the clock
//! is found by reading both, so that an event from before the clock was set is off by as much.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::{Timestamp, tz::TimeZone};

use crate::clock::Stamp;

/// The wall clock, as it is now.
#[derive(Debug)]
pub(super) struct Wall {
    zone: TimeZone,
    /// When the clock since boot began, since 1970.
    boot: Duration,
}

impl Wall {
    pub(super) fn new() -> Self {
        let mut wall = Self {
            zone: TimeZone::system(),
            boot: Duration::ZERO,
        };
        wall.read();
        wall
    }

    /// Reads the clocks again.
    pub(super) fn read(&mut self) {
        let since_boot = Stamp::now().0;
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        self.boot = now.unwrap_or_default().saturating_sub(since_boot);
    }

    fn timestamp(&self, time: Duration) -> Timestamp {
        let nanos = (self.boot + time).as_nanos();
        // Beyond the year 9999.
        Timestamp::from_nanosecond(nanos as i128).unwrap_or(Timestamp::MAX)
    }

    /// The time of the day, in the zone of this machine.
    pub(super) fn text(&self, time: Duration) -> String {
        let time = self.timestamp(time).to_zoned(self.zone.clone());
        time.strftime("%H:%M:%S%.6f").to_string()
    }

    /// The same, to the second.
    pub(super) fn brief(&self, time: Duration) -> String {
        let time = self.timestamp(time).to_zoned(self.zone.clone());
        time.strftime("%H:%M:%S").to_string()
    }

    /// Date and time in UTC, by RFC 3339.
    pub(super) fn rfc3339(&self, time: Duration) -> String {
        format!("{:.9}", self.timestamp(time))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_clock() {
        let mut wall = Wall {
            zone: TimeZone::fixed(jiff::tz::offset(2)),
            boot: Duration::from_secs(86_400),
        };
        let time = Duration::new(3_723, 4_000);
        assert_eq!(wall.text(time), "03:02:03.000004");
        assert_eq!(wall.brief(time), "03:02:03");
        assert_eq!(wall.rfc3339(time), "1970-01-02T01:02:03.000004000Z");
        wall.read();
        let now = Timestamp::now();
        let read = wall.timestamp(Stamp::now().0);
        assert!(now <= read.max(now), "{now} {read}");
    }
}
