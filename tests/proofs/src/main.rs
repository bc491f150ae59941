// SPDX-License-Identifier: GPL-2.0

//! Checks by machine what no test can: see README.md. `make proofs` runs it.

#![allow(missing_docs)]

mod litmus;
mod loom;
mod report;
mod source;
mod table;
mod weaken;
mod wire;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{bail, Result};
use clap::{Parser, Subcommand};

use report::Report;

/// Proves what the connector relies on, or shows what breaks it.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Checks every property.
    Check {
        /// The project.
        #[arg(long)]
        top: PathBuf,
        /// What is found is kept here, with a summary.json.
        #[arg(long)]
        keep: PathBuf,
        /// tools/memory-model in the kernel's source.
        #[arg(long, required_unless_present = "no_herd")]
        memory_model: Option<PathBuf>,
        /// Why there is no herd7.
        #[arg(long)]
        no_herd: Option<String>,
        /// How herd7 is run.
        #[arg(last = true)]
        herd: Vec<String>,
    },
    /// Checks one model of loom's.
    Model {
        /// Which one.
        name: String,
    },
    /// Weakens each ordering of the source in turn, and swaps each two steps that follow each other,
    /// and says which property breaks.
    Weaken {
        /// The project.
        #[arg(long)]
        top: PathBuf,
        /// A copy of it is made here.
        #[arg(long)]
        keep: PathBuf,
        /// Only in files with this in their names.
        #[arg(long, default_value = "")]
        only: String,
        /// What builds it.
        #[arg(long)]
        cargo: PathBuf,
    },
}

fn run() -> Result<bool> {
    match Arguments::parse().what {
        What::Check {
            top,
            keep,
            memory_model,
            no_herd,
            herd,
        } => {
            let mut report = Report::new();
            table::check(&top, &mut report)?;
            match (no_herd, memory_model) {
                (Some(why), _) => litmus::skip(&top, &why, &mut report)?,
                (None, Some(model)) => litmus::check(&top, &keep, &model, &herd, &mut report)?,
                (None, None) => bail!("neither a memory model nor why there is no herd7"),
            }
            loom::check(&mut report)?;
            wire::check(&mut report);
            report.finish(&keep)
        }
        What::Model { name } => loom::run_here(&name),
        What::Weaken {
            top,
            keep,
            only,
            cargo,
        } => weaken::run(&top, &keep, &only, &cargo),
    }
}

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}
