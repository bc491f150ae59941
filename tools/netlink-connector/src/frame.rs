// SPDX-License-Identifier: GPL-2.0 OR MIT

//! From the bytes of a datagram to messages, or to an error with the offset and the reason.

use std::{error, fmt};

use connector_wire::{
    Header,
    Messages,
    ParseError,
    RawMessage,
    netlink::{self, FrameError, NlHeader}, //
};

/// The size of what precedes the data in a datagram with one message.
pub(crate) const HEADERS: usize = NlHeader::SIZE + Header::SIZE;

/// A datagram is not made as the connector makes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// Where, in bytes from the start of the datagram.
    pub offset: usize,
    /// Why.
    pub reason: Reason,
}

/// Why a datagram is malformed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// It is not one netlink message.
    Frame(FrameError),
    /// Its netlink message has this type, not `NLMSG_DONE`.
    Kind(u16),
    /// It carries no connector message.
    Empty,
    /// What it carries is not a sequence of connector messages.
    Message(ParseError),
    /// It has `len` bytes, of which only the first `room` were received. The kernel's connector
    /// sends none as large.
    Truncated {
        /// The datagram's size in bytes.
        len: usize,
        /// The size of the buffer in bytes.
        room: usize,
    },
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "malformed datagram, at offset {}: ", self.offset)?;
        match self.reason {
            Reason::Frame(error) => error.fmt(f),
            Reason::Kind(kind) => write!(
                f,
                "netlink type {kind} where the connector uses {} (NLMSG_DONE)",
                netlink::DONE
            ),
            Reason::Empty => f.write_str("no connector message in it"),
            // Its own offset counts from the payload.
            Reason::Message(ParseError::ShortHeader { left, .. }) => {
                write!(f, "{left} bytes where a message header is due")
            }
            Reason::Message(ParseError::ShortData {
                announced, left, ..
            }) => write!(
                f,
                "a message announces {announced} bytes of data, {left} follow"
            ),
            Reason::Message(error) => error.fmt(f),
            Reason::Truncated { len, room } => {
                write!(f, "it has {len} bytes, more than the {room} of the buffer")
            }
        }
    }
}

impl error::Error for Malformed {}

/// The messages of a datagram, in order. After the first error there are no more.
///
/// A [`Connector`](crate::Connector) does this by itself; it is for those who got the datagram
/// otherwise, from a capture for example.
///
/// # Examples
///
/// ```
/// use netlink_connector::{Batch, Header, parse_datagram};
///
/// let mut batch = Batch::new();
/// batch.push(&Header::default(), b"data")?;
/// let mut messages = parse_datagram(batch.as_bytes());
/// assert_eq!(messages.next().unwrap()?.data, b"data");
/// assert!(messages.next().is_none());
/// # Ok::<(), netlink_connector::Error>(())
/// ```
pub fn parse_datagram(datagram: &[u8]) -> impl Iterator<Item = Result<RawMessage<'_>, Malformed>> {
    messages(datagram, datagram.len())
}

/// The messages of a datagram that was received into `buffer` and has `len` bytes.
pub(crate) fn messages(
    buffer: &[u8],
    len: usize,
) -> impl Iterator<Item = Result<RawMessage<'_>, Malformed>> {
    let (messages, error) = match frame(buffer, len) {
        Ok(payload) => (Messages::new(payload), None),
        Err(malformed) => (Messages::new(&[]), Some(Err(malformed))),
    };
    messages
        .map(|message| message.map_err(in_message))
        .chain(error)
}

/// The header of the message in `buffer[..len]`, if there is exactly one and nothing is wrong with
/// it. What else there may be, [`messages`] tells.
///
/// This is what [`messages`] would find, in a fraction of the instructions: every reply that comes
/// at once goes through here. A test compares the two.
#[inline]
pub(crate) fn sole_header(buffer: &[u8], len: usize) -> Option<Header> {
    let datagram = buffer.get(..len)?;
    let (headers, data) = datagram.split_first_chunk::<HEADERS>()?;
    let (netlink, header) = headers.split_at(NlHeader::SIZE);
    let (netlink, header) = (NlHeader::parse(netlink)?, Header::parse(header)?);
    let end = HEADERS + usize::from(header.len);
    let framed = netlink.kind == netlink::DONE && netlink.len as usize == end;
    let whole = usize::from(header.len) <= data.len();
    // The kernel pads to a multiple of four.
    (framed && whole && len <= end.next_multiple_of(4)).then_some(header)
}

/// The payload of the netlink message in `buffer[..len]`; there is at least a byte of it.
#[inline]
fn frame(buffer: &[u8], len: usize) -> Result<&[u8], Malformed> {
    let datagram = buffer.get(..len).ok_or(Malformed {
        offset: buffer.len(),
        reason: Reason::Truncated {
            len,
            room: buffer.len(),
        },
    })?;
    let (header, payload) = netlink::parse(datagram).map_err(in_frame)?;
    if header.kind != netlink::DONE {
        return Err(Malformed {
            // Of nlmsg_type.
            offset: 4,
            reason: Reason::Kind(header.kind),
        });
    }
    if payload.is_empty() {
        return Err(Malformed {
            offset: NlHeader::SIZE,
            reason: Reason::Empty,
        });
    }
    Ok(payload)
}

/// Where in the datagram the netlink message is wrong.
fn in_frame(error: FrameError) -> Malformed {
    let offset = match error {
        FrameError::Short { have } => have,
        FrameError::Trailing { len, .. } => len.try_into().unwrap_or(usize::MAX),
        // nlmsg_len is the first field.
        _ => 0,
    };
    Malformed {
        offset,
        reason: Reason::Frame(error),
    }
}

/// Where in the datagram a connector message is wrong.
fn in_message(error: ParseError) -> Malformed {
    let offset = match error {
        ParseError::ShortHeader { offset, .. } | ParseError::ShortData { offset, .. } => offset,
        _ => 0,
    };
    Malformed {
        offset: offset.saturating_add(NlHeader::SIZE),
        reason: Reason::Message(error),
    }
}

#[cfg(test)]
mod tests {
    use connector_wire::CbId;

    use super::*;

    /// A datagram of type `kind` that carries `payload`.
    fn datagram(kind: u16, payload: &[u8]) -> Vec<u8> {
        let header = NlHeader {
            len: (NlHeader::SIZE + payload.len()) as u32,
            kind,
            ..NlHeader::default()
        };
        [&header.to_bytes()[..], payload].concat()
    }

    /// A connector message whose header announces `len` bytes and that carries `data`.
    fn message(len: u16, data: &[u8]) -> Vec<u8> {
        let header = Header {
            id: CbId { idx: 16, val: 1 },
            len,
            ..Header::default()
        };
        [&header.to_bytes()[..], data].concat()
    }

    fn parse(bytes: &[u8]) -> Vec<Result<&[u8], Malformed>> {
        messages(bytes, bytes.len())
            .map(|message| message.map(|message| message.data))
            .collect()
    }

    #[test]
    fn several_messages_come_in_order() {
        let bytes = datagram(
            3,
            &[message(1, b"a"), message(0, b""), message(2, b"bc")].concat(),
        );
        assert_eq!(parse(&bytes), [Ok(&b"a"[..]), Ok(b""), Ok(b"bc")]);
    }

    #[test]
    fn what_precedes_a_malformed_message_is_delivered() {
        let bytes = datagram(3, &[message(1, b"a"), message(9, b"bc")].concat());
        let [first, second] = parse(&bytes)[..] else {
            panic!()
        };
        assert_eq!(first, Ok(&b"a"[..]));
        let error = second.unwrap_err();
        assert_eq!(error.offset, 16 + 21);
        assert_eq!(
            error.to_string(),
            "malformed datagram, at offset 37: a message announces 9 bytes of data, 2 follow"
        );
    }

    #[test]
    fn a_sole_message_is_found_only_if_it_is_sole_and_sound() {
        let sole = |bytes: &[u8]| sole_header(bytes, bytes.len()).map(|header| header.len);
        let one = message(1, b"a");
        assert_eq!(sole(&datagram(3, &one)), Some(1));
        let padded = |padding| [datagram(3, &one), vec![0; padding]].concat();
        assert_eq!(sole(&padded(3)), Some(1));
        assert_eq!(sole(&padded(4)), None);
        assert_eq!(sole(&datagram(3, &[&one[..], &one].concat())), None);
        assert_eq!(sole(&datagram(3, &message(2, b"a"))), None);
        assert_eq!(sole(&datagram(3, b"")), None);
        assert_eq!(sole(&datagram(2, &one)), None);
    }

    #[test]
    fn what_is_sole_is_the_one_message_of_the_datagram_and_nothing_else_is() {
        // Every small combination of what two headers may claim, and of what is really there.
        let mut sole = 0;
        for kind in [2, 3] {
            for announced in 0..4 {
                for there in 0..12 {
                    for total in 30..50 {
                        let mut bytes = datagram(kind, &message(announced, &[0; 12][..there]));
                        bytes[..4].copy_from_slice(&u32::to_ne_bytes(total));
                        for len in [bytes.len(), bytes.len() + 1] {
                            let all: Vec<_> = messages(&bytes, len).collect();
                            let one = match all[..] {
                                [Ok(message)] => Some(message.header),
                                _ => None,
                            };
                            assert_eq!(sole_header(&bytes, len), one, "{bytes:?} {len}");
                            sole += usize::from(one.is_some());
                        }
                    }
                }
            }
        }
        assert!(sole >= 10, "{sole}");
    }

    #[test]
    fn short_datagrams_are_refused_at_every_length() {
        let bytes = datagram(3, &message(3, b"abc"));
        for len in 0..bytes.len() {
            let parsed = parse(&bytes[..len]);
            assert!(matches!(parsed[..], [Err(_)]), "{len}: {parsed:?}");
        }
    }

    #[test]
    fn a_message_cut_inside_an_honest_frame_is_refused_at_every_length() {
        let whole = message(3, b"abc");
        for len in 0..whole.len() {
            let bytes = datagram(3, &whole[..len]);
            let parsed = parse(&bytes);
            let [Err(error)] = parsed[..] else {
                panic!("{len}: {parsed:?}")
            };
            assert_eq!(error.offset, 16, "{len}");
        }
    }

    #[test]
    fn trailing_bytes_are_refused_but_padding_is_not() {
        let mut bytes = datagram(3, &message(3, b"abc"));
        bytes.push(0);
        assert_eq!(parse(&bytes), [Ok(&b"abc"[..])]);
        bytes.push(0);
        let [Err(error)] = parse(&bytes)[..] else {
            panic!()
        };
        assert_eq!(error.offset, 39);
    }

    #[test]
    fn another_netlink_type_is_refused() {
        let [Err(error)] = parse(&datagram(2, &message(0, b"")))[..] else {
            panic!()
        };
        assert_eq!((error.offset, error.reason), (4, Reason::Kind(2)));
    }

    #[test]
    fn a_datagram_larger_than_the_buffer_is_refused() {
        let bytes = datagram(3, &message(0, b""));
        let [Err(error)] = messages(&bytes, bytes.len() + 1).collect::<Vec<_>>()[..] else {
            panic!()
        };
        assert!(matches!(error.reason, Reason::Truncated { .. }));
    }
}
