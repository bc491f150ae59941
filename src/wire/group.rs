// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Multicast groups.

use core::{
    fmt,
    str::FromStr, //
};

use crate::{
    number::parse_number,
    CbId, //
};

/// A multicast group of the connector: 1 to 32.
///
/// The kernel's own core asks netlink for 26 groups and netlink rounds up to 32; joining a higher one
/// fails with `EINVAL`. This project's own core has more, which an id with a high `idx` broadcasts to.
///
/// # Who can listen
///
/// Joining an even group takes `CAP_NET_ADMIN`. **Any user can join an odd one**: the kernel's own core
/// means to open only group 1 (process events) to everybody, but tests bit 0 of the group's number.
/// What must stay private needs an even group, which for a service that sends to its own group means
/// an even `idx`. On this project's own core it is group 1, and those that a service opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Group(u32);

impl Group {
    /// The highest group that can be joined.
    pub const MAX: u32 = 32;

    /// Returns the group of this number, or `None` if the connector has no such group.
    #[inline]
    pub const fn new(number: u32) -> Option<Self> {
        if number >= 1 && number <= Self::MAX {
            Some(Self(number))
        } else {
            None
        }
    }

    /// The group of an id, which its service broadcasts to: the one of the number `idx`, or `None`
    /// if the connector has no such group.
    #[inline]
    pub const fn of(id: CbId) -> Option<Self> {
        Self::new(id.idx)
    }

    /// The group's number.
    #[inline]
    pub const fn number(self) -> u32 {
        self.0
    }

    /// The group as a bit in the mask that `bind(2)` takes (`nl_groups`).
    #[inline]
    pub const fn mask(self) -> u32 {
        1 << (self.0 - 1)
    }

    /// Whether a process without `CAP_NET_ADMIN` can join this group on the kernel's own core.
    #[inline]
    pub const fn is_open_to_anyone(self) -> bool {
        self.0 % 2 == 1
    }
}

/// The connector has no such group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAGroup;

impl fmt::Display for NotAGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected a group, 1 to {}", Group::MAX)
    }
}

impl core::error::Error for NotAGroup {}

impl TryFrom<u32> for Group {
    type Error = NotAGroup;

    fn try_from(number: u32) -> Result<Self, NotAGroup> {
        Self::new(number).ok_or(NotAGroup)
    }
}

impl FromStr for Group {
    type Err = NotAGroup;

    /// Reads a group's number, decimal or hexadecimal with `0x`.
    fn from_str(text: &str) -> Result<Self, NotAGroup> {
        parse_number(text).and_then(Self::new).ok_or(NotAGroup)
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

// See `CbId`.
#[cfg(CONFIG_RUST)]
impl kernel::fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
