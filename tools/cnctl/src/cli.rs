// SPDX-License-Identifier: GPL-2.0

//! The command line: what it accepts and what `--help` says. No work is done here.

use std::{ops::RangeInclusive, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum};
use connector_client::{CbId, MAX_DATA_SIZE, known};

/// Talk to services on the Linux kernel connector (NETLINK_CONNECTOR).
///
/// A service is addressed by its id, IDX:VAL, as in /proc/net/connector. Numbers are decimal or
/// 0x-hexadecimal; ids with a known name can be written by it (proc, w1, dm, cn_test, cn_echo, …).
#[derive(Debug, Parser)]
#[command(
    name = "cnctl",
    version,
    propagate_version = true,
    max_term_width = 100,
    after_help = "Exit status: 0 if all that was asked for came, 1 if something was missing or \
                  lost, 2 on an error."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,

    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options that every command has.
#[derive(Debug, Args)]
pub(crate) struct Global {
    /// Print one JSON object a line instead of text
    #[arg(long, global = true)]
    pub(crate) json: bool,

    /// When to use colours
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: When,
}

/// When to use colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum When {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Ping(Ping),
}

/// Send messages to a service that echoes them, and check and time the replies.
///
/// A reply must have the request's seq, its ack plus one, and the same bytes; cn_echo answers like
/// that. Ctrl-C ends it with a summary. Exit status: 0 if every message was answered, 1 if replies
/// were lost or wrong, 2 on an error.
#[derive(Debug, Args)]
pub(crate) struct Ping {
    /// The service, as IDX:VAL or by its name
    #[arg(value_name = "ID", value_parser = known::parse_id)]
    pub(crate) id: CbId,

    /// Stop after this many messages [default: go on until Ctrl-C; with --sweep, 24]
    #[arg(short, long, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) count: Option<u64>,

    /// Bytes of data in each message, at most 16364
    #[arg(short, long, default_value_t = 56, value_parser = size)]
    pub(crate) size: usize,

    /// Let the size grow over the messages, first in small steps, then in large ones
    #[arg(long, value_name = "MIN..MAX", conflicts_with = "size", value_parser = sizes)]
    pub(crate) sweep: Option<RangeInclusive<usize>>,

    /// Seconds from one message to the next, such as 0.2; with 0 the next follows the reply
    #[arg(short, long, value_name = "SECONDS", default_value = "1", value_parser = seconds)]
    pub(crate) interval: Duration,

    /// Seconds to wait for a reply
    #[arg(short = 'W', long, value_name = "SECONDS", default_value = "1", value_parser = seconds)]
    pub(crate) timeout: Duration,

    /// Show each request and reply with its id, seq, ack and length
    #[arg(short, long)]
    pub(crate) verbose: bool,

    /// Print nothing but the summary and what went wrong
    #[arg(short, long, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
}

/// Reads a size that fits into a message.
fn size(text: &str) -> Result<usize, String> {
    let size = text
        .parse()
        .map_err(|_| "expected a number of bytes".to_owned())?;
    if size > MAX_DATA_SIZE {
        return Err(format!("the connector takes at most {MAX_DATA_SIZE} bytes"));
    }
    Ok(size)
}

/// Reads `MIN..MAX`; MAX is included.
fn sizes(text: &str) -> Result<RangeInclusive<usize>, String> {
    let (min, max) = text
        .split_once("..")
        .ok_or("expected MIN..MAX, such as 0..16364")?;
    let (min, max) = (size(min)?, size(max)?);
    if min > max {
        return Err(format!("{min} is more than {max}"));
    }
    Ok(min..=max)
}

/// Reads seconds with an optional fraction.
fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text
        .parse()
        .map_err(|_| "expected seconds, such as 0.2".to_owned())?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn sweeps_are_read_and_their_bounds_checked() {
        assert_eq!(sizes("0..16364"), Ok(0..=16364));
        for wrong in ["", "0", "0..", "..1", "2..1", "0..16365", "-1..2"] {
            assert!(sizes(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn seconds_take_fractions_and_refuse_what_is_no_time() {
        assert_eq!(seconds("0.2"), Ok(Duration::from_millis(200)));
        for wrong in ["", "-1", "nan", "inf", "1e99", "1s"] {
            assert!(seconds(wrong).is_err(), "{wrong:?}");
        }
    }
}
