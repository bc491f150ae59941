// SPDX-License-Identifier: GPL-2.0

//! Kinds of events, and which of them are shown. The kernel has one event for a process and for a
//! thread that is started; here they are `fork` and `clone`.

use netlink_connector::{
    ProcEvent,
    proc::{Events, Task, What},
};

use crate::cli::{self, EventName};

/// A kind of event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Fork,
    Clone,
    Exec,
    Uid,
    Gid,
    Sid,
    Ptrace,
    Comm,
    Coredump,
    Exit,
}

impl Kind {
    pub(super) const ALL: [Self; 10] = [
        Self::Fork,
        Self::Clone,
        Self::Exec,
        Self::Uid,
        Self::Gid,
        Self::Sid,
        Self::Ptrace,
        Self::Comm,
        Self::Coredump,
        Self::Exit,
    ];

    /// The kind of an event and the task that it is about; acknowledgements are about none.
    pub(super) fn of(event: &ProcEvent) -> Option<(Self, Task)> {
        Some(match event.what {
            What::Fork { child, .. } if child.pid == child.tid => (Self::Fork, child),
            What::Fork { child, .. } => (Self::Clone, child),
            What::Exec { task } => (Self::Exec, task),
            What::Uid { task, .. } => (Self::Uid, task),
            What::Gid { task, .. } => (Self::Gid, task),
            What::Sid { task } => (Self::Sid, task),
            What::Ptrace { task, .. } => (Self::Ptrace, task),
            What::Comm { task, .. } => (Self::Comm, task),
            What::Coredump { task, .. } => (Self::Coredump, task),
            What::Exit { task, .. } => (Self::Exit, task),
            _ => return None,
        })
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Fork => "fork",
            Self::Clone => "clone",
            Self::Exec => "exec",
            Self::Uid => "uid",
            Self::Gid => "gid",
            Self::Sid => "sid",
            Self::Ptrace => "ptrace",
            Self::Comm => "comm",
            Self::Coredump => "coredump",
            Self::Exit => "exit",
        }
    }

    fn bit(self) -> u16 {
        1 << self as u16
    }
}

/// The events that are shown.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shown {
    /// A bit for each kind.
    kinds: u16,
    nonzero_exit: bool,
    threads: bool,
    /// What the kernel has to send for them.
    pub(super) needed: Events,
}

impl Shown {
    /// What the command line asks for; everything, if it names no event.
    pub(super) fn new(args: &cli::Proc) -> Self {
        let mut shown = Self {
            kinds: 0,
            nonzero_exit: false,
            threads: args.threads,
            needed: Events::NONE,
        };
        for name in &args.events {
            shown.add(*name);
        }
        if args.events.is_empty() {
            shown.add(EventName::All);
        }
        shown
    }

    fn add(&mut self, name: EventName) {
        let (kind, events) = match name {
            EventName::Fork => (Kind::Fork, Events::FORK),
            EventName::Clone => (Kind::Clone, Events::FORK),
            EventName::Exec => (Kind::Exec, Events::EXEC),
            EventName::Uid => (Kind::Uid, Events::UID),
            EventName::Gid => (Kind::Gid, Events::GID),
            EventName::Sid => (Kind::Sid, Events::SID),
            EventName::Ptrace => (Kind::Ptrace, Events::PTRACE),
            EventName::Comm => (Kind::Comm, Events::COMM),
            EventName::Coredump => (Kind::Coredump, Events::COREDUMP),
            EventName::Exit => (Kind::Exit, Events::EXIT),
            EventName::NonzeroExit => {
                self.nonzero_exit = true;
                self.needed = self.needed | Events::NONZERO_EXIT;
                return;
            }
            EventName::All => {
                let but_threads = Kind::ALL.into_iter().filter(|kind| *kind != Kind::Clone);
                self.kinds |= but_threads.fold(0, |kinds, kind| kinds | kind.bit());
                if self.threads {
                    self.kinds |= Kind::Clone.bit();
                }
                self.needed = Events::ALL;
                return;
            }
        };
        self.kinds |= kind.bit();
        self.needed = self.needed | events;
    }

    /// Whether an event is one of them.
    pub(super) fn has(self, event: &ProcEvent, kind: Kind, task: Task) -> bool {
        let named = self.kinds & kind.bit() != 0
            || self.nonzero_exit
                && matches!(event.what, What::Exit { status, .. } if !status.success());
        // Who asks for threads that start gets them.
        named && (self.threads || task.pid == task.tid || kind == Kind::Clone)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command};

    fn shown(words: &str) -> Shown {
        let cli = Cli::try_parse_from(format!("cnctl proc {words}").split_ascii_whitespace());
        match cli.unwrap().command {
            Command::Proc(args) => Shown::new(&args),
            other => panic!("{other:?}"),
        }
    }

    /// Whether `shown` has a fork whose child has these ids.
    fn has_fork(shown: Shown, pid: i32, tid: i32) -> bool {
        let mut bytes = [0; 40];
        bytes[0] = 1;
        bytes[24..28].copy_from_slice(&tid.to_ne_bytes());
        bytes[28..32].copy_from_slice(&pid.to_ne_bytes());
        let event = ProcEvent::from_bytes(&bytes).unwrap();
        let (kind, task) = Kind::of(&event).unwrap();
        shown.has(&event, kind, task)
    }

    #[test]
    fn threads_are_told_apart_from_processes() {
        for (words, process, thread) in [
            ("", true, false),
            ("-t", true, true),
            ("-e all -t", true, true),
            ("-e fork", true, false),
            ("-e fork -t", true, false),
            ("-e clone", false, true),
            ("-e fork,clone", true, true),
            ("-e exit", false, false),
        ] {
            let shown = shown(words);
            assert_eq!(has_fork(shown, 5, 5), process, "{words}");
            assert_eq!(has_fork(shown, 5, 6), thread, "{words}");
        }
    }

    #[test]
    fn the_kernel_is_asked_for_what_is_needed() {
        assert_eq!(shown("").needed, Events::ALL);
        assert_eq!(shown("-e clone").needed, Events::FORK);
        assert_eq!(
            shown("-e core,nonzero-exit").needed,
            Events::COREDUMP | Events::NONZERO_EXIT
        );
    }
}
