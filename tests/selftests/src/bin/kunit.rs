// SPDX-License-Identifier: GPL-2.0

//! Runs the KUnit suites: loads `connector_kunit.ko`, and prints what they reported to the kernel
//! log as subtests of one test.

use std::process::ExitCode;

use anyhow::{Result, ensure};
use selftests::{KernelLog, Module, Suite, procfs, skip};

/// The suites in tests/kunit. One that did not run would not be missed otherwise.
const SUITES: [&str; 7] = [
    "connector_layout",
    "connector_bounds",
    "connector_slot",
    "connector_registry",
    "connector_ring",
    "connector_job",
    "connector_source",
];

fn run() -> Result<()> {
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

fn main() -> ExitCode {
    Suite::new().test("connector_kunit", run).run()
}
