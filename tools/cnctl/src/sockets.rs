// SPDX-License-Identifier: GPL-2.0

//! `cnctl sockets`: who uses the connector, as ss(8) shows it of other protocols.

use std::{collections::HashMap, fs, os::unix::ffi::OsStrExt, path::Path};

use netlink_connector::{Group, SocketInfo, registered, sockets};
use serde::Serialize;

use crate::{
    Failure, Outcome,
    cli::{Global, Sockets},
    escape,
    output::{Bytes, Object, Output, Tone},
};

/// A process that has a socket open.
#[derive(Clone, Debug)]
struct Owner {
    pid: u32,
    fd: u32,
    comm: Vec<u8>,
}

pub(crate) fn run(_args: &Sockets, global: &Global) -> Result<Outcome, Failure> {
    let output = Output::new(global);
    // Where there is no connector, an empty list would say nothing.
    registered()?;
    let owners = owners();
    let mut sockets = sockets()?;
    // The kernel's own.
    sockets.retain(|socket| socket.portid != 0);
    sockets.sort_by_key(|socket| socket.portid);
    if !output.json {
        let title = format!(
            "{:>10} {:>7} {:<15} {:<12} {:>8} {:>8}",
            "PORT", "PID", "PROGRAM", "GROUPS", "RECV-Q", "DROPS"
        );
        output.line(output.toned(Tone::Strong, title));
    }
    for socket in sockets {
        let owners = owners.get(&socket.inode).map_or(&[][..], Vec::as_slice);
        match output.json {
            true => output.line(object(&socket, owners)),
            false => show(output, &socket, owners),
        }
    }
    Ok(Outcome::Complete)
}

/// A line for a socket, and one more for every further process that has it open.
fn show(output: Output, socket: &SocketInfo, owners: &[Owner]) {
    let groups: Vec<_> = socket.groups().map(|group| group.to_string()).collect();
    let groups = match groups.is_empty() {
        true => "-".to_owned(),
        false => groups.join(","),
    };
    let drops = format!("{:>8}", socket.drops);
    let (pid, comm) = columns(owners.first());
    output.line(format_args!(
        "{:>10} {pid:>7} {comm:<15} {groups:<12} {:>8} {}",
        socket.portid,
        socket.receive_queue,
        match socket.drops {
            0 => drops,
            _ => output.toned(Tone::Bad, drops).to_string(),
        }
    ));
    for owner in owners.iter().skip(1) {
        let (pid, comm) = columns(Some(owner));
        output.line(format_args!("{:>10} {pid:>7} {comm}", ""));
    }
}

/// The pid and the program, if they are known.
fn columns(owner: Option<&Owner>) -> (String, String) {
    match owner {
        Some(owner) => (owner.pid.to_string(), escape::shown(&owner.comm)),
        None => ("-".to_owned(), "-".to_owned()),
    }
}

fn object(socket: &SocketInfo, owners: &[Owner]) -> Object {
    #[derive(Serialize)]
    struct Member<'a> {
        pid: u32,
        fd: u32,
        comm: Bytes<'a>,
    }
    let groups: Vec<_> = socket.groups().map(Group::number).collect();
    let owners: Vec<_> = owners
        .iter()
        .map(|owner| Member {
            pid: owner.pid,
            fd: owner.fd,
            comm: Bytes(&owner.comm),
        })
        .collect();
    Object::new("socket")
        .value("port", socket.portid)
        .value("groups", groups)
        .value("receive_queue", socket.receive_queue)
        .value("drops", socket.drops)
        .value("owners", owners)
}

/// Who has which socket open, by inode, as far as this user may see it.
fn owners() -> HashMap<u64, Vec<Owner>> {
    let mut owners: HashMap<u64, Vec<Owner>> = HashMap::new();
    for pid in numbers(Path::new("/proc")) {
        let process = Path::new("/proc").join(pid.to_string());
        let mut comm = None;
        for fd in numbers(&process.join("fd")) {
            let link = fs::read_link(process.join("fd").join(fd.to_string()));
            let Some(inode) = link
                .ok()
                .and_then(|link| inode(link.as_os_str().as_bytes()))
            else {
                continue;
            };
            let comm = comm.get_or_insert_with(|| {
                let comm = fs::read(process.join("comm")).unwrap_or_default();
                comm.strip_suffix(b"\n").unwrap_or(&comm).to_vec()
            });
            owners.entry(inode).or_default().push(Owner {
                pid,
                fd,
                comm: comm.clone(),
            });
        }
    }
    owners
}

/// The names in a folder that are numbers. What cannot be read is not seen.
fn numbers(folder: &Path) -> Vec<u32> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut numbers: Vec<_> = entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect();
    numbers.sort_unstable();
    numbers
}

/// The inode that a link in `/proc/PID/fd` names, if it is a socket's.
fn inode(link: &[u8]) -> Option<u64> {
    let digits = link.strip_prefix(b"socket:[")?.strip_suffix(b"]")?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_to_sockets_name_their_inode() {
        assert_eq!(inode(b"socket:[4242]"), Some(4242));
        for other in [&b"pipe:[4242]"[..], b"socket:[]", b"/tmp/socket:[1]"] {
            assert_eq!(inode(other), None);
        }
    }
}
