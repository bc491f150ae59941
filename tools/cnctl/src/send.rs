// SPDX-License-Identifier: GPL-2.0

//! `cnctl send`: one message, and its reply if wanted.

use std::{
    fs,
    io::Read,
    process,
    sync::{Arc, Mutex},
    time::Instant,
};

use connector_client::{Connector, Error, Header, MAX_DATA_SIZE};

use crate::{
    Failure, Outcome,
    cli::{Bytes, Global, Send},
    output::{Object, Output},
    payload, signal,
};

pub(crate) fn run(args: &Send, global: &Global) -> Result<Outcome, Failure> {
    let output = Output::new(global);
    let data = data(args)?;
    let connector = Connector::open()?;
    let new = connector.header(args.id);
    let header = Header {
        seq: args.seq.unwrap_or(new.seq),
        ack: args.ack,
        flags: args.flags,
        // For showing; sending goes by the data.
        len: data.len().try_into().unwrap_or(u16::MAX),
        ..new
    };
    if !args.wait {
        connector.send(&header, &data)?;
        show(output, "sent", &header);
        return Ok(Outcome::Complete);
    }

    // Whoever is first, the reply or Ctrl-C, writes, until there is no process.
    let ended = Arc::new(Mutex::new(()));
    let shared = Arc::clone(&ended);
    signal::on_end(move || {
        let _first = shared.lock();
        show(output, "sent", &header);
        eprintln!("cnctl send: ended before a reply came");
        process::exit(Outcome::Incomplete.status().into());
    })?;

    let start = Instant::now();
    let reply = connector.request(&header, &data, args.timeout);
    let time = start.elapsed();
    let _first = ended.lock();
    match reply {
        Err(error @ Error::TimedOut { .. }) => {
            show(output, "sent", &header);
            eprintln!("cnctl send: {error}");
            Ok(Outcome::Incomplete)
        }
        reply => {
            let reply = reply?;
            show(output, "sent", &header);
            let time = time.as_nanos() as f64 / 1e6;
            if output.json {
                let object = members("reply", &reply.header);
                output.line(object.bytes("data", &reply.data).value("time_ms", time));
            } else {
                let mut line = columns("reply", &reply.header);
                line.push_str(&format!(" time={time:.3} ms"));
                payload::append(&mut line, &reply.data, args.data);
                output.line(line);
            }
            Ok(Outcome::Complete)
        }
    }
}

/// The data from wherever the command line says it is.
fn data(args: &Send) -> Result<Vec<u8>, Failure> {
    let data = match (&args.text, &args.hex, &args.file) {
        (Some(text), ..) => text.clone().into_bytes(),
        (_, Some(Bytes(bytes)), _) => bytes.clone(),
        (_, _, Some(path)) => {
            let mut data = Vec::new();
            // One byte more than can be sent is enough to know that it is too much.
            let most = MAX_DATA_SIZE as u64 + 1;
            let read = match path.as_os_str() == "-" {
                true => std::io::stdin().lock().take(most).read_to_end(&mut data),
                false => {
                    fs::File::open(path).and_then(|file| file.take(most).read_to_end(&mut data))
                }
            };
            read.map_err(|error| format!("{}: {error}", path.display()))?;
            data
        }
        _ => Vec::new(),
    };
    match data.len() {
        len if len > MAX_DATA_SIZE => Err(Error::TooLarge { len }.into()),
        _ => Ok(data),
    }
}

fn show(output: Output, event: &str, header: &Header) {
    match output.json {
        true => output.line(members(event, header)),
        false => output.line(columns(event, header)),
    }
}

fn members(event: &str, header: &Header) -> Object {
    Object::new(event)
        .string("id", &header.id.to_string())
        .value("seq", header.seq)
        .value("ack", header.ack)
        .value("len", header.len)
}

fn columns(event: &str, header: &Header) -> String {
    format!(
        "{event:<5} {} seq={} ack={} len={}",
        header.id, header.seq, header.ack, header.len
    )
}
