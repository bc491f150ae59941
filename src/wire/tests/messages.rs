// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Taking datagrams and their payloads apart.

use connector_wire::{
    netlink::{self, FrameError, NlHeader},
    outcome, Header, Messages, ParseError,
};

/// A message whose header announces `len` bytes and that carries `data`.
fn message(seq: u32, len: u16, data: &[u8]) -> Vec<u8> {
    let header = Header {
        seq,
        len,
        ..Header::default()
    };
    [&header.to_bytes()[..], data].concat()
}

/// An honest message.
fn honest(seq: u32, data: &[u8]) -> Vec<u8> {
    message(seq, data.len() as u16, data)
}

/// A datagram whose netlink header announces `len` bytes.
fn datagram(len: u32, payload: &[u8]) -> Vec<u8> {
    let header = NlHeader {
        len,
        kind: netlink::DONE,
        ..NlHeader::default()
    };
    [&header.to_bytes()[..], payload].concat()
}

/// The seq and the data of every message, or the error.
fn all(payload: &[u8]) -> Vec<Result<(u32, &[u8]), ParseError>> {
    Messages::new(payload)
        .map(|message| message.map(|message| (message.header.seq, message.data)))
        .collect()
}

#[test]
fn an_empty_payload_has_no_messages() {
    assert_eq!(all(&[]), []);
}

#[test]
fn messages_follow_each_other_without_padding() {
    let payload = [honest(1, b""), honest(2, b"abc"), honest(3, b"d")].concat();
    assert_eq!(
        all(&payload),
        [Ok((1, &b""[..])), Ok((2, b"abc")), Ok((3, b"d"))]
    );
}

#[test]
fn the_largest_length_is_taken() {
    let data = vec![0x5a; usize::from(u16::MAX)];
    assert_eq!(all(&honest(1, &data)), [Ok((1, &data[..]))]);
}

#[test]
fn a_header_cut_short_is_an_error_with_its_place() {
    let whole = [honest(1, b"abc"), honest(2, b"")].concat();
    for cut in 24..whole.len() {
        let left = cut - 23;
        assert_eq!(
            all(&whole[..cut]),
            [
                Ok((1, &b"abc"[..])),
                Err(ParseError::ShortHeader { offset: 23, left })
            ]
        );
    }
}

#[test]
fn a_length_that_lies_is_an_error_and_ends_the_sequence() {
    for announced in [4, 5, 23, 24, u16::MAX] {
        let payload = message(1, announced, b"abc");
        assert_eq!(
            all(&payload),
            [Err(ParseError::ShortData {
                offset: 0,
                announced,
                left: 3
            })]
        );
    }
}

#[test]
fn trailing_bytes_are_taken_for_a_header_and_refused() {
    let payload = [&honest(1, b"abc")[..], &[0]].concat();
    let error = ParseError::ShortHeader {
        offset: 23,
        left: 1,
    };
    assert_eq!(all(&payload), [Ok((1, &b"abc"[..])), Err(error)]);
    assert_eq!(
        error.to_string(),
        "a message header of 20 bytes is due at offset 23, where 1 bytes are left"
    );
}

#[test]
fn a_frame_gives_exactly_its_payload() {
    for size in 0..8usize {
        let payload: Vec<u8> = (0..size as u8).collect();
        let mut bytes = datagram(16 + size as u32, &payload);
        assert_eq!(netlink::parse(&bytes).unwrap().1, payload);
        // Padding to 4 bytes is netlink's own and no part of the payload.
        bytes.resize(bytes.len().next_multiple_of(4), 0xff);
        assert_eq!(netlink::parse(&bytes).unwrap().1, payload);
        bytes.push(0xff);
        assert_eq!(
            netlink::parse(&bytes),
            Err(FrameError::Trailing {
                len: 16 + size as u32,
                extra: bytes.len() - 16 - size
            })
        );
    }
}

#[test]
fn a_datagram_shorter_than_its_header_is_refused() {
    let bytes = datagram(16, b"");
    for have in 0..16 {
        assert_eq!(
            netlink::parse(&bytes[..have]),
            Err(FrameError::Short { have })
        );
    }
}

#[test]
fn a_frame_length_that_lies_is_refused() {
    for announced in [0, 1, 15, 21, 22, 0x7fff_ffff, 0x8000_0000, u32::MAX] {
        assert_eq!(
            netlink::parse(&datagram(announced, b"abcd")),
            Err(FrameError::Length {
                announced,
                have: 20
            }),
            "{announced}"
        );
    }
}

#[test]
fn what_is_wrong_with_a_frame_is_said_in_numbers() {
    for (error, text) in [
        (
            FrameError::Short { have: 15 },
            "a datagram of 15 bytes is shorter than a netlink header of 16",
        ),
        (
            FrameError::Length {
                announced: 99,
                have: 20,
            },
            "the netlink header announces 99 bytes in a datagram of 20",
        ),
        (
            FrameError::Trailing { len: 21, extra: 7 },
            "7 bytes follow the netlink message of 21 bytes",
        ),
    ] {
        assert_eq!(error.to_string(), text);
    }
}

#[test]
fn a_reply_that_says_how_a_request_ended_has_a_status_and_data() {
    let reply = |status: i32, data: &[u8]| [&status.to_ne_bytes(), data].concat();
    assert_eq!(outcome(&reply(0, b"value")), Some(Ok(&b"value"[..])));
    assert_eq!(outcome(&reply(0, b"")), Some(Ok(&b""[..])));
    for (status, error) in [(-2, 2), (5, 5), (i32::MIN, 1 << 31)] {
        assert_eq!(outcome(&reply(status, b"more")), Some(Err(error)));
    }
    assert_eq!(outcome(&reply(0, b"")[..3]), None);
}
