// SPDX-License-Identifier: GPL-2.0

//! Makes a report of what the VM measured: a table, `bench.json`, plots, what is held and what is
//! not, and what changed since an earlier report. scripts/lib/bench.sh calls it.

mod changes;
mod figures;
mod held;
mod plot;
mod table;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;

use figures::{Report, Unit};

#[derive(Parser)]
#[command(about)]
struct Cli {
    /// Rows, as the client prints them (several files are one after the other)
    #[arg(required = true)]
    rows: Vec<PathBuf>,
    /// What was measured, in words
    #[arg(long)]
    kernel: String,
    /// The rows are wall-clock times
    #[arg(long)]
    wall: bool,
    /// It was on another kernel than the project's own, which the promises are about
    #[arg(long)]
    elsewhere: bool,
    /// File for the figures
    #[arg(long)]
    json: Option<PathBuf>,
    /// Folder for table.md and the plots
    #[arg(long)]
    plots: Option<PathBuf>,
    /// Figures to compare with
    #[arg(long)]
    base: Option<PathBuf>,
    /// Fail if a figure of Rust is larger than the base's by more than this, in percent
    #[arg(long, requires = "base")]
    limit: Option<f64>,
}

fn main() -> ExitCode {
    match report(&Cli::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Returns whether everything is held that has to be.
fn report(cli: &Cli) -> Result<bool> {
    let mut lines = String::new();
    for path in &cli.rows {
        lines.push_str(&read(path)?);
    }
    let unit = if cli.wall {
        Unit::Nanoseconds
    } else {
        Unit::Instructions
    };
    let base = match &cli.base {
        Some(path) => Some(
            serde_json::from_str::<Report>(&read(path)?)
                .with_context(|| format!("{} is not a bench.json", path.display()))?,
        ),
        None => None,
    };
    let (report, machine) = Report::from_lines(&cli.kernel, unit, &lines)?;

    if let Some(path) = &cli.json {
        write(path, &report.to_json()?)?;
    }
    let held = held::check(&report);
    let notes = notes(cli.wall, &machine, &report.kernel);
    if let Some(folder) = &cli.plots {
        fs::create_dir_all(folder)?;
        let markdown = format!(
            "{notes}\n\n{}\n{}",
            table::markdown(&report),
            held::list(&held)
        );
        write(&folder.join("table.md"), &markdown)?;
        for (name, svg) in plot::all(&report) {
            write(&folder.join(name), &svg)?;
        }
    }

    println!("{}\n{}", notes, table::text(&report));
    if cli.elsewhere {
        println!("What is promised for the project's own kernel (tests/config), on this one:");
    }
    print!("{}", held::list(&held));
    let judged = !cli.wall && !cli.elsewhere;
    let mut good = !judged || held.iter().all(|promise| promise.kept);
    if let Some(base) = &base {
        let changes = changes::between(base, &report);
        print!("\n{}", changes::list(base, &report, &changes));
        if let Some(limit) = cli.limit {
            let worse = changes.iter().filter(|change| change.is_worse_than(limit));
            let worse = worse.count();
            if worse > 0 {
                println!("{worse} figures of Rust grew by more than {limit} %");
            }
            good &= worse == 0;
        }
    }
    Ok(good)
}

fn notes(wall: bool, machine: &str, kernel: &str) -> String {
    if wall {
        format!(
            "NOISY: wall-clock time in ns ({machine}), medians of passes in turn, ratios of pairs. \
             Only differences of several percent mean anything.\n{kernel}"
        )
    } else {
        format!("Instructions, user and kernel, on one CPU.\n{kernel}")
    }
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}
