// SPDX-License-Identifier: GPL-2.0

//! The examples of `netlink-connector`, and `ucon`, do what they say.

use std::{
    fs,
    process::{Command, ExitCode},
};

use anyhow::{Context, Result, ensure};
use selftests::{
    CbId, Module, Stats, Suite, core_is_ours, procfs,
    program::{Running, run, tool},
    quiet, times, wait_for,
};

fn example(name: &str) -> Command {
    tool(&format!("examples/{name}"))
}

fn asking() -> Result<()> {
    let (_connector, _echo) = Module::load_with_connector("cn_echo", "")?;
    let echo = run(&mut example("echo"))?.expect(0)?;
    ensure!(echo.stdout.contains("with \"hello\""), "{echo:?}");
    for name in ["threads", "tasks"] {
        let each = times(100);
        let ended = run(example(name).arg(each.to_string()))?.expect(0)?;
        let expected = format!("{} replies, none mixed up\n", 100 * each);
        ensure!(ended.stdout == expected, "{name}: {ended:?}");
    }
    Ok(())
}

fn without_service() -> Result<()> {
    let _core = Module::load_core()?;
    let echo = run(&mut example("echo"))?.expect(1)?;
    let expected = match core_is_ours() {
        true => "NotRegistered",
        false => "TimedOut",
    };
    ensure!(echo.stderr.contains(expected), "{echo:?}");
    Ok(())
}

fn acknowledging() -> Result<()> {
    let (_connector, _echo) = Module::load_with_connector("cn_echo", "")?;
    let said = |id: &str, seconds: &str| -> Result<String> {
        Ok(run(example("there").args([id, seconds]))?.expect(0)?.stdout)
    };
    let (echo, nobody) = match core_is_ours() {
        true => (
            "rust_connector's own connector: handled it\nits reply has 4 bytes\n",
            "rust_connector's own connector: nobody is there\nand so says a request\n",
        ),
        false => (
            "the kernel's own connector: does not say\nits reply has 4 bytes\n",
            "the kernel's own connector: does not say\nno reply in time\n",
        ),
    };
    // No more than that are waited for, where nothing is known before.
    let seconds = if core_is_ours() { "600" } else { "0.05" };
    for (id, seconds, expected) in [("16:1", "600", echo), ("77:77", seconds, nobody)] {
        let text = said(id, seconds)?;
        ensure!(text == expected, "{id}: {text}");
    }
    Ok(())
}

fn listening() -> Result<()> {
    let (_connector, _test) = Module::load_with_connector("cn_test", "")?;
    let mut example = Running::start(&mut example("listen"))?;
    let mut ucon = Running::start(&mut tool("ucon"))?;
    let path = "/tmp/ucon.out";
    let to_file = Running::start(tool("ucon").arg(path))?;
    let line = example.line()?;
    ensure!(
        line.starts_with("14:1111 ") && line.contains("counter = "),
        "{line}"
    );
    ensure!(ucon.line()? == "subscribing to 14:1110");
    let line = ucon.line()?;
    let (header, text) = line.split_once("] counter = ").context(line.clone())?;
    let number: u32 = text
        .trim_end_matches("\\x00")
        .parse()
        .context(line.clone())?;
    let expected = format!("[14:1111] [{number:08}.00000000");
    ensure!(header == expected, "{line}");
    wait_for("a counter in the file", || {
        let text = fs::read_to_string(path).unwrap_or_default();
        Ok(text.contains("counter = ").then_some(()))
    })?;
    drop(to_file);
    Ok(fs::remove_file(path)?)
}

fn processes() -> Result<()> {
    procfs::require_process_events()?;
    let mut watching = Running::start(&mut example("processes"))?;
    // It does not say when it begins.
    let mut lines = Vec::new();
    let mut pids = Vec::new();
    wait_for("a program and its failure", || {
        let mut child = Command::new("/bin/busybox").arg("false").spawn()?;
        pids.push(child.id());
        child.wait()?;
        lines.extend(watching.line_now()?);
        let said = |text: &str| {
            let mut lines = lines.iter().filter(|line: &&String| line.ends_with(text));
            lines.any(|line| pids.iter().any(|pid| line.starts_with(&format!("{pid} "))))
        };
        let both = said(" executes a program") && said(" failed: exit status: 1");
        Ok(both.then_some(()))
    })
}

fn streaming() -> Result<()> {
    procfs::require_process_events()?;
    let mut watching = Running::start(example("stream").arg("3"))?;
    ensure!(watching.line()? == "listening");
    let child = Command::new("/bin/busybox").arg("true").spawn();
    let mut child = child?;
    let expected = format!("{} executes a program", child.id());
    child.wait()?;
    watching.lines_until(|line| line == expected)?;
    // It ends by itself, in the middle of the wait for the next one.
    watching.wait()?.expect(0)?;
    Ok(())
}

/// The `seq` of a message that was printed.
fn counter(line: &str) -> Result<u32> {
    let seq = line
        .split_once("seq: ")
        .map(|(_, rest)| rest.split(',').next());
    Ok(seq.flatten().with_context(|| line.to_owned())?.parse()?)
}

fn held() -> Result<()> {
    let (_connector, _echo) = Module::load_with_connector("cn_echo", "")?;
    let _test = Module::load("cn_test", "")?;
    let held = run(&mut example("held"))?.expect(0)?;
    // One by one, in a batch, and after one that was cancelled: none is missing.
    let counters: Vec<_> = held.stdout.lines().map(counter).collect::<Result<_>>()?;
    ensure!(
        counters.len() >= 5 && counters.windows(2).all(|two| two[1] == two[0] + 1),
        "{held:?}"
    );
    Ok(())
}

fn sending() -> Result<()> {
    let (_connector, _test) = Module::load_with_connector("cn_test", "")?;
    let console = quiet()?;
    let sent = run(tool("ucon").arg("-s"))?.expect(0)?;
    drop(console);
    let expected = "1000 messages have been sent to 14:1110\n".repeat(10);
    ensure!(sent.stdout == expected, "{sent:?}");
    let id = CbId {
        idx: 14,
        val: 0x456,
    };
    // Who gets them answers nothing.
    let stats = Stats::of(id)?;
    ensure!(stats.received == 10_000, "{stats:?}");
    Ok(())
}

fn usage() -> Result<()> {
    let help = run(tool("ucon").arg("-h"))?.expect(0)?;
    ensure!(
        help.stdout
            .starts_with("Usage: ucon [options] [output file]")
    );
    let wrong = run(tool("ucon").arg("-x"))?.expect(1)?;
    ensure!(
        wrong.stderr.contains("-x") && wrong.stderr.contains("Usage"),
        "{wrong:?}"
    );
    Ok(())
}

fn main() -> ExitCode {
    Suite::new()
        .test("the examples that ask get all their replies", asking)
        .test("an example says that nobody answers", without_service)
        .test(
            "an example in tasks says whether anybody is at an id, as soon as the core does",
            acknowledging,
        )
        .test(
            "an example and ucon show what cn_test broadcasts",
            listening,
        )
        .test("an example shows programs and failures", processes)
        .test(
            "an example shows programs as a stream, and ends while it waits",
            streaming,
        )
        .test(
            "futures that are held keep nothing from those that are polled",
            held,
        )
        .test(
            "ucon -s sends 10000 messages, and cn_test gets them all",
            sending,
        )
        .test("ucon says how it is used", usage)
        .run()
}
