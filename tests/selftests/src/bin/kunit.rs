// SPDX-License-Identifier: GPL-2.0

//! Runs the KUnit suites: loads `connector_kunit.ko`, and prints what they reported to the kernel
//! log as subtests of one test. Where they are a part of the kernel, they have run.

use std::{collections::BTreeSet, fs, io, path::Path, process::ExitCode};

use anyhow::{Context, Result, ensure};
use selftests::{KernelLog, Module, Suite, connector_is_built_in, core_is_module, procfs, skip};

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

/// And this one, where the abstraction of netlink sockets is: where the core is ours, or in the kernel's tree.
const NETLINK: &str = "rust_netlink_socket";

fn suites() -> impl Iterator<Item = &'static str> {
    let netlink = core_is_module() || connector_is_built_in();
    SUITES.into_iter().chain(netlink.then_some(NETLINK))
}

/// Those that are a part of the kernel ran when it came up. debugfs has a report of each suite, which are
/// made one here.
fn built_in() -> Result<()> {
    let folder = Path::new("/sys/kernel/debug/kunit");
    if !folder.exists() {
        return skip("KUnit keeps no results, which takes CONFIG_KUNIT_DEBUGFS=y");
    }
    let names: Result<BTreeSet<_>, _> = fs::read_dir(folder)?
        .map(|entry| Ok::<_, io::Error>(entry?.file_name().to_string_lossy().into_owned()))
        .collect();
    let names = names?;
    println!("    KTAP version 1\n    1..{}", names.len());
    for (number, name) in (1..).zip(&names) {
        let file = folder.join(name).join("results");
        let report = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
        for line in report.lines().filter(|line| line.starts_with([' ', '#'])) {
            println!("    {line}");
        }
        let passed = report.lines().any(|line| line == format!("ok 1 {name}"));
        let word = if passed { "ok" } else { "not ok" };
        println!("    {word} {number} {name}");
        ensure!(passed, "{name} did not pass");
    }
    for suite in suites() {
        let ran = names.contains(suite);
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
    for suite in suites() {
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
