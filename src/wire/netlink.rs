// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The netlink message that a connector message travels in: `struct nlmsghdr`.
//!
//! The connector uses this header in its own way: everything that the kernel sends has type
//! [`DONE`], which generic netlink code takes for the end of a dump. Here it is just the type of a
//! message.
//!
//! C header: `include/uapi/linux/netlink.h`

use core::fmt;

use crate::bytes;

/// `NLMSG_DONE`: the type of every connector message from the kernel, and the usual one to it.
pub const DONE: u16 = 3;

/// `NETLINK_CONNECTOR`: the netlink protocol to open a socket with.
pub const PROTOCOL: u8 = 11;

/// A netlink message's header: `struct nlmsghdr`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NlHeader {
    /// The message's length in bytes, this header included.
    pub len: u32,
    /// The message's type, [`DONE`] as a rule.
    pub kind: u16,
    /// Flags (`NLM_F_*`); the connector core in C looks at none of them, the one in Rust at
    /// `NLM_F_ACK`.
    pub flags: u16,
    /// The sequence number; from the kernel it is the connector header's `seq`.
    pub seq: u32,
    /// The port of the sender; 0 from the kernel.
    pub portid: u32,
}

impl NlHeader {
    /// The size of a header in memory, in bytes.
    pub const SIZE: usize = 16;

    /// Reads a header from the start of `bytes`, or returns `None` if there are fewer than
    /// [`Self::SIZE`] of them.
    #[inline]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        Some(Self {
            len: bytes::read_u32(bytes, 0)?,
            kind: bytes::read_u16(bytes, 4)?,
            flags: bytes::read_u16(bytes, 6)?,
            seq: bytes::read_u32(bytes, 8)?,
            portid: bytes::read_u32(bytes, 12)?,
        })
    }

    /// The header as it lies in memory.
    #[inline]
    pub fn to_bytes(&self) -> [u8; Self::SIZE] {
        bytes::from_words([
            self.len,
            bytes::pair(self.kind, self.flags),
            self.seq,
            self.portid,
        ])
    }
}

/// Why a datagram is not one netlink message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FrameError {
    /// The datagram has `have` bytes, fewer than a netlink header.
    Short {
        /// How many bytes there are.
        have: usize,
    },
    /// The netlink header's `len` is `announced`: less than the header itself, or more than the
    /// `have` bytes of the datagram.
    Length {
        /// The header's `len`.
        announced: u32,
        /// How many bytes there are.
        have: usize,
    },
    /// The message of `len` bytes is followed by `extra` more, beyond the padding to 4 bytes.
    Trailing {
        /// The header's `len`.
        len: u32,
        /// How many bytes follow.
        extra: usize,
    },
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short { have } => write!(
                f,
                "a datagram of {have} bytes is shorter than a netlink header of {}",
                NlHeader::SIZE
            ),
            Self::Length { announced, have } => write!(
                f,
                "the netlink header announces {announced} bytes in a datagram of {have}"
            ),
            Self::Trailing { len, extra } => {
                write!(f, "{extra} bytes follow the netlink message of {len} bytes")
            }
        }
    }
}

impl core::error::Error for FrameError {}

/// Splits a datagram that holds one netlink message into its header and its payload.
///
/// # Errors
///
/// Lengths must agree exactly, but for padding to a multiple of 4 bytes behind the message; see
/// [`FrameError`].
#[inline]
pub fn parse(datagram: &[u8]) -> Result<(NlHeader, &[u8]), FrameError> {
    let have = datagram.len();
    let header = NlHeader::parse(datagram).ok_or(FrameError::Short { have })?;
    let lies = FrameError::Length {
        announced: header.len,
        have,
    };
    let end = usize::try_from(header.len).map_err(|_| lies)?;
    let payload = datagram.get(NlHeader::SIZE..end).ok_or(lies)?;
    if have > end.next_multiple_of(4) {
        return Err(FrameError::Trailing {
            len: header.len,
            extra: have - end,
        });
    }
    Ok((header, payload))
}
