// SPDX-License-Identifier: GPL-2.0

//! The models, each in a process of its own: one that fails may do anything.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use kernel::Model;
use models::MODELS;

use crate::report::{Outcome, Report};

fn all() -> impl Iterator<Item = &'static Model> {
    let of_client = client_models::MODELS;
    MODELS.iter().copied().flatten().chain(of_client)
}

/// What those of the kernel side are called.
pub fn names() -> impl Iterator<Item = String> {
    let models = MODELS.iter().copied().flatten();
    models.map(|model| model.name.to_owned())
}

/// Checks one in this process, and says how many interleavings there were.
pub fn run_here(name: &str) -> Result<bool> {
    let model = all()
        .find(|model| model.name == name)
        .with_context(|| format!("there is no model {name}"))?;
    let count = kernel::model(model.cpus, model.preemptions, model.run);
    println!("{count}");
    Ok(true)
}

/// The first that is broken in a program like this one.
pub fn first_broken(program: &Path) -> Result<Option<&'static str>> {
    for model in all() {
        if run(program, model)?.is_err() {
            return Ok(Some(model.name));
        }
    }
    Ok(None)
}

/// What is wrong with one, or how many interleavings there were.
fn run(program: &Path, model: &Model) -> Result<Result<String, String>> {
    let output = Command::new(program)
        .args(["model", model.name])
        .env("RUST_BACKTRACE", "0")
        .stdin(Stdio::null())
        .output()?;
    let count = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with("note: run with"))
        .collect::<Vec<_>>()
        .join("\n");
    Ok(match output.status.success() {
        true => Ok(count),
        false => Err(format!("{said}\n{}", output.status)),
    })
}

pub fn check(report: &mut Report) -> Result<()> {
    report.suite("loom");
    let program = std::env::current_exe()?;
    for model in all() {
        let outcome = match run(&program, model)? {
            Ok(count) => Outcome::Proved(format!("{count} interleavings")),
            Err(said) => Outcome::Broken(said),
        };
        report.add(model.name, model.property, outcome);
    }
    Ok(())
}
