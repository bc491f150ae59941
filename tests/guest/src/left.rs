// SPDX-License-Identifier: GPL-2.0

//! What a suite leaves behind: processes, modules, mounts, members of netlink groups, settings, files. It
//! is named, and taken away, so that the next suite begins as this one did.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use nix::kmod::{DeleteModuleFlags, delete_module};
use nix::mount::{MntFlags, umount2};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, getpid};

/// What was killed is gone after this time, or cannot be killed.
const END: Duration = Duration::from_secs(10);
/// How long one look is from the next.
const PAUSE: Duration = Duration::from_millis(5);

/// The process ids of init and of the parent of all kernel threads.
const INIT: i32 = 1;
const KTHREADD: i32 = 2;
/// include/linux/sched.h.
const PF_KTHREAD: u32 = 0x0020_0000;

/// What suites change, or might, and others take for granted: all that can be set there, and these.
const SYSCTLS: &[&str] = &[
    "/proc/sys/debug",
    "/proc/sys/fs",
    "/proc/sys/kernel",
    "/proc/sys/net/core",
    "/proc/sys/vm",
];
/// What the kernel changes itself, or does when it is read.
const LIVELY: &[&str] = &[
    "/proc/sys/kernel/cad_pid",
    "/proc/sys/kernel/ns_last_pid",
    "/proc/sys/kernel/perf_event_max_sample_rate",
    "/proc/sys/kernel/random",
    "/proc/sys/kernel/tainted",
    "/proc/sys/vm/stat_refresh",
];
const SETTINGS: &[&str] = &[
    "/sys/class/net/lo/flags",
    "/sys/devices/system/cpu/cpu1/online",
    "/sys/kernel/debug/fail_page_alloc/probability",
    "/sys/kernel/debug/failslab/probability",
    "/sys/kernel/debug/kprobes/enabled",
    "/sys/kernel/debug/sched/base_slice_ns",
    "/sys/kernel/rcu_expedited",
    "/sys/module/printk/parameters/ignore_loglevel",
    "/sys/module/rcupdate/parameters/rcu_cpu_stall_suppress",
];

/// Where there is to be nothing.
const EMPTY: &[&str] = &["/dev/shm", "/tmp"];
/// What is to stay as it is.
const FOLDERS: &[&str] = &["/bin", "/files", "/guest", "/modules", "/selftests"];

/// The machine as a suite should leave it.
#[derive(Debug)]
pub struct World {
    /// How long to wait for what may be on its way out.
    grace: Duration,
    /// The children of init: whoever becomes one is an orphan of somebody whom the kernel started.
    of_init: Vec<i32>,
    modules: BTreeSet<String>,
    mounts: Vec<String>,
    members: BTreeSet<String>,
    settings: BTreeMap<PathBuf, Vec<u8>>,
    folders: BTreeMap<&'static str, Vec<Entry>>,
    /// Processes that could not be killed: they were told of once.
    immortal: BTreeSet<i32>,
}

impl World {
    /// As it is now.
    pub fn look(grace: Duration) -> Self {
        let of_init = processes().into_iter().filter(|one| one.parent == INIT);
        Self {
            grace,
            of_init: of_init.map(|one| one.pid).collect(),
            modules: modules(),
            mounts: mounts(),
            members: members(),
            settings: settings(),
            folders: folders(),
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
        self.files(&mut left);
        left
    }

    /// Kills what runs. Where we could not wait we do not name them: the suite has failed anyway.
    fn processes(&mut self, patient: bool) -> Vec<String> {
        let me = getpid().as_raw();
        let (immortal, of_init) = (self.immortal.clone(), self.of_init.clone());
        let ours = || -> Vec<Process> {
            let all = processes();
            let mut found = descendants(&all, me);
            // The kernel's, and those whose parents were.
            found.extend(descendants(&all, KTHREADD));
            let orphans = |one: &&Process| one.parent == INIT && !of_init.contains(&one.pid);
            for orphan in all.iter().filter(orphans) {
                found.push(orphan.clone());
                found.extend(descendants(&all, orphan.pid));
            }
            found.retain(|process| !process.is_kernels);
            found.retain(|process| !immortal.contains(&process.pid));
            found
        };
        let mut left = Vec::new();
        if patient && wait_until(self.grace, || ours().is_empty()) {
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
        let gone = wait_until(END, || {
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
        let told = left.len();
        for (path, before) in &self.settings {
            let value = now.get(path);
            if value != Some(before) {
                let value = value.map_or("unreadable".into(), |value| shown(value));
                let (path, was) = (path.display(), shown(before));
                left.push(format!("it left {path} changed: {value}, not {was}"));
                let _ = fs::write(path.to_string(), before);
            }
        }
        // There are hundreds: they are read again only if some were set. What cannot be set back is told
        // of once.
        self.settings = if left.len() == told { now } else { settings() };
    }

    fn members_gone(&mut self, left: &mut Vec<String>) {
        let gone = wait_until(self.grace, || members().is_subset(&self.members));
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

    fn files(&mut self, left: &mut Vec<String>) {
        for folder in EMPTY {
            for entry in entries(folder) {
                let path = Path::new(folder).join(&entry.name);
                left.push(format!("it left a file behind: {}", path.display()));
                let _ = fs::remove_dir_all(&path).or_else(|_| fs::remove_file(&path));
            }
        }
        let now = folders();
        for (folder, before) in &self.folders {
            let changed = |all: &[Entry], other: &[Entry]| {
                let more = all.iter().find(|entry| !other.contains(entry));
                more.map(|entry| entry.name.to_string_lossy().into_owned())
            };
            let after = now.get(folder).map_or(&[][..], |entries| entries);
            let found = changed(after, before).or_else(|| changed(before, after));
            if let Some(name) = found {
                left.push(format!("it changed {folder}/{name}"));
            }
        }
        // What others had made of it cannot be had back.
        self.folders = now;
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
fn wait_until(limit: Duration, mut is_true: impl FnMut() -> bool) -> bool {
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
        if since.elapsed() > limit {
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
    /// A kernel thread.
    is_kernels: bool,
    /// Its first thread has ended: others may go on.
    is_zombie: bool,
}

impl Process {
    fn has_ended(&self) -> bool {
        let threads = || fs::read_dir(format!("/proc/{}/task", self.pid));
        self.is_zombie && threads().is_ok_and(|threads| threads.count() <= 1)
    }
}

/// Reads `PID (NAME) STATE PARENT ...`; the name may have any character. See proc_pid_stat(5).
fn process(stat: &str) -> Option<Process> {
    let (pid, rest) = stat.split_once(" (")?;
    let (name, rest) = rest.rsplit_once(") ")?;
    let mut words = rest.split(' ');
    let state = words.next()?;
    let parent = words.next()?.parse().ok()?;
    // The flags are field 9, of which the parent is 4.
    let flags: u32 = words.nth(4)?.parse().ok()?;
    Some(Process {
        pid: pid.parse().ok()?,
        parent,
        name: name.to_owned(),
        is_kernels: flags & PF_KTHREAD != 0,
        is_zombie: matches!(state, "Z" | "X"),
    })
}

fn processes() -> Vec<Process> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_name().as_encoded_bytes()[0].is_ascii_digit())
        .filter_map(|entry| fs::read(entry.path().join("stat")).ok())
        .filter_map(|stat| process(&String::from_utf8_lossy(&stat)))
        .filter(|process| !process.has_ended())
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

fn settings() -> BTreeMap<PathBuf, Vec<u8>> {
    let mut paths: Vec<PathBuf> = SETTINGS.iter().map(PathBuf::from).collect();
    for folder in SYSCTLS {
        find_settings(Path::new(folder), &mut paths);
    }
    let read = |path: PathBuf| {
        let value = fs::read(&path).ok()?.trim_ascii().to_owned();
        Some((path, value))
    };
    paths.into_iter().filter_map(read).collect()
}

/// What can be read and set in a folder of sysctl(8)'s.
fn find_settings(folder: &Path, paths: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let Ok(about) = entry.metadata() else {
            continue;
        };
        if LIVELY.iter().any(|lively| path == Path::new(lively)) {
            continue;
        }
        if about.is_dir() {
            find_settings(&path, paths);
        } else if about.mode() & 0o600 == 0o600 {
            paths.push(path);
        }
    }
}

/// A setting for people.
fn shown(value: &[u8]) -> String {
    String::from_utf8_lossy(value).into_owned()
}

/// What tells a file from what it was.
#[derive(Debug, PartialEq, Eq)]
struct Entry {
    name: OsString,
    mode: u32,
    size: u64,
    modified: (i64, i64),
}

fn folders() -> BTreeMap<&'static str, Vec<Entry>> {
    FOLDERS
        .iter()
        .map(|&folder| (folder, entries(folder)))
        .collect()
}

fn entries(folder: &str) -> Vec<Entry> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let entry = |entry: fs::DirEntry| {
        let about = entry.metadata().ok()?;
        Some(Entry {
            name: entry.file_name(),
            mode: about.mode(),
            size: about.size(),
            modified: (about.mtime(), about.mtime_nsec()),
        })
    };
    entries.filter_map(entry).collect()
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
            is_kernels: false,
            is_zombie: false,
        };
        assert_eq!(process(stat), Some(expected));
        let kernels = process("78 (x) Z 2 0 0 0 -1 2129984 0").expect("it is one");
        assert!(kernels.is_kernels && kernels.is_zombie);
        assert_eq!(process(""), None);
    }

    #[test]
    fn children_of_children_are_found() {
        let one = |pid, parent| Process {
            pid,
            parent,
            name: String::new(),
            is_kernels: false,
            is_zombie: false,
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
