// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Layouts, pinned to literal bytes: what `struct cn_msg` and `struct nlmsghdr` are in memory.
//!
//! The literals are little-endian; on a big-endian machine the fields are compared one by one.

use connector_wire::{netlink::NlHeader, CbId, Header};

/// The bytes of a field, spelt in little-endian order, in the machine's order.
fn field<const N: usize>(mut little: [u8; N]) -> [u8; N] {
    if cfg!(target_endian = "big") {
        little.reverse();
    }
    little
}

#[test]
fn a_message_header_is_twenty_bytes_in_the_order_of_cn_msg() {
    let header = Header {
        id: CbId {
            idx: 0x0403_0201,
            val: 0x0807_0605,
        },
        seq: 0x0c0b_0a09,
        ack: 0x100f_0e0d,
        len: 0x1211,
        flags: 0x1413,
    };
    let bytes = [
        &field([1, 2, 3, 4])[..],
        &field([5, 6, 7, 8]),
        &field([9, 10, 11, 12]),
        &field([13, 14, 15, 16]),
        &field([17, 18]),
        &field([19, 20]),
    ]
    .concat();
    assert_eq!(header.to_bytes(), bytes[..]);
    assert_eq!(Header::parse(&bytes), Some(header));
}

#[test]
fn a_netlink_header_is_sixteen_bytes_in_the_order_of_nlmsghdr() {
    let header = NlHeader {
        len: 0x0403_0201,
        kind: 0x0605,
        flags: 0x0807,
        seq: 0x0c0b_0a09,
        portid: 0x100f_0e0d,
    };
    let bytes = [
        &field([1, 2, 3, 4])[..],
        &field([5, 6]),
        &field([7, 8]),
        &field([9, 10, 11, 12]),
        &field([13, 14, 15, 16]),
    ]
    .concat();
    assert_eq!(header.to_bytes(), bytes[..]);
    assert_eq!(NlHeader::parse(&bytes), Some(header));
}

#[test]
fn a_header_needs_all_its_bytes_and_ignores_what_follows() {
    let bytes = [0xff; Header::SIZE + 1];
    for len in 0..Header::SIZE {
        assert_eq!(Header::parse(&bytes[..len]), None, "{len}");
    }
    for len in 0..NlHeader::SIZE {
        assert_eq!(NlHeader::parse(&bytes[..len]), None, "{len}");
    }
    let header = Header::parse(&bytes).unwrap();
    assert_eq!(header.to_bytes(), [0xff; Header::SIZE]);
    assert_eq!(header.id, CbId::NOTIFY);
}

#[test]
fn every_bit_of_a_header_survives_the_way_there_and_back() {
    for bit in 0..Header::SIZE * 8 {
        let mut bytes = [0; Header::SIZE];
        bytes[bit / 8] = 1 << (bit % 8);
        assert_eq!(Header::parse(&bytes).unwrap().to_bytes(), bytes);
    }
    for bit in 0..NlHeader::SIZE * 8 {
        let mut bytes = [0; NlHeader::SIZE];
        bytes[bit / 8] = 1 << (bit % 8);
        assert_eq!(NlHeader::parse(&bytes).unwrap().to_bytes(), bytes);
    }
}
