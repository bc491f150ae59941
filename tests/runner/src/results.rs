// SPDX-License-Identifier: GPL-2.0

//! What all suites came to: the end of what a person sees, and a file for CI systems.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::junit;
use crate::screen::{Screen, length};
use crate::tap::{Count, Outcome, Test};

/// How many suites are named that took long.
const SLOWEST: usize = 5;
/// One that takes less is not worth a word.
const SLOW: Duration = Duration::from_secs(1);

/// What there may be in the folder that keeps it all.
const KEPT: [(&str, &str); 4] = [
    ("console.log", "console.log (the kernel's)"),
    ("", "a .tap of every program in the VM"),
    ("host.log", "host.log"),
    ("junit.xml", "junit.xml"),
];

/// What one test program, on the host or in the VM, came to.
#[derive(Debug)]
pub struct Suite {
    /// `host` or `vm`.
    pub place: &'static str,
    /// Its name.
    pub name: String,
    /// Its tests.
    pub tests: Vec<Test>,
    /// How long it took, if it ended.
    pub took: Option<Duration>,
}

impl Suite {
    /// Counts the tests.
    pub fn count(&self) -> Count {
        Count::of(&self.tests)
    }
}

/// What all of them came to.
#[derive(Debug)]
pub struct Results {
    since: Instant,
    suites: Vec<Suite>,
}

impl Results {
    /// Begins now.
    pub fn new() -> Self {
        Self {
            since: Instant::now(),
            suites: Vec::new(),
        }
    }

    /// Shows a suite's result, and adds it.
    pub fn add(&mut self, suite: Suite, screen: &Screen) {
        screen.suite(suite.place, &suite.name, suite.count(), suite.took);
        screen.tests(&suite.tests);
        self.suites.push(suite);
    }

    /// Counts all tests.
    pub fn count(&self) -> Count {
        let mut total = Count::default();
        for suite in &self.suites {
            total.add(suite.count());
        }
        total
    }

    /// Writes `keep/junit.xml`.
    pub fn write(&self, keep: &Path) -> Result<()> {
        let path = keep.join("junit.xml");
        let write = || -> Result<()> {
            let mut file = BufWriter::new(File::create(&path)?);
            junit::write(&mut file, &self.suites, self.since.elapsed())?;
            Ok(file.flush()?)
        };
        write().with_context(|| format!("cannot write {}", path.display()))
    }

    /// Shows the end: what failed, what took long, where everything is, and the verdict as the very
    /// last line.
    pub fn show(&self, keep: &Path, screen: &Screen) -> Count {
        let total = self.count();
        let took = self.since.elapsed();
        screen.plain("");
        if total.failed > 0 {
            screen.heading("Failed:");
            for (suite, test) in self.failed() {
                screen.plain(&format!(
                    "  {:<5} {}: {}",
                    suite.place, suite.name, test.name
                ));
                screen.quote(reason(test));
            }
        }
        let slowest: Vec<String> = self
            .slowest()
            .map(|(suite, took)| format!("{} {}", suite.name, length(took)))
            .collect();
        if slowest.len() > 1 {
            screen.plain(&format!("Slowest: {}", slowest.join(", ")));
        }
        let suites = match self.suites.len() {
            1 => "1 suite".to_owned(),
            several => format!("{several} suites"),
        };
        screen.plain(&format!("{suites} in {}", length(took)));
        let kept = KEPT.iter().filter(|(file, _)| keep.join(file).exists());
        let kept: Vec<_> = kept.map(|(_, what)| *what).collect();
        let here = std::env::current_dir().unwrap_or_default();
        let keep = keep.strip_prefix(here).unwrap_or(keep);
        screen.plain(&format!("{}/ has {}", keep.display(), kept.join(", ")));
        screen.plain("");
        screen.verdict(total.failed == 0, &total.to_string());
        total
    }

    /// What failed, suite by suite.
    pub fn failed(&self) -> impl Iterator<Item = (&Suite, &Test)> {
        self.suites.iter().flat_map(|suite| {
            let failed = |test: &&Test| test.outcome == Outcome::Failed;
            suite
                .tests
                .iter()
                .filter(failed)
                .map(move |test| (suite, test))
        })
    }

    fn slowest(&self) -> impl Iterator<Item = (&Suite, Duration)> {
        let mut timed: Vec<(&Suite, Duration)> = self
            .suites
            .iter()
            .filter_map(|suite| Some((suite, suite.took?)))
            .filter(|&(_, took)| took >= SLOW)
            .collect();
        timed.sort_by_key(|&(_, took)| std::cmp::Reverse(took));
        timed.into_iter().take(SLOWEST)
    }
}

/// What a test printed last, which says why it failed.
fn reason(test: &Test) -> &[String] {
    let said = test.log.iter().rposition(|line| !line.trim().is_empty());
    said.map_or(&[], |at| &test.log[at..=at])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn suite(name: &str, failed: usize, seconds: u64) -> Suite {
        let test = |number| {
            let outcome = match number < failed {
                true => Outcome::Failed,
                false => Outcome::Passed,
            };
            Test::new(format!("test {number}"), outcome)
        };
        Suite {
            place: "vm",
            name: name.to_owned(),
            tests: (0..3).map(test).collect(),
            took: Some(Duration::from_secs(seconds)),
        }
    }

    fn results() -> Results {
        Results {
            suites: vec![suite("a", 0, 2), suite("b", 2, 0), suite("c", 0, 9)],
            ..Results::new()
        }
    }

    #[test]
    fn suites_are_summed_up() {
        assert_eq!(
            results().count().to_string(),
            "7 passed, 2 failed, 0 skipped"
        );
    }

    #[test]
    fn what_failed_is_told_again() {
        let results = results();
        let failed: Vec<_> = results
            .failed()
            .map(|(suite, test)| format!("{} {}", suite.name, test.name))
            .collect();
        assert_eq!(failed, ["b test 0", "b test 1"]);
    }

    #[test]
    fn the_reason_is_what_a_test_said_last() {
        let mut test = suite("a", 1, 0).tests.remove(0);
        assert!(reason(&test).is_empty());
        test.log = ["# SEED=1", "# it is 3", ""].map(String::from).to_vec();
        assert_eq!(reason(&test), ["# it is 3"]);
    }

    #[test]
    fn what_took_long_comes_first() {
        let results = results();
        let names: Vec<_> = results
            .slowest()
            .map(|(suite, _)| &suite.name[..])
            .collect();
        assert_eq!(names, ["c", "a"]);
    }
}
