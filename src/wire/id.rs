// SPDX-License-Identifier: GPL-2.0

//! Connector ids.

use core::fmt;

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
/// # extern crate std;
/// assert_eq!(std::format!("{id}"), "16:1");
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
    /// The id of event notification, `{-1,-1}`: who sends there asks to be told when ids come and
    /// go.
    pub const NOTIFY: Self = Self {
        idx: u32::MAX,
        val: u32::MAX,
    };
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
