// SPDX-License-Identifier: GPL-2.0

//! The tests that need no VM: runs `cargo test` and counts what libtest says.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::screen::Screen;
use crate::tap::Count;

/// Runs them all; what they print is kept in `keep/host.log`.
pub fn run(keep: &Path, screen: &mut Screen) -> Result<Count> {
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
    let mut follow = Follow::default();
    for line in output.split(b'\n') {
        let line = line?;
        let line = String::from_utf8_lossy(&line);
        writeln!(log, "{line}")?;
        follow.line(&line, screen);
    }
    let status = child.wait()?;
    // Without a failure that was counted, it did not compile, or a test program died.
    let died = !status.success() && follow.total.failed == 0;
    Ok(follow.end("cargo test", died, &log_path, screen))
}

/// Counts what is in a file that libtest wrote before.
pub fn read(path: &Path, screen: &mut Screen) -> Result<Count> {
    let text = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut follow = Follow::default();
    for line in String::from_utf8_lossy(&text).lines() {
        follow.line(line, screen);
    }
    let died = follow.running.is_some() || follow.total == Count::default();
    Ok(follow.end("examples", died, path, screen))
}

/// Follows what libtest says, shows it and counts it.
#[derive(Default)]
struct Follow {
    total: Count,
    reader: Reader,
    /// When the test program started that has not told its result.
    running: Option<Instant>,
    /// The last lines.
    tail: VecDeque<String>,
}

impl Follow {
    fn line(&mut self, line: &str, screen: &mut Screen) {
        screen.detail(line);
        match self.reader.line(line) {
            Some(Said::Running(name)) => {
                screen.progress(&format!("host  {name}"));
                self.running = Some(Instant::now());
            }
            Some(Said::Result(name, count)) => {
                let took = self.running.take().map(|since| since.elapsed());
                self.total.add(count);
                if count != Count::default() {
                    screen.suite("host", &name, count, took);
                }
                if count.failed > 0 {
                    screen.quote(&self.reader.failures);
                }
            }
            None => {
                if let Some(name) = line.trim_start().strip_prefix("Compiling ") {
                    screen.progress(&format!("host  compiling {name}"));
                }
            }
        }
        if self.tail.len() == 40 {
            self.tail.pop_front();
        }
        self.tail.push_back(line.to_owned());
    }

    /// What was counted; and one failure more if `what` `died` without saying so.
    fn end(mut self, what: &str, died: bool, log: &Path, screen: &mut Screen) -> Count {
        if died {
            let failed = Count {
                failed: 1,
                ..Count::default()
            };
            self.total.add(failed);
            screen.suite("host", what, failed, None::<Duration>);
            screen.quote(self.tail.make_contiguous());
            screen.note(&format!("log: {}", log.display()));
        }
        self.total
    }
}

/// What a line means to us.
#[derive(Debug, PartialEq, Eq)]
enum Said {
    /// These tests start.
    Running(String),
    /// And this came of them.
    Result(String, Count),
}

#[derive(Default)]
struct Reader {
    name: String,
    in_failures: bool,
    /// The details of the failures of the program that ended last.
    failures: Vec<String>,
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
            self.in_failures = false;
            return Some(Said::Result(self.name.clone(), result(rest)));
        }
        if line == "failures:" {
            self.in_failures = true;
        } else if self.in_failures {
            self.failures.push(line.to_owned());
        }
        None
    }

    fn running(&mut self, name: String) -> Said {
        self.in_failures = false;
        self.failures.clear();
        self.name.clone_from(&name);
        Said::Running(name)
    }
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
    fn results_are_counted() {
        let line = "test result: FAILED. 12 passed; 3 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s";
        let mut reader = Reader::default();
        reader.line("     Running unittests src/lib.rs (target/debug/deps/connector_wire-00ff)");
        let expected = Count {
            passed: 12,
            failed: 3,
            skipped: 1,
        };
        assert_eq!(
            reader.line(line),
            Some(Said::Result("connector_wire".to_owned(), expected))
        );
    }

    #[test]
    fn failures_are_kept_for_the_report() {
        let mut reader = Reader::default();
        for line in [
            "   Doc-tests connector_wire",
            "test a ... FAILED",
            "failures:",
            "---- a stdout ----",
            "left: 1",
        ] {
            reader.line(line);
        }
        assert_eq!(reader.failures, ["---- a stdout ----", "left: 1"]);
        assert_eq!(reader.name, "connector_wire (examples)");
    }
}
