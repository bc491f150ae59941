// SPDX-License-Identifier: GPL-2.0

//! What `listen`, `proc` and `watch` have in common: a socket with a receive buffer of a wanted
//! size, and the lines for what was lost or refused.

use std::{
    fmt::Write,
    sync::atomic::{AtomicBool, Ordering},
};

use netlink_connector::{Builder, Connector, Error, Overrun};

use crate::{
    cli::Buffer,
    outcome::{Failure, Outcome},
    output::{Object, Output, Tone, complain},
};

/// How many datagrams to receive at once. They are shown by one system call, too.
pub(crate) const AT_ONCE: usize = 32;

/// Opens a socket with the receive buffer that the command line asks for.
pub(crate) fn open(builder: Builder, buffer: Buffer) -> Result<Connector, Failure> {
    let Some(bytes) = buffer.bytes else {
        return Ok(builder.open()?);
    };
    let connector = builder.receive_buffer(bytes).open()?;
    let granted = connector.receive_buffer()?;
    // The kernel doubles what it is asked for, where it grants it.
    if granted / 2 < bytes {
        complain(
            "--buffer",
            format_args!(
                "asked for {bytes} bytes, granted {}: more takes CAP_NET_ADMIN or a higher \
                 net.core.rmem_max",
                granted / 2
            ),
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
    // Writing to a String cannot fail.
    let _ = match output.json {
        true => {
            let object = Object::new("overrun").value("lost", overrun.lost);
            writeln!(lines, "{}", object.string("text", &text))
        }
        false => writeln!(lines, "{}", output.toned(Tone::Bad, text)),
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
