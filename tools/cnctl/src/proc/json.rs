// SPDX-License-Identifier: GPL-2.0

//! An event as a JSON object, from which a program gets the very bytes that the kernel had.

use std::{os::unix::process::ExitStatusExt, time::Duration};

use netlink_connector::{
    ProcEvent,
    proc::{Task, What},
};
use serde::Serialize;
use serde_json::value::RawValue;

use super::{kind::Kind, processes::Subject, procfs, text, wall::Wall};
use crate::{
    clock::Stamp,
    output::{self, Bytes},
};

/// The object of an event.
pub(super) fn event(
    event: &ProcEvent,
    kind: Kind,
    task: Task,
    subject: Option<&Subject>,
    wall: Option<&Wall>,
) -> String {
    let mut object = Event {
        event: "proc",
        time: seconds(event.timestamp),
        wall: wall.map(|wall| wall.rfc3339(event.timestamp)),
        cpu: event.cpu,
        what: kind.name(),
        pid: task.pid,
        tid: task.tid,
        ..Event::default()
    };
    if let Some(subject) = subject {
        object.tell(subject, kind);
    }
    match &event.what {
        What::Fork { parent, .. } => {
            object.parent_pid = Some(parent.pid);
            object.parent_tid = Some(parent.tid);
        }
        What::Uid {
            real, effective, ..
        }
        | What::Gid {
            real, effective, ..
        } => {
            object.real = Some(*real);
            object.effective = Some(*effective);
        }
        What::Ptrace { tracer, .. } => object.tracer_pid = tracer.map(|tracer| tracer.pid),
        What::Comm { comm, .. } => object.comm = Some(Bytes(comm.as_bytes())),
        What::Coredump { parent, .. } => object.parent_pid = parent.map(|parent| parent.pid),
        What::Exit { status, parent, .. } => {
            let known = subject.map_or(0, |subject| subject.process.parent);
            object.parent_pid = parent
                .map(|parent| parent.pid)
                .or((task.pid == task.tid && known != 0).then_some(known));
            if object.kernel_thread.is_some() {
                // What its function returned; nobody waits for it.
                object.status = Some(status.into_raw());
            } else {
                object.status = status.code();
                object.signal = status.signal();
                object.signal_name = status.signal().and_then(text::signal_name);
                object.core_dumped = status.signal().map(|_| status.core_dumped());
            }
            let started = subject.and_then(|subject| subject.process.started);
            object.duration = started
                .filter(|_| task.pid == task.tid)
                .and_then(|started| seconds(event.timestamp.saturating_sub(started)));
        }
        _ => {}
    }
    output::json(&object)
}

/// Seconds with all of their digits.
fn seconds(time: Duration) -> Option<Box<RawValue>> {
    Some(Stamp(time).seconds())
}

/// A member that is `None` is left out.
#[derive(Default, Serialize)]
struct Event<'a> {
    event: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    wall: Option<String>,
    cpu: u32,
    what: &'static str,
    pid: i32,
    tid: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_pid: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_tid: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_comm: Option<Bytes<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    real: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    effective: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tracer_pid: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    signal: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    signal_name: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    core_dumped: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    old_comm: Option<Bytes<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    comm: Option<Bytes<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    argv: Option<Vec<Bytes<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kernel_thread: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uid: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    euid: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pgrp: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tty: Option<String>,
}

impl<'a> Event<'a> {
    /// Adds what is known of the process.
    fn tell(&mut self, subject: &'a Subject, kind: Kind) {
        let process = &subject.process;
        self.comm = process.name.comm().map(Bytes);
        self.argv = process.name.arguments().map(|all| all.map(Bytes).collect());
        self.kernel_thread = process.name.is_kernel().then_some(true);
        self.old_comm = subject.old_comm.as_deref().map(Bytes);
        self.parent_comm = subject
            .parent
            .as_deref()
            .and_then(|name| Some(Bytes(name.comm()?)));
        if kind == Kind::Exec && process.parent != 0 {
            self.parent_pid = Some(process.parent);
        }
        if let Some(facts) = &process.facts {
            self.uid = Some(facts.uid);
            self.euid = Some(facts.euid);
            self.pgrp = Some(facts.pgrp);
            self.tty = procfs::terminal(facts.tty);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_keep_all_of_their_digits() {
        let time = seconds(Duration::new(123_456_789, 123_456_789)).unwrap();
        assert_eq!(time.get(), "123456789.123456789");
    }
}
