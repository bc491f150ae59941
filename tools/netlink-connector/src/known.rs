// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Ids that have a name: those of `include/uapi/linux/connector.h` and those of this project.

use std::{error, fmt};

use connector_wire::CbId;

pub use connector_wire::parse_number;

use crate::procfs::{self, Registered};

/// An id that has a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
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

/// The id of a name: one that is registered by this name now, or else a known one.
///
/// # Errors
///
/// [`NotAnId`] if there is none, or if several are registered by this name, none of which is known.
pub fn named(name: &str) -> Result<CbId, NotAnId> {
    // Where that cannot be read, there are the known names.
    among(name, &procfs::registered().unwrap_or_default())
}

fn among(name: &str, registered: &[Registered]) -> Result<CbId, NotAnId> {
    let known = by_name(name).map(|known| known.id);
    let ids = registered.iter().filter(|one| one.name == name);
    let ids: Vec<CbId> = ids.map(|one| one.id).collect();
    match (ids.as_slice(), known) {
        (&[id], _) => Ok(id),
        (ids, Some(known)) if ids.is_empty() || ids.contains(&known) => Ok(known),
        _ => Err(NotAnId {
            text: name.to_owned(),
            ids,
        }),
    }
}

/// A text is neither an id nor the name of one, or the name of several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotAnId {
    text: String,
    ids: Vec<CbId>,
}

impl fmt::Display for NotAnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.ids.is_empty() {
            write!(f, "{:?} is the name of several ids:", self.text)?;
            return self.ids.iter().try_for_each(|id| write!(f, " {id}"));
        }
        write!(
            f,
            "{:?} is not an id: expected IDX:VAL, each decimal or 0x-hexadecimal, the name of one that \
             is registered, or one of",
            self.text
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

/// Reads `IDX:VAL`, each part decimal or hexadecimal with `0x`, or a [name](named).
///
/// # Errors
///
/// [`NotAnId`], whose text says what would be one.
///
/// # Examples
///
/// ```
/// use netlink_connector::{CbId, known};
///
/// let id = CbId { idx: 14, val: 0x456 };
/// assert_eq!(known::parse_id("14:0x456"), Ok(id));
/// assert_eq!(known::parse_id("cn_test"), Ok(id));
/// assert!(known::parse_id("14").is_err());
/// ```
pub fn parse_id(text: &str) -> Result<CbId, NotAnId> {
    text.parse().or_else(|_| named(text))
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
    fn a_name_is_that_of_what_is_registered_by_it() {
        let one = |name: &str, idx, val| Registered {
            id: CbId { idx, val },
            name: name.into(),
        };
        let id = |idx, val| Ok(CbId { idx, val });
        let registered = [
            one("cn_kv", 20, 1),
            one("cn_echo", 17, 1),
            one("cn_test", 14, 0x457),
            one("cn_test", 14, 0x456),
            one("twice", 1, 2),
            one("twice", 1, 3),
        ];
        assert_eq!(among("cn_kv", &registered), id(20, 1));
        assert_eq!(among("cn_echo", &registered), id(17, 1));
        assert_eq!(among("cn_test", &registered), id(14, 0x456));
        assert_eq!(among("cn_echo", &[]), id(16, 1));
        let error = among("twice", &registered).unwrap_err().to_string();
        assert!(error.ends_with("several ids: 1:2 1:3"), "{error}");
        assert!(among("nobody", &registered).is_err());
    }

    #[test]
    fn what_is_not_an_id_is_refused() {
        for text in [
            "",
            ":",
            "1",
            "1:",
            ":1",
            "1:2:3",
            "4294967296:1",
            "-1:1",
            "+1:1",
            "0x:1",
            "0x-1:1",
            " 1:1",
            "1:1 ",
            "echo",
        ] {
            assert!(parse_id(text).is_err(), "{text:?}");
        }
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
