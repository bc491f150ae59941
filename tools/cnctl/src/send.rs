// SPDX-License-Identifier: GPL-2.0

//! `cnctl send`: one message, and its reply or what became of it if wanted.

use std::{
    fs,
    io::{self, ErrorKind, Read},
    os::{fd::AsFd, unix::ffi::OsStrExt},
    time::Instant,
};

use netlink_connector::{
    Connector, Core, Deadline, Error, Header, MAX_DATA_SIZE, Message, outcome,
};
use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
};

use crate::{
    cli::{Bytes, Global, Send},
    core, escape,
    outcome::{Failure, Outcome},
    output::{Object, Output, Tone, complain},
    payload::Payload,
    signal, silence, terminal,
};

/// The highest error number that the kernel has: see `include/linux/err.h`.
const MAX_ERRNO: u32 = 4095;

pub(crate) fn run(args: &Send, global: &Global) -> Result<Outcome, Failure> {
    let output = Output::new(global);
    let data = data(args)?;
    let connector = Connector::open()?;
    let new = connector.header(args.id);
    let header = Header {
        seq: args.seq.unwrap_or(new.seq),
        // The same, unless somebody wants it otherwise: see Header::request().
        ack: args.ack.or(args.seq).unwrap_or(new.ack),
        flags: args.flags,
        // For showing; sending goes by the data.
        len: data.len().try_into().unwrap_or(u16::MAX),
        ..new
    };
    let core = Core::find()?;
    if !args.wait && !args.outcome {
        // Nobody else receives from this socket: what comes is there at once.
        return match connector.send_acknowledged(&header, &data, Deadline::NOW) {
            Ok(acknowledged) => {
                show_sent(output, &header, core, Some(acknowledged));
                Ok(Outcome::Complete)
            }
            Err(error) => missing(args, &header, error),
        };
    }

    // Shown before the reply is awaited, which somebody may break off.
    let interrupter = connector.interrupter()?;
    signal::on_end(move || interrupter.interrupt())?;
    show_sent(output, &header, core, None);
    let start = Instant::now();
    let reply = match connector.request(&header, &data, args.timeout) {
        Err(Error::Interrupted) => {
            complain("send", "ended before a reply came");
            return Ok(Outcome::Incomplete);
        }
        // That is what became of it.
        Err(Error::TimedOut {
            acknowledged: true,
            overrun: false,
            ..
        }) if args.outcome => None,
        Err(error) => return missing(args, &header, error),
        Ok(reply) => Some(reply),
    };
    let time = start.elapsed().as_nanos() as f64 / 1e6;
    let payload = Payload::new(args.data, terminal::columns());
    match reply {
        Some(reply) if !args.outcome => {
            show_reply(output, &reply, payload, time);
            Ok(Outcome::Complete)
        }
        reply => show_outcome(output, &header, reply.as_ref(), payload, time),
    }
}

fn show_reply(output: Output, reply: &Message, payload: Payload, time: f64) {
    if output.json {
        let object = members("reply", &reply.header);
        return output.line(object.bytes("data", &reply.data).value("time_ms", time));
    }
    let mut line = columns("reply", &reply.header);
    line.push_str(&format!(" time={time:.3} ms"));
    payload.append(&mut line, &reply.data);
    output.line(line);
}

/// Shows what became of a request, as its reply says; without one it is that it was handled.
fn show_outcome(
    output: Output,
    request: &Header,
    reply: Option<&Message>,
    payload: Payload,
    time: f64,
) -> Result<Outcome, Failure> {
    let (word, ended) = match reply.map(|reply| outcome(&reply.data)) {
        None => ("handled", Ok(&[][..])),
        Some(Some(Ok(data))) => ("granted", Ok(data)),
        Some(Some(Err(errno @ ..=MAX_ERRNO))) => ("refused", Err(errno)),
        Some(_) => {
            return Err(format!(
                "the reply of {} does not begin with how the request ended; --wait shows it",
                request.id
            )
            .into());
        }
    };
    // Not more than fits.
    let ended = ended.map_err(|errno| io::Error::from_raw_os_error(errno as i32));
    if output.json {
        let object = Object::new("outcome")
            .string("id", &request.id.to_string())
            .value("seq", request.seq)
            .string("outcome", word)
            .value("time_ms", time);
        output.line(match &ended {
            Ok(data) if word == "granted" => object.bytes("data", data),
            Ok(_) => object,
            Err(error) => object
                .value("errno", error.raw_os_error())
                .string("text", &error.to_string()),
        });
    } else {
        let tone = if ended.is_ok() { Tone::Good } else { Tone::Bad };
        let mut line = format!(
            "ended {} seq={} time={time:.3} ms {}",
            request.id,
            request.seq,
            output.toned(tone, word)
        );
        match &ended {
            Ok(data) => payload.append(&mut line, data),
            Err(error) => line.push_str(&format!(": {error}")),
        }
        output.line(line);
    }
    Ok(match ended {
        Ok(_) => Outcome::Complete,
        Err(_) => Outcome::Incomplete,
    })
}

/// The data from wherever the command line says it is.
fn data(args: &Send) -> Result<Vec<u8>, Failure> {
    let data = match (&args.text, &args.hex, &args.file) {
        (Some(text), ..) => text.as_bytes().to_vec(),
        (_, Some(Bytes(bytes)), _) => bytes.clone(),
        (_, _, Some(path)) => {
            let mut data = Vec::new();
            // One byte more than can be sent is enough to know that it is too much.
            let most = MAX_DATA_SIZE as u64 + 1;
            let read = match path.as_os_str() == "-" {
                true => read_input(most, &mut data),
                false => {
                    fs::File::open(path).and_then(|file| file.take(most).read_to_end(&mut data))
                }
            };
            let path = escape::shown(path.as_os_str().as_bytes());
            read.map_err(|error| format!("{path}: {error}"))?;
            if data.len() > MAX_DATA_SIZE {
                // How much more was not looked at.
                return Err(format!(
                    "{path}: more data than the {MAX_DATA_SIZE} bytes that the connector takes, which would \
                     drop them without a word"
                )
                .into());
            }
            data
        }
        _ => Vec::new(),
    };
    match data.len() {
        len if len > MAX_DATA_SIZE => Err(Error::TooLarge { len }.into()),
        _ => Ok(data),
    }
}

/// Reads standard input, whether it is non-blocking or not: that is a matter of whoever shares it.
fn read_input(most: u64, data: &mut Vec<u8>) -> io::Result<usize> {
    let mut input = io::stdin().lock().take(most);
    loop {
        // What was read before an error is in `data`, and counted.
        match input.read_to_end(data) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                let stdin = io::stdin();
                let mut fds = [PollFd::new(stdin.as_fd(), PollFlags::POLLIN)];
                match poll(&mut fds, PollTimeout::NONE) {
                    Ok(_) | Err(Errno::EINTR) => {}
                    Err(errno) => return Err(errno.into()),
                }
            }
            result => return result,
        }
    }
}

/// What it comes to that a message was not wanted or not answered, or that something else went wrong.
fn missing(args: &Send, header: &Header, error: Error) -> Result<Outcome, Failure> {
    let request = format!("{} seq={}", header.id, header.seq);
    silence::tell("send", request, header.id, args.timeout, error)
}

/// Shows what was sent, and through which connector. Whether it was acknowledged is told where somebody
/// looked, and the connector does.
fn show_sent(output: Output, header: &Header, core: Core, acknowledged: Option<bool>) {
    let acknowledged = acknowledged.filter(|_| core != Core::Kernel);
    if output.json {
        let object = members("sent", header).string("core", core::word(core));
        return output.line(match acknowledged {
            Some(acknowledged) => object.value("acknowledged", acknowledged),
            None => object,
        });
    }
    let end = match acknowledged {
        Some(true) => ", acknowledged",
        Some(false) => ", not acknowledged",
        None => "",
    };
    output.line(format_args!("{} by {core}{end}", columns("sent", header)));
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
