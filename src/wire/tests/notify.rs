// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Requests for event notification, and the notifications.

use connector_wire::{
    notify::{Change, Control, ControlError, ControlHeader, Range},
    CbId, Header,
};

const fn range(first: u32, range: u32) -> Range {
    Range { first, range }
}

/// A request whose header tells the truth.
fn request(idx: &[Range], val: &[Range], group: u32) -> Vec<u8> {
    let header = ControlHeader {
        idx_ranges: idx.len() as u32,
        val_ranges: val.len() as u32,
        group,
        len: ((idx.len() + val.len()) * Range::SIZE) as u32,
    };
    let mut bytes = header.to_bytes().to_vec();
    for range in idx.iter().chain(val) {
        bytes.extend_from_slice(&range.to_bytes());
    }
    bytes
}

#[test]
fn a_request_is_sixteen_bytes_and_eight_for_each_range() {
    let words = [1u32, 1, 2, 16, 3, 4, 5, 6];
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
    assert_eq!(request(&[range(3, 4)], &[range(5, 6)], 2), bytes);
    let control = Control::parse(&bytes).unwrap();
    assert_eq!(control.group.unwrap().number(), 2);
    assert!(control.idx_ranges().eq([range(3, 4)]));
    assert!(control.val_ranges().eq([range(5, 6)]));
}

#[test]
fn ranges_end_where_they_should() {
    for (range, inside, outside) in [
        (range(5, 0), &[][..], &[0, 4, 5, 6, u32::MAX][..]),
        (range(5, 1), &[5], &[0, 4, 6, u32::MAX]),
        (range(0, u32::MAX), &[0, 1, u32::MAX - 1], &[u32::MAX]),
        (range(u32::MAX, 1), &[u32::MAX], &[0, u32::MAX - 1]),
        (range(u32::MAX - 1, 2), &[u32::MAX - 1, u32::MAX], &[0, 1]),
    ] {
        assert!(!range.wraps(), "{range:?}");
        assert!(inside.iter().all(|n| range.contains(*n)), "{range:?}");
        assert!(!outside.iter().any(|n| range.contains(*n)), "{range:?}");
    }
}

#[test]
fn an_id_matches_when_both_its_numbers_do() {
    let all = [range(0, u32::MAX), range(u32::MAX, 1)];
    let bytes = request(&[range(3, 2), range(9, 1)], &all, 2);
    let control = Control::parse(&bytes).unwrap();
    for (idx, expected) in [(2, false), (3, true), (4, true), (5, false), (9, true)] {
        for val in [0, 1, u32::MAX] {
            assert_eq!(control.matches(CbId { idx, val }), expected, "{idx}:{val}");
        }
    }
    // No range of one kind means no id at all.
    for (idx, val) in [(&all[..], &[][..]), (&[], &all)] {
        let bytes = request(idx, val, 2);
        assert!(!Control::parse(&bytes).unwrap().matches(CbId::default()));
    }
}

#[test]
fn sizes_must_agree_exactly() {
    let good = request(&[range(1, 1)], &[range(2, 1)], 2);
    for len in 0..good.len() {
        assert!(Control::parse(&good[..len]).is_err(), "{len}");
    }
    let mut long = good.clone();
    long.push(0);
    assert!(Control::parse(&long).is_err());

    // Counts that only add up, or only when they overflow.
    let announce = |idx_ranges, val_ranges, len| {
        let mut bytes = good.clone();
        let header = ControlHeader {
            idx_ranges,
            val_ranges,
            group: 2,
            len,
        };
        bytes[..16].copy_from_slice(&header.to_bytes());
        matches!(Control::parse(&bytes), Err(ControlError::Size { .. }))
    };
    assert!(!announce(2, 0, 16));
    assert!(!announce(0, 2, 16));
    assert!(announce(1, 1, 0));
    assert!(announce(1, 1, 15));
    assert!(announce(1, 2, 24));
    assert!(announce(1, 0, 16));
    assert!(announce(0x2000_0000, 2, 16));
    assert!(announce(0x2000_0001, 1, 16));
    assert!(announce(u32::MAX, 3, 16));
    assert!(announce(u32::MAX, u32::MAX, u32::MAX));
}

#[test]
fn groups_and_ranges_that_do_not_exist_are_refused() {
    let ranges = [range(1, 1)];
    assert_eq!(
        Control::parse(&request(&ranges, &ranges, 0)).unwrap().group,
        None
    );
    assert!(Control::parse(&request(&ranges, &ranges, 32)).is_ok());
    assert_eq!(
        Control::parse(&request(&ranges, &ranges, 33)),
        Err(ControlError::Group { number: 33 })
    );
    let wrapping = range(u32::MAX, 2);
    for bytes in [
        request(&[wrapping], &ranges, 2),
        request(&ranges, &[ranges[0], wrapping], 2),
    ] {
        assert_eq!(
            Control::parse(&bytes),
            Err(ControlError::Wraps { range: wrapping })
        );
    }
}

#[test]
fn a_notification_says_what_changed_and_nothing_else_is_one() {
    let id = CbId { idx: 7, val: 8 };
    for change in [Change::Registered, Change::Unregistered] {
        let header = change.header(id, 9);
        assert_eq!((header.id, header.seq, header.len), (id, 9, 0));
        assert_eq!(Change::parse(&header), Some(change));
    }
    for (ack, len) in [(2, 0), (u32::MAX, 0), (0, 1), (1, 1)] {
        let header = Header {
            ack,
            len,
            ..Header::default()
        };
        assert_eq!(Change::parse(&header), None);
    }
}

#[test]
fn what_is_wrong_with_a_request_is_said_in_numbers() {
    let header = ControlHeader {
        idx_ranges: 2,
        val_ranges: 3,
        group: 4,
        len: 40,
    };
    let range = range(u32::MAX, 2);
    for (error, text) in [
        (
            ControlError::Short { have: 15 },
            "15 bytes are fewer than the 16 of a control header",
        ),
        (
            ControlError::Size { header, have: 41 },
            "2 idx and 3 val ranges in 40 bytes are announced, 41 bytes follow",
        ),
        (ControlError::Group { number: 33 }, "there is no group 33"),
        (
            ControlError::Wraps { range },
            "the range of 2 numbers from 4294967295 wraps",
        ),
    ] {
        assert_eq!(error.to_string(), text);
    }
}
