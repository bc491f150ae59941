// SPDX-License-Identifier: GPL-2.0

//! What the kernel tells about the connector in `/proc/net`.

use std::fs;

use connector_wire::{CbId, netlink};

use crate::error::{Error, Result};

/// An id that is registered, from `/proc/net/connector`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Registered {
    /// The id.
    pub id: CbId,
    /// The name it was registered by. Not unique, and the kernel cuts it to 31 bytes.
    pub name: String,
}

/// The ids that are registered now, in the kernel's order.
///
/// # Errors
///
/// [`Error::NoConnector`] if there is no `/proc/net/connector`; any other error of reading it.
/// Another network namespace than the initial one has no such file either.
pub fn registered() -> Result<Vec<Registered>> {
    match fs::read("/proc/net/connector") {
        Ok(text) => Ok(parse_registered(&String::from_utf8_lossy(&text))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(Error::NoConnector),
        Err(error) => Err(Error::io("reading /proc/net/connector", error)),
    }
}

/// Lines of a name, which may contain spaces, and `idx:val`; the first line is a title. A line that
/// is not made like that is passed over.
fn parse_registered(text: &str) -> Vec<Registered> {
    text.lines()
        .skip(1)
        .filter_map(|line| {
            let (name, id) = line.trim_end().rsplit_once(' ')?;
            let (idx, val) = id.split_once(':')?;
            Some(Registered {
                id: CbId {
                    idx: idx.parse().ok()?,
                    val: val.parse().ok()?,
                },
                name: name.trim_end().to_owned(),
            })
        })
        .collect()
}

/// How many datagrams to the connector socket at `portid` the kernel has dropped, if it tells.
pub(crate) fn drops(portid: u32) -> Option<u32> {
    parse_drops(&fs::read_to_string("/proc/net/netlink").ok()?, portid)
}

/// Columns: `sk Eth Pid Groups Rmem Wmem Dump Locks Drops Inode`, where `Eth` is the protocol.
fn parse_drops(text: &str, portid: u32) -> Option<u32> {
    text.lines().find_map(|line| {
        let mut fields = line.split_ascii_whitespace().skip(1);
        let protocol: u8 = fields.next()?.parse().ok()?;
        let port: u32 = fields.next()?.parse().ok()?;
        if protocol != netlink::PROTOCOL || port != portid {
            return None;
        }
        // Shown with its sign, which is no sign: the counter goes round.
        let drops: i64 = fields.nth(5)?.parse().ok()?;
        Some(drops as u32)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_ids_are_read_from_the_list() {
        let text = "Name            ID\n\
                    cn_proc         1:1\n\
                    a name          4294967295:0\n\
                    a_name_longer_than_its_column 7:8\n\
                    nonsense\n";
        let expected = [
            ("cn_proc", 1, 1),
            ("a name", u32::MAX, 0),
            ("a_name_longer_than_its_column", 7, 8),
        ]
        .map(|(name, idx, val)| Registered {
            id: CbId { idx, val },
            name: name.to_owned(),
        });
        assert_eq!(parse_registered(text), expected);
    }

    #[test]
    fn drops_are_those_of_this_protocol_and_port() {
        let text = "sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    Drops    Inode\n\
                    00000000aaaaaaaa 0   77         00000000 0        0        0     2        3        11\n\
                    00000000bbbbbbbb 11  0          00000000 0        0        0     2        0        12\n\
                    00000000cccccccc 11  77         00002001 4608     0        0     2        4242     13\n";
        assert_eq!(parse_drops(text, 77), Some(4242));
        assert_eq!(parse_drops(text, 78), None);
    }
}
