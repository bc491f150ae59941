// SPDX-License-Identifier: GPL-2.0

//! The parsers of `connector-wire`, for all inputs of a bounded size.
//!
//! What they decide depends on lengths alone, those that there are and those that are announced. So
//! all of these are tried, with bytes of every kind around them, and compared with a reference that is
//! written from the C source, or without the parser's own means. That nothing is read out of bounds
//! the compiler sees to: the crate forbids `unsafe`; what is left is a panic, which is a failure here.

use std::panic::catch_unwind;

use connector_wire::{
    netlink::{self, FrameError, NlHeader},
    notify::{Control, ControlHeader, Range},
    outcome, parse_number, CbId, Group, Header, Messages, ParseError, MAX_MESSAGE_SIZE,
};

use crate::report::{Outcome, Report};

/// Finds an input for which the property does not hold, or returns how many were tried.
type Search = fn() -> Result<u64, String>;

const PROPERTIES: &[(&str, &str, Search)] = &[
    (
        "datagram",
        "a datagram is a message exactly if cn_rx_skb() and cn_call_callback() take it for one",
        datagrams,
    ),
    (
        "messages",
        "a payload comes apart as its headers say, up to the first that says more than there is",
        messages,
    ),
    (
        "request",
        "a request for notifications is one exactly if its counts, its length and its group agree",
        requests,
    ),
    (
        "reply",
        "a reply with an outcome is one exactly if it has the four bytes of it",
        outcomes,
    ),
    (
        "number",
        "a text is a number exactly if C's strtoul() takes all of it, sign and space apart",
        numbers,
    ),
];

pub fn check(report: &mut Report) {
    report.suite("wire");
    for (name, property, search) in PROPERTIES {
        let outcome = match catch_unwind(search) {
            Ok(Ok(count)) => Outcome::Proved(format!("{count} inputs")),
            Ok(Err(input)) => Outcome::Broken(format!("not for {input}")),
            Err(panic) => {
                let text = panic.downcast_ref::<String>().map(|text| &text[..]);
                let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
                Outcome::Broken(format!("it panics: {}", text.unwrap_or_default()))
            }
        };
        report.add(name, property, outcome);
    }
}

/// What the bytes are that no length is in, by where they lie: all alike, or each another one, which tells
/// whether they are read from where they should be.
const FILLS: [fn(usize) -> u8; 3] = [|_| 0, |_| 0xff, |at| at as u8 ^ 0x5a];

fn filled(len: usize, fill: fn(usize) -> u8) -> Vec<u8> {
    (0..len).map(fill).collect()
}

/// Whether it is what lies there, by the offsets of `struct cn_msg` in C.
fn is_header(header: &Header, bytes: &[u8]) -> bool {
    let Header {
        id,
        seq,
        ack,
        len,
        flags,
    } = *header;
    [id.idx, id.val, seq, ack] == [0, 4, 8, 12].map(|at| u32_at(bytes, at))
        && [len, flags] == [16, 18].map(|at| u16_at(bytes, at))
        && header.to_bytes() == bytes[..20]
}

/// The same of `struct nlmsghdr`.
fn is_nl_header(header: &NlHeader, bytes: &[u8]) -> bool {
    [header.len, header.seq, header.portid] == [0, 8, 12].map(|at| u32_at(bytes, at))
        && [header.kind, header.flags] == [4, 6].map(|at| u16_at(bytes, at))
        && header.to_bytes() == bytes[..16]
}

/// Writes a number where it lies in memory, as far as there is room.
fn put(bytes: &mut [u8], at: usize, number: &[u8]) {
    for (to, from) in bytes.iter_mut().skip(at).zip(number) {
        *to = *from;
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes(std::array::from_fn(|byte| bytes[at + byte]))
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_ne_bytes(std::array::from_fn(|byte| bytes[at + byte]))
}

/// `cn_rx_skb()` and the check of `cn_call_callback()`, drivers/connector/connector.c, with C's
/// types: whether a callback is called for a datagram, if there is one of that id.
#[expect(clippy::cast_possible_wrap, reason = "C does it")]
fn c_core_takes(skb: &[u8]) -> bool {
    const NLMSG_HDRLEN: u32 = 16;
    const SIZEOF_CN_MSG: u32 = 20;
    const CONNECTOR_MAX_MSG_SIZE: i32 = 16384;
    let skb_len = skb.len() as u32;
    if skb_len < NLMSG_HDRLEN {
        return false;
    }
    let nlmsg_len = u32_at(skb, 0);
    // nlmsg_len() is an int.
    let len = nlmsg_len.wrapping_sub(NLMSG_HDRLEN) as i32;
    if len < SIZEOF_CN_MSG as i32 || skb_len < nlmsg_len || len > CONNECTOR_MAX_MSG_SIZE {
        return false;
    }
    let msg_len = u16_at(skb, 32);
    nlmsg_len >= NLMSG_HDRLEN + SIZEOF_CN_MSG + u32::from(msg_len)
}

/// The same with this crate, which does not take a datagram with something behind the message: of
/// that, only the message is looked at, as C does.
fn we_take(datagram: &[u8]) -> bool {
    let parsed = match netlink::parse(datagram) {
        Err(FrameError::Trailing { len, extra }) => {
            assert_eq!(len as usize + extra, datagram.len());
            let cut = &datagram[..len as usize];
            netlink::parse(cut)
        }
        parsed => parsed,
    };
    parsed.is_ok_and(|(header, payload)| {
        assert!(is_nl_header(&header, datagram), "{header:?}");
        let first = Messages::new(payload).next();
        let whole = matches!(first, Some(Ok(message)) if {
            assert!(is_header(&message.header, payload), "{:?}", message.header);
            assert_eq!(message.data, &payload[Header::SIZE..][..message.header.len.into()]);
            true
        });
        whole && payload.len() <= MAX_MESSAGE_SIZE
    })
}

fn datagrams() -> Result<u64, String> {
    let largest = NlHeader::SIZE + MAX_MESSAGE_SIZE;
    let edges = |around: u32| around.wrapping_sub(4)..=around.wrapping_add(4);
    let mut nlmsg_lens: Vec<u32> = (0..96).collect();
    nlmsg_lens.extend(edges(largest as u32).chain(edges(1 << 31)));
    nlmsg_lens.extend((1..20).map(|less| 0_u32.wrapping_sub(less)));
    let mut msg_lens: Vec<u16> = (0..80).collect();
    let most = (MAX_MESSAGE_SIZE - Header::SIZE) as u16;
    msg_lens.extend((most - 4..=most + 4).chain([0x7fff, 0x8000, 0xfffe, 0xffff]));
    let lens = (0..88).chain(largest - 5..largest + 6);
    let mut count = 0;
    for len in lens {
        for fill in FILLS {
            let mut bytes = filled(len, fill);
            for nlmsg_len in &nlmsg_lens {
                put(&mut bytes, 0, &nlmsg_len.to_ne_bytes());
                for msg_len in &msg_lens {
                    put(&mut bytes, 32, &msg_len.to_ne_bytes());
                    if we_take(&bytes) != c_core_takes(&bytes) {
                        return Err(format!(
                            "{len} bytes, nlmsg_len {nlmsg_len}, cn_msg.len {msg_len}: \
                             the core takes it: {}",
                            c_core_takes(&bytes)
                        ));
                    }
                    count += 1;
                }
            }
        }
    }
    Ok(count)
}

/// Where the messages of a payload begin and end, and whether something is wrong behind them.
fn cut(payload: &[u8]) -> (Vec<(usize, usize)>, Option<usize>) {
    let (mut at, mut found) = (0, Vec::new());
    while at < payload.len() {
        if payload.len() - at < 20 {
            return (found, Some(at));
        }
        let end = at + 20 + usize::from(u16_at(payload, at + 16));
        if end > payload.len() {
            return (found, Some(at));
        }
        found.push((at, end));
        at = end;
    }
    (found, None)
}

fn messages() -> Result<u64, String> {
    let mut count = 0;
    let lens = || (0..8).chain([19, 20, 21, 22, 40, 41, 0x7fff, 0xffff]);
    for len in 0..72 {
        for fill in FILLS {
            for first in lens() {
                for second in lens() {
                    for third in lens().step_by(3) {
                        let mut bytes = filled(len, fill);
                        let mut at = 0;
                        for announced in [first, second, third] {
                            let announced: u16 = announced;
                            put(&mut bytes, at + 16, &announced.to_ne_bytes());
                            at += 20 + usize::from(announced);
                        }
                        let (parts, wrong) = cut(&bytes);
                        let mut messages = Messages::new(&bytes);
                        let same = parts.iter().all(|(start, end)| {
                            messages.next().is_some_and(|it| {
                                it.is_ok_and(|it| {
                                    is_header(&it.header, &bytes[*start..])
                                        && it.data == &bytes[start + 20..*end]
                                })
                            })
                        });
                        let at_end = match messages.next() {
                            None => None,
                            Some(Err(
                                ParseError::ShortHeader { offset, .. }
                                | ParseError::ShortData { offset, .. },
                            )) => Some(offset),
                            Some(_) => return Err(format!("{bytes:?}: more than there are")),
                        };
                        if !same || at_end != wrong || messages.next().is_some() {
                            return Err(format!("{bytes:?}"));
                        }
                        count += 1;
                    }
                }
            }
        }
    }
    Ok(count)
}

/// Whether `struct cn_ctl_msg` and its ranges are what they say.
fn is_request(data: &[u8]) -> bool {
    if data.len() < 16 {
        return false;
    }
    let [idx, val, group, len] = [0, 4, 8, 12].map(|at| u64::from(u32_at(data, at)));
    let follow = (data.len() - 16) as u64;
    let ranges = data[16..].chunks_exact(8);
    (idx + val) * 8 == follow
        && len == follow
        && group <= 32
        && ranges.into_iter().all(|range| {
            let (first, count) = (u64::from(u32_at(range, 0)), u64::from(u32_at(range, 4)));
            first + count <= 1 << 32
        })
}

/// At the edges of all ranges it matches what is in one of the first, and in one of the second.
fn assert_matches(control: &Control<'_>, idx: &[Range], val: &[Range]) {
    let has = |ranges: &[Range], number: u32| {
        ranges.iter().any(|it| {
            let (first, number) = (u64::from(it.first), u64::from(number));
            (first..first + u64::from(it.range)).contains(&number)
        })
    };
    let edges = |ranges: &[Range]| -> Vec<u32> {
        let edge = |it: &Range| [it.first, it.first.wrapping_add(it.range)];
        let edges = ranges.iter().flat_map(edge);
        edges
            .flat_map(|edge| [edge.wrapping_sub(1), edge])
            .collect()
    };
    for number in edges(idx) {
        for other in edges(val) {
            let id = CbId {
                idx: number,
                val: other,
            };
            let expected = has(idx, number) && has(val, other);
            assert_eq!(control.matches(id), expected, "{id} in {idx:?} and {val:?}");
        }
    }
}

fn requests() -> Result<u64, String> {
    let mut count = 0;
    let counts = [0, 1, 2, 3, 4, 1 << 29, 1 << 31, u32::MAX];
    let numbers = [0, 1, 2, 1 << 31, u32::MAX];
    let firsts = numbers
        .iter()
        .flat_map(|first| numbers.map(|range| (*first, range)));
    for (first, range) in firsts {
        let range = Range { first, range };
        // Each another one: which are of idx, and which of val?
        let ranges = [0, 1, 2].map(|more| Range {
            first: first.saturating_sub(more),
            range: range.range.saturating_sub(more),
        });
        for size in 0..44 {
            for idx_ranges in counts {
                for val_ranges in counts {
                    for group in [0, 1, 32, 33, u32::MAX] {
                        for len in (0..4).map(|ranges| ranges * 8).chain([7, u32::MAX]) {
                            let header = ControlHeader {
                                idx_ranges,
                                val_ranges,
                                group,
                                len,
                            };
                            let mut bytes = vec![0; size];
                            put(&mut bytes, 0, &header.to_bytes());
                            for (at, range) in [16, 24, 32].into_iter().zip(&ranges) {
                                put(&mut bytes, at, &range.first.to_ne_bytes());
                                put(&mut bytes, at + 4, &range.range.to_ne_bytes());
                            }
                            let control = Control::parse(&bytes);
                            if control.is_ok() != is_request(&bytes) {
                                return Err(format!("{header:?} in {size} bytes, with {range:?}"));
                            }
                            if let Ok(control) = control {
                                let group = Some(group).filter(|group| *group > 0);
                                assert_eq!(control.group.map(Group::number), group);
                                let (idx, val) = ranges.split_at(idx_ranges as usize);
                                let val = &val[..val_ranges as usize];
                                assert!(control.idx_ranges().eq(idx.iter().copied()));
                                assert!(control.val_ranges().eq(val.iter().copied()));
                                assert_matches(&control, idx, val);
                            }
                            count += 1;
                        }
                    }
                }
            }
        }
    }
    Ok(count)
}

fn outcomes() -> Result<u64, String> {
    let mut count = 0;
    for len in 0..9 {
        for status in [0, 1, -1, -22, i32::MAX, i32::MIN] {
            let mut bytes = vec![7; len];
            put(&mut bytes, 0, &status.to_ne_bytes());
            let expected = (len >= 4).then(|| match status {
                0 => Ok(&bytes[4..]),
                error => Err(error.unsigned_abs()),
            });
            if outcome(&bytes) != expected {
                return Err(format!("{bytes:?}"));
            }
            count += 1;
        }
    }
    Ok(count)
}

/// Digit by digit.
fn number(text: &[u8]) -> Option<u32> {
    let (digits, base) = match text {
        [b'0', b'x' | b'X', digits @ ..] => (digits, 16),
        digits => (digits, 10),
    };
    let mut number: u64 = 0;
    for digit in digits {
        number = number * base + u64::from(char::from(*digit).to_digit(base as u32)?);
        if number > u32::MAX.into() {
            return None;
        }
    }
    (!digits.is_empty()).then_some(number as u32)
}

fn numbers() -> Result<u64, String> {
    const LETTERS: &[u8] = b"0149afgxXF+-_ ";
    let mut texts: Vec<Vec<u8>> = vec![Vec::new()];
    let mut count = 0;
    for _ in 0..=5 {
        for text in &texts {
            // Behind something that brings numbers to their largest, too.
            for before in ["", "42949672", "0xfffffff", "0x1"] {
                let text = [before.as_bytes(), text].concat();
                let text = String::from_utf8(text).map_err(|error| error.to_string())?;
                if parse_number(&text) != number(text.as_bytes()) {
                    return Err(format!("{text:?}"));
                }
                count += 1;
            }
        }
        texts = texts
            .iter()
            .flat_map(|text| {
                LETTERS
                    .iter()
                    .map(|letter| [&text[..], &[*letter]].concat())
            })
            .collect();
        if texts.len() > 600_000 {
            break;
        }
    }
    Ok(count)
}
