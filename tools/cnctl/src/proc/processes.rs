// SPDX-License-Identifier: GPL-2.0

//! The processes that there are: what they are called, whose children they are, and since when.
//!
//! An event says no more than the ids of a process. What it is called is read from `/proc` when a
//! program is executed, inherited when a process is forked, and known until it exits; of processes
//! that are older than this one it is read at the start.

use std::{collections::HashMap, sync::Arc, time::Duration};

use netlink_connector::{
    ProcEvent,
    proc::{Comm, Task, What},
};
use rustc_hash::FxBuildHasher;

use super::{
    name::{Name, Naming},
    procfs,
};
use crate::clock;

/// What is to be known of processes beside their names.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    pub(super) naming: Naming,
    /// Their ids, terminals and process groups.
    pub(super) facts: bool,
    /// Their cgroups.
    pub(super) cgroups: bool,
}

/// A process, as far as it is known.
#[derive(Clone, Debug)]
pub(super) struct Process {
    pub(super) name: Arc<Name>,
    /// When it was started, since the system was booted (`CLOCK_MONOTONIC`).
    pub(super) started: Option<Duration>,
    /// Its parent's id, or 0.
    pub(super) parent: i32,
    /// If that is wanted, and could be read or inherited.
    pub(super) facts: Option<Arc<Facts>>,
    /// Whether it or an ancestor is one of those that were chosen.
    pub(super) chosen: bool,
    /// Whether it was not there any more when that was looked at.
    gone: bool,
}

/// What is known of a process if it is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) uid: u32,
    pub(super) euid: u32,
    pub(super) pgrp: i32,
    /// The device number of the controlling terminal, or 0.
    pub(super) tty: u32,
    /// As in `/proc/PID/cgroup`; empty if not wanted.
    pub(super) cgroups: Vec<u8>,
}

/// The process that an event is about, when it happened.
#[derive(Clone, Debug)]
pub(super) struct Subject {
    pub(super) process: Process,
    /// Of a program that was started or executed: what its parent is called.
    pub(super) parent: Option<Arc<Name>>,
    /// Of a comm that was changed: what it was before, if that is known.
    pub(super) old_comm: Option<Vec<u8>>,
}

/// All of them, by their pid.
#[derive(Debug)]
pub(super) struct Processes {
    wanted: Wanted,
    unknown: Arc<Name>,
    by_pid: HashMap<i32, Process, FxBuildHasher>,
    /// The comms of threads that have one of their own, by their tid.
    threads: HashMap<i32, Comm, FxBuildHasher>,
    chosen: Vec<i32>,
    /// Up to when events may be older than what is known.
    scanned: Duration,
}

impl Processes {
    /// Knows nothing yet: [`Self::scan`] reads what is there.
    pub(super) fn new(wanted: Wanted, chosen: &[i32]) -> Self {
        Self {
            wanted,
            unknown: Arc::new(Name::unknown()),
            by_pid: HashMap::default(),
            threads: HashMap::default(),
            chosen: chosen.to_vec(),
            scanned: Duration::ZERO,
        }
    }

    /// Reads what there is: at the start, and after events were lost. What is gone meanwhile stays
    /// known, since events of it may still come, but no longer than until the next time.
    pub(super) fn scan(&mut self) {
        self.threads.clear();
        let mut before = std::mem::take(&mut self.by_pid);
        for pid in procfs::processes() {
            let Some(mut process) = self.read(pid) else {
                continue;
            };
            if let Some(known) = before.remove(&pid).filter(|known| process.is(known)) {
                (process.started, process.chosen) = (known.started, known.chosen);
            }
            self.by_pid.insert(pid, process);
        }
        let pids: Vec<_> = self.by_pid.keys().copied().collect();
        for pid in pids {
            let chosen = self.descends(pid);
            if let Some(process) = self.by_pid.get_mut(&pid) {
                process.chosen |= chosen;
            }
        }
        for (pid, process) in before {
            if !process.gone {
                let process = Process {
                    gone: true,
                    ..process
                };
                self.by_pid.insert(pid, process);
            }
        }
        self.scanned = clock::Stamp::now().0;
    }

    /// Those that are known.
    pub(super) fn all(&self) -> impl Iterator<Item = &Process> {
        self.by_pid.values()
    }

    pub(super) fn has(&self, pid: i32) -> bool {
        self.by_pid.contains_key(&pid)
    }

    /// Whether a process is chosen, or one of the ancestors that are known.
    fn descends(&self, pid: i32) -> bool {
        let mut pid = pid;
        // A chain without end could only come of ids that are used again.
        for _ in 0..self.by_pid.len() {
            if self.chosen.contains(&pid) {
                return true;
            }
            match self.by_pid.get(&pid) {
                Some(process) if process.chosen => return true,
                Some(process) => pid = process.parent,
                None => break,
            }
        }
        self.chosen.contains(&pid)
    }

    /// A process as `/proc` has it now.
    fn read(&self, pid: i32) -> Option<Process> {
        let (name, stat) = Name::read(pid, self.wanted.naming);
        let stat = stat?;
        Some(Process {
            name: Arc::new(name),
            started: stat.started.checked_sub(clock::suspended()),
            parent: stat.parent,
            facts: self.read_facts(pid, &stat),
            chosen: false,
            gone: false,
        })
    }

    fn read_facts(&self, pid: i32, stat: &procfs::Stat) -> Option<Arc<Facts>> {
        if !self.wanted.facts {
            return None;
        }
        let (uid, euid) = procfs::user_ids(pid)?;
        let cgroups = match self.wanted.cgroups {
            true => procfs::cgroups(pid)?,
            false => Vec::new(),
        };
        Some(Arc::new(Facts {
            uid,
            euid,
            pgrp: stat.pgrp,
            tty: stat.tty,
            cgroups,
        }))
    }

    /// A process that is known, or can be read.
    fn get(&mut self, pid: i32) -> Option<&mut Process> {
        if !self.by_pid.contains_key(&pid) {
            self.learn(pid)?;
        }
        self.by_pid.get_mut(&pid)
    }

    /// Reads of a process that is not known.
    fn learn(&mut self, pid: i32) -> Option<()> {
        let mut process = self.read(pid)?;
        process.chosen = self.chosen.contains(&pid) || self.descends(process.parent);
        self.by_pid.insert(pid, process);
        Some(())
    }

    /// A process that nothing is known of but its parent.
    fn stranger(&self, pid: i32, parent: i32) -> Process {
        Process {
            name: Arc::clone(&self.unknown),
            started: None,
            parent,
            facts: None,
            chosen: self.chosen.contains(&pid) || self.descends(parent),
            gone: false,
        }
    }

    /// Follows an event of `task`, and says who it is about.
    pub(super) fn follow(&mut self, event: &ProcEvent, task: Task) -> Subject {
        let leader = task.pid == task.tid;
        match event.what {
            What::Fork { parent, .. } if leader => self.forked(event.timestamp, task.pid, parent),
            What::Exec { .. } => self.executed(task.pid),
            What::Comm { comm, .. } => self.renamed(task, comm),
            What::Uid {
                real, effective, ..
            } if leader => self.changed(task.pid, |facts| {
                (facts.uid, facts.euid) = (real, effective);
            }),
            // The leader of a session leads a process group, too, and has no terminal yet.
            What::Sid { .. } => self.changed(task.pid, |facts| {
                (facts.pgrp, facts.tty) = (task.pid, 0);
            }),
            What::Exit { parent, .. } if leader => self.exited(task.pid, parent),
            What::Exit { .. } => {
                self.threads.remove(&task.tid);
                self.about(task.pid)
            }
            _ => self.about(task.pid),
        }
    }

    fn about(&mut self, pid: i32) -> Subject {
        let process = match self.get(pid) {
            Some(process) => process.clone(),
            None => self.stranger(pid, 0),
        };
        Subject::of(process)
    }

    fn forked(&mut self, time: Duration, pid: i32, by: Task) -> Subject {
        // Of what was there already when /proc was read, that is newer than the event.
        if time < self.scanned && self.by_pid.contains_key(&pid) {
            return self.with_parent(pid);
        }
        let inherit = |parent: &Process| Process {
            started: Some(time),
            parent: by.pid,
            gone: false,
            ..parent.clone()
        };
        // Looked up once as a rule: there are many of these. The parent is that which the kernel
        // tells: for clone(2) with CLONE_PARENT that of the caller, who is not told.
        let mut process = match self.by_pid.get(&by.pid).map(inherit) {
            Some(process) => process,
            None => match self.get(by.pid) {
                Some(parent) => inherit(parent),
                None => Process {
                    started: Some(time),
                    ..self.stranger(pid, by.pid)
                },
            },
        };
        process.chosen |= self.chosen.contains(&pid);
        let name = Arc::clone(&process.name);
        // A kernel thread gets a name of its own without an event. A parent that is unknown has
        // ended, and what its child is called is read while that can be done.
        if name.is_kernel() || !name.is_known() || self.wanted.facts {
            if let Some(read) = self.read(pid) {
                if name.is_kernel() || !name.is_known() {
                    process.name = read.name;
                }
                process.facts = read.facts.or(process.facts);
            }
        }
        self.by_pid.insert(pid, process.clone());
        Subject {
            parent: Some(name),
            ..Subject::of(process)
        }
    }

    fn executed(&mut self, pid: i32) -> Subject {
        let (name, stat) = Name::read(pid, self.wanted.naming);
        let facts = stat.as_ref().and_then(|stat| self.read_facts(pid, stat));
        if let Some(process) = self.by_pid.get_mut(&pid) {
            if let Some(stat) = &stat {
                // Who started it may be gone.
                process.parent = stat.parent;
            }
            // What it was called before is certainly wrong.
            process.name = match name.is_known() {
                true => Arc::new(name),
                false => Arc::clone(&self.unknown),
            };
            if facts.is_some() {
                process.facts = facts;
            }
        } else if let Some(stat) = stat {
            let process = Process {
                name: Arc::new(name),
                started: stat.started.checked_sub(clock::suspended()),
                facts,
                ..self.stranger(pid, stat.parent)
            };
            self.by_pid.insert(pid, process);
        }
        self.with_parent(pid)
    }

    /// A process and its parent's name.
    fn with_parent(&mut self, pid: i32) -> Subject {
        let subject = self.about(pid);
        let parent = self.get(subject.process.parent);
        // One that is younger only has the same id.
        let parent = parent.filter(|parent| parent.is_older_than(&subject.process));
        Subject {
            parent: parent.map(|parent| Arc::clone(&parent.name)),
            ..subject
        }
    }

    fn renamed(&mut self, task: Task, comm: Comm) -> Subject {
        if task.pid != task.tid {
            let old_comm = self.threads.insert(task.tid, comm);
            return Subject {
                old_comm: old_comm.map(|comm| comm.as_bytes().to_vec()),
                ..self.about(task.pid)
            };
        }
        let naming = self.wanted.naming;
        // Read now, it would have the new name already.
        let known = self.by_pid.contains_key(&task.pid);
        let Some(process) = self.get(task.pid) else {
            return Subject::of(self.stranger(task.pid, 0));
        };
        let old_comm = process.name.comm().filter(|_| known).map(<[u8]>::to_vec);
        process.name = Arc::new(process.name.with_comm(comm.as_bytes(), naming));
        Subject {
            old_comm,
            ..Subject::of(process.clone())
        }
    }

    fn changed(&mut self, pid: i32, change: impl FnOnce(&mut Facts)) -> Subject {
        if let Some(facts) = self.get(pid).and_then(|process| process.facts.as_mut()) {
            change(Arc::make_mut(facts));
        }
        self.about(pid)
    }

    /// Forgets it; its parent is the one it had at its end, or 0.
    fn exited(&mut self, pid: i32, parent: Option<Task>) -> Subject {
        let known = self.by_pid.remove(&pid);
        let mut process = known
            .or_else(|| {
                let read = self.read(pid)?;
                let chosen = self.chosen.contains(&pid) || self.descends(read.parent);
                Some(Process { chosen, ..read })
            })
            .unwrap_or_else(|| self.stranger(pid, 0));
        process.parent = match parent {
            Some(parent) => parent.pid,
            // It has been waited for already: by the parent that is known, if there still is one.
            None => {
                let known = self.by_pid.get(&process.parent);
                let known = known.filter(|parent| parent.is_older_than(&process));
                known.map_or(0, |_| process.parent)
            }
        };
        // Until its parent has waited for it, the comm is still there, and the process group.
        if !process.name.is_known() || process.name.is_kernel() || self.wanted.facts {
            if let Some(stat) = procfs::stat(pid) {
                if let Some(facts) = &mut process.facts {
                    Arc::make_mut(facts).pgrp = stat.pgrp;
                }
                if process.name.comm() != Some(&stat.comm) {
                    let name = process.name.with_comm(&stat.comm, self.wanted.naming);
                    process.name = Arc::new(name);
                }
            }
        }
        Subject::of(process)
    }
}

/// How much less exact a start time from `/proc` is than that of an event: two of its units.
const ROUNDED: Duration = Duration::from_millis(20);

impl Process {
    /// Whether this is the same as one that had the same pid.
    fn is(&self, known: &Self) -> bool {
        match (self.started, known.started) {
            (Some(one), Some(other)) => one.abs_diff(other) <= ROUNDED,
            _ => false,
        }
    }

    fn is_older_than(&self, other: &Self) -> bool {
        match (self.started, other.started) {
            (Some(one), Some(other)) => one <= other + ROUNDED,
            _ => false,
        }
    }
}

impl Subject {
    fn of(process: Process) -> Self {
        Self {
            process,
            parent: None,
            old_comm: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::NameForm;

    /// An id that no process has: what is known of it comes from events only.
    const NOBODY: i32 = i32::MAX;

    fn own() -> i32 {
        std::process::id() as i32
    }

    fn processes(chosen: &[i32]) -> Processes {
        let naming = Naming {
            form: NameForm::Full,
            cut: false,
        };
        let wanted = Wanted {
            naming,
            facts: true,
            cgroups: false,
        };
        Processes::new(wanted, chosen)
    }

    /// Follows an event about `NOBODY` with these 32-bit words of data.
    fn follow(processes: &mut Processes, what: u32, millis: u64, words: &[i32]) -> Subject {
        let mut bytes = [what.to_ne_bytes(), [0; 4]].concat();
        bytes.extend((millis * 1_000_000).to_ne_bytes());
        bytes.extend(words.iter().flat_map(|word| word.to_ne_bytes()));
        bytes.resize(40, 0);
        let event = ProcEvent::from_bytes(&bytes).unwrap();
        let task = Task {
            pid: NOBODY,
            tid: NOBODY,
        };
        processes.follow(&event, task)
    }

    fn fork(processes: &mut Processes, parent: i32) -> Subject {
        let words = [parent, parent, NOBODY, NOBODY];
        // After all that there is.
        follow(processes, 1, 1 << 40, &words)
    }

    #[test]
    fn a_child_is_called_what_its_parent_is_and_after_exec_no_longer() {
        let mut processes = processes(&[]);
        let forked = fork(&mut processes, own());
        let name = Arc::clone(&forked.process.name);
        assert!(name.is_known() && forked.parent.as_deref() == Some(&*name));
        assert!(forked.process.facts.is_some());

        let executed = follow(&mut processes, 2, 2 << 40, &[NOBODY, NOBODY]);
        assert_eq!(executed.process.name.shown(), "?");
        assert_eq!(executed.process.parent, own());
        assert_eq!(executed.parent.as_deref(), Some(&*name));

        let exited = follow(&mut processes, 0x8000_0000, 3 << 40, &[NOBODY, NOBODY]);
        assert_eq!(exited.process.name.shown(), "?");
        // The event does not say whose child it was, but the parent is still there.
        assert_eq!(exited.process.parent, own());
        assert_eq!(exited.process.started, Some(Duration::from_millis(1 << 40)));
        // Its id may be used again.
        let other = follow(&mut processes, 2, 4 << 40, &[NOBODY, NOBODY]);
        assert_eq!(other.process.started, None);
    }

    #[test]
    fn the_parent_at_an_exit_is_the_one_of_the_event_or_one_that_is_still_there() {
        // Status, signal to the parent, and the parent.
        for (by, told, expected) in [
            (own(), Some(1), 1),
            (own(), None, own()),
            (NOBODY - 1, None, 0),
        ] {
            let mut processes = processes(&[]);
            fork(&mut processes, by);
            let told = told.unwrap_or(0);
            let words = [NOBODY, NOBODY, 0, 17, told, told];
            let exited = follow(&mut processes, 0x8000_0000, 2 << 40, &words);
            assert_eq!(exited.process.parent, expected, "{by}, told {told}");
        }
    }

    #[test]
    fn a_comm_is_told_with_the_one_before() {
        let mut processes = processes(&[]);
        let name = fork(&mut processes, own()).process.name;
        let new = [NOBODY, NOBODY, i32::from_ne_bytes(*b"new\0")];
        let renamed = follow(&mut processes, 0x200, 2 << 40, &new);
        assert_eq!(renamed.old_comm.as_deref(), name.comm());
        assert_eq!(renamed.process.name.comm(), Some(&b"new"[..]));
        assert_eq!(renamed.process.name.shown(), name.shown());
    }

    #[test]
    fn who_descends_from_the_chosen_is_chosen() {
        for (chosen, expected) in [
            (vec![own()], true),
            (vec![1], true),
            (vec![NOBODY], true),
            (vec![NOBODY - 1], false),
        ] {
            let mut scanned = processes(&chosen);
            scanned.scan();
            let mut unscanned = processes(&chosen);
            for processes in [&mut scanned, &mut unscanned] {
                let subject = fork(processes, own());
                // Without a scan, only who is known of is an ancestor.
                let known = processes.scanned != Duration::ZERO || chosen != [1];
                assert_eq!(subject.process.chosen, expected && known, "{chosen:?}");
            }
        }
    }

    #[test]
    fn ids_and_sessions_are_followed() {
        let mut processes = processes(&[]);
        fork(&mut processes, own());
        let changed = follow(&mut processes, 4, 2 << 40, &[NOBODY, NOBODY, 7, 8]);
        let facts = changed.process.facts.unwrap();
        assert_eq!((facts.uid, facts.euid), (7, 8));
        let session = follow(&mut processes, 0x80, 3 << 40, &[NOBODY, NOBODY]);
        let facts = session.process.facts.unwrap();
        assert_eq!((facts.uid, facts.pgrp, facts.tty), (7, NOBODY, 0));
    }

    #[test]
    fn what_is_gone_stays_known_until_it_was_missed_twice() {
        let mut processes = processes(&[]);
        fork(&mut processes, own());
        processes.scan();
        assert!(processes.by_pid.contains_key(&NOBODY) && processes.by_pid.contains_key(&own()));
        processes.scan();
        assert!(!processes.by_pid.contains_key(&NOBODY) && processes.by_pid.contains_key(&own()));
    }
}
