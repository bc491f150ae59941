// SPDX-License-Identifier: GPL-2.0

//! What a suite leaves behind: processes, modules, mounts, members of netlink groups, settings. It
//! is named, and taken away, so that the next suite begins as this one did.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use nix::kmod::{DeleteModuleFlags, delete_module};
use nix::mount::{MntFlags, umount2};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, getpid};

/// What is already on its way out when a suite ends may take this long: a process that was sent a
/// signal, a socket whose last holder is gone.
const GRACE: Duration = Duration::from_secs(10);
/// How long one look is from the next.
const PAUSE: Duration = Duration::from_millis(5);

/// What suites change, or might, and others take for granted.
const SETTINGS: &[&str] = &[
    "/proc/sys/debug/kprobes-optimization",
    "/proc/sys/kernel/hung_task_timeout_secs",
    "/proc/sys/kernel/hung_task_warnings",
    "/proc/sys/kernel/panic_on_oops",
    "/proc/sys/kernel/panic_on_warn",
    "/proc/sys/kernel/pid_max",
    "/proc/sys/kernel/printk",
    "/proc/sys/kernel/soft_watchdog",
    "/proc/sys/kernel/threads-max",
    "/proc/sys/kernel/watchdog",
    "/proc/sys/kernel/watchdog_thresh",
    "/proc/sys/net/core/rmem_default",
    "/proc/sys/net/core/rmem_max",
    "/proc/sys/net/core/wmem_default",
    "/proc/sys/net/core/wmem_max",
    "/proc/sys/vm/overcommit_memory",
    "/proc/sys/vm/panic_on_oom",
    "/sys/kernel/debug/fail_page_alloc/probability",
    "/sys/kernel/debug/failslab/probability",
    "/sys/kernel/debug/kprobes/enabled",
    "/sys/kernel/debug/sched/base_slice_ns",
    "/sys/kernel/rcu_expedited",
    "/sys/module/printk/parameters/ignore_loglevel",
    "/sys/module/rcupdate/parameters/rcu_cpu_stall_suppress",
];

/// The machine as a suite should leave it.
#[derive(Debug)]
pub struct World {
    modules: BTreeSet<String>,
    mounts: Vec<String>,
    members: BTreeSet<String>,
    settings: BTreeMap<&'static str, String>,
    /// Processes that could not be killed: they were told of once.
    immortal: BTreeSet<i32>,
}

impl World {
    /// As it is now.
    pub fn look() -> Self {
        Self {
            modules: modules(),
            mounts: mounts(),
            members: members(),
            settings: settings(),
            immortal: BTreeSet::new(),
        }
    }

    /// Makes it so again, and says in words what was different. Processes are left alone for a
    /// moment first if `patient`: they may be about to end.
    pub fn restore(&mut self, patient: bool) -> Vec<String> {
        let mut left = self.processes(patient);
        self.settings_back(&mut left);
        self.members_gone(&mut left);
        self.unmount(&mut left);
        self.unload(&mut left);
        left
    }

    /// Kills what runs. Where we could not wait we do not name them: the suite has failed anyway.
    fn processes(&mut self, patient: bool) -> Vec<String> {
        let me = getpid();
        let immortal = self.immortal.clone();
        let ours = || -> Vec<Process> {
            let all = processes();
            let mut found = descendants(&all, me.as_raw());
            found.retain(|process| !immortal.contains(&process.pid));
            found
        };
        let mut left = Vec::new();
        if patient && wait_until(|| ours().is_empty()) {
            return left;
        }
        for process in ours() {
            if patient {
                left.push(format!(
                    "it left a process behind: {} ({})",
                    process.pid, process.name
                ));
            }
        }
        let gone = wait_until(|| {
            // Each time: one that was forked meanwhile is new.
            let all = ours();
            for process in &all {
                let _ = kill(Pid::from_raw(process.pid), Signal::SIGKILL);
            }
            all.is_empty()
        });
        if !gone {
            let remain = ours();
            for process in remain {
                left.push(format!(
                    "it left a process that cannot be killed: {} ({})",
                    process.pid, process.name
                ));
                self.immortal.insert(process.pid);
            }
        }
        left
    }

    fn settings_back(&mut self, left: &mut Vec<String>) {
        let now = settings();
        for (path, before) in &self.settings {
            let value = now.get(path);
            if value != Some(before) {
                let value = value.map_or("unreadable", |value| value);
                left.push(format!("it left {path} changed: {value}, not {before}"));
                let _ = fs::write(path, before);
            }
        }
        // What cannot be set back is told of once.
        self.settings = settings();
    }

    fn members_gone(&mut self, left: &mut Vec<String>) {
        let gone = wait_until(|| members().is_subset(&self.members));
        let now = members();
        if !gone {
            for member in now.difference(&self.members) {
                left.push(format!(
                    "it left a connector socket open: {member} in /proc/net/netlink"
                ));
            }
        }
        self.members = now;
    }

    fn unmount(&mut self, left: &mut Vec<String>) {
        let now = mounts();
        for mount in self.mounts.iter().filter(|mount| !now.contains(mount)) {
            left.push(format!("it took a mount away: {mount}"));
        }
        for mount in now.iter().rev().filter(|now| !self.mounts.contains(now)) {
            left.push(format!("it left a mount behind: {mount}"));
            if let Some(target) = mount.split(' ').nth(1) {
                let _ = umount2(Path::new(target), MntFlags::MNT_DETACH);
            }
        }
        self.mounts = mounts();
    }

    /// A module that others use goes after them.
    fn unload(&mut self, left: &mut Vec<String>) {
        let more: Vec<String> = modules().difference(&self.modules).cloned().collect();
        for module in &more {
            left.push(format!("it left a module loaded: {module}"));
        }
        for _ in &more {
            for module in &more {
                if let Ok(name) = std::ffi::CString::new(module.as_str()) {
                    let _ = delete_module(&name, DeleteModuleFlags::O_NONBLOCK);
                }
            }
        }
        let now = modules();
        for module in self.modules.difference(&now) {
            left.push(format!(
                "it unloaded a module that it had not loaded: {module}"
            ));
        }
        for module in now.difference(&self.modules) {
            left.push(format!(
                "a module that it left cannot be unloaded: {module}"
            ));
        }
        self.modules = now;
    }
}

/// Whether it came true in time.
fn wait_until(mut is_true: impl FnMut() -> bool) -> bool {
    let since = Instant::now();
    loop {
        // Our own children, orphans of suites among them, stay until they are waited for.
        while let Ok(status) = waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            if status == WaitStatus::StillAlive {
                break;
            }
        }
        if is_true() {
            return true;
        }
        if since.elapsed() > GRACE {
            return false;
        }
        thread::sleep(PAUSE);
    }
}

/// A process that has not ended.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Process {
    pid: i32,
    parent: i32,
    name: String,
}

/// Reads `PID (NAME) STATE PARENT ...`; the name may have any character. `None` for one that has
/// ended and is not waited for.
fn process(stat: &str) -> Option<Process> {
    let (pid, rest) = stat.split_once(" (")?;
    let (name, rest) = rest.rsplit_once(") ")?;
    let mut words = rest.split(' ');
    let state = words.next()?;
    (!matches!(state, "Z" | "X")).then_some(())?;
    Some(Process {
        pid: pid.parse().ok()?,
        parent: words.next()?.parse().ok()?,
        name: name.to_owned(),
    })
}

fn processes() -> Vec<Process> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_name().as_encoded_bytes()[0].is_ascii_digit())
        .filter_map(|entry| fs::read(entry.path().join("stat")).ok())
        .filter_map(|stat| process(&String::from_utf8_lossy(&stat)))
        .collect()
}

/// Those below this one.
fn descendants(all: &[Process], of: i32) -> Vec<Process> {
    let mut found: Vec<Process> = Vec::new();
    let mut parents = vec![of];
    while let Some(parent) = parents.pop() {
        for process in all.iter().filter(|process| process.parent == parent) {
            parents.push(process.pid);
            found.push(process.clone());
        }
    }
    found
}

fn modules() -> BTreeSet<String> {
    let text = fs::read_to_string("/proc/modules").unwrap_or_default();
    text.lines()
        .filter_map(|line| line.split(' ').next())
        .map(str::to_owned)
        .collect()
}

fn mounts() -> Vec<String> {
    let text = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// The connector's sockets: those of protocol 11 that are not the kernel's own.
fn members() -> BTreeSet<String> {
    sockets(&fs::read_to_string("/proc/net/netlink").unwrap_or_default())
}

fn sockets(table: &str) -> BTreeSet<String> {
    let socket = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [_, "11", portid, groups, ..] = words[..] else {
            return None;
        };
        (portid != "0").then(|| {
            format!(
                "portid {portid}, groups {groups}, inode {}",
                words.last().unwrap_or(&"?")
            )
        })
    };
    table.lines().filter_map(socket).collect()
}

fn settings() -> BTreeMap<&'static str, String> {
    let read =
        |path: &&'static str| Some((*path, fs::read_to_string(path).ok()?.trim().to_owned()));
    SETTINGS.iter().filter_map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_are_read() {
        let stat = "77 (a) (b) S 1 77 77 0 -1 4194560";
        let expected = Process {
            pid: 77,
            parent: 1,
            name: "a) (b".to_owned(),
        };
        assert_eq!(process(stat), Some(expected));
        assert_eq!(process("78 (x) Z 1 78 78"), None);
        assert_eq!(process(""), None);
    }

    #[test]
    fn children_of_children_are_found() {
        let one = |pid, parent| Process {
            pid,
            parent,
            name: String::new(),
        };
        let all = [one(1, 0), one(5, 1), one(6, 5), one(7, 6), one(8, 1)];
        let found: Vec<i32> = descendants(&all, 5).iter().map(|one| one.pid).collect();
        assert_eq!(found, [6, 7]);
    }

    #[test]
    fn the_kernels_own_socket_is_not_left_behind() {
        let table = "\
sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    Drops    Inode
0000000000000000 0   0          00000000 0        0        0     2        0        3
0000000000000000 11  0          00000000 0        0        0     2        0        5
0000000000000000 11  77         00000001 0        0        0     2        0        99
";
        let found: Vec<String> = sockets(table).into_iter().collect();
        assert_eq!(found, ["portid 77, groups 00000001, inode 99"]);
    }
}
