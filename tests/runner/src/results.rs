// SPDX-License-Identifier: GPL-2.0

//! What all suites came to: the end of what a person sees, and the files for programs.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
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
const KEPT: [(&str, &str); 8] = [
    ("console.log", "console.log (the kernel's)"),
    ("inject.log", "inject.log (that of made-up troubles)"),
    ("console.log", "a .tap of every program in the VM"),
    (
        "vm-1",
        "vm-1, vm-2 and so on, which have the logs of each VM",
    ),
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

/// What all of them came to. Several threads can add to it, each with a [`Results::part`].
#[derive(Debug)]
pub struct Results {
    all: Arc<Mutex<All>>,
    /// Which time the suites run.
    iteration: Option<u32>,
}

/// What they share.
#[derive(Debug)]
struct All {
    since: Instant,
    plan: Plan,
    /// Where it is kept, while it grows.
    keep: Option<PathBuf>,
    summary: Summary,
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
        let all = All {
            since: Instant::now(),
            plan,
            keep: keep.map(Path::to_owned),
            summary: Summary::new(run),
        };
        Self {
            all: Arc::new(Mutex::new(all)),
            iteration: None,
        }
    }

    /// The same, for another thread.
    pub fn part(&self) -> Self {
        Self {
            all: Arc::clone(&self.all),
            iteration: self.iteration,
        }
    }

    fn all(&self) -> MutexGuard<'_, All> {
        // Who panicked while adding left what was there before.
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on suites run for the nth time.
    pub fn iterate(&mut self, iteration: u32) {
        self.iteration = Some(iteration);
    }

    /// Shows a suite's result, and adds it.
    pub fn add(&mut self, mut suite: Suite, screen: &Screen) {
        // Held while it is shown, so that nobody's lines get into it.
        let mut all = self.all();
        let whole = all.plan.picks.has_all(&suite.name);
        all.plan.skips.check(&suite.name, &mut suite.tests, whole);
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
        if all.plan.picks.ran_others(&suite.name, &suite.tests) {
            screen.note("it cannot be asked for a part of its tests, so all of them ran");
        }
        all.summary.add(told);
        // Of a run that is killed one has what there is; at its end an error is told.
        let _ = all.write();
    }

    /// Counts all tests.
    #[cfg(test)]
    pub fn count(&self) -> Count {
        self.all().summary.count
    }

    /// That was all: writes the files.
    pub fn finish(&mut self) -> Result<Summary> {
        let mut all = self.all();
        all.summary.complete = true;
        all.write()?;
        Ok(all.summary.clone())
    }

    /// Shows the end: what failed, what took long, where everything is, and the verdict as the very
    /// last line.
    pub fn show(&self, keep: &Path, screen: &Screen) -> Count {
        self.all().show(self.iteration, keep, screen)
    }

    /// What failed, each with its suite.
    #[cfg(test)]
    pub fn failed(&self) -> Vec<(String, String)> {
        let all = self.all();
        let failed = all.summary.failed();
        failed
            .map(|(suite, case)| (suite.name.clone(), case.name.clone()))
            .collect()
    }
}

impl All {
    fn write(&mut self) -> Result<()> {
        self.summary.seconds = summary::seconds(self.since.elapsed());
        self.keep
            .as_deref()
            .map_or(Ok(()), |keep| self.summary.write(keep))
    }

    fn show(&self, times: Option<u32>, keep: &Path, screen: &Screen) -> Count {
        let total = self.summary.count;
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
        if let Some(times) = times {
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
        let failed = ["test 0", "test 1"].map(|test| ("b".to_owned(), test.to_owned()));
        assert_eq!(results().failed(), failed);
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
        assert_eq!(results.all().failed_iterations(), BTreeSet::from([2, 4]));
    }

    #[test]
    fn threads_add_to_the_same() {
        let results = results();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                let mut part = results.part();
                scope.spawn(move || part.add(suite("d", 1, 0), &Screen::dark()));
            }
        });
        assert_eq!(
            results.count().to_string(),
            "23 passed, 10 failed, 0 skipped"
        );
    }

    #[test]
    fn what_took_long_comes_first() {
        let results = results();
        let all = results.all();
        let names: Vec<_> = all.slowest().map(|(suite, _)| &suite.name[..]).collect();
        assert_eq!(names, ["c", "a"]);
    }
}
