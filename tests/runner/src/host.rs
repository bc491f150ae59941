// SPDX-License-Identifier: GPL-2.0

//! The tests that need no VM: runs `cargo test` and counts what libtest says.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::results::{Results, Suite};
use crate::screen::Screen;
use crate::tap::{Count, Outcome, Report, Test};

/// Runs them all; what they print is kept in `keep/host.log`.
pub fn run(keep: &Path, results: &mut Results, screen: &Screen) -> Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let log_path = keep.join("host.log");
    let mut log = File::create(&log_path)?;
    // One pipe for both streams keeps their lines in order.
    let mut child = Command::new("sh")
        .args(["-c", "exec \"$@\" 2>&1", "sh"])
        .arg(cargo)
        .args(["test", "--workspace", "--no-fail-fast", "--color=never"])
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
    // Without a failure that was counted, it did not compile, or a test program died.
    let died = !status.success() && follow.failed == 0;
    follow.end("cargo test", died, &log_path);
    Ok(())
}

/// Counts what is in a file that libtest wrote before.
pub fn read(path: &Path, results: &mut Results, screen: &Screen) -> Result<()> {
    let text = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut follow = Follow::new(results, screen);
    for line in String::from_utf8_lossy(&text).lines() {
        follow.line(line);
    }
    let died = follow.running.is_some() || !follow.any;
    follow.end("examples", died, path);
    Ok(())
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
            tail: VecDeque::new(),
        }
    }

    fn line(&mut self, line: &str) {
        self.screen.detail(line);
        match self.reader.line(line) {
            Some(Said::Running(name)) => {
                self.screen.progress(&format!("host  {name}"));
                if let Some((before, _)) = self.running.replace((name, Instant::now())) {
                    self.fail(before, "its examples do not compile".to_owned());
                }
            }
            Some(Said::Result(name, tests)) => {
                let took = self.running.take().map(|(_, since)| since.elapsed());
                if !tests.is_empty() {
                    self.add(name, tests, took);
                }
            }
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

    /// Adds a failure that nothing reported, with the last lines.
    fn fail(&mut self, what: String, why: String) {
        let mut report = Report {
            rest: self.tail.drain(..).collect(),
            ..Report::default()
        };
        report.fail(why);
        self.add(what, report.tests, None);
    }

    /// Adds one failure more if `what` `died` without saying so.
    fn end(mut self, what: &str, died: bool, log: &Path) {
        if died {
            let why = format!("it broke off; all it said: {}", log.display());
            self.fail(what.to_owned(), why);
        }
    }
}

/// What a line means to us.
#[derive(Debug, PartialEq, Eq)]
enum Said {
    /// These tests start.
    Running(String),
    /// And this came of them.
    Result(String, Vec<Test>),
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
            let (told, counted) = (result(rest), report.count());
            if told != counted {
                report.fail(format!("libtest tells of {told}, and named {counted}"));
            }
            return Some(Said::Result(self.name.clone(), report.tests));
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

/// `ok. 5 passed; 0 failed; 1 ignored; 0 measured; …`
fn result(text: &str) -> Count {
    let number = |what: &str| {
        let text = text.split_once(". ").map_or(text, |(_, rest)| rest);
        text.split(';')
            .filter_map(|part| part.trim().strip_suffix(what))
            .find_map(|n| n.trim().parse().ok())
            .unwrap_or(0)
    };
    Count {
        passed: number("passed"),
        failed: number("failed"),
        skipped: number("ignored"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_tells_no_result_failed() {
        let mut results = Results::new();
        let screen = Screen::dark();
        let mut follow = Follow::new(&mut results, &screen);
        for line in [
            "   Doc-tests a.rs",
            "error: it does not compile",
            "   Doc-tests b.rs",
            "test x ... ok",
            "test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out",
        ] {
            follow.line(line);
        }
        assert_eq!(results.count().to_string(), "1 passed, 1 failed, 0 skipped");
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
