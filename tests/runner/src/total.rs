// SPDX-License-Identifier: GPL-2.0

//! One result of several steps: those of `make test-all`, and those of .ci/run. A step that ran tests
//! has left the folder of that run under its name; of another one there is its exit status, and it
//! counts as one test.

use std::fs;
use std::io;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::screen::{Screen, length};
use crate::summary::{self, Case, Run, Suite, Summary, Verdict};
use crate::tap::Count;

/// A step that is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// It was to leave results of tests.
    has_tests: bool,
    name: String,
    status: i32,
    took: Duration,
}

/// `step:lint:0:35`, `tests:debug:1:600`: what it is, its name, its exit status, and its seconds.
impl FromStr for Step {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let fields: Vec<&str> = text.split(':').collect();
        let (has_tests, name, status, took) = match fields[..] {
            ["step", name, status, took] => (false, name, status, took),
            ["tests", name, status, took] => (true, name, status, took),
            _ => bail!("expected step:NAME:STATUS:SECONDS or tests:NAME:STATUS:SECONDS"),
        };
        Ok(Self {
            has_tests,
            name: name.to_owned(),
            status: status.parse().context("the status is no number")?,
            took: Duration::from_secs(took.parse().context("the seconds are no number")?),
        })
    }
}

impl Step {
    /// What is known of it: the suites that it ran, and what is wrong with it as a whole.
    fn suites(&self, folder: &Path) -> Vec<Suite> {
        let mut suites = Vec::new();
        let log = folder.join(&self.name).join("output.log");
        let mut wrong = Vec::new();
        if self.has_tests {
            match Summary::read(&folder.join(&self.name).join(summary::FILE)) {
                Ok(summary) => {
                    wrong.extend(self.disagrees_with(&summary));
                    suites.extend(summary.suites.into_iter().map(|suite| Suite {
                        step: Some(self.name.clone()),
                        ..suite
                    }));
                }
                // None of a run's, or one that something is wrong with.
                Err(error) => wrong.push(match error.downcast_ref::<io::Error>() {
                    Some(_) => "it never came to the tests".to_owned(),
                    None => format!("{:#}", error.root_cause()),
                }),
            }
        } else if self.status != 0 {
            wrong.push(format!("it ended with status {}", self.status));
        }
        let tests: Vec<Case> = match wrong.is_empty() {
            true if self.has_tests => return suites,
            true => vec![Case::new(&self.name, Verdict::Passed)],
            false => wrong
                .iter()
                .map(|wrong| Case {
                    reason: Some(format!("all it said: {}", log.display())),
                    log: last_lines(&log),
                    complaint: true,
                    ..Case::new(wrong, Verdict::Failed)
                })
                .collect(),
        };
        let mut count = Count::default();
        match wrong.len() {
            0 => count.passed = 1,
            failed => count.failed = failed,
        }
        suites.push(Suite {
            place: "step".to_owned(),
            name: self.name.clone(),
            seconds: Some(summary::seconds(self.took)),
            count,
            tests,
            ..Suite::default()
        });
        suites
    }

    /// In what way the exit status and the results do not go together.
    fn disagrees_with(&self, summary: &Summary) -> Option<String> {
        let Count {
            passed,
            failed,
            skipped,
        } = summary.count;
        let status = self.status;
        match (status, failed) {
            _ if !summary.complete => Some("it broke off while tests ran".to_owned()),
            _ if passed + failed == 0 => Some(format!("it ran no test, and skipped {skipped}")),
            (0, 1..) => Some("it ended with status 0, though tests failed".to_owned()),
            (0, 0) | (_, 1..) => None,
            (_, 0) => Some(format!(
                "it ended with status {status}, though no test failed"
            )),
        }
    }
}

/// What one looks for first.
fn last_lines(log: &Path) -> Vec<String> {
    let text = fs::read(log).unwrap_or_default();
    crate::verdict::tail(&String::from_utf8_lossy(&text), 20)
}

/// What all of them came to, with a name for each step and its share.
fn sum(folder: &Path, steps: &[Step]) -> (Summary, Vec<(String, Count, Duration)>) {
    let mut total = Summary::new(Run::default());
    let mut rows = Vec::new();
    for step in steps {
        let mut count = Count::default();
        for suite in step.suites(folder) {
            count.add(suite.count);
            total.add(suite);
        }
        rows.push((step.name.clone(), count, step.took));
        total.seconds += summary::seconds(step.took);
    }
    if steps.is_empty() {
        let tests = vec![Case::new("there was no step", Verdict::Failed)];
        let mut none = Suite {
            place: "step".to_owned(),
            tests,
            ..Suite::default()
        };
        none.count.failed = 1;
        total.add(none);
    }
    total.complete = true;
    (total, rows)
}

/// Shows it, and leaves `summary.json` and `junit.xml` in the folder. Returns whether all is well.
pub fn show(folder: &Path, steps: &[Step], screen: &Screen) -> Result<bool> {
    let (total, rows) = sum(folder, steps);
    screen.plain("");
    screen.heading(&format!(
        "{:<14}{:>10}{:>10}{:>10}  time",
        "", "passed", "failed", "skipped"
    ));
    for (name, count, took) in rows {
        screen.plain(&format!(
            "{name:<14}{:>10}{:>10}{:>10}  {}",
            count.passed,
            count.failed,
            count.skipped,
            length(took)
        ));
    }
    if total.count.failed > 0 {
        screen.plain("");
        screen.heading("Failed:");
        for (suite, case) in total.failed() {
            screen.failure(suite, case);
        }
    }
    let written = total.write(folder);
    screen.plain("");
    screen.verdict(total.count.failed == 0, &total.count.to_string());
    written?;
    Ok(total.count.failed == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(text: &str) -> Step {
        text.parse().expect("it is right")
    }

    /// What it all comes to if a step `base` left these counts, or nothing, and these steps ran.
    fn total(name: &str, left: Option<(Count, bool)>, steps: &[&str]) -> (String, Vec<String>) {
        let folder = std::env::temp_dir().join(format!("runner-{}-{name}", std::process::id()));
        fs::create_dir_all(folder.join("base")).expect("there is room for a folder");
        if let Some((count, complete)) = left {
            let mut summary = Summary::new(Run::default());
            summary.complete = complete;
            summary.add(Suite {
                name: "echo".to_owned(),
                place: "vm".to_owned(),
                tests: [
                    vec![Case::new("x", Verdict::Failed); count.failed],
                    vec![Case::new("y", Verdict::Passed); count.passed],
                    vec![Case::new("z", Verdict::Skipped); count.skipped],
                ]
                .concat(),
                count,
                ..Suite::default()
            });
            summary
                .write(&folder.join("base"))
                .expect("there is room for a file");
        }
        let steps: Vec<Step> = steps.iter().map(|text| step(text)).collect();
        let (total, _) = sum(&folder, &steps);
        let _ = fs::remove_dir_all(folder);
        let failed = total.failed().map(|(_, case)| case.name.clone());
        (total.count.to_string(), failed.collect())
    }

    fn counted(passed: usize, failed: usize, skipped: usize) -> Count {
        Count {
            passed,
            failed,
            skipped,
        }
    }

    #[test]
    fn a_step_without_tests_is_one() {
        let steps = ["step:lint:0:3", "step:bench:1:3"];
        assert_eq!(
            total("one", None, &steps),
            (
                "1 passed, 1 failed, 0 skipped".to_owned(),
                vec!["it ended with status 1".to_owned()]
            )
        );
    }

    #[test]
    fn tests_count_by_themselves() {
        let left = Some((counted(5, 1, 2), true));
        let steps = ["step:lint:0:3", "tests:base:1:3"];
        let (count, failed) = total("themselves", left, &steps);
        assert_eq!(count, "6 passed, 1 failed, 2 skipped");
        assert_eq!(failed, ["x"]);
    }

    #[test]
    fn tests_that_never_ran_failed() {
        for steps in [["tests:base:0:3"], ["tests:base:1:3"]] {
            let (count, failed) = total("never", None, &steps);
            assert_eq!(count, "0 passed, 1 failed, 0 skipped");
            assert_eq!(failed, ["it never came to the tests"]);
        }
    }

    #[test]
    fn a_status_that_disagrees_failed() {
        for (left, step, wrong) in [
            (
                (counted(5, 0, 0), true),
                "tests:base:2:3",
                "it ended with status 2, though no test failed",
            ),
            (
                (counted(5, 1, 0), true),
                "tests:base:0:3",
                "it ended with status 0, though tests failed",
            ),
            (
                (counted(5, 0, 0), false),
                "tests:base:0:3",
                "it broke off while tests ran",
            ),
            (
                (counted(0, 0, 1), true),
                "tests:base:0:3",
                "it ran no test, and skipped 1",
            ),
        ] {
            let (_, failed) = total("disagrees", Some(left), &[step]);
            assert_eq!(failed.last().map(|name| &name[..]), Some(wrong));
        }
    }

    #[test]
    fn no_step_is_no_pass() {
        assert_eq!(total("none", None, &[]).0, "0 passed, 1 failed, 0 skipped");
    }

    #[test]
    fn what_is_no_step_is_refused() {
        for text in [
            "",
            "lint",
            "step:lint:0",
            "step:lint::3",
            "tests:lint:0:x",
            "x:lint:0:3",
        ] {
            text.parse::<Step>().expect_err(text);
        }
    }
}
