// SPDX-License-Identifier: GPL-2.0

//! `cnctl sockets`: who uses the connector, as ss(8) shows it of other protocols.

use std::{collections::HashMap, fs, io, os::unix::ffi::OsStrExt, path::Path};

use netlink_connector::{Group, SocketInfo, registered, sockets};
use nix::libc;
use serde::Serialize;

use crate::{
    cli::{Global, Sockets},
    escape,
    outcome::{Failure, Outcome},
    output::{Bytes, Object, Output, Tone, complain},
    table::{Cell, Side, Table},
};

/// A process that has a socket open.
#[derive(Clone, Debug)]
struct Owner {
    pid: u32,
    fd: u32,
    comm: Vec<u8>,
}

/// Who has sockets open, as far as this user may see it.
#[derive(Debug, Default)]
struct Owners {
    by_inode: HashMap<u64, Vec<Owner>>,
    /// Why there may be some who are not seen.
    hidden: Option<String>,
}

pub(crate) fn run(_args: &Sockets, global: &Global) -> Result<Outcome, Failure> {
    let output = Output::new(global);
    // Where there is no connector, an empty list would say nothing.
    registered()?;
    let owners = Owners::read(Path::new("/proc"));
    let mut sockets = sockets()?;
    // The kernel's own.
    sockets.retain(|socket| socket.portid != 0);
    sockets.sort_by_key(|socket| socket.portid);
    if output.json {
        for socket in &sockets {
            output.line(object(socket, owners.of(socket)));
        }
    } else {
        show(output, &sockets, &owners);
    }
    let orphans = sockets.iter().filter(|socket| owners.of(socket).is_empty());
    if let (Some(why), orphans @ 1..) = (&owners.hidden, orphans.count()) {
        complain(
            "sockets",
            format_args!("who has {orphans} of these sockets open cannot be seen: {why}"),
        );
    }
    Ok(Outcome::Complete)
}

/// A line for a socket, and one more for every further process that has it open.
fn show(output: Output, sockets: &[SocketInfo], owners: &Owners) {
    let titles = [
        ("PORT", Side::Right),
        ("GROUPS", Side::Left),
        ("RECV-Q", Side::Right),
        ("DROPS", Side::Right),
        ("PID", Side::Right),
        ("PROGRAM", Side::Left),
    ];
    let mut table = Table::new(output, titles);
    for socket in sockets {
        let groups: Vec<_> = socket.groups().map(|group| group.to_string()).collect();
        let groups = match groups.is_empty() {
            true => "-".to_owned(),
            false => groups.join(","),
        };
        let drops = socket.drops.to_string();
        let mut before: [Cell; 4] = [
            socket.portid.to_string().into(),
            groups.into(),
            socket.receive_queue.to_string().into(),
            match socket.drops {
                0 => drops.into(),
                _ => Cell::toned(drops, Tone::Bad),
            },
        ];
        // One that has it open more than once has it open.
        let mut owners = owners.of(socket).to_vec();
        owners.dedup_by_key(|owner| owner.pid);
        let mut owners: Vec<_> = owners
            .iter()
            .map(|owner| {
                [
                    owner.pid.to_string().into(),
                    escape::shown(&owner.comm).into(),
                ]
            })
            .collect();
        if owners.is_empty() {
            owners.push(["-", "-"].map(Cell::from));
        }
        for owner in owners {
            table.row(before.into_iter().chain(owner));
            // What is the same for all of them.
            before = [""; 4].map(Cell::from);
        }
    }
    table.show();
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

impl Owners {
    /// Reads who has which socket open from the links in `PID/fd` of a folder such as `/proc`.
    fn read(proc: &Path) -> Self {
        let mut owners = Self::default();
        let pids = owners.numbers(proc);
        // There always is a process 1.
        if owners.hidden.is_none() && !pids.contains(&1) {
            owners.hidden = Some(format!(
                "{} does not show everybody's processes (see hidepid= in proc(5))",
                proc.display()
            ));
        }
        for pid in pids {
            owners.read_process(pid, &proc.join(pid.to_string()));
        }
        owners
    }

    fn read_process(&mut self, pid: u32, process: &Path) {
        let mut comm = None;
        for fd in self.numbers(&process.join("fd")) {
            let path = process.join("fd").join(fd.to_string());
            let link = fs::read_link(&path);
            let link = link.map_err(|error| self.not_seen(&path, &error));
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
            self.by_inode.entry(inode).or_default().push(Owner {
                pid,
                fd,
                comm: comm.clone(),
            });
        }
    }

    /// The names in a folder that are numbers, in order.
    fn numbers(&mut self, folder: &Path) -> Vec<u32> {
        let mut numbers = Vec::new();
        let entries = fs::read_dir(folder).map_err(|error| self.not_seen(folder, &error));
        for entry in entries.into_iter().flatten() {
            match entry {
                Ok(entry) => numbers.extend(entry.file_name().to_str().and_then(number)),
                Err(error) => self.not_seen(folder, &error),
            }
        }
        numbers.sort_unstable();
        numbers
    }

    /// Notes why something cannot be seen, unless there is nothing: a process may have ended, or closed
    /// a file.
    fn not_seen(&mut self, path: &Path, error: &io::Error) {
        let next_step = match error.raw_os_error() {
            Some(libc::ENOENT | libc::ESRCH) => return,
            Some(libc::EACCES | libc::EPERM) => "; as root all of them can be",
            Some(libc::EMFILE) => "; allow this process more files (ulimit -n)",
            _ => "",
        };
        self.hidden
            .get_or_insert_with(|| format!("{}: {error}{next_step}", path.display()));
    }

    fn of(&self, socket: &SocketInfo) -> &[Owner] {
        self.by_inode.get(&socket.inode).map_or(&[], Vec::as_slice)
    }
}

fn number(name: &str) -> Option<u32> {
    name.parse().ok()
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
    fn who_cannot_be_seen_is_told_with_the_reason_and_who_is_gone_is_not() {
        let proc = std::env::temp_dir().join(format!("cnctl-{}", std::process::id()));
        let process = |pid: u32| proc.join(pid.to_string());
        let read = || Owners::read(&proc);
        fs::create_dir_all(process(1).join("fd")).unwrap();
        fs::write(process(1).join("comm"), "in it\n").unwrap();
        std::os::unix::fs::symlink("socket:[42]", process(1).join("fd/3")).unwrap();
        // Has ended while it was looked at.
        fs::create_dir_all(process(2)).unwrap();
        let all = read();
        assert_eq!((all.by_inode[&42][0].fd, all.hidden), (3, None));
        // Somebody else's is an error, if another one for who may read all.
        fs::write(process(2).join("fd"), "").unwrap();
        let some = read();
        assert_eq!(some.by_inode[&42][0].comm, b"in it");
        let why = some.hidden.unwrap();
        assert!(why.contains("/2/fd: Not a directory"), "{why}");
        fs::remove_dir_all(process(1)).unwrap();
        fs::remove_dir_all(process(2)).unwrap();
        assert!(read().hidden.unwrap().contains("hidepid="));
        fs::remove_dir_all(&proc).unwrap();
    }

    #[test]
    fn what_can_be_done_about_it_is_told() {
        for (errno, step) in [
            (libc::EACCES, "as root"),
            (libc::EMFILE, "ulimit -n"),
            (libc::ENOENT, ""),
        ] {
            let mut owners = Owners::default();
            owners.not_seen(
                Path::new("/proc/1/fd"),
                &io::Error::from_raw_os_error(errno),
            );
            assert_eq!(owners.hidden.is_none(), step.is_empty(), "{errno}");
            assert!(owners.hidden.unwrap_or_default().contains(step));
        }
    }

    #[test]
    fn links_to_sockets_name_their_inode() {
        assert_eq!(inode(b"socket:[4242]"), Some(4242));
        for other in [&b"pipe:[4242]"[..], b"socket:[]", b"/tmp/socket:[1]"] {
            assert_eq!(inode(other), None);
        }
    }
}
