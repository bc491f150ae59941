// SPDX-License-Identifier: GPL-2.0

//! The client of `cn_kv`.

#![forbid(unsafe_code)]

use std::{
    env,
    error::Error,
    io::{self, Write},
    os::unix::ffi::OsStringExt,
    process::ExitCode,
    time::Duration,
};

use netlink_connector::{CbId, Connector, Deadline, Event, Group};

const KV: CbId = CbId { idx: 20, val: 1 };

const USAGE: &str = "\
Usage: kv get KEY | kv set KEY VALUE | kv del KEY
       kv listen            # prints changes and signs of life";

fn main() -> ExitCode {
    let words: Vec<Vec<u8>> = env::args_os().skip(1).map(OsStringExt::into_vec).collect();
    let result = match (words.first().map(Vec::as_slice), words.len()) {
        (Some(b"get" | b"del"), 2) | (Some(b"set"), 3) => ask(&words.join(&b' ')),
        (Some(b"listen"), 1) => listen(),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    if let Err(error) = result {
        eprintln!("kv: {error}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// Has the service carry out a request, and prints the value.
fn ask(request: &[u8]) -> Result<(), Box<dyn Error>> {
    let value = Connector::open()?.call(KV, request, Duration::from_secs(5))?;
    let mut out = io::stdout().lock();
    out.write_all(&value)?;
    if request.starts_with(b"get ") {
        writeln!(out)?;
    }
    Ok(())
}

fn listen() -> Result<(), Box<dyn Error>> {
    let group = Group::of(KV).ok_or("there is no such group")?;
    let connector = Connector::builder().group(group).open()?;
    loop {
        match connector.recv(Deadline::NEVER)? {
            Event::Message(message) => {
                println!("{} {}", message.header.seq, message.data.escape_ascii());
            }
            Event::Overrun(overrun) => eprintln!("kv: {overrun}"),
            _ => {}
        }
    }
}
