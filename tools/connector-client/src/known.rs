// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Ids that have a name: those of `include/uapi/linux/connector.h` and those of this project.

use std::{error, fmt};

use connector_wire::CbId;

/// An id that has a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// The name to write.
    pub name: &'static str,
    /// The id.
    pub id: CbId,
    /// What is behind it.
    pub what: &'static str,
}

/// Every id that has a name.
pub const KNOWN: &[Known] = &[
    known("proc", 1, 1, "process events (cn_proc)"),
    known("cifs", 2, 1, "SMB client upcalls"),
    known("w1", 3, 1, "1-wire bus"),
    known("v86d", 4, 1, "uvesafb's x86 emulator"),
    known("bb", 5, 1, "BlackBoard of the TSP sampling framework"),
    known("dst", 6, 1, "distributed storage"),
    known("dm", 7, 1, "device mapper's userspace log"),
    known("drbd", 8, 1, "DRBD"),
    known("kvp", 9, 1, "Hyper-V key-value pairs"),
    known("vss", 10, 1, "Hyper-V volume snapshots"),
    known("cn_test", 14, 0x456, "connector test module"),
    known("cn_test2", 14, 0x457, "connector test module, second id"),
    known("cn_echo", 16, 1, "echo service at its default id"),
    known("cn_notify", u32::MAX, u32::MAX, "event notification"),
];

const fn known(name: &'static str, idx: u32, val: u32, what: &'static str) -> Known {
    Known {
        name,
        id: CbId { idx, val },
        what,
    }
}

/// The entry of an id, if it has a name.
pub fn by_id(id: CbId) -> Option<&'static Known> {
    KNOWN.iter().find(|known| known.id == id)
}

/// The entry of a name.
pub fn by_name(name: &str) -> Option<&'static Known> {
    KNOWN.iter().find(|known| known.name == name)
}

/// A text is neither an id nor the name of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotAnId(String);

impl fmt::Display for NotAnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} is not an id: expected IDX:VAL, each decimal or 0x-hexadecimal, or one of",
            self.0
        )?;
        let mut separator = " ";
        for known in KNOWN {
            write!(f, "{separator}{}", known.name)?;
            separator = ", ";
        }
        Ok(())
    }
}

impl error::Error for NotAnId {}

/// Reads `IDX:VAL`, each part decimal or hexadecimal with `0x`, or a known name.
///
/// # Errors
///
/// [`NotAnId`], whose text says what would be one.
///
/// # Examples
///
/// ```
/// use connector_client::{CbId, known};
///
/// let id = CbId { idx: 14, val: 0x456 };
/// assert_eq!(known::parse_id("14:0x456"), Ok(id));
/// assert_eq!(known::parse_id("cn_test"), Ok(id));
/// assert!(known::parse_id("14").is_err());
/// ```
pub fn parse_id(text: &str) -> Result<CbId, NotAnId> {
    match by_name(text) {
        Some(known) => Ok(known.id),
        None => text.parse().map_err(|_| NotAnId(text.to_owned())),
    }
}

/// Reads a number, decimal or hexadecimal with `0x`.
pub fn parse_number(text: &str) -> Option<u32> {
    let (digits, radix) = match text.strip_prefix("0x").or(text.strip_prefix("0X")) {
        Some(digits) => (digits, 16),
        None => (text, 10),
    };
    // from_str_radix() would take a sign.
    if digits.starts_with(['+', '-']) {
        return None;
    }
    u32::from_str_radix(digits, radix).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_neither_an_id_nor_a_name_is_told_what_would_be() {
        let error = parse_id("echo").unwrap_err().to_string();
        assert!(error.contains("\"echo\" is not an id"), "{error}");
        assert!(
            error.contains("IDX:VAL") && error.contains("cn_echo"),
            "{error}"
        );
    }

    #[test]
    fn numbers_have_two_bases_and_no_sign() {
        assert_eq!(parse_number("0x1F"), Some(31));
        assert_eq!(parse_number("4294967295"), Some(u32::MAX));
        for wrong in ["", "-1", "+1", "0x", "0x-1", "4294967296"] {
            assert_eq!(parse_number(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn every_known_name_reads_as_its_id_and_none_occurs_twice() {
        for known in KNOWN {
            assert_eq!(parse_id(known.name), Ok(known.id));
            assert_eq!(by_id(known.id), Some(known));
        }
    }
}
