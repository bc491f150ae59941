// SPDX-License-Identifier: GPL-2.0

//! The shortest program that shows the crate `netlink-connector`: it prints what the connector's
//! test module broadcasts, or sends 10,000 messages to it.
//!
//! The kernel has the same program in C, `samples/connector/ucon.c`, and its other half,
//! `cn_test.c`; this one works with that module, and with this project's `cn_test`.

#![forbid(unsafe_code)]

use std::{
    env,
    error::Error,
    fs::File,
    io::{self, Write},
    process::ExitCode,
};

use netlink_connector::{CbId, Connector, Deadline, Event, Group, Header};

/// The id of the test module.
const CN_TEST: CbId = CbId {
    idx: 14,
    val: 0x456,
};

const USAGE: &str = "\
Usage: ucon [options] [output file]

\t-h\tthis help screen
\t-s\tsend buffers to the test module

The default behavior of ucon is to subscribe to the test module
and wait for state messages. Any ones received are dumped to the
specified output file (or stdout). The test module is assumed to
have an id of {14.1110}

If you get no output, then verify the cn_test module id matches
the expected id above.";

fn main() -> ExitCode {
    let mut out: Box<dyn Write> = Box::new(io::stdout());
    let mut send_msgs = false;
    for arg in env::args_os().skip(1) {
        match arg.to_str() {
            Some("-s") => send_msgs = true,
            Some("-h") => {
                // Whoever asked may have stopped reading.
                let _ = writeln!(io::stdout(), "{USAGE}");
                return ExitCode::SUCCESS;
            }
            Some(option) if option.starts_with('-') => {
                eprintln!("ucon: unknown option {option}\n{USAGE}");
                return ExitCode::FAILURE;
            }
            _ => match File::options().append(true).create(true).open(&arg) {
                Ok(file) => out = Box::new(file),
                Err(error) => {
                    eprintln!("ucon: {}: {error}", arg.to_string_lossy());
                    return ExitCode::FAILURE;
                }
            },
        }
    }
    let result = if send_msgs { send(out) } else { listen(out) };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ucon: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Sends 10,000 messages without data.
fn send(mut out: Box<dyn Write>) -> Result<(), Box<dyn Error>> {
    let connector = Connector::open()?;
    for _ in 0..10 {
        let messages: Vec<(Header, &[u8])> = (0..1000)
            .map(|_| (connector.header(CN_TEST), &[][..]))
            .collect();
        let sent = connector.send_many(&messages)?;
        writeln!(out, "{sent} messages have been sent to {CN_TEST}")?;
    }
    Ok(())
}

/// Prints what comes, until it is interrupted.
fn listen(mut out: Box<dyn Write>) -> Result<(), Box<dyn Error>> {
    let group = Group::new(CN_TEST.idx).ok_or("there is no such group")?;
    writeln!(out, "subscribing to {CN_TEST}")?;
    let connector = Connector::builder().group(group).open()?;
    loop {
        match connector.recv(Deadline::NEVER)? {
            Event::Message(message) => {
                let header = message.header;
                let text = message.data.escape_ascii();
                let (id, seq, ack) = (header.id, header.seq, header.ack);
                writeln!(out, "[{id}] [{seq:08}.{ack:08}] {text}")?;
            }
            Event::Overrun(overrun) => writeln!(out, "{overrun}")?,
            _ => {}
        }
        out.flush()?;
    }
}
