// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The header of a message and its genealogy.

use crate::{
    bytes,
    CbId, //
};

/// The header of a connector message: `struct cn_msg` without its data.
///
/// # Genealogy
///
/// `seq` and `ack` say how a message is related to others. Who starts an exchange chooses both. A
/// **reply** carries the request's `seq` and the request's `ack` plus one, wrapping; everything
/// else is a new message. See [`Self::reply`] and [`Self::is_reply_to`].
///
/// The rule has been read in another way, too: some services, the kernel's 1-wire driver among
/// them, answer with the request's `seq` *plus one* as `ack`. To a request whose `ack` is its `seq`
/// both answer the same, so that a new request should be like that: see [`Self::request`]. Who asks
/// takes either answer for one: see [`Self::answers`].
///
/// What the kernel's process events (`cn_proc`) say to a request is no reply by either reading: it is
/// broadcast, with the request's `ack` plus one, but with a `seq` that each CPU counts by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// The service that the message is for, or comes from.
    pub id: CbId,
    /// The sequence number. The kernel copies it into `nlmsghdr.nlmsg_seq` too.
    pub seq: u32,
    /// The acknowledge number.
    pub ack: u32,
    /// How many bytes of data follow the header.
    pub len: u16,
    /// Flags, of which the connector itself defines none: they belong to the service.
    pub flags: u16,
}

impl Header {
    /// The size of a header in memory, in bytes.
    pub const SIZE: usize = 20;

    /// Reads a header from the start of `bytes`, or returns `None` if there are fewer than
    /// [`Self::SIZE`] of them.
    #[inline]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        Some(Self {
            id: CbId {
                idx: bytes::read_u32(bytes, 0)?,
                val: bytes::read_u32(bytes, 4)?,
            },
            seq: bytes::read_u32(bytes, 8)?,
            ack: bytes::read_u32(bytes, 12)?,
            len: bytes::read_u16(bytes, 16)?,
            flags: bytes::read_u16(bytes, 18)?,
        })
    }

    /// The header as it lies in memory.
    #[inline]
    pub fn to_bytes(&self) -> [u8; Self::SIZE] {
        bytes::from_words([
            self.id.idx,
            self.id.val,
            self.seq,
            self.ack,
            bytes::pair(self.len, self.flags),
        ])
    }

    /// The header of a new request to `id`: without flags, and with `seq` for its `ack`, too, so
    /// that its reply is the same by either reading of the rule.
    ///
    /// # Examples
    ///
    /// ```
    /// use connector_wire::{CbId, Header};
    ///
    /// let request = Header::request(CbId { idx: 3, val: 1 }, 7);
    /// assert_eq!((request.seq, request.ack), (7, 7));
    /// ```
    #[inline]
    pub const fn request(id: CbId, seq: u32) -> Self {
        Self {
            id,
            seq,
            ack: seq,
            len: 0,
            flags: 0,
        }
    }

    /// The header of a reply to this message that carries `len` bytes of data.
    ///
    /// # Examples
    ///
    /// ```
    /// use connector_wire::Header;
    ///
    /// let request = Header { seq: 7, ack: u32::MAX, ..Header::default() };
    /// let reply = request.reply(2);
    /// assert_eq!((reply.seq, reply.ack, reply.len), (7, 0, 2));
    /// assert!(reply.is_reply_to(&request));
    /// ```
    #[inline]
    pub const fn reply(&self, len: u16) -> Self {
        Self {
            id: self.id,
            seq: self.seq,
            ack: self.ack.wrapping_add(1),
            len,
            flags: self.flags,
        }
    }

    /// Whether this message replies to `request`: same id and `seq`, and its `ack` plus one.
    #[inline]
    pub fn is_reply_to(&self, request: &Self) -> bool {
        self.id == request.id && self.seq == request.seq && self.ack == request.ack.wrapping_add(1)
    }

    /// Whether this message answers `request` by either reading of the rule: same id and `seq`, and
    /// its `ack` is the request's `ack` plus one, or the request's `seq` plus one.
    ///
    /// # Examples
    ///
    /// ```
    /// use connector_wire::Header;
    ///
    /// let request = Header { seq: 7, ack: 0, ..Header::default() };
    /// let other = Header { seq: 7, ack: 8, ..Header::default() };
    /// assert!(other.answers(&request) && !other.is_reply_to(&request));
    /// assert!(request.reply(0).answers(&request));
    /// ```
    #[inline]
    pub fn answers(&self, request: &Self) -> bool {
        self.id == request.id
            && self.seq == request.seq
            && (self.ack == request.ack.wrapping_add(1) || self.ack == request.seq.wrapping_add(1))
    }
}
