// SPDX-License-Identifier: GPL-2.0

//! An event as a line for people.

use std::{fmt::Write, os::unix::process::ExitStatusExt, process::ExitStatus, time::Duration};

use netlink_connector::{
    ProcEvent,
    proc::{Task, What},
};
use nix::sys::signal::Signal;

use super::{
    kind::Kind,
    name::Name,
    processes::{Facts, Subject},
    procfs,
    users::Users,
    wall::Wall,
};
use crate::{
    clock::Stamp,
    digits, escape,
    output::{Output, Tone},
    terminal,
};

/// How wide the column between what happened and to whom is.
const INFO: usize = 17;

/// What such columns are filled with: one piece costs less than many characters.
const SPACES: &str = "                   ";

/// What a line has.
#[derive(Debug)]
pub(super) struct Text {
    pub(super) output: Output,
    pub(super) threads: bool,
    /// Times are those of the wall clock.
    pub(super) wall: Option<Wall>,
    /// User ids and terminals are shown, with the names of users.
    pub(super) users: Option<Users>,
    /// Where the terminal ends.
    pub(super) width: Option<usize>,
    /// Whether that is before a line could say who it is about.
    pub(super) narrow: bool,
}

/// What a line has of a command at least: nearly all of a comm.
const COMMAND: usize = 14;

impl Text {
    /// Has lines end at a terminal's edge. `named` is whether they say who they are about.
    pub(super) fn fit(&mut self, columns: Option<usize>, named: bool) {
        self.width = columns;
        let before = self.first_columns(false).len() + INFO + 1;
        self.narrow = named && columns.is_some_and(|columns| columns < before + COMMAND);
    }

    pub(super) fn title(&self, lines: &mut String, named: bool) {
        let mut title = self.first_columns(self.narrow);
        // Writing to a String cannot fail.
        let _ = match (self.narrow, named) {
            (true, _) => write!(title, "COMMAND  INFO"),
            (false, true) => write!(title, "{:1$}COMMAND", "INFO", INFO + 1),
            (false, false) => write!(title, "INFO"),
        };
        let start = lines.len();
        let _ = writeln!(lines, "{}", self.output.toned(Tone::Strong, title));
        if let Some(width) = self.width {
            terminal::cut(lines, start, width);
        }
    }

    /// The titles of what comes first in a line, with times that are brief or not.
    fn first_columns(&self, brief: bool) -> String {
        let time = match (self.wall.is_some(), brief) {
            (false, false) => 14,
            (true, false) => 15,
            (false, true) => 7,
            (true, true) => 8,
        };
        let mut title = format!("{:>time$}     PID", "TIME");
        if self.threads {
            title.push_str("     TID");
        }
        if self.users.is_some() {
            title.push_str(" UID      EUID     TTY   ");
        }
        title.push_str(" WHAT     ");
        title
    }

    pub(super) fn event(
        &self,
        lines: &mut String,
        event: &ProcEvent,
        kind: Kind,
        task: Task,
        subject: Option<&Subject>,
    ) {
        let start = lines.len();
        match &self.wall {
            Some(wall) => lines.push_str(&wall.text(event.timestamp)),
            None => Stamp(event.timestamp).append(lines),
        }
        lines.push(' ');
        let whom = lines.len();
        id(lines, task.pid, 7);
        lines.push(' ');
        if self.threads {
            id(lines, task.tid, 7);
            lines.push(' ');
        }
        if let Some(users) = &self.users {
            let facts = subject.and_then(|subject| subject.process.facts.as_deref());
            self::facts(lines, facts, users);
        }
        self.what(lines, event, kind);
        let info = lines.len();
        self.info(lines, event, task, subject);
        let end = lines.len();
        if let Some(subject) = subject {
            // Each column has a space before it.
            let width = terminal::width(&lines[info..]).min(INFO + 1);
            lines.push_str(&SPACES[width..INFO + 2]);
            lines.push_str(subject.process.name.shown());
        } else {
            lines.truncate(lines.trim_end_matches(' ').len());
        }
        lines.push('\n');
        if let Some(width) = self.width {
            if let (true, Some(subject)) = (self.narrow, subject) {
                let (what, info) = (&lines[whom..info], &lines[info..end]);
                let line = self.brief(event, what, info, subject);
                lines.truncate(start);
                lines.push_str(&line);
            }
            terminal::cut(lines, start, width);
        }
    }

    /// The same where there is room for little: first what one looks for, and times to the second. Made of
    /// whose event it is and what happened, and of what more there is to say.
    #[cold]
    fn brief(&self, event: &ProcEvent, what: &str, info: &str, subject: &Subject) -> String {
        let mut line = match &self.wall {
            Some(wall) => wall.brief(event.timestamp),
            None => format!("[{:5}]", event.timestamp.as_secs()),
        };
        for part in [" ", what, " ", subject.process.name.brief(), " ", info] {
            line.push_str(part);
        }
        line.truncate(line.trim_end().len());
        line.push('\n');
        line
    }

    fn what(&self, lines: &mut String, event: &ProcEvent, kind: Kind) {
        let what = kind.name();
        let tone = match event.what {
            What::Exit { status, .. } if !status.success() => Some(Tone::Bad),
            What::Coredump { .. } => Some(Tone::Bad),
            What::Exec { .. } => Some(Tone::Good),
            _ => None,
        };
        match tone {
            Some(tone) => {
                let _ = write!(lines, "{:<8}", self.output.toned(tone, what));
            }
            None => {
                lines.push_str(what);
                lines.push_str(&SPACES[what.len().min(8)..8]);
            }
        }
    }

    /// What more there is to say of the event, after a space.
    fn info(&self, lines: &mut String, event: &ProcEvent, task: Task, subject: Option<&Subject>) {
        let parent_name = subject.and_then(|subject| subject.parent.as_deref());
        let _ = match event.what {
            // Of a thread, the kernel tells the parent of its process.
            What::Fork { parent, .. } if task.pid == task.tid => {
                by(lines, parent.pid, parent_name);
                Ok(())
            }
            What::Exec { .. } => {
                match subject.map_or(0, |subject| subject.process.parent) {
                    0 => {}
                    parent => by(lines, parent, parent_name),
                }
                Ok(())
            }
            What::Uid {
                real, effective, ..
            }
            | What::Gid {
                real, effective, ..
            } => write!(lines, " real {real} effective {effective}"),
            What::Ptrace {
                tracer: Some(tracer),
                ..
            } => write!(lines, " by {}", tracer.pid),
            What::Ptrace { tracer: None, .. } => write!(lines, " ended"),
            What::Comm { comm, .. } => {
                lines.push(' ');
                if let Some(old) = subject.and_then(|subject| subject.old_comm.as_deref()) {
                    escape::append(lines, old);
                    lines.push_str(" -> ");
                }
                escape::append(lines, comm.as_bytes());
                Ok(())
            }
            What::Exit { status, .. } => {
                match subject.is_some_and(|subject| subject.process.name.is_kernel()) {
                    // What its function returned; nobody waits for it.
                    true => drop(write!(lines, " {}", status.into_raw())),
                    false => exit(lines, status),
                }
                let started = subject.and_then(|subject| subject.process.started);
                if let Some(started) = started.filter(|_| task.pid == task.tid) {
                    lines.push_str(" after ");
                    duration(lines, event.timestamp.saturating_sub(started));
                }
                Ok(())
            }
            _ => Ok(()),
        };
    }
}

/// Who the parent is.
fn by(lines: &mut String, pid: i32, name: Option<&Name>) {
    lines.push_str(" by ");
    id(lines, pid, 0);
    if let Some(name) = name {
        lines.push_str(name.behind_id());
    }
}

fn facts(lines: &mut String, facts: Option<&Facts>, users: &Users) {
    let _ = match facts {
        Some(facts) => {
            let tty = procfs::terminal(facts.tty).unwrap_or_else(|| "?".to_owned());
            let (uid, euid) = (users.name(facts.uid), users.name(facts.euid));
            write!(lines, "{uid:<8} {euid:<8} {tty:<6} ")
        }
        None => write!(lines, "{:<8} {:<8} {:<6} ", "?", "?", "?"),
    };
}

/// How a task ended.
fn exit(lines: &mut String, status: ExitStatus) {
    lines.push(' ');
    match (status.code(), status.signal()) {
        (_, Some(signal)) => {
            match signal_name(signal) {
                Some(name) => lines.push_str(name),
                None => {
                    lines.push_str("signal ");
                    id(lines, signal, 0);
                }
            }
            if status.core_dumped() {
                lines.push_str(" (core)");
            }
        }
        (code, None) => id(lines, code.unwrap_or_default(), 0),
    }
}

/// What a signal is called; real-time signals have only numbers.
pub(super) fn signal_name(signal: i32) -> Option<&'static str> {
    Signal::try_from(signal).ok().map(Signal::as_str)
}

/// Appends a time span, to the millisecond if it is short.
fn duration(lines: &mut String, time: Duration) {
    let seconds = time.as_secs();
    let two = |lines: &mut String, many: u64, big: &str, few: u64, small: &str| {
        digits::append(lines, many, 0);
        lines.push_str(big);
        digits::append(lines, few, 0);
        lines.push_str(small);
    };
    match seconds {
        0..60 => {
            digits::append(lines, seconds, 0);
            lines.push('.');
            digits::append_fraction(lines, time.subsec_millis(), 1000);
            lines.push_str(" s");
        }
        60..3600 => two(lines, seconds / 60, " min ", seconds % 60, " s"),
        3600..86_400 => two(lines, seconds / 3600, " h ", seconds / 60 % 60, " min"),
        _ => two(lines, seconds / 86_400, " d ", seconds / 3600 % 24, " h"),
    }
}

/// Appends the id of a task, or another number that is not negative, up to a width.
fn id(lines: &mut String, number: i32, width: usize) {
    digits::append(lines, number.unsigned_abs().into(), width);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_spans_are_as_exact_as_they_are_short() {
        let shown = |millis| {
            let mut lines = String::new();
            duration(&mut lines, Duration::from_millis(millis));
            lines
        };
        assert_eq!(shown(7), "0.007 s");
        assert_eq!(shown(59_999), "59.999 s");
        assert_eq!(shown(60_000), "1 min 0 s");
        assert_eq!(shown(3_600_000 * 5 + 61_000), "5 h 1 min");
        assert_eq!(shown(86_400_000 * 2), "2 d 0 h");
    }

    #[test]
    fn signals_have_their_names_and_cores_are_told() {
        let shown = |raw| {
            let mut lines = String::new();
            exit(&mut lines, ExitStatus::from_raw(raw));
            lines
        };
        assert_eq!(shown(7 << 8), " 7");
        assert_eq!(shown(9), " SIGKILL");
        assert_eq!(shown(11 | 0x80), " SIGSEGV (core)");
        assert_eq!(shown(40), " signal 40");
    }
}
