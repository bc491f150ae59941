// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Connector ids.

use core::{
    fmt,
    str::FromStr, //
};

use crate::number::parse_number;

/// The address of a service on the connector: `struct cb_id`.
///
/// `idx` names the subsystem and is also the number of its multicast [`Group`](crate::Group);
/// `val` tells the services of a subsystem apart. Shown as `idx:val`, as in
/// `/proc/net/connector`.
///
/// # Examples
///
/// ```
/// use connector_wire::CbId;
///
/// let id = CbId { idx: 16, val: 1 };
/// assert!("16:1".parse::<CbId>() == Ok(id));
/// ```
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CbId {
    /// The subsystem's number.
    pub idx: u32,
    /// The service's number within the subsystem.
    pub val: u32,
}

impl CbId {
    /// The id of event notification, `{-1,-1}`. Neither core registers it. A module may, as
    /// `cn_notify` does outside of the kernel's tree: a message to it asks to be told when ids come
    /// and go.
    pub const NOTIFY: Self = Self {
        idx: u32::MAX,
        val: u32::MAX,
    };
}

/// A text is not `IDX:VAL`, each decimal or hexadecimal with `0x`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAnId;

impl fmt::Display for NotAnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected IDX:VAL, each below 2^32, decimal or 0x-hexadecimal")
    }
}

impl core::error::Error for NotAnId {}

impl FromStr for CbId {
    type Err = NotAnId;

    /// Reads `IDX:VAL`, each decimal or hexadecimal with `0x`.
    fn from_str(text: &str) -> Result<Self, NotAnId> {
        let (idx, val) = text.split_once(':').ok_or(NotAnId)?;
        match (parse_number(idx), parse_number(val)) {
            (Some(idx), Some(val)) => Ok(Self { idx, val }),
            _ => Err(NotAnId),
        }
    }
}

impl fmt::Display for CbId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.idx, self.val)
    }
}

// The kernel's formatting macros ask for a trait of their own, which only this crate can implement.
#[cfg(CONFIG_RUST)]
impl kernel::fmt::Display for CbId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
