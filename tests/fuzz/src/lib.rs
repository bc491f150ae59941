// SPDX-License-Identifier: GPL-2.0

//! What must hold for any input that a parser of this project gets.
//!
//! Each function takes bytes, from the fuzzer or from the bounded test, and panics where a property
//! does not hold. That the parser does not panic itself is the first property.

#![forbid(unsafe_code)]

use connector_wire::{
    CbId, Header, Messages,
    netlink::{self, NlHeader},
    notify::{Control, ControlHeader},
};
use netlink_connector::{Batch, ProcEvent, known, parse_datagram};

/// A datagram: what it is taken apart to makes up the datagram again.
pub fn datagram(bytes: &[u8]) {
    let mut rebuilt = Vec::new();
    let mut error = None;
    for message in parse_datagram(bytes) {
        assert!(error.is_none(), "something follows an error");
        match message {
            Ok(message) => {
                assert_eq!(usize::from(message.header.len), message.data.len());
                rebuilt.extend_from_slice(&message.header.to_bytes());
                rebuilt.extend_from_slice(message.data);
            }
            Err(malformed) => {
                assert!(malformed.offset <= bytes.len(), "{malformed}");
                error = Some(malformed);
            }
        }
    }
    let payload = bytes.get(NlHeader::SIZE..).unwrap_or_default();
    assert_eq!(payload.get(..rebuilt.len()), Some(&rebuilt[..]));
    if error.is_none() {
        let (header, payload) = netlink::parse(bytes).expect("the frame was accepted");
        assert_eq!(payload, rebuilt);
        assert_eq!(header.to_bytes(), bytes[..NlHeader::SIZE]);
        assert!(bytes.len() - NlHeader::SIZE - payload.len() < 4);
    }
}

/// The payload of a datagram: the errors' offsets are where the messages before them end.
pub fn payload(bytes: &[u8]) {
    let mut end = 0;
    for message in Messages::new(bytes) {
        match message {
            Ok(message) => end += Header::SIZE + message.data.len(),
            Err(
                connector_wire::ParseError::ShortHeader { offset, .. }
                | connector_wire::ParseError::ShortData { offset, .. },
            ) => {
                assert_eq!(offset, end);
                return;
            }
            Err(error) => panic!("an error without an offset: {error}"),
        }
    }
    assert_eq!(end, bytes.len());
}

/// A header: every bit survives, and its reply is its reply, and no other message's.
pub fn header(bytes: &[u8]) {
    let Some(header) = Header::parse(bytes) else {
        assert!(bytes.len() < Header::SIZE);
        return;
    };
    assert_eq!(header.to_bytes(), bytes[..Header::SIZE]);
    let reply = header.reply(0);
    assert!(reply.is_reply_to(&header));
    assert!(!header.is_reply_to(&reply));
    assert!(reply.answers(&header));
    let next = Header {
        seq: header.seq.wrapping_add(1),
        ..header
    };
    assert!(!reply.is_reply_to(&next) && !reply.answers(&next));
}

/// A request for notifications: what was accepted makes up the request again, and matches the ids
/// that its ranges say.
pub fn control(bytes: &[u8]) {
    let Ok(control) = Control::parse(bytes) else {
        return;
    };
    let (idx, val): (Vec<_>, Vec<_>) = (
        control.idx_ranges().collect(),
        control.val_ranges().collect(),
    );
    let header = ControlHeader {
        idx_ranges: idx.len() as u32,
        val_ranges: val.len() as u32,
        group: control.group.map_or(0, |group| group.number()),
        len: (bytes.len() - ControlHeader::SIZE) as u32,
    };
    let mut rebuilt = header.to_bytes().to_vec();
    rebuilt.extend(idx.iter().chain(&val).flat_map(|range| range.to_bytes()));
    assert_eq!(rebuilt, bytes);

    let inside = |ranges: &[connector_wire::notify::Range], number: u32| {
        ranges.iter().any(|range| {
            let first = u64::from(range.first);
            (first..first + u64::from(range.range)).contains(&u64::from(number))
        })
    };
    let edges: Vec<u32> = idx
        .iter()
        .chain(&val)
        .take(4)
        .flat_map(|range| {
            let end = range.first.wrapping_add(range.range);
            [
                range.first,
                range.first.wrapping_sub(1),
                end,
                end.wrapping_sub(1),
            ]
        })
        .chain([0, u32::MAX])
        .collect();
    for (&i, &v) in edges.iter().zip(edges.iter().rev()) {
        let expected = inside(&idx, i) && inside(&val, v);
        assert_eq!(control.matches(CbId { idx: i, val: v }), expected);
    }
}

/// A process event: whatever is in it can be shown.
pub fn proc_event(bytes: &[u8]) {
    match ProcEvent::from_bytes(bytes) {
        Ok(event) => {
            assert!(!format!("{event:?}").is_empty());
            assert!(!event.what.name().is_empty());
        }
        Err(error) => assert!(bytes.len() < 40, "{error}"),
    }
}

/// An id as text: what was accepted reads the same when it is written again.
pub fn id(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    if let Ok(id) = known::parse_id(text) {
        assert_eq!(known::parse_id(&id.to_string()), Ok(id));
    }
}

/// Messages put together to a datagram: they come apart as they were. The input is cut into
/// messages by its own bytes.
pub fn batch(bytes: &[u8]) {
    let mut batch = Batch::new();
    let mut pushed = Vec::new();
    let mut rest = bytes;
    while let Some(header) = Header::parse(rest) {
        let body = &rest[Header::SIZE..];
        let len = usize::from(header.len).min(body.len());
        let (data, next) = body.split_at(len);
        rest = next;
        if batch.push(&header, data).is_ok() {
            pushed.push((header.id, header.seq, header.ack, header.flags, data));
        }
    }
    if batch.is_empty() {
        return;
    }
    let found: Vec<_> = parse_datagram(batch.as_bytes())
        .map(|message| {
            let message = message.expect("what was put together is well-formed");
            let header = message.header;
            (
                header.id,
                header.seq,
                header.ack,
                header.flags,
                message.data,
            )
        })
        .collect();
    assert_eq!(found, pushed);
}
