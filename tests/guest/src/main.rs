// SPDX-License-Identifier: GPL-2.0

//! Runs in the VM, called by scripts/guest/init: writes the marks, runs the suites between them,
//! and leaves nothing of one to the next.

mod inject;
mod left;
mod marks;
mod suite;

use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use guest::What;
use nix::unistd::setsid;

use marks::Marks;

#[derive(Parser)]
#[command(about)]
struct Cli {
    /// What no program knows; the runner made it up
    #[arg(long, default_value = "")]
    token: String,
    /// The number of the first mark that is written
    #[arg(long, default_value_t = 0)]
    number: usize,
    #[command(subcommand)]
    job: Job,
}

#[derive(Subcommand)]
enum Job {
    /// Write one mark: booted, begin NAME, end NAME STATUS, done
    Mark {
        /// What it says
        words: Vec<String>,
    },
    /// Run these suites, programs in /selftests
    Suites {
        /// How many seconds each may take
        #[arg(long)]
        limit: u64,
        /// Their names
        names: Vec<String>,
    },
    /// Run suites in which all goes wrong that can, so many times
    Inject {
        /// How many times
        rounds: usize,
    },
    /// Be one of those suites
    Injected {
        /// Its name
        name: String,
    },
}

fn main() -> Result<()> {
    let cli = Cli::parse();
    let marks = || Marks::new(&cli.token, cli.number);
    match &cli.job {
        Job::Mark { words } => marks()?.write(what(words)?),
        Job::Suites { limit, names } => {
            own_terminal()?;
            suite::run(&mut marks()?, names, Duration::from_secs(*limit))
        }
        Job::Inject { rounds } => {
            own_terminal()?;
            inject::run(&mut marks()?, *rounds)
        }
        Job::Injected { name } => inject::be(name),
    }
}

/// Makes the port that is opened next our controlling terminal. Nobody else's can it be then: of a suite
/// that opened it, the end would hang up on us.
fn own_terminal() -> Result<()> {
    setsid().context("setsid")?;
    Ok(())
}

fn what(words: &[String]) -> Result<What> {
    Ok(match words {
        [word] if word == "booted" => What::Booted,
        [word] if word == "done" => What::Done,
        [word, name] if word == "begin" => What::Begin(name.clone()),
        [word, name, status] if word == "end" => What::End(name.clone(), status.parse()?),
        _ => anyhow::bail!("there is no such mark: {}", words.join(" ")),
    })
}
