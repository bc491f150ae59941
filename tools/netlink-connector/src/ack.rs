// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Acknowledgements: what a core answers to a message that asks for it by `NLM_F_ACK`. The kernel's own
//! takes no notice of the flag; that of `rust_connector` answers when the message has been handled, or
//! tells why it was not. The layout is netlink's: `struct nlmsgerr` and the attributes behind it.
//!
//! C header: `include/uapi/linux/netlink.h`

use std::io;

use connector_wire::{
    CbId, Header,
    netlink::{self, NlHeader},
};
use nix::libc;

use crate::error::Error;

/// The flag of a netlink message that asks.
pub(crate) const ASK: u16 = libc::NLM_F_ACK as u16;

/// `NLMSG_ERROR`: the type of an acknowledgement, be it of a failure or of success.
pub(crate) const ERROR: u16 = libc::NLMSG_ERROR as u16;

/// Of the message that is acknowledged only the netlink header is repeated.
const CAPPED: u16 = libc::NLM_F_CAPPED as u16;
/// Attributes follow.
const TLVS: u16 = libc::NLM_F_ACK_TLVS as u16;
/// `NLMSGERR_ATTR_MSG`: the attribute that says in words what is wrong.
const ATTR_MSG: u16 = 1;

/// The size of an attribute's header: `struct nlattr`.
const ATTR_HEADER: usize = 4;
/// What messages and attributes are padded to: `NLMSG_ALIGNTO`, `NLA_ALIGNTO`.
const ALIGN: usize = 4;

/// An acknowledgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ack<'a> {
    /// The `nlmsg_seq` of the message.
    pub(crate) seq: u32,
    /// The id that it was for, where that is repeated.
    pub(crate) id: Option<CbId>,
    /// The error number; 0 means that the message was handled.
    pub(crate) errno: i32,
    /// The error in words (extended acknowledgement).
    pub(crate) text: Option<&'a str>,
}

impl<'a> Ack<'a> {
    /// Reads a datagram. `None` is something else, or not made as the kernel makes them.
    pub(crate) fn parse(datagram: &'a [u8]) -> Option<Self> {
        let (header, payload) = netlink::parse(datagram).ok()?;
        if header.kind != ERROR {
            return None;
        }
        let (errno, rest) = payload.split_first_chunk()?;
        let errno = i32::from_ne_bytes(*errno)
            .checked_neg()
            .filter(|it| *it >= 0)?;
        let asked = NlHeader::parse(rest)?;
        // What is repeated of a message that was handled, or if the socket wants no more
        // (NETLINK_CAP_ACK), is its netlink header.
        let repeated = match errno == 0 || header.flags & CAPPED != 0 {
            true => NlHeader::SIZE,
            false => usize::try_from(asked.len).ok()?,
        };
        let message = rest.get(NlHeader::SIZE..repeated)?;
        let attributes = rest.get(repeated.next_multiple_of(ALIGN)..);
        Some(Self {
            seq: asked.seq,
            id: Header::parse(message).map(|header| header.id),
            errno,
            text: attributes
                .filter(|_| header.flags & TLVS != 0)
                .and_then(text),
        })
    }

    /// Whether it is that of a message with this header.
    pub(crate) fn is_of(&self, header: &Header) -> bool {
        self.seq == header.seq && self.id.is_none_or(|id| id == header.id)
    }

    /// What is wrong with the message of this header, if anything is.
    pub(crate) fn error(&self, header: &Header) -> Option<Error> {
        let (request, text) = (*header, self.text.map(Box::from));
        match self.errno {
            0 => None,
            libc::ENODEV => Some(Error::NotRegistered { request, text }),
            errno => Some(Error::Rejected {
                request,
                error: io::Error::from_raw_os_error(errno),
                text,
            }),
        }
    }
}

/// The text among the attributes of an acknowledgement.
fn text(mut attributes: &[u8]) -> Option<&str> {
    loop {
        let (header, _) = attributes.split_first_chunk::<ATTR_HEADER>()?;
        let [len, kind] = [[header[0], header[1]], [header[2], header[3]]].map(u16::from_ne_bytes);
        let value = attributes.get(ATTR_HEADER..len.into())?;
        if kind == ATTR_MSG {
            let text = value.strip_suffix(b"\0").unwrap_or(value);
            return std::str::from_utf8(text)
                .ok()
                .filter(|text| !text.is_empty());
        }
        // A length of at least the header's, so that this comes to an end.
        attributes = attributes.get(usize::from(len).next_multiple_of(ALIGN)..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: Header = Header {
        id: CbId { idx: 77, val: 8 },
        seq: 5,
        ack: 5,
        len: 0,
        flags: 0,
    };

    /// An acknowledgement of a message with `HEADER`, of which so many bytes are repeated.
    fn datagram(errno: i32, flags: u16, repeated: usize, attributes: &[u8]) -> Vec<u8> {
        let asked = NlHeader {
            len: (NlHeader::SIZE + Header::SIZE) as u32,
            kind: netlink::DONE,
            flags: ASK,
            seq: HEADER.seq,
            portid: 0,
        };
        let message = [&asked.to_bytes()[..], &HEADER.to_bytes()].concat();
        let payload = [&(-errno).to_ne_bytes(), &message[..repeated], attributes].concat();
        let header = NlHeader {
            len: (NlHeader::SIZE + payload.len()) as u32,
            kind: ERROR,
            flags,
            seq: HEADER.seq,
            portid: 4242,
        };
        [&header.to_bytes()[..], &payload].concat()
    }

    fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
        let len = (ATTR_HEADER + value.len()) as u16;
        let mut bytes = [len.to_ne_bytes(), kind.to_ne_bytes()].concat();
        bytes.extend(value);
        bytes.resize(bytes.len().next_multiple_of(ALIGN), 0);
        bytes
    }

    #[test]
    fn a_message_that_was_handled_is_no_error() {
        let bytes = datagram(0, CAPPED, 16, b"");
        let ack = Ack::parse(&bytes).unwrap();
        assert!(ack.is_of(&HEADER) && ack.error(&HEADER).is_none());
        assert!(!ack.is_of(&Header { seq: 6, ..HEADER }));
    }

    #[test]
    fn an_error_names_the_id_and_says_what_it_is_about_in_the_cores_words() {
        let attributes = [attribute(2, &[1; 5]), attribute(ATTR_MSG, b"nobody\0")].concat();
        let bytes = datagram(libc::ENODEV, TLVS, 36, &attributes);
        let ack = Ack::parse(&bytes).unwrap();
        assert!(ack.is_of(&HEADER));
        let other = CbId { idx: 77, val: 9 };
        assert!(!ack.is_of(&Header {
            id: other,
            ..HEADER
        }));
        let Some(Error::NotRegistered { request, text }) = ack.error(&HEADER) else {
            panic!("{ack:?}")
        };
        assert_eq!((request, text.as_deref()), (HEADER, Some("nobody")));
    }

    #[test]
    fn a_socket_that_wants_headers_only_or_no_text_gets_the_error_all_the_same() {
        for (flags, repeated) in [(CAPPED, 16), (0, 36)] {
            let bytes = datagram(libc::EMSGSIZE, flags, repeated, b"");
            let ack = Ack::parse(&bytes).unwrap();
            assert!(ack.is_of(&HEADER), "{flags:x}");
            assert!(matches!(
                ack.error(&HEADER),
                Some(Error::Rejected { text: None, .. })
            ));
        }
    }

    #[test]
    fn what_is_cut_or_made_up_is_none_and_never_a_panic() {
        // Of a length that needs no padding, which may be missing.
        let attributes = attribute(ATTR_MSG, b"nobody.\0");
        let whole = datagram(libc::ENODEV, TLVS, 36, &attributes);
        for len in 0..whole.len() {
            let mut bytes = whole[..len].to_vec();
            assert_eq!(Ack::parse(&bytes), None, "{len}");
            // Now with a frame that agrees with what is there.
            if let Some(place) = bytes.first_chunk_mut() {
                *place = (len as u32).to_ne_bytes();
            }
            let ack = Ack::parse(&bytes);
            assert_eq!(ack.is_some(), len >= 16 + 4 + 36, "{len}");
            assert!(ack.is_none_or(|ack| ack.text.is_none()), "{len}");
        }
        for errno in [1, i32::MIN, i32::MAX] {
            let mut bytes = whole.clone();
            bytes[16..20].copy_from_slice(&errno.to_ne_bytes());
            assert_eq!(Ack::parse(&bytes), None, "{errno}");
        }
        // Lengths of the message that is repeated, and of the attribute.
        for len in [0_u32, 15, 37, 0xffff, u32::MAX] {
            let mut bytes = whole.clone();
            bytes[20..24].copy_from_slice(&len.to_ne_bytes());
            let ack = Ack::parse(&bytes);
            assert!(ack.is_none_or(|ack| ack.text.is_none()), "{len}");
        }
        for len in 0..=u16::MAX {
            let mut bytes = whole.clone();
            bytes[56..58].copy_from_slice(&len.to_ne_bytes());
            Ack::parse(&bytes);
        }
    }
}
