// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Process events: the kernel's own service on the connector (`CONFIG_PROC_EVENTS`).
//!
//! The kernel broadcasts to group 1 when a task forks, executes a program, changes its ids or its
//! name, is traced, dumps core, or exits. [`ProcEvents`](crate::ProcEvents) asks for events and
//! iterates over them; see also [`Connector::subscribe_proc`](crate::Connector::subscribe_proc).
//!
//! C header: `include/uapi/linux/cn_proc.h`

use std::{
    fmt, ops::BitOr, os::unix::process::ExitStatusExt, process::ExitStatus, str::FromStr,
    time::Duration,
};

use connector_wire::{CbId, Group};

use crate::{
    error::{Error, Result},
    message::Message,
};

/// The id of process events: `CN_IDX_PROC`, `CN_VAL_PROC`.
pub const ID: CbId = CbId { idx: 1, val: 1 };

/// The group that they are sent to.
pub const GROUP: Group = match Group::new(ID.idx) {
    Some(group) => group,
    None => panic!("there is no group of this number"),
};

/// The size of `struct proc_event` in bytes.
const SIZE: usize = 40;

/// A process event: `struct proc_event`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProcEvent {
    /// The CPU that it was sent from. Each CPU counts its events with the message's `seq`.
    pub cpu: u32,
    /// When it happened, since the system was booted (`CLOCK_MONOTONIC`).
    pub timestamp: Duration,
    /// What happened.
    pub what: What,
}

/// A task, by the words of userspace: a process has an id, and so has each of its threads.
///
/// Ids are those of the initial pid namespace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Task {
    /// The process id; the kernel's `tgid`.
    pub pid: i32,
    /// The thread id; the kernel's `pid`. The first thread's is the process id.
    pub tid: i32,
}

/// What happened: `event_data` of `struct proc_event`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum What {
    /// The kernel confirms a request to listen, of this or of another socket
    /// (`PROC_EVENT_NONE`).
    Ack {
        /// 0, or a positive error number.
        err: u32,
    },
    /// A process or a thread was started: a thread if the child's two ids differ
    /// (`PROC_EVENT_FORK`).
    Fork {
        /// The parent. For a thread, this is the parent of its process.
        parent: Task,
        /// The new task.
        child: Task,
    },
    /// A program was executed (`PROC_EVENT_EXEC`).
    Exec {
        /// The task.
        task: Task,
    },
    /// User ids were changed (`PROC_EVENT_UID`).
    Uid {
        /// The task.
        task: Task,
        /// The real user id.
        real: u32,
        /// The effective user id.
        effective: u32,
    },
    /// Group ids were changed (`PROC_EVENT_GID`).
    Gid {
        /// The task.
        task: Task,
        /// The real group id.
        real: u32,
        /// The effective group id.
        effective: u32,
    },
    /// A session was started (`PROC_EVENT_SID`).
    Sid {
        /// The task, its leader.
        task: Task,
    },
    /// A tracer came or went (`PROC_EVENT_PTRACE`).
    Ptrace {
        /// The task that is traced, or was.
        task: Task,
        /// The tracer that came, or `None` if it went.
        tracer: Option<Task>,
    },
    /// A task changed its name (`PROC_EVENT_COMM`).
    Comm {
        /// The task.
        task: Task,
        /// The new name.
        comm: Comm,
    },
    /// A process dumps core (`PROC_EVENT_COREDUMP`).
    Coredump {
        /// The task that was the cause.
        task: Task,
        /// Its parent, or `None` if the kernel did not tell.
        parent: Option<Task>,
    },
    /// A task ended (`PROC_EVENT_EXIT`). A process has ended when its last thread has.
    Exit {
        /// The task.
        task: Task,
        /// How it ended, as `waitpid(2)` reports it.
        status: ExitStatus,
        /// The signal that its parent gets, usually `SIGCHLD` (17); -1 for a thread.
        signal: i32,
        /// Its parent, or `None` if the kernel did not tell.
        parent: Option<Task>,
    },
    /// An event that this crate does not know yet.
    Other {
        /// The `what` of `struct proc_event`.
        what: u32,
    },
}

/// The name of a task: at most 15 bytes, not necessarily UTF-8.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Comm([u8; 16]);

impl Comm {
    /// The name, without the NUL that ends it in memory.
    pub fn as_bytes(&self) -> &[u8] {
        let len = self.0.iter().position(|byte| *byte == 0);
        &self.0[..len.unwrap_or(self.0.len())]
    }
}

impl fmt::Display for Comm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_bytes().escape_ascii().fmt(f)
    }
}

impl fmt::Debug for Comm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

/// A set of process events: `enum proc_cn_event`.
///
/// # Examples
///
/// ```
/// use netlink_connector::proc::Events;
///
/// let events = Events::FORK | Events::EXIT;
/// assert!(events.contains(Events::EXIT));
/// assert!(!events.contains(Events::EXEC));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Events(u32);

impl Events {
    /// No event.
    pub const NONE: Self = Self(0);
    /// A task was started.
    pub const FORK: Self = Self(0x0000_0001);
    /// A program was executed.
    pub const EXEC: Self = Self(0x0000_0002);
    /// User ids were changed.
    pub const UID: Self = Self(0x0000_0004);
    /// Group ids were changed.
    pub const GID: Self = Self(0x0000_0040);
    /// A session was started.
    pub const SID: Self = Self(0x0000_0080);
    /// A tracer came or went.
    pub const PTRACE: Self = Self(0x0000_0100);
    /// A task changed its name.
    pub const COMM: Self = Self(0x0000_0200);
    /// A task ended, and not with exit status 0.
    pub const NONZERO_EXIT: Self = Self(0x2000_0000);
    /// A process dumps core.
    pub const COREDUMP: Self = Self(0x4000_0000);
    /// A task ended.
    pub const EXIT: Self = Self(0x8000_0000);
    /// Every event (`PROC_EVENT_ALL`).
    pub const ALL: Self = Self(0xe000_03c7);

    /// Every single event and its name.
    pub const NAMES: [(&'static str, Self); 10] = [
        ("fork", Self::FORK),
        ("exec", Self::EXEC),
        ("uid", Self::UID),
        ("gid", Self::GID),
        ("sid", Self::SID),
        ("ptrace", Self::PTRACE),
        ("comm", Self::COMM),
        ("nonzero-exit", Self::NONZERO_EXIT),
        ("coredump", Self::COREDUMP),
        ("exit", Self::EXIT),
    ];

    /// The event of this name.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::NAMES
            .iter()
            .find_map(|(known, events)| (*known == name).then_some(*events))
    }

    /// The bits, as in C.
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// Whether all of `other` are in this set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether the kernel's filter for this set lets `event` through.
    pub fn wants(self, event: &ProcEvent) -> bool {
        let failed = matches!(event.what, What::Exit { status, .. } if status.into_raw() != 0);
        let own = self.0 & event.what.bit() != 0;
        own || self == Self::ALL || (failed && self.contains(Self::NONZERO_EXIT))
    }
}

/// A text is not the names of process events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotEvents(String);

impl fmt::Display for NotEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is no process event; there are", self.0)?;
        let mut separator = " ";
        for (name, _) in Events::NAMES {
            write!(f, "{separator}{name}")?;
            separator = ", ";
        }
        Ok(())
    }
}

impl std::error::Error for NotEvents {}

impl FromStr for Events {
    type Err = NotEvents;

    /// Reads names with commas in between, such as `fork,exit`.
    fn from_str(text: &str) -> Result<Self, NotEvents> {
        text.split(',').try_fold(Self::NONE, |all, name| {
            let one = Self::by_name(name).ok_or_else(|| NotEvents(name.to_owned()))?;
            Ok(all | one)
        })
    }
}

impl BitOr for Events {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl What {
    /// The `what` of `struct proc_event`.
    fn bit(&self) -> u32 {
        match self {
            Self::Ack { .. } => 0,
            Self::Fork { .. } => Events::FORK.0,
            Self::Exec { .. } => Events::EXEC.0,
            Self::Uid { .. } => Events::UID.0,
            Self::Gid { .. } => Events::GID.0,
            Self::Sid { .. } => Events::SID.0,
            Self::Ptrace { .. } => Events::PTRACE.0,
            Self::Comm { .. } => Events::COMM.0,
            Self::Coredump { .. } => Events::COREDUMP.0,
            Self::Exit { .. } => Events::EXIT.0,
            Self::Other { what } => *what,
        }
    }

    /// A short name: `fork`, `exec`, ….
    pub fn name(&self) -> &'static str {
        match self {
            Self::Ack { .. } => "ack",
            Self::Other { .. } => "other",
            known => Events::NAMES
                .iter()
                .find_map(|(name, events)| (events.0 == known.bit()).then_some(*name))
                .unwrap_or("other"),
        }
    }
}

impl ProcEvent {
    /// Reads the event that a message carries; `None` if the message is not from [`ID`].
    ///
    /// # Errors
    ///
    /// [`Error::Unexpected`] if the data is too short for an event.
    pub fn parse(message: &Message) -> Option<Result<Self>> {
        (message.header.id == ID).then(|| Self::from_bytes(&message.data))
    }

    /// Reads an event from a `struct proc_event` in memory.
    ///
    /// # Errors
    ///
    /// [`Error::Unexpected`] if it is too short; what follows the structure is ignored.
    pub fn from_bytes(data: &[u8]) -> Result<Self> {
        let data: &[u8; SIZE] = data.first_chunk().ok_or(Error::Unexpected(
            "a process event has fewer bytes than struct proc_event",
        ))?;
        let word = |at: usize| {
            let bytes = std::array::from_fn(|i| data[at + i]);
            u32::from_ne_bytes(bytes)
        };
        // `event_data` is at offset 16; its ids come in pairs, `pid` first.
        let task = |at: usize| Task {
            pid: word(at + 4) as i32,
            tid: word(at) as i32,
        };
        let known_task = |at: usize| Some(task(at)).filter(|task| task.pid != 0);
        let first = task(16);
        let what = match Events(word(0)) {
            Events::NONE => What::Ack { err: word(16) },
            Events::FORK => What::Fork {
                parent: first,
                child: task(24),
            },
            Events::EXEC => What::Exec { task: first },
            Events::UID => What::Uid {
                task: first,
                real: word(24),
                effective: word(28),
            },
            Events::GID => What::Gid {
                task: first,
                real: word(24),
                effective: word(28),
            },
            Events::SID => What::Sid { task: first },
            Events::PTRACE => What::Ptrace {
                task: first,
                tracer: known_task(24),
            },
            Events::COMM => What::Comm {
                task: first,
                comm: Comm(std::array::from_fn(|i| data[24 + i])),
            },
            Events::COREDUMP => What::Coredump {
                task: first,
                parent: known_task(24),
            },
            Events::EXIT => What::Exit {
                task: first,
                status: ExitStatus::from_raw(word(24) as i32),
                signal: word(28) as i32,
                parent: known_task(32),
            },
            Events(what) => What::Other { what },
        };
        let nanos = std::array::from_fn(|i| data[8 + i]);
        Ok(Self {
            cpu: word(4),
            timestamp: Duration::from_nanos(u64::from_ne_bytes(nanos)),
            what,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A `struct proc_event` with `what` and these 32-bit words of event data.
    fn event(what: u32, words: [u32; 6]) -> Vec<u8> {
        let mut bytes = what.to_ne_bytes().to_vec();
        bytes.extend(3u32.to_ne_bytes());
        bytes.extend(1_500_000_000u64.to_ne_bytes());
        bytes.extend(words.iter().flat_map(|word| word.to_ne_bytes()));
        assert_eq!(bytes.len(), SIZE);
        bytes
    }

    fn what(what: u32, words: [u32; 6]) -> What {
        let event = ProcEvent::from_bytes(&event(what, words)).unwrap();
        assert_eq!((event.cpu, event.timestamp.as_millis()), (3, 1500));
        event.what
    }

    const fn task(tid: i32, pid: i32) -> Task {
        Task { pid, tid }
    }

    #[test]
    fn every_event_of_the_header_is_read() {
        let (a, b) = (task(1, 2), task(3, 4));
        let words = [1, 2, 3, 4, 5, 6];
        assert_eq!(what(0, words), What::Ack { err: 1 });
        let fork = What::Fork {
            parent: a,
            child: b,
        };
        assert_eq!(what(1, words), fork);
        assert_eq!(what(2, words), What::Exec { task: a });
        let uid = What::Uid {
            task: a,
            real: 3,
            effective: 4,
        };
        assert_eq!(what(4, words), uid);
        let gid = What::Gid {
            task: a,
            real: 3,
            effective: 4,
        };
        assert_eq!(what(0x40, words), gid);
        assert_eq!(what(0x80, words), What::Sid { task: a });
        let tracer = Some(b);
        assert_eq!(what(0x100, words), What::Ptrace { task: a, tracer });
        let parent = Some(b);
        assert_eq!(what(0x4000_0000, words), What::Coredump { task: a, parent });
        let exit = What::Exit {
            task: a,
            status: ExitStatus::from_raw(3),
            signal: 4,
            parent: Some(task(5, 6)),
        };
        assert_eq!(what(0x8000_0000, words), exit);
        assert_eq!(what(0x400, words), What::Other { what: 0x400 });
    }

    #[test]
    fn a_tracer_that_went_and_a_parent_untold_are_none() {
        let ended = [1, 2, 0, 0, 0, 0];
        assert!(matches!(
            what(0x100, ended),
            What::Ptrace { tracer: None, .. }
        ));
        assert!(matches!(
            what(0x4000_0000, ended),
            What::Coredump { parent: None, .. }
        ));
    }

    #[test]
    fn a_name_ends_at_its_first_nul_or_at_its_room() {
        let comm = |name: &[u8; 16]| {
            let mut bytes = event(0x200, [1, 2, 0, 0, 0, 0]);
            bytes[24..].copy_from_slice(name);
            match ProcEvent::from_bytes(&bytes).unwrap().what {
                What::Comm { comm, .. } => comm.to_string(),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(comm(b"bash\0rest of it "), "bash");
        assert_eq!(comm(b"sixteen bytes ok"), "sixteen bytes ok");
        assert_eq!(comm(b"\x1b[31m\xff\0         "), "\\x1b[31m\\xff");
        assert_eq!(comm(&[0; 16]), "");
    }

    #[test]
    fn short_events_are_refused_and_longer_ones_of_later_kernels_read() {
        let mut bytes = event(1, [1, 2, 3, 4, 5, 6]);
        for len in 0..SIZE {
            assert!(ProcEvent::from_bytes(&bytes[..len]).is_err(), "{len}");
        }
        bytes.extend([0; 8]);
        assert!(ProcEvent::from_bytes(&bytes).is_ok());
    }

    #[test]
    fn the_names_make_up_all_events() {
        let all = Events::NAMES.iter().map(|(_, events)| *events);
        assert_eq!(all.reduce(BitOr::bitor), Some(Events::ALL));
        for (name, events) in Events::NAMES {
            assert_eq!(Events::by_name(name), Some(events));
        }
    }

    #[test]
    fn sets_want_what_the_kernel_would_send() {
        let exit =
            |code| ProcEvent::from_bytes(&event(Events::EXIT.0, [1, 2, code, 17, 0, 0])).unwrap();
        assert!(Events::EXIT.wants(&exit(0)));
        assert!(Events::NONZERO_EXIT.wants(&exit(256)));
        assert!(!Events::NONZERO_EXIT.wants(&exit(0)));
        assert!(!Events::FORK.wants(&exit(256)));
        let ack = ProcEvent::from_bytes(&event(0, [0; 6])).unwrap();
        assert!(Events::ALL.wants(&ack));
        assert!(!Events::EXIT.wants(&ack));
    }

    #[test]
    fn sets_are_read_from_names_with_commas() {
        assert_eq!("exec".parse(), Ok(Events::EXEC));
        assert_eq!("fork,exit".parse(), Ok(Events::FORK | Events::EXIT));
        for wrong in ["", "forks", "fork,", "fork, exit", "FORK"] {
            let error = wrong.parse::<Events>().unwrap_err();
            assert!(error.to_string().contains("nonzero-exit"), "{wrong:?}");
        }
    }
}
