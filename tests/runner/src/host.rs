// SPDX-License-Identifier: GPL-2.0

//! The tests that need no VM: runs `cargo test` and counts what libtest says.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::results::{Results, Suite};
use crate::screen::Screen;
use crate::tap::{Count, Outcome, Report, Test};

/// A host that takes longer, compiling included, waits for something that never comes.
const LIMIT: Duration = Duration::from_secs(3600);

/// Runs them all; what they print is kept in `keep/host.log`.
pub fn run(keep: &Path, results: &mut Results, screen: &Screen) -> Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = limited(LIMIT);
    command
        .arg(cargo)
        .args(["test", "--workspace", "--no-fail-fast", "--color=never"]);
    follow(command, &keep.join("host.log"), results, screen)
}

/// What runs the arguments to come, and ends them, with all that they started, after this time or
/// when this program ends.
fn limited(limit: Duration) -> Command {
    let mut command = Command::new("sh");
    // One pipe for both streams keeps their lines in order.
    command
        .args(["-c", "exec \"$@\" 2>&1", "sh"])
        .args([
            "setpriv",
            "--pdeathsig",
            "TERM",
            "--",
            "timeout",
            "-k",
            "10",
        ])
        .arg(limit.as_secs().to_string());
    command
}

/// How timeout(1) ends after the time is up: by its own, or killed like all the others.
const TIME_IS_UP: [i32; 2] = [124, 137];

fn follow(
    mut command: Command,
    log_path: &Path,
    results: &mut Results,
    screen: &Screen,
) -> Result<()> {
    let mut log = File::create(log_path)?;
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start cargo")?;
    let output = BufReader::new(child.stdout.take().expect("it is piped"));
    let mut follow = Follow::new(results, screen);
    for line in output.split(b'\n') {
        let line = line?;
        let line = String::from_utf8_lossy(&line);
        writeln!(log, "{line}")?;
        follow.line(&line);
    }
    let status = child.wait()?;
    if status.code().is_some_and(|code| TIME_IS_UP.contains(&code)) {
        follow.end("cargo test", Some("it did not end: its time was up"));
    } else {
        // Without a failure that was counted, it did not compile.
        let died = !status.success() && follow.failed == 0;
        let why = format!("it broke off; all it said: {}", log_path.display());
        follow.end("cargo test", died.then_some(&why));
    }
    Ok(())
}

/// Counts what is in a file that libtest wrote before.
pub fn read(text: &str, results: &mut Results, screen: &Screen) {
    let mut follow = Follow::new(results, screen);
    for line in text.lines() {
        follow.line(line);
    }
    let nothing = !follow.any && follow.running.is_none();
    follow.end("examples", nothing.then_some("there are none"));
}

/// Follows what libtest says, and adds it to the results.
struct Follow<'a> {
    results: &'a mut Results,
    screen: &'a Screen,
    reader: Reader,
    /// Whether there was a test.
    any: bool,
    /// How many failed.
    failed: usize,
    /// The test program that has not told its result, and when it started.
    running: Option<(String, Instant)>,
    /// The one that told its result last, and whether that was good.
    told: Option<(String, bool)>,
    /// The last lines.
    tail: VecDeque<String>,
}

impl<'a> Follow<'a> {
    fn new(results: &'a mut Results, screen: &'a Screen) -> Self {
        Self {
            results,
            screen,
            reader: Reader::default(),
            any: false,
            failed: 0,
            running: None,
            told: None,
            tail: VecDeque::new(),
        }
    }

    fn line(&mut self, line: &str) {
        self.screen.detail(line);
        match self.reader.line(line) {
            Some(Said::Running(name)) => {
                self.screen.progress(&format!("host  {name}"));
                self.no_result(NO_RESULT);
                self.told = None;
                self.running = Some((name, Instant::now()));
            }
            Some(Said::Result(name, tests)) => {
                let took = self.running.take().map(|(_, since)| since.elapsed());
                self.told = Some((name.clone(), Count::of(&tests).failed == 0));
                if !tests.is_empty() {
                    self.add(name, tests, took);
                }
            }
            Some(Said::Ended(how)) => match self.told.take() {
                // It failed, and said so.
                Some((_, false)) => {}
                Some((name, true)) => self.fail(name, Vec::new(), format!("{how} after it passed")),
                None => self.no_result(&how),
            },
            None => {
                if let Some(name) = line.trim_start().strip_prefix("Compiling ") {
                    self.screen.progress(&format!("host  compiling {name}"));
                }
            }
        }
        if self.tail.len() == 40 {
            self.tail.pop_front();
        }
        self.tail.push_back(line.to_owned());
    }

    fn add(&mut self, name: String, tests: Vec<Test>, took: Option<Duration>) {
        let suite = Suite {
            place: "host",
            name,
            tests,
            took,
        };
        self.any = true;
        self.failed += suite.count().failed;
        self.results.add(suite, self.screen);
    }

    /// The running program, if there is one, will tell no result.
    fn no_result(&mut self, why: &str) {
        if let Some((name, _)) = self.running.take() {
            let before = std::mem::take(&mut self.reader.report).tests;
            self.fail(name, before, why.to_owned());
        }
    }

    /// Adds a failure that nothing reported to the tests that were, with the last lines.
    fn fail(&mut self, what: String, tests: Vec<Test>, why: String) {
        let mut report = Report {
            tests,
            rest: self.tail.drain(..).collect(),
        };
        report.fail(why);
        self.add(what, report.tests, None);
    }

    /// It is over. `wrong` is what is wrong with `what` as a whole, or with the running program.
    fn end(mut self, what: &str, wrong: Option<&str>) {
        if self.running.is_some() {
            self.no_result(wrong.unwrap_or(NO_RESULT));
        } else if let Some(why) = wrong {
            self.fail(what.to_owned(), Vec::new(), why.to_owned());
        }
    }
}

/// What is wrong with a program that says nothing more, and of which nobody says how it ended.
/// `rustdoc` is one.
const NO_RESULT: &str = "it told no result: does it compile?";

/// What a line means to us.
#[derive(Debug, PartialEq, Eq)]
enum Said {
    /// These tests start.
    Running(String),
    /// And this came of them.
    Result(String, Vec<Test>),
    /// The program did not end as it should: how it did.
    Ended(String),
}

#[derive(Default)]
struct Reader {
    name: String,
    report: Report,
    /// Which test the lines are about, in the part that tells of failures.
    failure: Option<usize>,
}

impl Reader {
    fn line(&mut self, line: &str) -> Option<Said> {
        let words = line.trim_start();
        if let Some(rest) = words.strip_prefix("Running ") {
            if let Some((_, path)) = rest.rsplit_once('(') {
                return Some(self.running(program_name(path.trim_end_matches(')'))));
            }
        }
        if let Some(rest) = words.strip_prefix("Doc-tests ") {
            return Some(self.running(format!("{rest} (examples)")));
        }
        if let Some(rest) = line.strip_prefix("test result: ") {
            let mut report = std::mem::take(&mut self.report);
            self.failure = None;
            let counted = report.count();
            match result(rest) {
                Some(told) if told == counted => {}
                Some(told) => report.fail(format!("libtest tells of {told}, and named {counted}")),
                None => report.fail(format!("libtest tells what cannot be read: {rest}")),
            }
            return Some(Said::Result(self.name.clone(), report.tests));
        }
        if let Some(how) = line.strip_prefix("  process didn't exit successfully: ") {
            return Some(Said::Ended(ended(how)));
        }
        if let Some(test) = named_test(line) {
            self.report.tests.push(test);
        } else if let Some(name) = line.strip_prefix("---- ") {
            let name = name.strip_suffix(" stdout ----").unwrap_or(name);
            let tests = &self.report.tests;
            self.failure = tests.iter().position(|test| is_named(test, name));
        } else if line == "failures:" {
            self.failure = None;
        } else if let Some(at) = self.failure {
            self.report.tests[at].log.push(line.to_owned());
        }
        None
    }

    fn running(&mut self, name: String) -> Said {
        self.failure = None;
        self.report = Report::default();
        self.name.clone_from(&name);
        Said::Running(name)
    }
}

/// `test a::b ... ok`
fn named_test(line: &str) -> Option<Test> {
    let (name, word) = line.strip_prefix("test ")?.rsplit_once(" ... ")?;
    let (word, reason) = word.split_once(", ").unwrap_or((word, ""));
    let outcome = match word {
        "ok" => Outcome::Passed,
        "FAILED" => Outcome::Failed,
        "ignored" => Outcome::Skipped(reason.to_owned()),
        _ => return None,
    };
    Some(Test::new(name, outcome))
}

/// libtest says `x - should panic ... FAILED`, and then `---- x stdout ----`.
fn is_named(test: &Test, name: &str) -> bool {
    let rest = test.name.strip_prefix(name);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(" - "))
}

/// `target/debug/deps/connector_wire-0123456789abcdef` is `connector_wire`.
fn program_name(path: &str) -> String {
    let file = path.rsplit('/').next().unwrap_or(path);
    let name = file.rsplit_once('-').map_or(file, |(name, _)| name);
    name.to_owned()
}

/// ``/path/to/program-0123 --arguments` (signal: 6, SIGABRT: process abort signal)``
fn ended(how: &str) -> String {
    let how = how.rsplit_once('(').map_or(how, |(_, how)| how);
    let how = how.trim_end_matches(')');
    match how.strip_prefix("signal: ") {
        Some(signal) => format!("it was killed by signal {signal}"),
        None => format!("it ended with {how}"),
    }
}

/// `ok. 5 passed; 0 failed; 1 ignored; 0 measured; …`
fn result(text: &str) -> Option<Count> {
    let (_, counts) = text.split_once(". ")?;
    let number = |what: &str| {
        let mut parts = counts.split(';');
        let number = parts.find_map(|part| part.trim().strip_suffix(what))?;
        number.trim().parse().ok()
    };
    Some(Count {
        passed: number("passed")?,
        failed: number("failed")?,
        skipped: number("ignored")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All failures after these lines, with their suites.
    fn failures(lines: &[&str]) -> Vec<String> {
        let mut results = Results::new();
        let screen = Screen::dark();
        let mut follow = Follow::new(&mut results, &screen);
        for line in lines {
            follow.line(line);
        }
        follow.end("all", None);
        failed(&results)
    }

    fn failed(results: &Results) -> Vec<String> {
        let failed = results.failed().into_iter();
        failed
            .map(|(suite, test)| format!("{suite}: {test}"))
            .collect()
    }

    const GOOD: &str = "test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out";

    #[test]
    fn who_tells_no_result_failed() {
        let lines = [
            "   Doc-tests a.rs",
            "error: oh",
            "   Doc-tests b.rs",
            "test x ... ok",
            GOOD,
        ];
        assert_eq!(failures(&lines), [format!("a.rs (examples): {NO_RESULT}")]);
        assert_eq!(
            failures(&lines[..1]),
            [format!("a.rs (examples): {NO_RESULT}")]
        );
    }

    const RUNNING: &str = "     Running unittests src/lib.rs (target/debug/deps/parser-00ff)";
    const CRASHED: &str = "  process didn't exit successfully: `/x/parser-00ff` (signal: 6, SIGABRT: process abort signal)";
    const EXITED: &str = "  process didn't exit successfully: `/x/parser-00ff -q` (exit status: 3)";

    #[test]
    fn a_crash_is_called_one() {
        assert_eq!(
            failures(&[RUNNING, "running 2 tests", CRASHED]),
            ["parser: it was killed by signal 6, SIGABRT: process abort signal"]
        );
        assert_eq!(
            failures(&[
                RUNNING,
                "running 2 tests",
                EXITED,
                RUNNING,
                "test x ... ok",
                GOOD
            ]),
            ["parser: it ended with exit status: 3"]
        );
    }

    #[test]
    fn what_passed_before_a_crash_did_pass() {
        let mut results = Results::new();
        let screen = Screen::dark();
        let mut follow = Follow::new(&mut results, &screen);
        for line in [RUNNING, "test x ... ok", CRASHED] {
            follow.line(line);
        }
        follow.end("all", None);
        assert_eq!(results.count().to_string(), "1 passed, 1 failed, 0 skipped");
    }

    #[test]
    fn a_crash_after_all_tests_passed_counts() {
        assert_eq!(
            failures(&[RUNNING, "test x ... ok", GOOD, EXITED]),
            ["parser: it ended with exit status: 3 after it passed"]
        );
        // This one has said it all.
        let bad = "test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out";
        assert_eq!(
            failures(&[RUNNING, "test x ... FAILED", bad, EXITED]),
            ["parser: x"]
        );
    }

    #[test]
    fn a_count_that_cannot_be_read_fails() {
        for counts in [
            "no passed; 0 failed; 0 ignored; 0 measured",
            "1 passed; none failed; 0 ignored; 0 measured",
            "1 passed; 0 failed; x ignored; 0 measured",
            "1 passed; 0 failed; 0 measured",
        ] {
            let bad = format!("test result: ok. {counts}");
            let failures = failures(&[RUNNING, "test x ... ok", &bad]);
            assert_eq!(failures.len(), 1, "{failures:?}");
            assert!(failures[0].starts_with("parser: libtest tells what cannot be read"));
        }
    }

    #[test]
    fn what_does_not_end_is_ended() {
        let mut results = Results::new();
        let log = std::env::temp_dir().join(format!("runner-{}.log", std::process::id()));
        let mut command = limited(Duration::from_secs(1));
        // Its child has the pipe, too.
        command.args(["sh", "-c", &format!("echo '{RUNNING}'; sleep 1000 & wait")]);
        follow(command, &log, &mut results, &Screen::dark()).expect("it runs");
        let _ = std::fs::remove_file(log);
        assert_eq!(
            failed(&results),
            ["parser: it did not end: its time was up"]
        );
    }

    fn read(lines: &[&str]) -> (String, Vec<Test>) {
        let mut reader = Reader::default();
        let results = lines.iter().filter_map(|line| match reader.line(line) {
            Some(Said::Result(name, tests)) => Some((name, tests)),
            _ => None,
        });
        results.last().expect("there is a result")
    }

    const LINES: [&str; 10] = [
        "     Running unittests src/lib.rs (target/debug/deps/connector_wire-00ff)",
        "test a ... ok",
        "test b - should panic ... FAILED",
        "test c ... ignored, takes long",
        "failures:",
        "---- b stdout ----",
        "left: 1",
        "failures:",
        "    b",
        "test result: FAILED. 1 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s",
    ];

    #[test]
    fn results_are_counted() {
        let (name, tests) = read(&LINES);
        assert_eq!(name, "connector_wire");
        assert_eq!(
            Count::of(&tests).to_string(),
            "1 passed, 1 failed, 1 skipped"
        );
        assert_eq!(tests[2].outcome, Outcome::Skipped("takes long".to_owned()));
    }

    #[test]
    fn failures_are_kept_with_their_tests() {
        let (_, tests) = read(&LINES);
        assert_eq!(tests[1].log, ["left: 1"]);
        assert!(tests[0].log.is_empty());
    }

    #[test]
    fn a_test_without_a_line_is_missed() {
        let (_, tests) = read(&[LINES[0], LINES[1], LINES[9]]);
        let missed = tests.last().expect("there are some");
        assert_eq!(missed.outcome, Outcome::Failed);
        assert!(
            missed
                .name
                .starts_with("libtest tells of 1 passed, 1 failed")
        );
    }

    #[test]
    fn examples_are_named_by_their_crate() {
        let (name, tests) = read(&[
            "   Doc-tests connector_wire",
            "test src/wire/id.rs - id::CbId (line 12) ... ok",
            "test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s",
        ]);
        assert_eq!(name, "connector_wire (examples)");
        assert_eq!(tests[0].name, "src/wire/id.rs - id::CbId (line 12)");
    }
}
