// SPDX-License-Identifier: GPL-2.0 OR MIT

//! How long to wait.

use std::time::{Duration, Instant};

/// Until when a call may wait.
///
/// Made from a [`Duration`] (from the call on), from an [`Instant`], or one of the constants.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use netlink_connector::Deadline;
///
/// let soon: Deadline = Duration::from_millis(200).into();
/// assert_ne!(soon, Deadline::NEVER);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadline(Kind);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Never,
    At(Instant),
    /// Counted from the moment when there turns out to be something to wait for. The clock is not
    /// read before: a reply that is there at once, as it usually is, costs no look at the clock.
    After(Duration),
}

impl Deadline {
    /// Wait as long as it takes.
    pub const NEVER: Self = Self(Kind::Never);

    /// Do not wait: take what is there.
    pub const NOW: Self = Self(Kind::After(Duration::ZERO));

    /// Makes the limit a fixed point in time, from now on.
    pub(crate) fn start(&mut self) {
        self.left();
    }

    /// The time left, or `None` if there is no limit. From the first call on, the limit is a fixed
    /// point in time.
    pub(crate) fn left(&mut self) -> Option<Duration> {
        match self.0 {
            Kind::Never => None,
            Kind::At(at) => Some(at.saturating_duration_since(Instant::now())),
            Kind::After(duration) => {
                if !duration.is_zero() {
                    // A point too far away for the clock is as good as none.
                    self.0 = Instant::now()
                        .checked_add(duration)
                        .map_or(Kind::Never, Kind::At);
                }
                Some(duration)
            }
        }
    }
}

impl From<Duration> for Deadline {
    fn from(duration: Duration) -> Self {
        Self(Kind::After(duration))
    }
}

impl From<Option<Duration>> for Deadline {
    /// `None` is [`Self::NEVER`].
    fn from(duration: Option<Duration>) -> Self {
        duration.map_or(Self::NEVER, Self::from)
    }
}

impl From<Instant> for Deadline {
    fn from(at: Instant) -> Self {
        Self(Kind::At(at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn now_leaves_no_time_however_often_it_is_asked() {
        let mut now = Deadline::NOW;
        assert_eq!(now.left(), Some(Duration::ZERO));
        assert_eq!(now.left(), Some(Duration::ZERO));
    }

    #[test]
    fn never_has_no_limit_and_an_endless_duration_becomes_never() {
        assert_eq!({ Deadline::NEVER }.left(), None);
        let mut endless = Deadline::from(Duration::MAX);
        assert_eq!(endless.left(), Some(Duration::MAX));
        assert_eq!(endless, Deadline::NEVER);
    }

    #[test]
    fn a_duration_counts_from_the_first_question() {
        let mut deadline = Deadline::from(Duration::from_secs(60));
        assert_eq!(deadline.left(), Some(Duration::from_secs(60)));
        assert!(deadline.left() < Some(Duration::from_secs(60)));
    }

    #[test]
    fn a_point_in_the_past_leaves_no_time() {
        assert_eq!(Deadline::from(Instant::now()).left(), Some(Duration::ZERO));
    }
}
