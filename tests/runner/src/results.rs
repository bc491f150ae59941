// SPDX-License-Identifier: GPL-2.0

//! What all suites came to: the end of what a person sees, and the files for programs.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use anyhow::Result;

use crate::pick::Picks;
use crate::screen::{Screen, length};
use crate::skips::Skips;
use crate::summary::{self, Case, Run, Summary};
use crate::tap::{Count, Test};

/// How many suites are named that took long.
const SLOWEST: usize = 5;
/// One that takes less is not worth a word.
const SLOW: Duration = Duration::from_secs(1);

/// What there may be in the folder that keeps it all.
const KEPT: [(&str, &str); 6] = [
    ("console.log", "console.log (the kernel's)"),
    ("console.log", "a .tap of every program in the VM"),
    ("run-1", "run-1 and so on, which have the logs of each time"),
    ("host.log", "host.log"),
    ("summary.json", "summary.json"),
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

/// What is known before.
#[derive(Debug, Default)]
pub struct Plan {
    /// The kernel.
    pub kernel: String,
    /// Its flavor.
    pub flavor: String,
    /// Which tests may be skipped.
    pub skips: Skips,
    /// Which tests are to run.
    pub picks: Picks,
}

/// What all of them came to.
#[derive(Debug)]
pub struct Results {
    since: Instant,
    plan: Plan,
    /// Where it is kept, while it grows.
    keep: Option<PathBuf>,
    summary: Summary,
    /// Which time the suites run.
    iteration: Option<u32>,
}

impl Results {
    /// Begins now.
    #[cfg(test)]
    pub fn new() -> Self {
        Self::of(Plan::default(), None)
    }

    /// Begins now, and keeps everything in a folder.
    pub fn of(plan: Plan, keep: Option<&Path>) -> Self {
        let started = humantime::format_rfc3339_seconds(SystemTime::now());
        let run = Run {
            kernel: plan.kernel.clone(),
            flavor: plan.flavor.clone(),
            started: started.to_string(),
        };
        Self {
            since: Instant::now(),
            plan,
            keep: keep.map(Path::to_owned),
            summary: Summary::new(run),
            iteration: None,
        }
    }

    /// From now on suites run for the nth time.
    pub fn iterate(&mut self, iteration: u32) {
        self.iteration = Some(iteration);
    }

    /// Shows a suite's result, and adds it.
    pub fn add(&mut self, mut suite: Suite, screen: &Screen) {
        let all = self.plan.picks.has_all(&suite.name);
        self.plan.skips.check(&suite.name, &mut suite.tests, all);
        let told = summary::Suite {
            step: None,
            place: suite.place.to_owned(),
            name: suite.name.clone(),
            iteration: self.iteration,
            seconds: suite.took.map(summary::seconds),
            count: suite.count(),
            tests: suite.tests.iter().map(Case::of).collect(),
        };
        screen.suite(suite.place, &told.full_name(), suite.count(), suite.took);
        screen.tests(&suite.tests);
        if self.plan.picks.ran_others(&suite.name, &suite.tests) {
            screen.note("it cannot be asked for a part of its tests, so all of them ran");
        }
        self.summary.add(told);
        // Of a run that is killed one has what there is; at its end an error is told.
        let _ = self.write();
    }

    /// Counts all tests.
    pub fn count(&self) -> Count {
        self.summary.count
    }

    fn write(&mut self) -> Result<()> {
        self.summary.seconds = summary::seconds(self.since.elapsed());
        self.keep
            .as_deref()
            .map_or(Ok(()), |keep| self.summary.write(keep))
    }

    /// That was all: writes the files.
    pub fn finish(&mut self) -> Result<()> {
        self.summary.complete = true;
        self.write()
    }

    /// Shows the end: what failed, what took long, where everything is, and the verdict as the very
    /// last line.
    pub fn show(&self, keep: &Path, screen: &Screen) -> Count {
        let total = self.count();
        let took = self.since.elapsed();
        screen.plain("");
        if total.failed > 0 {
            screen.heading("Failed:");
            for (suite, test) in self.summary.failed() {
                screen.failure(suite, test);
            }
        }
        let slowest: Vec<String> = self
            .slowest()
            .map(|(suite, took)| format!("{} {}", suite.full_name(), length(took)))
            .collect();
        if slowest.len() > 1 {
            screen.plain(&format!("Slowest: {}", slowest.join(", ")));
        }
        let suites = match self.summary.suites.len() {
            1 => "1 suite".to_owned(),
            several => format!("{several} suites"),
        };
        screen.plain(&format!("{suites} in {}", length(took)));
        if let Some(times) = self.iteration {
            let failed = self.failed_iterations();
            let which: Vec<String> = failed.iter().map(|n| format!(" #{n}")).collect();
            let colon = if failed.is_empty() { "" } else { ":" };
            screen.plain(&format!(
                "{} of {times} runs failed{colon}{}",
                failed.len(),
                which.concat()
            ));
        }
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
    #[cfg(test)]
    pub fn failed(&self) -> impl Iterator<Item = (&summary::Suite, &Case)> {
        self.summary.failed()
    }

    /// Which of the runs had a failure.
    fn failed_iterations(&self) -> BTreeSet<u32> {
        let failed = self.summary.failed();
        failed.filter_map(|(suite, _)| suite.iteration).collect()
    }

    fn slowest(&self) -> impl Iterator<Item = (&summary::Suite, Duration)> {
        let suites = self.summary.suites.iter();
        let timed = suites.filter_map(|suite| Some((suite, suite.seconds?)));
        let mut timed: Vec<(&summary::Suite, Duration)> = timed
            .map(|(suite, seconds)| (suite, Duration::from_secs_f64(seconds)))
            .filter(|&(_, took)| took >= SLOW)
            .collect();
        timed.sort_by_key(|&(_, took)| std::cmp::Reverse(took));
        timed.into_iter().take(SLOWEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tap::Outcome;

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
        let mut results = Results::new();
        for suite in [suite("a", 0, 2), suite("b", 2, 0), suite("c", 0, 9)] {
            results.add(suite, &Screen::dark());
        }
        results
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
    fn a_skip_that_nobody_expects_is_a_failure() {
        let mut results = Results::new();
        let mut suite = suite("a", 0, 1);
        suite.tests[1].outcome = Outcome::Skipped("no time".to_owned());
        results.add(suite, &Screen::dark());
        assert_eq!(results.count().to_string(), "2 passed, 1 failed, 0 skipped");
    }

    #[test]
    fn runs_that_failed_are_counted() {
        let mut results = Results::new();
        for (iteration, failed) in [(1, 0), (2, 1), (3, 0), (4, 2)] {
            results.iterate(iteration);
            results.add(suite("a", failed, 1), &Screen::dark());
            results.add(suite("b", failed, 1), &Screen::dark());
        }
        assert_eq!(results.failed_iterations(), BTreeSet::from([2, 4]));
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
