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

use connector_client::{
    Builder, Connector, Deadline, Error, Event, Gaps, Message, Overrun, RecvBatch,
};

use crate::{
    Failure, Outcome,
    cli::{Buffer, Form, Global, Listen},
    clock::Stamp,
    output::{Object, Output, Tone},
    payload, signal,
};

/// How many datagrams to receive at once. They are shown by one system call, too.
pub(crate) const AT_ONCE: usize = 32;

pub(crate) fn run(args: &Listen, global: &Global) -> Result<Outcome, Failure> {
    let mask = args
        .groups
        .iter()
        .fold(0, |mask, group| mask | group.mask());
    // Before it can be seen to listen: who waits for that may end it at once.
    let incomplete = Arc::new(AtomicBool::new(false));
    let shared = Arc::clone(&incomplete);
    signal::on_end(move || process::exit(outcome(&shared).status().into()))?;

    let connector = open(Connector::builder().groups(mask), args.buffer)?;
    let mut listener = Listener {
        output: Output::new(global),
        form: args.data,
        gaps: Gaps::default(),
        lines: String::new(),
        incomplete,
    };
    let mut left = args.count.unwrap_or(u64::MAX);
    let mut batch = RecvBatch::new(AT_ONCE);
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
                Ok(Event::Overrun(overrun)) => listener.overrun(overrun),
                Ok(_) => {}
                Err(error) => listener.error(&error),
            }
        }
        listener.output.flush(&mut listener.lines)?;
    }
    Ok(outcome(&listener.incomplete))
}

/// Opens a socket with the receive buffer that the command line asks for.
pub(crate) fn open(builder: Builder, buffer: Buffer) -> Result<Connector, Failure> {
    let Some(bytes) = buffer.bytes else {
        return Ok(builder.open()?);
    };
    let connector = builder.receive_buffer(bytes).open()?;
    let granted = connector.receive_buffer()?;
    // The kernel doubles what it is asked for, where it grants it.
    if granted / 2 < bytes {
        eprintln!(
            "cnctl: asked for a receive buffer of {bytes} bytes, granted {}: more takes \
             CAP_NET_ADMIN or a higher net.core.rmem_max",
            granted / 2
        );
    }
    Ok(connector)
}

/// What it comes to if messages are missing, or are not.
pub(crate) fn outcome(incomplete: &AtomicBool) -> Outcome {
    match incomplete.load(Ordering::Relaxed) {
        true => Outcome::Incomplete,
        false => Outcome::Complete,
    }
}

/// Appends the line for a loss.
pub(crate) fn overrun(lines: &mut String, output: Output, overrun: Overrun) {
    let text = overrun.to_string();
    let _ = if output.json {
        let object = Object::new("overrun");
        let object = match overrun.lost {
            Some(lost) => object.value("lost", lost),
            None => object.value("lost", "null"),
        };
        writeln!(lines, "{}", object.string("text", &text))
    } else {
        writeln!(lines, "{}", output.toned(Tone::Bad, text))
    };
}

/// Appends the line for a datagram that was refused.
pub(crate) fn refused(lines: &mut String, output: Output, error: &Error) {
    let text = error.to_string();
    let _ = match output.json {
        true => writeln!(lines, "{}", Object::new("error").string("text", &text)),
        false => writeln!(lines, "{}", output.toned(Tone::Bad, text)),
    };
}

/// Puts events into lines.
struct Listener {
    output: Output,
    form: Form,
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
            payload::append(&mut self.lines, &message.data, self.form);
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

    fn overrun(&mut self, lost: Overrun) {
        self.incomplete.store(true, Ordering::Relaxed);
        overrun(&mut self.lines, self.output, lost);
    }

    fn error(&mut self, error: &Error) {
        refused(&mut self.lines, self.output, error);
    }
}
