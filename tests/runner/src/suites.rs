// SPDX-License-Identifier: GPL-2.0

//! The test programs in the VM: boots, splits what is said by program, and judges
//! each by its results, its exit status and the kernel's log.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::accel::Accel;
use crate::klog;
use crate::results::{self, Results};
use crate::screen::Screen;
use crate::tap::{self, Outcome, Report, Test};
use crate::vm::{Boot, Ending, Event, Image};

/// A program's time, in seconds. One that needs more is split, or its sizes are.
const SUITE_LIMIT: u32 = 300;
/// A guest that says nothing for longer than a program may run is hung.
const SILENCE: Duration = Duration::from_secs(330);
/// How much of the kernel log is shown for one trouble.
const TROUBLE_LINES: usize = 40;

/// What one program left.
#[derive(Debug, Default)]
struct Suite {
    output: String,
    status: Option<i32>,
    took: Option<Duration>,
}

/// The names of the programs in the folder, all or the wanted ones.
pub fn names(folder: &Path, only: &[String]) -> Result<Vec<String>> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .with_context(|| format!("cannot read {}", folder.display()))?
        .filter_map(Result::ok)
        // Beside them are modules and tools.
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()))
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort();
    ensure!(
        !names.is_empty(),
        "there is no test program in {}",
        folder.display()
    );
    for wanted in only {
        if !names.contains(wanted) {
            bail!(
                "there is no test program {wanted}; there are: {}",
                names.join(" ")
            );
        }
    }
    if !only.is_empty() {
        names.retain(|name| only.contains(name));
    }
    Ok(names)
}

/// Where programs run, and where what they say goes.
#[derive(Debug)]
pub struct Vm<'a> {
    /// What to boot.
    pub image: &'a Image,
    /// How QEMU runs it.
    pub accel: Accel,
    /// Folder for the logs.
    pub keep: &'a Path,
    /// What a person sees.
    pub screen: &'a Screen,
}

/// How to run programs.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct How {
    /// Multiplies every time limit (a kernel full of checkers is slow)
    #[arg(long, default_value_t = 1)]
    patience: u32,
    /// How many times less often to do what programs do very often
    #[arg(long, default_value_t = 1)]
    slowness: u32,
    /// How many seconds all programs in the VM may take together
    #[arg(long, default_value_t = 45 * 60)]
    limit: u64,
    /// What programs begin their random choices with
    #[arg(long)]
    seed: Option<u64>,
}

/// Runs these programs in one boot.
pub fn run(vm: &Vm<'_>, names: &[String], how: &How, results: &mut Results) -> Result<()> {
    let How {
        patience,
        slowness,
        limit,
        seed,
    } = *how;
    let Vm {
        image,
        accel,
        keep,
        screen,
    } = *vm;
    // SLOWNESS and SEED are the programs' own. The kernel keeps quotes around a value with spaces to itself.
    let append = format!(
        "rc_timeout={} SLOWNESS={slowness}{} rc_only=\"{}\"",
        SUITE_LIMIT * patience,
        seed.map_or(String::new(), |seed| format!(" SEED={seed}")),
        names.join(" ")
    );
    let boot = Boot {
        image,
        accel,
        mode: "test",
        append,
        keep,
        console: "console.log",
        silence: SILENCE * patience,
        limit: Duration::from_secs(limit) * patience,
    };
    let mut suites: BTreeMap<String, Suite> = BTreeMap::new();
    let mut running: Option<(String, Instant)> = None;
    let (console, records) = (boot.console_log(), boot.records());
    screen.progress("vm    booting");
    let ending = boot.run(|event| match event {
        Event::Begin(name) => {
            running = Some((name.to_owned(), Instant::now()));
            suites.entry(name.to_owned()).or_default();
        }
        Event::Line(line) => {
            screen.detail(line);
            if let Some((name, since)) = &running {
                let suite = suites.entry(name.clone()).or_default();
                suite.output.push_str(line);
                suite.output.push('\n');
                let done = suite.output.matches("\nok ").count();
                screen.progress(&format!(
                    "vm    {name}: {done} passed, {} s",
                    since.elapsed().as_secs()
                ));
            }
        }
        Event::End(name, status) => {
            let since = running.take().map(|(_, since)| since);
            let suite = suites.entry(name.to_owned()).or_default();
            suite.status = Some(status);
            suite.took = since.map(|since| since.elapsed());
            let log = kernel_log(&console, &records, |log| part_of(log, name));
            show(name, suite, keep, &log, results, screen);
        }
        Event::Booted | Event::Tick => {}
    })?;

    let log = fs::read(boot.console_log())?;
    let log = String::from_utf8_lossy(&log);
    let complaint = ending.complaint();
    // Whatever did not end, or never began, did not pass.
    for name in names {
        let unfinished = suites.entry(name.clone()).or_default();
        if unfinished.status.is_none() {
            show(
                name,
                unfinished,
                keep,
                &part_of(&log, name),
                results,
                screen,
            );
        }
    }
    let rest = kernel_log(&console, &records, outside);
    show_rest(&ending, complaint, &log, &rest, results, screen);
    Ok(())
}

/// This part of the kernel's log: as raw records if they tell of trouble, for they have levels and
/// what the console left out; else as the console has it, which also lives to see a crash.
fn kernel_log(console: &Path, records: &Path, part: impl Fn(&str) -> String) -> String {
    let read = |log| part(&String::from_utf8_lossy(&fs::read(log).unwrap_or_default()));
    let records = read(records);
    if klog::troubles(&records, 1).is_empty() {
        read(console)
    } else {
        records
    }
}

/// The kernel log while a program ran; init writes the marks into it.
fn part_of(log: &str, name: &str) -> String {
    let begin = format!("rust-connector: begin {name}");
    let end = format!("rust-connector: end {name} ");
    log.lines()
        .skip_while(|line| !line.trim_end().ends_with(&begin))
        .skip(1)
        .take_while(|line| !line.contains(&end))
        .flat_map(|line| [line.trim_end_matches('\r'), "\n"])
        .collect()
}

/// The kernel log while no program ran.
fn outside(log: &str) -> String {
    let mut inside = false;
    let mut text = String::new();
    for line in log.lines() {
        if line.contains("rust-connector: begin ") {
            inside = true;
        } else if line.contains("rust-connector: end ") {
            inside = false;
        } else if !inside {
            text.push_str(line.trim_end_matches('\r'));
            text.push('\n');
        }
    }
    text
}

/// Judges one program: its results, its status, and the kernel's log meanwhile.
fn judge(suite: &Suite, log: &str) -> Report {
    let mut report = tap::parse(&suite.output);
    let count = report.count();
    match suite.status {
        None if suite.took.is_none() && suite.output.is_empty() => report.fail("it did not run"),
        None => report.fail("it did not end"),
        Some(0 | 1 | 4) if report.tests.is_empty() => report.fail("it reported no test"),
        Some(0) => {}
        Some(1) if count.failed > 0 => {}
        Some(1) => report.fail("it ended with status 1, though no test failed"),
        Some(4) if count.failed == 0 && count.passed == 0 => {}
        Some(4) => report.fail("it ended with status 4 (skipped), though tests ran"),
        Some(137) => report.fail("it was killed: its time was up, or its memory"),
        Some(status @ 129..=192) => {
            report.fail(format!("it was killed by signal {}", status - 128));
        }
        Some(status) => report.fail(format!("it ended with status {status}")),
    }
    for trouble in klog::troubles(log, TROUBLE_LINES) {
        report.rest = trouble.lines().map(str::to_owned).collect();
        report.fail("the kernel is in trouble");
    }
    report
}

/// Shows a program's result and keeps its output.
fn show(name: &str, suite: &Suite, keep: &Path, log: &str, results: &mut Results, screen: &Screen) {
    let tests = judge(suite, log).tests;
    let failed = |test: &&Test| test.outcome == Outcome::Failed;
    let any_failed = tests.iter().any(|test| failed(&test));
    let silent = tests.iter().filter(failed).all(|test| test.log.is_empty());
    let _ = fs::write(keep.join(format!("{name}.tap")), &suite.output);
    let suite_of_all = results::Suite {
        place: "vm",
        name: name.to_owned(),
        tests,
        took: suite.took,
    };
    results.add(suite_of_all, screen);
    if any_failed {
        if silent && !suite.output.is_empty() {
            screen.note("the end of what it printed:");
            screen.quote(&tail(&suite.output, 20));
        }
        let log = tail(log, 30);
        if !log.is_empty() {
            screen.note("the kernel log meanwhile:");
            screen.quote(&log);
        }
    }
}

/// What is no program's fault: the boot, the end, the log between programs.
fn show_rest(
    ending: &Ending,
    complaint: Option<String>,
    log: &str,
    rest: &str,
    results: &mut Results,
    screen: &Screen,
) {
    let mut report = Report::default();
    let troubles = klog::troubles(rest, TROUBLE_LINES);
    for trouble in &troubles {
        report.rest = trouble.lines().map(str::to_owned).collect();
        report.fail("the kernel is in trouble while no test ran");
    }
    if let Some(complaint) = complaint {
        report.rest = tail(log, 40);
        report.fail(complaint);
    }
    if let Ending::Done(tainted) = ending {
        if let Some(flag) = klog::bad_taint(*tainted) {
            if klog::troubles(log, 1).is_empty() {
                report.fail(format!(
                    "the kernel is tainted by a {flag} ({tainted}) that its log does not show"
                ));
            }
        }
    }
    if !report.tests.is_empty() {
        let suite = results::Suite {
            place: "vm",
            name: "the VM itself".to_owned(),
            tests: report.tests,
            took: None,
        };
        results.add(suite, screen);
    }
}

/// The last lines of a text.
pub fn tail(text: &str, lines: usize) -> Vec<String> {
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..]
        .iter()
        .map(|line| line.trim_end_matches('\r').to_owned())
        .collect()
}

/// Boots guests that misbehave and checks that this is noticed.
pub fn self_check(vm: &Vm<'_>, results: &mut Results) -> Result<()> {
    let Vm {
        image,
        accel,
        keep,
        screen,
    } = *vm;
    let mut report = Report::default();
    let since = Instant::now();
    let silence = Duration::from_secs(4);
    screen.progress("vm    a guest that hangs");
    for (mode, name) in [
        ("hang", "a guest that hangs is noticed"),
        ("crash", "a guest that crashes is noticed"),
    ] {
        let console = format!("{mode}.log");
        let mut up = false;
        let boot = Boot {
            image,
            accel,
            mode,
            append: String::new(),
            keep,
            console: &console,
            silence,
            limit: Duration::from_secs(90),
        };
        let ending = boot.run(|event| up |= event == Event::Booted)?;
        let log = fs::read(boot.console_log())?;
        let log = String::from_utf8_lossy(&log);
        let noticed = match mode {
            "hang" => ending == Ending::Silent(silence),
            _ => ending == Ending::Died && !klog::troubles(&log, TROUBLE_LINES).is_empty(),
        };
        if up && noticed {
            report.tests.push(Test {
                name: name.to_owned(),
                outcome: Outcome::Passed,
                log: Vec::new(),
            });
        } else {
            report.rest = tail(&log, 30);
            report.fail(format!("{name}: booted {up}, ended {ending:?}"));
        }
    }
    let suite = results::Suite {
        place: "vm",
        name: "the runner notices bad guests".to_owned(),
        tests: report.tests,
        took: Some(since.elapsed()),
    };
    results.add(suite, screen);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn suite(output: &str, status: Option<i32>) -> Suite {
        Suite {
            output: output.to_owned(),
            status,
            took: Some(Duration::from_secs(1)),
        }
    }

    fn failures(suite: &Suite, log: &str) -> Vec<String> {
        judge(suite, log)
            .tests
            .into_iter()
            .filter(|test| test.outcome == Outcome::Failed)
            .map(|test| test.name)
            .collect()
    }

    const GOOD: &str = "TAP version 13\n1..1\nok 1 a\n";

    #[test]
    fn a_good_program_passes() {
        assert!(failures(&suite(GOOD, Some(0)), "").is_empty());
    }

    #[test]
    fn a_program_that_never_ran_fails() {
        assert_eq!(failures(&Suite::default(), ""), ["it did not run"]);
    }

    #[test]
    fn a_program_that_never_ends_fails_though_all_it_said_is_ok() {
        assert_eq!(failures(&suite(GOOD, None), ""), ["it did not end"]);
    }

    #[test]
    fn a_program_that_says_nothing_fails() {
        assert_eq!(failures(&suite("", Some(0)), ""), ["it reported no test"]);
        assert_eq!(
            failures(&suite("hello\n", Some(0)), ""),
            ["it reported no test"]
        );
    }

    #[test]
    fn the_exit_status_has_to_agree() {
        assert_eq!(
            failures(&suite(GOOD, Some(1)), ""),
            ["it ended with status 1, though no test failed"]
        );
        assert_eq!(
            failures(&suite(GOOD, Some(4)), ""),
            ["it ended with status 4 (skipped), though tests ran"]
        );
        assert_eq!(
            failures(&suite(GOOD, Some(101)), ""),
            ["it ended with status 101"]
        );
        assert_eq!(
            failures(&suite(GOOD, Some(139)), ""),
            ["it was killed by signal 11"]
        );
    }

    #[test]
    fn a_skipped_program_is_skipped() {
        let skipped = suite("TAP version 13\n1..0 # SKIP no such thing\n", Some(4));
        assert!(failures(&skipped, "").is_empty());
        assert_eq!(judge(&skipped, "").count().skipped, 1);
    }

    #[test]
    fn a_lie_is_caught_by_the_kernel_log() {
        let log = "[ 1.0] x\n[ 1.1] BUG: KASAN: slab-use-after-free in y\n[ 1.1] Call Trace:\n";
        assert_eq!(
            failures(&suite(GOOD, Some(0)), log),
            ["the kernel is in trouble"]
        );
    }

    #[test]
    fn the_log_is_split_by_program() {
        let log = "[1] boot\r\n[2] rust-connector: begin a\r\n[3] of a\r\n[4] rust-connector: end a 0\r\n\
                   [5] between\r\n[6] rust-connector: begin ab\r\n[7] of ab\r\n";
        assert_eq!(part_of(log, "a"), "[3] of a\n");
        assert_eq!(part_of(log, "ab"), "[7] of ab\n");
        assert_eq!(outside(log), "[1] boot\n[5] between\n");
    }
}
