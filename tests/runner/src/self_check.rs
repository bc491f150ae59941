// SPDX-License-Identifier: GPL-2.0

//! Guests that misbehave on purpose: is it noticed? One that hangs, one that crashes, and one in
//! which all goes wrong that can go wrong with a suite, each time blamed on the right one.

use std::fs::File;
use std::io::{Read, Write};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use guest::injection::{self, Injection, LEFT};
use nix::pty::{Winsize, openpty};
use nix::sys::termios::tcgetattr;

use crate::klog;
use crate::recording::Ending;
use crate::results::{self, Results};
use crate::shell::{self, Terminal};
use crate::suites::{How, Vm};
use crate::tap::{Outcome, Report, Test};
use crate::verdict::{self, Judged, tail};
use crate::vm::{Boot, Event, Over};

/// What the results call it.
pub const NAME: &str = "the runner notices bad guests";

/// A guest that should hang is given up after this long; it is known to be up by then.
const HANG: Duration = Duration::from_secs(4);

/// Boots them all. `rounds` is how often each trouble is made up.
pub fn run(vm: &Vm<'_>, how: &How, rounds: usize, results: &mut Results) -> Result<()> {
    check(vm, results, NAME, |report| {
        hang_and_crash(vm, how, report)?;
        terminal(vm, how, report)?;
        inject(vm, how, rounds, report)
    })
}

/// Only the made-up troubles.
pub fn only_inject(vm: &Vm<'_>, how: &How, rounds: usize, results: &mut Results) -> Result<()> {
    let name = "the runner notices made-up troubles";
    check(vm, results, name, |report| inject(vm, how, rounds, report))
}

fn check(
    vm: &Vm<'_>,
    results: &mut Results,
    name: &str,
    run: impl FnOnce(&mut Report) -> Result<()>,
) -> Result<()> {
    let since = Instant::now();
    let mut report = Report::default();
    run(&mut report)?;
    let suite = results::Suite {
        place: "vm",
        name: name.to_owned(),
        tests: report.tests,
        took: Some(since.elapsed()),
    };
    results.add(suite, vm.screen);
    Ok(())
}

fn hang_and_crash(vm: &Vm<'_>, how: &How, report: &mut Report) -> Result<()> {
    for mode in ["hang", "crash"] {
        let name = match mode {
            "hang" => "a guest that hangs is noticed",
            _ => "a guest that crashes is noticed",
        };
        vm.screen.progress(&format!("vm    {name}"));
        let boot = Boot {
            image: vm.image,
            accel: vm.accel,
            mode,
            append: String::new(),
            suites: &[],
            tap: false,
            keep: vm.keep,
            console: &format!("{mode}.log"),
            silence: HANG,
            limit: how.patience(Duration::from_secs(600)),
            terminal: None,
        };
        let mut up = false;
        let over = boot.run(|event| up |= matches!(event, Event::Booted))?;
        let noticed = match mode {
            "hang" => over.ending == Ending::Silent(HANG),
            _ => over.ending == Ending::Died && !klog::troubles(&over.log(), 40).is_empty(),
        };
        if up && noticed {
            report.tests.push(Test::new(name, Outcome::Passed));
        } else {
            report.rest = tail(&over.log(), 30);
            report.fail(format!("{name}: booted {up}, ended {:?}", over.ending));
        }
    }
    Ok(())
}

/// What is seen when the VM is over.
const NO_MORE: &str = "(no more)";

/// Somebody at a terminal, who types before the shell is there, interrupts a program, and leaves.
fn terminal(vm: &Vm<'_>, how: &How, report: &mut Report) -> Result<()> {
    const SIZE: Winsize = Winsize {
        ws_row: 33,
        ws_col: 101,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    // What is typed once that is seen.
    let steps = [
        ("", "echo $((6 * 7"),
        ("vm# ", "000)); stty size\r"),
        // That it waits is said by what then is interrupted: a shell that has not started it yet is not.
        (
            "42000\r\n33 101\r\n",
            "sh -c 'echo wai\"\"ting; exec sleep 100000'\r",
        ),
        ("waiting\r\n", "\x03"),
        ("vm# ", "echo '<4>from the log' >/dev/kmsg\r"),
        ("[kernel] from the log\r\n", "exit\r"),
    ];
    let name = "a shell takes what is typed, from the first byte, and gives the terminal back";
    vm.screen.progress(&format!("vm    {name}"));
    let pty = openpty(Some(&SIZE), None).context("openpty")?;
    let mut slave = File::from(pty.slave);
    let before = tcgetattr(&slave)?;
    let at = Terminal {
        input: slave.try_clone()?,
        output: slave.try_clone()?,
    };
    // This end stays open: the other one is an error afterwards.
    let master = File::from(pty.master);
    let typing = thread::spawn({
        let master = master.try_clone()?;
        move || type_in(master, &steps)
    });
    let limit = how.patience(Duration::from_secs(600));
    let session = shell::session(vm, shell::SHELL, "terminal.log", limit, &at)?;
    let after = tcgetattr(&slave)?;
    // Who types may be waiting for more.
    slave.write_all(NO_MORE.as_bytes())?;
    let (seen, done) = typing.join().expect("it does not panic");
    let troubles = klog::troubles(&session.over.log(), 40);
    let gave_back = before == after;
    if done && gave_back && session.over.ending == Ending::Done && troubles.is_empty() {
        report.tests.push(Test::new(name, Outcome::Passed));
    } else {
        report.rest = troubles
            .into_iter()
            .chain(seen.lines().map(str::to_owned))
            .collect();
        report.fail(format!(
            "{name}: all typed {done}, given back {gave_back}, ended {:?}",
            session.over.ending
        ));
    }
    Ok(())
}

/// Types at the terminal's other end. Returns what was seen, and whether all of it was.
fn type_in(mut master: File, steps: &[(&str, &str)]) -> (String, bool) {
    let (mut seen, mut bytes) = (String::new(), [0; 4096]);
    let mut looked_at = 0;
    for (expected, typed) in steps {
        while !seen[looked_at..].contains(expected) {
            match master.read(&mut bytes) {
                Ok(len @ 1..) => seen.push_str(&String::from_utf8_lossy(&bytes[..len])),
                _ => return (seen, false),
            }
            if seen.ends_with(NO_MORE) {
                return (seen, false);
            }
        }
        looked_at = seen.len();
        if master.write_all(typed.as_bytes()).is_err() {
            return (seen, false);
        }
    }
    (seen, true)
}

fn inject(vm: &Vm<'_>, how: &How, rounds: usize, report: &mut Report) -> Result<()> {
    let suites = injection::suites(rounds);
    vm.screen.progress("vm    made-up troubles");
    let seconds = 600 + 60 * u64::try_from(rounds)?;
    let boot = Boot {
        image: vm.image,
        accel: vm.accel,
        mode: "inject",
        append: format!("rc_timeout={} rc_rounds={rounds}", how.suite_limit()),
        suites: &suites,
        tap: true,
        keep: vm.keep,
        console: "inject.log",
        silence: how.patience(Duration::from_secs(900)),
        limit: how.patience(Duration::from_secs(seconds)),
        terminal: None,
    };
    // Judged as they come, as all others are.
    let mut judged = Vec::new();
    let over = boot.run(|event| {
        if let Event::End(suite, expected, transcript) = event {
            if suite == judged.len() {
                judged.push(verdict::suite(expected, transcript, suite));
            }
            vm.screen.progress(&format!(
                "vm    {suite} of {} made-up troubles",
                suites.len()
            ));
        }
    })?;
    let Over {
        expected,
        transcript,
        ending,
    } = &over;
    for suite in judged.len()..suites.len() {
        judged.push(verdict::suite(expected, transcript, suite));
    }
    let rest = verdict::rest(expected, transcript, *ending, &judged);
    let wrong = misjudged(rounds, &judged, &rest);
    let name = format!(
        "each of {} made-up troubles is found and blamed on the right suite",
        Injection::all(rounds).count() + LEFT.len()
    );
    if wrong.is_empty() {
        report.tests.push(Test::new(name, Outcome::Passed));
    } else {
        report.rest = wrong;
        report.fail(name);
    }
    Ok(())
}

/// Where the verdict was not as it should be.
fn misjudged(rounds: usize, judged: &[Judged], rest: &[Test]) -> Vec<String> {
    let mut wrong = Vec::new();
    let failed = |test: &&Test| test.outcome == Outcome::Failed;
    for suite in judged {
        let failures: Vec<&Test> = suite.tests.iter().filter(failed).collect();
        let name = &suite.name;
        let has = |test: &Test, text: &str| {
            test.name.contains(text) || test.log.iter().any(|line| line.contains(text))
        };
        let told = |text: &str| failures.iter().any(|test| has(test, text));
        let told_alone = |text: &str| failures.len() == 1 && told(text);
        let good = failures.is_empty() && suite.tests.len() == 1;
        let injection = name.parse::<Injection>();
        let right = match (&injection, name.strip_prefix("left:")) {
            (Ok(injection), _) if injection.place.in_suite() => told_alone(&injection.sign()),
            // It had no time to keep its plan.
            (Err(_), Some("time")) => told(complaint("time")),
            (Err(_), Some(left)) => told_alone(complaint(left)),
            _ => good,
        };
        if !right {
            let failures: Vec<&str> = failures.iter().map(|test| &test.name[..]).collect();
            wrong.push(format!("{name} came to: {}", failures.join("; ")));
        }
    }
    let all: Vec<String> = rest.iter().flat_map(|test| test.log.clone()).collect();
    for injection in Injection::all(rounds) {
        let sign = injection.sign();
        let found = all.iter().any(|line| line.contains(&sign));
        if found == injection.place.in_suite() {
            wrong.push(format!("{injection} is blamed on the VM itself: {found}"));
        }
    }
    for test in rest {
        if !test.log.iter().any(|line| line.contains("inject_")) {
            wrong.push(format!("the VM itself: {}", test.name));
        }
    }
    wrong
}

/// What is said of a suite that left this.
fn complaint(left: &str) -> &'static str {
    match left {
        "process" | "thread" | "helper" => "it left a process behind: ",
        "result" => "a process that it left behind reported a test",
        "module" => "it left a module loaded: ",
        "mount" => "it left a mount behind: ",
        "setting" => "it left /proc/sys/kernel/hostname changed: ",
        "file" => "it left a file behind: /tmp/left",
        "program" => "it changed /selftests",
        "time" => "its time was up",
        _ => "no complaint is known",
    }
}
