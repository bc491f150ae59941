// SPDX-License-Identifier: GPL-2.0 OR MIT

//! What the kernel tells about the connector in `/proc/net`.

use std::{
    ffi::{OsStr, OsString},
    fs, io,
    os::unix::ffi::OsStrExt,
};

use connector_wire::{CbId, Group, netlink};

use crate::{
    error::{Error, Result},
    socket::Socket,
};

/// An id that is registered, from `/proc/net/connector`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Registered {
    /// The id.
    pub id: CbId,
    /// The name it was registered by. Not unique; and not always UTF-8, since the kernel cuts it to 31
    /// bytes.
    pub name: OsString,
}

/// The ids that are registered now, in the kernel's order.
///
/// # Errors
///
/// If there is no `/proc/net/connector`, what is the reason: [`Error::NoConnector`],
/// [`Error::NoNetlink`], [`Error::Refused`] in another network namespace than the initial one, or
/// [`Error::NoProcfs`]. [`Error::Io`].
pub fn registered() -> Result<Vec<Registered>> {
    match fs::read("/proc/net/connector") {
        Ok(text) => Ok(parse_registered(&text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            // A socket knows why.
            Err(Socket::open(0, false, None).map_or_else(|error| error, |_| Error::NoProcfs))
        }
        Err(error) => Err(Error::io("reading /proc/net/connector", error)),
    }
}

/// A socket of the connector in this network namespace, from `/proc/net/netlink`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SocketInfo {
    /// Its netlink port; often, but not always, the process id of who opened it. 0 is the kernel's
    /// own.
    pub portid: u32,
    /// The groups that it is in, as a bit mask: bit 0 is group 1.
    pub groups: u32,
    /// How many bytes of its receive buffer are in use.
    pub receive_queue: u32,
    /// How many datagrams the kernel has dropped because the receive buffer was full; the counter
    /// goes round.
    pub drops: u32,
    /// The inode, by which the links in `/proc/PID/fd` name it.
    pub inode: u64,
}

impl SocketInfo {
    /// The groups that it is in.
    pub fn groups(&self) -> impl Iterator<Item = Group> + use<> {
        let mask = self.groups;
        (1..=Group::MAX)
            .filter_map(Group::new)
            .filter(move |group| mask & group.mask() != 0)
    }
}

/// The sockets of the connector in this network namespace.
///
/// # Errors
///
/// [`Error::Io`].
pub fn sockets() -> Result<Vec<SocketInfo>> {
    let text = fs::read_to_string("/proc/net/netlink")
        .map_err(|error| Error::io("reading /proc/net/netlink", error))?;
    Ok(parse_sockets(&text).collect())
}

/// Lines of a name, which may contain spaces, and `idx:val`; the first line is a title. A line that
/// is not made like that is passed over.
fn parse_registered(text: &[u8]) -> Vec<Registered> {
    text.split(|byte| *byte == b'\n')
        .skip(1)
        .filter_map(|line| {
            let line = line.trim_ascii_end();
            let (name, id) = line.split_at(line.iter().rposition(|byte| *byte == b' ')?);
            let (idx, val) = std::str::from_utf8(id).ok()?.trim().split_once(':')?;
            Some(Registered {
                id: CbId {
                    idx: idx.parse().ok()?,
                    val: val.parse().ok()?,
                },
                // The kernel fills the column with spaces.
                name: OsStr::from_bytes(name.trim_ascii_end()).to_owned(),
            })
        })
        .collect()
}

/// How many datagrams to the connector socket at `portid` the kernel has dropped, if it tells.
pub(crate) fn drops(portid: u32) -> Option<u32> {
    let text = fs::read_to_string("/proc/net/netlink").ok()?;
    let found = parse_sockets(&text).find(|socket| socket.portid == portid)?;
    Some(found.drops)
}

/// Lines of the columns `sk Eth Pid Groups Rmem Wmem Dump Locks Drops Inode`, where `Eth` is the
/// protocol; the first line has the titles.
fn parse_sockets(text: &str) -> impl Iterator<Item = SocketInfo> {
    text.lines().filter_map(|line| {
        let fields: Vec<_> = line.split_ascii_whitespace().collect();
        let [_, protocol, port, groups, rmem, _, _, _, drops, inode] = fields[..] else {
            return None;
        };
        if protocol.parse() != Ok(netlink::PROTOCOL) {
            return None;
        }
        // Shown with their sign, which is no sign: the numbers go round.
        let counter = |text: &str| text.parse::<i64>().ok().map(|number| number as u32);
        Some(SocketInfo {
            portid: counter(port)?,
            groups: u32::from_str_radix(groups, 16).ok()?,
            receive_queue: counter(rmem)?,
            drops: counter(drops)?,
            inode: inode.parse().ok()?,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_ids_are_read_from_the_list() {
        let text = b"Name            ID\n\
                     cn_proc         1:1\n\
                     a name          4294967295:0\n\
                     a_name_longer_than_its_column 7:8\n\
                     cut\xc3           9:9\n\
                     nonsense\n";
        let expected = [
            (&b"cn_proc"[..], 1, 1),
            (b"a name", u32::MAX, 0),
            (b"a_name_longer_than_its_column", 7, 8),
            (b"cut\xc3", 9, 9),
        ]
        .map(|(name, idx, val)| Registered {
            id: CbId { idx, val },
            name: OsStr::from_bytes(name).to_owned(),
        });
        assert_eq!(parse_registered(text), expected);
    }

    #[test]
    fn sockets_are_those_of_this_protocol() {
        let text = "sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    Drops    Inode\n\
                    00000000aaaaaaaa 0   77         00000000 0        0        0     2        3        11\n\
                    00000000bbbbbbbb 11  0          00000000 0        0        0     2        0        12\n\
                    00000000cccccccc 11  -4196      00002001 4608     0        0     2        4242     13\n\
                    cut off\n";
        let sockets: Vec<_> = parse_sockets(text).collect();
        let [kernel, other] = &sockets[..] else {
            panic!("{sockets:?}")
        };
        assert_eq!((kernel.portid, kernel.drops, kernel.inode), (0, 0, 12));
        // 2^32 - 4196.
        assert_eq!(other.portid, 4_294_963_100);
        let groups: Vec<_> = other.groups().map(Group::number).collect();
        assert_eq!(groups, [1, 14]);
        assert_eq!((other.receive_queue, other.drops), (4608, 4242));
    }
}
