// SPDX-License-Identifier: GPL-2.0

//! An event as a JSON object, from which a program gets the very bytes that the kernel had.

use std::{io, os::unix::process::ExitStatusExt, time::Duration};

use connector_client::{
    ProcEvent,
    proc::{Task, What},
};
use serde::{Serialize, Serializer};
use serde_json::{
    ser::{CompactFormatter, Formatter},
    value::RawValue,
};

use super::{kind::Kind, processes::Subject, procfs, text, wall::Wall};
use crate::clock::Stamp;

/// Bytes that are text as a rule: a string if they are UTF-8, else an array of numbers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bytes<'a>(pub(super) &'a [u8]);

impl Serialize for Bytes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(self.0) {
            Ok(text) => serializer.serialize_str(text),
            Err(_) => self.0.serialize(serializer),
        }
    }
}

/// An object on a line, without its end.
pub(super) fn line(object: &impl Serialize) -> String {
    let mut bytes = Vec::new();
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, ForTerminals);
    // Neither can writing to memory fail, nor the serialization of our own types.
    let _ = object.serialize(&mut serializer);
    String::from_utf8(bytes).unwrap_or_default()
}

/// Escapes also the control characters that JSON would allow: a terminal would obey them.
struct ForTerminals;

impl Formatter for ForTerminals {
    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut rest = fragment;
        while let Some(at) = rest.find(char::is_control) {
            let (before, after) = rest.split_at(at);
            writer.write_all(before.as_bytes())?;
            let mut chars = after.chars();
            let control = chars.next().map_or(0, u32::from);
            write!(writer, "\\u{control:04x}")?;
            rest = chars.as_str();
        }
        CompactFormatter.write_string_fragment(writer, rest)
    }
}

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
            object.parent_pid = parent.map(|parent| parent.pid);
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
    line(&object)
}

/// Seconds with all nine digits, which are more than a floating-point number may have room for.
fn seconds(time: Duration) -> Option<Box<RawValue>> {
    RawValue::from_string(Stamp(time).seconds().to_string()).ok()
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
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn what_is_read_again_is_what_was_there() {
        for text in [
            "it's",
            "a\\b",
            "caf\u{e9}",
            "\u{1b}[31m\u{7f}\u{9b}\n\"",
            "",
        ] {
            let line: String = line(&Bytes(text.as_bytes()));
            assert_eq!(serde_json::from_str::<Value>(&line).unwrap(), json!(text));
            assert!(!line.chars().any(char::is_control), "{line}");
        }
        let line = line(&Bytes(b"\xffa"));
        assert_eq!(
            serde_json::from_str::<Value>(&line).unwrap(),
            json!([255, 97])
        );
    }

    #[test]
    fn times_keep_all_of_their_digits() {
        let time = seconds(Duration::new(123_456_789, 123_456_789)).unwrap();
        assert_eq!(time.get(), "123456789.123456789");
    }
}
