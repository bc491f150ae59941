// SPDX-License-Identifier: GPL-2.0

//! `cnctl listen`: broadcasts as they come.

use std::{
    fmt::Write,
    process,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use netlink_connector::{Connector, Deadline, Event, Gaps, Message, RecvBatch};

use crate::{
    cli::{Global, Listen},
    clock::Stamp,
    outcome::{Failure, Outcome},
    output::{Object, Output, Tone},
    payload::Payload,
    receiving, signal, terminal,
};

pub(crate) fn run(args: &Listen, global: &Global) -> Result<Outcome, Failure> {
    let mask = args
        .groups
        .iter()
        .fold(0, |mask, group| mask | group.mask());
    // Before it can be seen to listen: who waits for that may end it at once.
    let incomplete = Arc::new(AtomicBool::new(false));
    let shared = Arc::clone(&incomplete);
    signal::on_end(move || process::exit(receiving::outcome(&shared).status().into()))?;

    let connector = receiving::open(Connector::builder().groups(mask), args.buffer)?;
    let mut listener = Listener {
        output: Output::new(global),
        payload: Payload::new(args.data, terminal::columns()),
        gaps: Gaps::default(),
        lines: String::new(),
        incomplete,
    };
    let mut left = args.count.unwrap_or(u64::MAX);
    let mut batch = RecvBatch::new(receiving::AT_ONCE);
    while left > 0 {
        connector.recv_many(&mut batch, Deadline::NEVER)?;
        let time = Stamp::now();
        for event in batch.drain() {
            match event {
                Ok(Event::Message(message)) if left > 0 => {
                    listener.message(time, &message);
                    left -= 1;
                }
                Ok(Event::Message(_)) => {}
                Ok(Event::Overrun(lost)) => {
                    listener.incomplete.store(true, Ordering::Relaxed);
                    receiving::overrun(&mut listener.lines, listener.output, lost);
                }
                Ok(_) => {}
                Err(error) => {
                    receiving::refused(&mut listener.lines, listener.output, &error);
                }
            }
        }
        listener.output.flush(&mut listener.lines)?;
    }
    Ok(receiving::outcome(&listener.incomplete))
}

/// Puts events into lines.
struct Listener {
    output: Output,
    payload: Payload,
    gaps: Gaps,
    lines: String,
    incomplete: Arc<AtomicBool>,
}

impl Listener {
    fn message(&mut self, time: Stamp, message: &Message) {
        self.gap(message);
        let header = &message.header;
        let group = message.group.map_or(0, |group| group.number());
        // Writing to a String cannot fail.
        if self.output.json {
            let object = Object::new("message")
                .value("time", time.seconds())
                .value("group", group)
                .string("id", &header.id.to_string())
                .value("seq", header.seq)
                .value("ack", header.ack)
                .value("len", header.len)
                .value("flags", header.flags)
                .bytes("data", &message.data);
            let _ = writeln!(self.lines, "{object}");
        } else {
            let _ = write!(
                self.lines,
                "{time} group {group:<2} {} seq={} ack={} len={}",
                self.output.toned(Tone::Strong, header.id),
                header.seq,
                header.ack,
                header.len
            );
            self.payload.append(&mut self.lines, &message.data);
            self.lines.push('\n');
        }
    }

    /// Reports messages that are missing before this one.
    fn gap(&mut self, message: &Message) {
        let Some(gap) = self.gaps.check(message) else {
            return;
        };
        self.incomplete.store(true, Ordering::Relaxed);
        let _ = if self.output.json {
            let object = Object::new("gap")
                .string("id", &gap.id.to_string())
                .value("expected", gap.expected)
                .value("got", gap.got)
                .value("missing", gap.missing);
            writeln!(self.lines, "{object}")
        } else {
            let text = format!(
                "{} of {} are missing: seq {} came where {} was due",
                gap.missing, gap.id, gap.got, gap.expected
            );
            writeln!(self.lines, "{}", self.output.toned(Tone::Bad, text))
        };
    }
}
