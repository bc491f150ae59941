// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Genealogy and groups.

use connector_wire::{CbId, Group, Header, NotAGroup, NotAnId, MAX_DATA_SIZE, MAX_MESSAGE_SIZE};

/// Numbers where arithmetic goes wrong if it does.
const EDGES: [u32; 7] = [
    0,
    1,
    0x7fff_fffe,
    0x7fff_ffff,
    0x8000_0000,
    u32::MAX - 1,
    u32::MAX,
];

fn request(seq: u32, ack: u32) -> Header {
    Header {
        id: CbId { idx: 16, val: 1 },
        seq,
        ack,
        len: 7,
        flags: 0xa5a5,
    }
}

#[test]
fn a_reply_has_the_same_seq_and_the_next_ack_also_where_it_wraps() {
    for seq in EDGES {
        for ack in EDGES {
            let request = request(seq, ack);
            let reply = request.reply(9);
            assert_eq!(reply.id, request.id);
            assert_eq!(reply.seq, seq);
            assert_eq!(reply.ack, ack.wrapping_add(1));
            assert_eq!(reply.len, 9);
            assert_eq!(reply.flags, request.flags);
            assert!(reply.is_reply_to(&request));
            assert!(!request.is_reply_to(&reply));
        }
    }
}

#[test]
fn of_all_combinations_only_the_reply_is_one() {
    let [seq, ack] = [u32::MAX, u32::MAX];
    let request = request(seq, ack);
    for other_seq in EDGES {
        for other_ack in EDGES {
            let other = Header {
                seq: other_seq,
                ack: other_ack,
                ..request
            };
            let expected = other_seq == seq && other_ack == 0;
            assert_eq!(other.is_reply_to(&request), expected, "{other:?}");
        }
    }
}

#[test]
fn of_all_combinations_those_are_answers_that_one_of_the_readings_has() {
    for request in EDGES.map(|seq| request(seq, 5)) {
        for seq in EDGES {
            for ack in [EDGES.as_slice(), &[2, 5, 6, 0x8000_0001]].concat() {
                let other = Header {
                    seq,
                    ack,
                    ..request
                };
                let next = [6, request.seq.wrapping_add(1)];
                let expected = seq == request.seq && next.contains(&ack);
                assert_eq!(other.answers(&request), expected, "{other:?} {request:?}");
            }
        }
    }
}

#[test]
fn a_new_request_is_answered_the_same_by_either_reading() {
    let id = CbId { idx: 3, val: 1 };
    for seq in EDGES {
        let request = Header::request(id, seq);
        let fields = (request.id, request.len, request.flags);
        assert_eq!(fields, (id, 0, 0));
        assert_eq!((request.seq, request.ack), (seq, seq));
        assert_eq!(request.reply(0).ack, seq.wrapping_add(1));
    }
}

#[test]
fn a_reply_from_another_id_is_none() {
    let request = request(1, 1);
    let mut reply = request.reply(0);
    reply.id.val += 1;
    assert!(!reply.is_reply_to(&request) && !reply.answers(&request));
    let mut reply = request.reply(0);
    reply.id.idx += 1;
    assert!(!reply.is_reply_to(&request) && !reply.answers(&request));
}

#[test]
fn length_and_flags_do_not_matter_to_genealogy() {
    let request = request(1, 1);
    let mut reply = request.reply(u16::MAX);
    reply.flags = !request.flags;
    assert!(reply.is_reply_to(&request));
}

#[test]
fn groups_are_1_to_32_and_have_one_bit_each() {
    assert_eq!(Group::new(0), None);
    assert_eq!(Group::new(33), None);
    assert_eq!(Group::new(u32::MAX), None);
    let mut all = 0u32;
    for number in 1..=32 {
        let group = Group::new(number).unwrap();
        assert_eq!(group.number(), number);
        assert_eq!(group.mask().count_ones(), 1);
        assert_eq!(group.is_open_to_anyone(), number % 2 == 1);
        assert_eq!(group.to_string(), number.to_string());
        all |= group.mask();
    }
    assert_eq!(all, u32::MAX);
    assert_eq!(Group::new(1).unwrap().mask(), 1);
}

#[test]
fn the_group_of_an_id_has_the_number_of_its_idx() {
    for (idx, expected) in [
        (0, None),
        (1, Group::new(1)),
        (32, Group::new(32)),
        (33, None),
    ] {
        assert_eq!(Group::of(CbId { idx, val: 7 }), expected, "{idx}");
    }
}

#[test]
fn groups_are_made_and_read_from_numbers() {
    assert_eq!(Group::try_from(32).ok(), Group::new(32));
    assert_eq!(Group::try_from(33), Err(NotAGroup));
    assert_eq!("0x1a".parse().ok(), Group::new(26));
    for wrong in ["", "0", "33", "-1", "1 ", "one"] {
        assert_eq!(wrong.parse::<Group>(), Err(NotAGroup), "{wrong:?}");
    }
    assert!(NotAGroup.to_string().contains("1 to 32"));
}

#[test]
fn ids_are_read_in_both_bases_up_to_their_bounds() {
    let id = |idx, val| Ok(CbId { idx, val });
    assert_eq!("0:0".parse(), id(0, 0));
    assert_eq!("0xffffffff:4294967295".parse(), id(u32::MAX, u32::MAX));
    assert_eq!("0X10:0x1F".parse(), id(16, 31));
    assert_eq!(CbId::NOTIFY.to_string().parse(), Ok(CbId::NOTIFY));
    for wrong in [
        "",
        ":",
        "1",
        "1:",
        ":1",
        "1:2:3",
        "4294967296:1",
        "-1:1",
        "+1:1",
        "0x:1",
        "0x-1:1",
        "0x+1:1",
        " 1:1",
        "1:1 ",
        "echo",
    ] {
        assert_eq!(wrong.parse::<CbId>(), Err(NotAnId), "{wrong:?}");
    }
    assert!(NotAnId.to_string().contains("IDX:VAL"));
}

#[test]
fn the_largest_message_is_that_of_the_core() {
    assert_eq!(MAX_MESSAGE_SIZE, 16384);
    assert_eq!(MAX_DATA_SIZE, 16364);
}

#[test]
fn ids_are_shown_as_in_proc() {
    assert_eq!(CbId::NOTIFY.to_string(), "4294967295:4294967295");
}
