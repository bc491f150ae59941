// SPDX-License-Identifier: GPL-2.0

//! Runs the KUnit suites: loads `connector_kunit.ko`, and prints what they reported to the kernel
//! log as subtests of one test.

use std::{fs, path::Path, process::ExitCode};

use anyhow::{Context, Result, ensure};
use selftests::{KernelLog, Module, Suite, connector_is_built_in, procfs, skip};

/// The suites in tests/kunit. One that did not run would not be missed otherwise.
const SUITES: [&str; 9] = [
    "connector_layout",
    "connector_bounds",
    "connector_slot",
    "connector_registry",
    "connector_closed",
    "connector_going",
    "connector_ring",
    "connector_job",
    "connector_source",
];

/// Those that are a part of the kernel ran when it came up, and debugfs has what they said.
fn built_in() -> Result<()> {
    let folder = Path::new("/sys/kernel/debug/kunit");
    if !folder.exists() {
        return skip("KUnit keeps no results, which takes CONFIG_KUNIT_DEBUGFS=y");
    }
    for entry in fs::read_dir(folder)? {
        let file = entry?.path().join("results");
        let report = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
        for line in report.lines() {
            println!("    {line}");
        }
        let last = report.lines().last().unwrap_or_default();
        ensure!(last.starts_with("ok "), "{}: {last}", file.display());
    }
    for suite in SUITES {
        let ran = folder.join(suite).exists();
        ensure!(ran != OF_MODULES.contains(&suite), "{suite} ran: {ran}");
    }
    Ok(())
}

fn run() -> Result<()> {
    if connector_is_built_in() {
        return built_in();
    }
    let mut log = KernelLog::from_now()?;
    let Some(_kunit) = Module::load_if_there_is("connector_kunit", "")? else {
        return skip("there is no connector_kunit.ko, which needs CONFIG_KUNIT=y");
    };
    ensure!(procfs::is_loaded("connector_kunit")?);
    let messages = log.messages()?;
    // Everything from the version line on is KTAP, but for what others log meanwhile, which reads
    // as output.
    let report = messages.iter().skip_while(|line| *line != "KTAP version 1");
    let report: Vec<&String> = report.collect();
    if report.is_empty() {
        return skip("KUnit runs nothing: boot with kunit.enable=1 kunit.autorun=1");
    }
    for line in &report {
        println!("    {line}");
    }
    for suite in SUITES {
        let passed = report
            .iter()
            .any(|line| line.starts_with("ok ") && line.ends_with(suite));
        ensure!(passed, "{suite} did not pass");
    }
    Ok(())
}

/// Those about what a module leaves that goes, which the kernel does not.
const OF_MODULES: [&str; 3] = ["connector_job", "connector_source", "connector_going"];

fn main() -> ExitCode {
    Suite::new().test("connector_kunit", run).run()
}
