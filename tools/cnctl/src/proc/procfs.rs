// SPDX-License-Identifier: GPL-2.0

//! What `/proc` says of a process, as bytes: names need not be UTF-8.
//!
//! Every function gives `None` for a process that is gone, which is nothing unusual here. See
//! proc_pid_stat(5), proc_pid_status(5) and proc_pid_cmdline(5).

use std::{
    fs::{self, File},
    io::{self, Read},
    time::Duration,
};

/// How many units of the start time make a second: `USER_HZ`, which is 100 on every architecture
/// that Rust has the kernel on.
const USER_HZ: u64 = 100;

/// `PF_KTHREAD`: the process is one of the kernel's own.
const KERNEL_THREAD: u64 = 0x0020_0000;

/// What of `/proc/PID/stat` is of interest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stat {
    /// The name of the program, at most 15 bytes; more for some kernel threads.
    pub(super) comm: Vec<u8>,
    pub(super) parent: i32,
    pub(super) pgrp: i32,
    /// The device number of the controlling terminal, or 0.
    pub(super) tty: u32,
    pub(super) kernel: bool,
    /// When it was started, since the system was booted (`CLOCK_BOOTTIME`), to 10 ms.
    pub(super) started: Duration,
}

/// Reads `/proc/PID/stat`.
pub(super) fn stat(pid: i32) -> Option<Stat> {
    parse_stat(&fs::read(format!("/proc/{pid}/stat")).ok()?)
}

fn parse_stat(stat: &[u8]) -> Option<Stat> {
    // The name is in parentheses, and may have some of its own.
    let start = stat.iter().position(|byte| *byte == b'(')? + 1;
    let end = stat.iter().rposition(|byte| *byte == b')')?;
    let comm = stat.get(start..end)?.to_vec();
    // The rest is numbers, the first of which is field 3.
    let rest = std::str::from_utf8(stat.get(end + 1..)?).ok()?;
    let fields: Vec<_> = rest.split_ascii_whitespace().collect();
    let field = |number: usize| fields.get(number - 3);
    let ticks: u64 = field(22)?.parse().ok()?;
    let pgrp = field(5)?.parse().ok()?;
    // Its parent has just waited for it: of what it was in, nothing is left.
    if pgrp == -1 {
        return None;
    }
    Some(Stat {
        comm,
        parent: field(4)?.parse().ok()?,
        pgrp,
        // Printed as a signed number.
        tty: field(7)?.parse::<i32>().ok()? as u32,
        kernel: field(9)?.parse::<u64>().ok()? & KERNEL_THREAD != 0,
        started: Duration::from_nanos(ticks.saturating_mul(1_000_000_000 / USER_HZ)),
    })
}

/// Reads the command line, at most `limit` bytes of it: each argument with a NUL behind it. Empty
/// for kernel threads, and for a process that has ended.
pub(super) fn command_line(pid: i32, limit: u64) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = File::open(format!("/proc/{pid}/cmdline")).ok()?;
    file.take(limit).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

/// Reads the real and the effective user id.
pub(super) fn user_ids(pid: i32) -> Option<(u32, u32)> {
    let status = fs::read(format!("/proc/{pid}/status")).ok()?;
    parse_user_ids(&status)
}

fn parse_user_ids(status: &[u8]) -> Option<(u32, u32)> {
    let mut ids = status_field(status, b"Uid:")?.split_ascii_whitespace();
    let mut id = || ids.next()?.parse().ok();
    Some((id()?, id()?))
}

/// Reads which process a thread is of: itself, if it is the first one.
pub(super) fn process_of(tid: i32) -> Option<i32> {
    let status = fs::read(format!("/proc/{tid}/status")).ok()?;
    status_field(&status, b"Tgid:")?.trim().parse().ok()
}

fn status_field<'a>(status: &'a [u8], name: &[u8]) -> Option<&'a str> {
    let mut lines = status.split(|byte| *byte == b'\n');
    std::str::from_utf8(lines.find_map(|line| line.strip_prefix(name))?).ok()
}

/// Reads `/proc/PID/cgroup`: a line for each hierarchy, `NUMBER:CONTROLLERS:PATH`.
pub(super) fn cgroups(pid: i32) -> Option<Vec<u8>> {
    fs::read(format!("/proc/{pid}/cgroup")).ok()
}

/// Whether processes of others can be looked at, and if not, why. There always is a process 1.
pub(super) fn can_be_read() -> io::Result<()> {
    fs::read("/proc/1/stat").map(drop)
}

/// Every process that there is.
pub(super) fn processes() -> impl Iterator<Item = i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten();
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

/// The name of a terminal by its device number, without `/dev/`.
pub(super) fn terminal(device: u32) -> Option<String> {
    // As the kernel packs it: new_encode_dev().
    let (major, minor) = (
        (device >> 8) & 0xfff,
        (device & 0xff) | ((device >> 12) & 0xfff_ff00),
    );
    match (major, minor) {
        (0, 0) => None,
        // UNIX98_PTY_SLAVE_MAJOR, eight of them.
        (136..=143, _) => Some(format!("pts/{}", (major - 136) * 256 + minor)),
        _ => {
            let uevent = fs::read_to_string(format!("/sys/dev/char/{major}:{minor}/uevent"));
            let name = uevent.ok().and_then(|text| {
                let mut lines = text.lines();
                lines.find_map(|line| Some(line.strip_prefix("DEVNAME=")?.to_owned()))
            });
            Some(name.unwrap_or_else(|| format!("{major}:{minor}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_and_spaces_is_read_to_its_end() {
        let stat = b"42 (a) (b \xff) S 7 40 40 34816 40 4194304 0 0 0 0 1 2 3 4 20 0 1 0 350 9 9\n";
        let expected = Stat {
            comm: b"a) (b \xff".to_vec(),
            parent: 7,
            pgrp: 40,
            tty: 34816,
            kernel: false,
            started: Duration::from_millis(3500),
        };
        assert_eq!(parse_stat(stat), Some(expected));
        for end in 0..60 {
            assert_eq!(parse_stat(&stat[..end]), None);
        }
    }

    #[test]
    fn a_process_that_has_been_waited_for_is_gone() {
        let stat = b"42 (true) X 0 -1 -1 0 -1 4227084 0 0 0 0 0 0 0 0 20 0 0 0 350 0 0\n";
        assert_eq!(parse_stat(stat), None);
    }

    #[test]
    fn the_ids_are_the_real_and_the_effective_one() {
        let status = b"Name:\tsu\nUmask:\t0022\nUid:\t1000\t0\t0\t0\nGid:\t5\t5\t5\t5\n";
        assert_eq!(parse_user_ids(status), Some((1000, 0)));
        assert_eq!(parse_user_ids(b"Name:\tUid:\n"), None);
    }

    #[test]
    fn terminals_are_named_by_their_device_number() {
        assert_eq!(terminal(0), None);
        assert_eq!(terminal((136 << 8) | 3).as_deref(), Some("pts/3"));
        assert_eq!(terminal((137 << 8) | 3).as_deref(), Some("pts/259"));
    }

    #[test]
    fn this_process_is_found() {
        let pid = std::process::id() as i32;
        assert!(processes().any(|other| other == pid));
        let stat = stat(pid).unwrap();
        assert!(!stat.kernel && stat.parent > 0);
        let command = command_line(pid, u64::MAX).unwrap();
        assert!(command.ends_with(b"\0"));
        assert_eq!(command_line(pid, 3).unwrap(), command[..3]);
        assert!(user_ids(pid).is_some());
        assert_eq!(process_of(pid), Some(pid));
    }
}
