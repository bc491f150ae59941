// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Event notification: asking to be told when ids are registered and unregistered.
//!
//! A request is a message to [`CbId::NOTIFY`] whose data is `struct cn_ctl_msg`, followed by
//! ranges of `idx` and then ranges of `val` (`struct cn_notify_req`). A notification is a message
//! from the id that changed, to the group that the request named; see [`Change`].
//!
//! Every request numbers its notifications with `seq`, from 0. Changes that could not be announced
//! have numbers, too: a gap tells how many are missing, or that some may be. It does not wait for
//! the next change. The notifier sends two notifications at once, one before the gap and one after
//! it, both of which repeat what it knows of its own id, [`CbId::NOTIFY`]: usually that it is
//! registered. So a gap can be seen by who has received nothing yet, and a notification about
//! [`CbId::NOTIFY`] can come to a group in which nobody asked for it. Whoever sees a gap looks again
//! at what is registered, after one more answer to the request: what was announced before that has
//! happened. The receiver's own losses show in the same way, and as `ENOBUFS`.
//!
//! What is announced of an id is true, or is about to be, though it may be known already.
//!
//! The C core defined these structures until Linux 2.6.32; no header of today has them.

use core::fmt;

use crate::{
    bytes,
    CbId,
    Group,
    Header, //
};

/// A range of numbers: `struct cn_notify_req`. It has `range` numbers, `first` being the lowest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Range {
    /// The lowest number.
    pub first: u32,
    /// How many numbers there are; none if 0. All 2^32 cannot be said in one range.
    pub range: u32,
}

impl Range {
    /// The size of a range in memory, in bytes.
    pub const SIZE: usize = 8;

    /// Reads a range from the start of `bytes`, or returns `None` if there are fewer than
    /// [`Self::SIZE`] of them.
    #[inline]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        Some(Self {
            first: bytes::read_u32(bytes, 0)?,
            range: bytes::read_u32(bytes, 4)?,
        })
    }

    /// The range as it lies in memory.
    #[inline]
    pub fn to_bytes(&self) -> [u8; Self::SIZE] {
        bytes::from_words([self.first, self.range])
    }

    /// Whether `number` is in the range.
    #[inline]
    pub const fn contains(&self, number: u32) -> bool {
        match number.checked_sub(self.first) {
            Some(offset) => offset < self.range,
            None => false,
        }
    }

    /// Whether the range reaches beyond the highest number, 2^32 - 1.
    #[inline]
    pub const fn wraps(&self) -> bool {
        self.range > 0 && self.first.checked_add(self.range - 1).is_none()
    }
}

/// What a request begins with: `struct cn_ctl_msg`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ControlHeader {
    /// How many ranges of `idx` follow.
    pub idx_ranges: u32,
    /// How many ranges of `val` follow them.
    pub val_ranges: u32,
    /// The group to send notifications to; 0 takes back the request with the same ranges.
    pub group: u32,
    /// The size of all ranges, in bytes.
    pub len: u32,
}

impl ControlHeader {
    /// The size of a header in memory, in bytes.
    pub const SIZE: usize = 16;

    /// Reads a header from the start of `bytes`, or returns `None` if there are fewer than
    /// [`Self::SIZE`] of them.
    #[inline]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        Some(Self {
            idx_ranges: bytes::read_u32(bytes, 0)?,
            val_ranges: bytes::read_u32(bytes, 4)?,
            group: bytes::read_u32(bytes, 8)?,
            len: bytes::read_u32(bytes, 12)?,
        })
    }

    /// The header as it lies in memory.
    #[inline]
    pub fn to_bytes(&self) -> [u8; Self::SIZE] {
        bytes::from_words([self.idx_ranges, self.val_ranges, self.group, self.len])
    }
}

/// A request that was checked in full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Control<'a> {
    /// The group to send notifications to, or `None` to take back the request with these ranges.
    pub group: Option<Group>,
    idx: &'a [u8],
    val: &'a [u8],
}

impl<'a> Control<'a> {
    /// Reads a request from the data of a message.
    ///
    /// # Errors
    ///
    /// Sizes must agree exactly, no range may wrap, and the group must exist; see
    /// [`ControlError`].
    pub fn parse(data: &'a [u8]) -> Result<Self, ControlError> {
        let short = ControlError::Short { have: data.len() };
        let header = ControlHeader::parse(data).ok_or(short)?;
        let ranges = data.get(ControlHeader::SIZE..).ok_or(short)?;

        let mismatch = ControlError::Size {
            header,
            have: ranges.len(),
        };
        let size_of = |count: u32| (count as usize).checked_mul(Range::SIZE);
        let idx_size = size_of(header.idx_ranges).ok_or(mismatch)?;
        let val_size = size_of(header.val_ranges).ok_or(mismatch)?;
        let size = idx_size.checked_add(val_size).ok_or(mismatch)?;
        if size != ranges.len() || u32::try_from(size) != Ok(header.len) {
            return Err(mismatch);
        }
        let (idx, val) = ranges.split_at_checked(idx_size).ok_or(mismatch)?;

        let group = match header.group {
            0 => None,
            number => Some(Group::new(number).ok_or(ControlError::Group { number })?),
        };
        let control = Self { group, idx, val };
        match control
            .idx_ranges()
            .chain(control.val_ranges())
            .find(Range::wraps)
        {
            Some(range) => Err(ControlError::Wraps { range }),
            None => Ok(control),
        }
    }

    /// The ranges of `idx`.
    #[inline]
    pub fn idx_ranges(&self) -> impl Iterator<Item = Range> + 'a {
        self.idx.chunks_exact(Range::SIZE).filter_map(Range::parse)
    }

    /// The ranges of `val`.
    #[inline]
    pub fn val_ranges(&self) -> impl Iterator<Item = Range> + 'a {
        self.val.chunks_exact(Range::SIZE).filter_map(Range::parse)
    }

    /// Whether the request is about `id`: its `idx` is in one of the first ranges, and its `val` in
    /// one of the second.
    #[inline]
    pub fn matches(&self, id: CbId) -> bool {
        self.idx_ranges().any(|range| range.contains(id.idx))
            && self.val_ranges().any(|range| range.contains(id.val))
    }
}

/// Why data is not a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ControlError {
    /// The data has `have` bytes, fewer than a [`ControlHeader`].
    Short {
        /// How many bytes there are.
        have: usize,
    },
    /// The counts in the header, its `len`, and the `have` bytes of ranges do not agree.
    Size {
        /// The header.
        header: ControlHeader,
        /// How many bytes follow it.
        have: usize,
    },
    /// There is no group of this number.
    Group {
        /// The number.
        number: u32,
    },
    /// A range reaches beyond the highest number.
    Wraps {
        /// The range.
        range: Range,
    },
}

impl fmt::Display for ControlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short { have } => write!(
                f,
                "{have} bytes are fewer than the {} of a control header",
                ControlHeader::SIZE
            ),
            Self::Size { header, have } => write!(
                f,
                "{} idx and {} val ranges in {} bytes are announced, {have} bytes follow",
                header.idx_ranges, header.val_ranges, header.len
            ),
            Self::Group { number } => write!(f, "there is no group {number}"),
            Self::Wraps { range } => write!(
                f,
                "the range of {} numbers from {} wraps",
                range.range, range.first
            ),
        }
    }
}

impl core::error::Error for ControlError {}

/// What a notification says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Change {
    /// The id has been registered and can be sent to.
    Registered,
    /// The id is gone.
    Unregistered,
}

impl Change {
    /// The header of the notification that `id` has changed, with the notifier's `seq`.
    #[inline]
    pub const fn header(self, id: CbId, seq: u32) -> Header {
        Header {
            id,
            seq,
            ack: match self {
                Self::Registered => 0,
                Self::Unregistered => 1,
            },
            len: 0,
            flags: 0,
        }
    }

    /// What the notification with this header says, or `None` if it is not one.
    #[inline]
    pub const fn parse(header: &Header) -> Option<Self> {
        match (header.len, header.ack) {
            (0, 0) => Some(Self::Registered),
            (0, 1) => Some(Self::Unregistered),
            _ => None,
        }
    }
}
