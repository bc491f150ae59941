// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Finding out from sequence numbers what a broadcaster sent and this socket did not get.

use std::collections::HashMap;

use connector_wire::CbId;

use crate::{
    message::Message,
    proc::{self, ProcEvent},
};

/// Messages that are missing before one that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Gap {
    /// The broadcaster.
    pub id: CbId,
    /// The `seq` that was due.
    pub expected: u32,
    /// The `seq` that came.
    pub got: u32,
    /// How many are missing: the distance between the two.
    pub missing: u32,
}

/// Watches the sequence numbers of broadcasters, each of which counts its messages with `seq`.
///
/// Numbers may wrap. One that is not ahead of the last, but behind it or the same, is no gap: the
/// broadcaster started anew or repeated itself, and watching goes on from there.
///
/// # Examples
///
/// ```no_run
/// use netlink_connector::{Connector, Deadline, Event, Gaps, Group};
///
/// let group = Group::new(14).unwrap();
/// let connector = Connector::builder().group(group).open()?;
/// let mut gaps = Gaps::default();
/// loop {
///     let message = connector.recv(Deadline::NEVER)?.into_message()?;
///     if let Some(gap) = gaps.check(&message) {
///         eprintln!("{} messages of {} are missing", gap.missing, gap.id);
///     }
/// }
/// # Ok::<(), netlink_connector::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Gaps {
    /// The broadcaster and lane that came last, and its number that is due. The next message is
    /// usually from the same.
    last: Option<((CbId, u32), u32)>,
    /// All others.
    due: HashMap<(CbId, u32), u32>,
}

impl Gaps {
    /// Looks at the next message. Only broadcasts count: a reply carries its request's `seq`. Process
    /// events, and confirmations of requests for them, are counted for each CPU.
    pub fn check(&mut self, message: &Message) -> Option<Gap> {
        message.group?;
        let id = message.header.id;
        let lane = match id {
            proc::ID => ProcEvent::parse(message)?.ok()?.cpu,
            _ => 0,
        };
        self.check_lane(id, lane, message.header.seq)
    }

    /// Looks at the next number of a broadcaster that counts in several lanes, as process events
    /// are counted for each CPU.
    pub fn check_lane(&mut self, id: CbId, lane: u32, got: u32) -> Option<Gap> {
        let next = got.wrapping_add(1);
        let expected = match &mut self.last {
            Some((last, due)) if *last == (id, lane) => std::mem::replace(due, next),
            _ => self.change_to((id, lane), next)?,
        };
        let missing = got.wrapping_sub(expected);
        // Half of the numbers are ahead, half behind.
        (missing != 0 && missing <= i32::MAX as u32).then_some(Gap {
            id,
            expected,
            got,
            missing,
        })
    }

    /// Makes a broadcaster and lane those that came last; returns the number that was due.
    fn change_to(&mut self, to: (CbId, u32), next: u32) -> Option<u32> {
        if let Some((id, due)) = self.last.replace((to, next)) {
            self.due.insert(id, due);
        }
        self.due.remove(&to)
    }
}

#[cfg(test)]
mod tests {
    use connector_wire::Header;

    use super::*;

    const ID: CbId = CbId { idx: 14, val: 1 };

    fn missing(numbers: &[u32]) -> Vec<u32> {
        let mut gaps = Gaps::default();
        numbers
            .iter()
            .filter_map(|seq| gaps.check_lane(ID, 0, *seq))
            .map(|gap| gap.missing)
            .collect()
    }

    #[test]
    fn numbers_in_order_have_no_gap_even_where_they_wrap() {
        assert_eq!(missing(&[7, 8, 9]), []);
        assert_eq!(missing(&[u32::MAX - 1, u32::MAX, 0, 1]), []);
    }

    #[test]
    fn a_gap_has_its_size_even_where_the_numbers_wrap() {
        assert_eq!(missing(&[7, 10, 11, 13]), [2, 1]);
        assert_eq!(missing(&[u32::MAX, 3]), [3]);
        assert_eq!(missing(&[0, 0x8000_0000]), [0x7fff_ffff]);
    }

    #[test]
    fn a_new_start_and_a_repetition_are_no_gaps() {
        assert_eq!(missing(&[100, 0, 1, 2]), []);
        assert_eq!(missing(&[5, 5, 6]), []);
    }

    #[test]
    fn process_events_and_confirmations_are_counted_by_cpu() {
        let mut gaps = Gaps::default();
        let mut missing = |what: u32, cpu: u32, seq| {
            let mut data = [what.to_ne_bytes(), cpu.to_ne_bytes()].concat();
            data.resize(40, 0);
            let header = Header {
                id: proc::ID,
                seq,
                ..Header::default()
            };
            let event = Message::new(header, &data, Some(proc::GROUP), 0);
            gaps.check(&event).map(|gap| gap.missing)
        };
        // Two CPUs, each with numbers of its own; of one, a request was confirmed.
        for (what, cpu, seq) in [(2, 0, 5), (2, 1, 900), (0, 0, 6), (2, 1, 901), (2, 0, 7)] {
            assert_eq!(missing(what, cpu, seq), None, "{what} {cpu} {seq}");
        }
        assert_eq!(missing(2, 1, 903), Some(1));
    }

    #[test]
    fn broadcasters_and_lanes_are_told_apart() {
        let mut gaps = Gaps::default();
        let other = CbId { idx: 14, val: 2 };
        for (id, lane, seq) in [(ID, 0, 5), (other, 0, 9), (ID, 1, 70), (ID, 0, 6)] {
            assert_eq!(gaps.check_lane(id, lane, seq), None);
        }
        assert_eq!(gaps.check_lane(other, 0, 11).unwrap().missing, 1);
    }
}
