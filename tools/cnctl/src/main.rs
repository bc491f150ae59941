// SPDX-License-Identifier: GPL-2.0

//! `cnctl`: talks to services on the Linux kernel connector.
//!
//! A subcommand is a file of its own; [`cli`] has the command line and nothing else.

#![forbid(unsafe_code)]

mod bench;
mod cli;
mod clock;
#[cfg(test)]
mod completions;
mod core;
mod digits;
mod escape;
#[cfg(test)]
mod examples;
mod list;
mod listen;
mod outcome;
mod output;
mod payload;
mod ping;
mod proc;
mod receiving;
mod send;
mod sequences;
mod signal;
mod silence;
mod sockets;
mod table;
mod terminal;
mod watch;

use std::{
    io::{self, Write},
    process::ExitCode,
};

use crate::cli::{Cli, Command};

/// What there is to say instead of carrying out a command: help, the version, or what is wrong with the words.
fn end_with(said: &clap::Error) -> ExitCode {
    let printed = said.print().and_then(|()| io::stdout().flush());
    match printed {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            output::complain("", format_args!("writing what was asked for: {error}"));
            ExitCode::from(2)
        }
        // CAST: 0 or 2.
        _ => ExitCode::from(said.exit_code() as u8),
    }
}

fn main() -> ExitCode {
    let cli = match Cli::read() {
        Ok(cli) => cli,
        Err(said) => return end_with(&said),
    };
    let (name, result) = match cli.command {
        Command::List(args) => ("list", list::run(&args, &cli.global)),
        Command::Send(args) => ("send", send::run(&args, &cli.global)),
        Command::Ping(args) => ("ping", ping::run(&args, &cli.global)),
        Command::Listen(args) => ("listen", listen::run(&args, &cli.global)),
        Command::Proc(args) => ("proc", proc::run(&args, &cli.global)),
        Command::Watch(args) => ("watch", watch::run(args, &cli.global)),
        Command::Sockets(args) => ("sockets", sockets::run(&args, &cli.global)),
        Command::Bench(args) => ("bench", bench::run(&args, &cli.global)),
    };
    match result {
        Ok(outcome) => ExitCode::from(outcome.status()),
        // Nobody reads any more (`cnctl … | head`): what was wanted was read.
        Err(failure)
            if failure
                .downcast_ref::<io::Error>()
                .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe) =>
        {
            ExitCode::SUCCESS
        }
        Err(failure) => {
            output::complain(name, failure);
            ExitCode::from(2)
        }
    }
}
