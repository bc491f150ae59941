// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Event notification: being told when ids are registered and unregistered. The service behind it
//! is the module `cn_notify`.

use connector_wire::{
    CbId, Group,
    notify::{ControlHeader, Range},
};

use crate::{
    call,
    connector::Connector,
    deadline::Deadline,
    error::{Error, Result},
    message::Message,
};

pub use connector_wire::notify::Change;

/// The ids that a request is about: those whose `idx` is in one of the first ranges, and whose
/// `val` is in one of the second.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ids {
    /// Ranges of `idx`.
    pub idx: Vec<Range>,
    /// Ranges of `val`.
    pub val: Vec<Range>,
}

/// Two ranges that together have every number; one alone cannot.
const EVERY: [Range; 2] = [
    Range {
        first: 0,
        range: u32::MAX,
    },
    Range {
        first: u32::MAX,
        range: 1,
    },
];

impl Ids {
    /// Every id.
    pub fn every() -> Self {
        Self {
            idx: EVERY.to_vec(),
            val: EVERY.to_vec(),
        }
    }

    /// Whether `id` is one of them.
    pub fn contains(&self, id: CbId) -> bool {
        self.idx.iter().any(|range| range.contains(id.idx))
            && self.val.iter().any(|range| range.contains(id.val))
    }

    /// The data of a request for notifications to the group of this number; 0 takes it back.
    pub(crate) fn control(&self, group: u32) -> Vec<u8> {
        let ranges = || self.idx.iter().chain(&self.val);
        // More than the numbers can say is more than a message can carry, which is found out later.
        let count = |ranges: &[Range]| u32::try_from(ranges.len()).unwrap_or(u32::MAX);
        let header = ControlHeader {
            idx_ranges: count(&self.idx),
            val_ranges: count(&self.val),
            group,
            len: u32::try_from(ranges().count() * Range::SIZE).unwrap_or(u32::MAX),
        };
        let mut data = header.to_bytes().to_vec();
        data.extend(ranges().flat_map(Range::to_bytes));
        data
    }
}

impl Connector {
    /// Joins `group` and asks to be told there when one of `ids` is registered or unregistered.
    /// Notifications arrive as messages from the id that changed; see [`Change::parse`].
    ///
    /// # Errors
    ///
    /// [`Error::Service`] if `cn_notify` refuses: it takes `CAP_NET_ADMIN`, and there is a limit to
    /// the number of requests. [`Error::NotRegistered`] or [`Error::TimedOut`] if there is no `cn_notify`.
    /// Those of [`Self::join`] and [`Self::send`].
    pub fn watch_ids(&self, ids: &Ids, group: Group, deadline: impl Into<Deadline>) -> Result<()> {
        self.join(group)?;
        self.control(ids, group.number(), deadline.into())
    }

    /// Takes back the request for exactly these `ids`. The group is not left: other requests may
    /// use it.
    ///
    /// # Errors
    ///
    /// Those of [`Self::watch_ids`].
    pub fn unwatch_ids(&self, ids: &Ids, deadline: impl Into<Deadline>) -> Result<()> {
        self.control(ids, 0, deadline.into())
    }

    fn control(&self, ids: &Ids, group: u32, deadline: Deadline) -> Result<()> {
        let request = self.header(CbId::NOTIFY);
        granted(&self.request(&request, &ids.control(group), deadline)?)
    }
}

/// What `cn_notify` answers to a request: how that ended, and nothing else.
pub(crate) fn granted(answer: &Message) -> Result<()> {
    let more = call::ended(answer)?;
    more.is_empty().then_some(()).ok_or(Error::Unexpected(
        "the answer to a request for notifications is not one number",
    ))
}

#[cfg(test)]
mod tests {
    use connector_wire::notify::Control;

    use super::*;

    #[test]
    fn every_id_is_every_id() {
        let every = Ids::every();
        for idx in [0, 1, u32::MAX - 1, u32::MAX] {
            for val in [0, 1, u32::MAX - 1, u32::MAX] {
                assert!(every.contains(CbId { idx, val }));
            }
        }
    }

    #[test]
    fn what_is_asked_for_is_what_the_other_side_reads() {
        let ids = Ids {
            idx: vec![Range { first: 1, range: 2 }],
            ..Ids::every()
        };
        let data = ids.control(26);
        let control = Control::parse(&data).unwrap();
        assert_eq!(control.group, Group::new(26));
        assert!(control.idx_ranges().eq(ids.idx));
        assert!(control.val_ranges().eq(ids.val));
        assert_eq!(
            Control::parse(&Ids::every().control(0)).unwrap().group,
            None
        );
    }
}
