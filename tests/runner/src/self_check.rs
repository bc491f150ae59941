// SPDX-License-Identifier: GPL-2.0

//! Guests that misbehave on purpose: is it noticed? One that hangs, one that crashes, and one in
//! which all goes wrong that can go wrong with a suite, each time blamed on the right one.

use std::time::{Duration, Instant};

use anyhow::Result;
use guest::injection::{self, Injection, LEFT};

use crate::klog;
use crate::recording::Ending;
use crate::results::{self, Results};
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
