// SPDX-License-Identifier: GPL-2.0

//! What the kernel's tree has for the connector, as it is: its selftest, and with the patches of
//! `upstream` the sample in Rust. What it has in C beside these is in `c_modules`, and its KUnit suites
//! are in `kunit`.

use std::{
    fs,
    process::{Command, ExitCode},
};

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use selftests::{
    CbId, Module, Stats, Suite, procfs,
    program::{Running, beside, tool},
    wait_for,
};

const SAMPLE: CbId = CbId {
    idx: 14,
    val: 0x456,
};

/// Runs a program that fails at once.
fn fail() -> Result<u32> {
    let mut child = Command::new("/bin/busybox").arg("false").spawn()?;
    child.wait()?;
    Ok(child.id())
}

/// `tools/testing/selftests/connector/proc_filter`, which shows events until somebody presses Ctrl-C:
/// failures alone, if it is asked for its filter.
fn process_events(filter: &[&str]) -> Result<()> {
    procfs::require_process_events()?;
    let program = beside("bin").join("proc_filter");
    ensure!(fs::exists(&program)?, "there is no {}", program.display());
    let words = [&[program.to_str().context("a path")?], filter].concat();
    let mut shows = Running::start_on_terminal(&words, &[])?;
    let mut lines = Vec::new();
    let mut is_shown = |pids: &[u32]| -> Result<bool> {
        while let Some(line) = shows.line_now()? {
            lines.push(line);
        }
        Ok(pids.iter().any(|pid| {
            let failure = format!("Exit process {pid} (tgid {pid}) with code 256");
            lines.iter().any(|line| line.contains(&failure))
        }))
    };
    // It does not say when it begins, and a member of the group gets every event until it has asked for
    // its filter. So only what happens once it shows something is judged.
    let mut early = Vec::new();
    wait_for("a program's failure is shown", || {
        early.push(fail()?);
        Ok(is_shown(&early)?.then_some(()))
    })?;
    let late = fail()?;
    wait_for("the next failure is shown as well", || {
        Ok(is_shown(&[late])?.then_some(()))
    })?;
    let late = format!("process {late} ");
    let others: Vec<_> = lines
        .iter()
        .filter(|line| line.contains(&late) && !line.contains(" with code 256"))
        .collect();
    ensure!(
        others.is_empty() != filter.is_empty(),
        "with {filter:?} it shows {others:#?}"
    );
    shows.signal(Signal::SIGINT)?;
    // It looks for that when the next event has come.
    fail()?;
    let ended = shows.wait()?.expect(0)?;
    ensure!(ended.stdout.contains("Done total count: "), "{ended:?}");
    Ok(())
}

/// `samples/rust/rust_connector.ko`, with the kernel's `ucon` and this project's.
fn sample() -> Result<()> {
    let sample = Module::load_kernels("samples/rust/rust_connector.ko")?;
    ensure!(procfs::registered()?.contains(&"rust_connector 14:1110".to_owned()));
    let mut heard = Running::start(&mut tool("ucon"))?;
    heard.lines_until(|line| line.contains("[14:1111]") && line.contains("counter = "))?;
    let before = Stats::of(SAMPLE)?.received;
    let sent = Running::start(tool("ucon-of-kernel").arg("-s"))?.wait()?;
    sent.expect(0)?;
    let received = Stats::of(SAMPLE)?.received - before;
    ensure!(received == 10_000, "ucon -s sent {received} messages");
    sample.unload()?;
    ensure!(!procfs::is_registered(SAMPLE)?);
    Ok(())
}

fn main() -> ExitCode {
    Suite::new()
        .test("the kernel's selftest shows processes", || {
            process_events(&[])
        })
        .test(
            "the kernel's selftest shows failures alone when it asks for these",
            || process_events(&["-f"]),
        )
        .test(
            "the kernel's sample in Rust logs and broadcasts as the one in C",
            sample,
        )
        .run()
}
