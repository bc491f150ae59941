// SPDX-License-Identifier: GPL-2.0

//! `summary.json`: what a run came to, for programs. Whatever else wants to know (`make test-all`,
//! `make mutants`, .ci/run, `RERUN=failed`, junit.xml) reads this, not what people are shown.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use crate::junit;
use crate::tap::{Count, Outcome, Test};

/// Grows when a reader of the format before would be misled.
const FORMAT: u32 = 1;

/// What it is called, in the folder of a run.
pub const FILE: &str = "summary.json";

/// What a run is of.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// The kernel: its release, and what tells it from others of that release.
    pub kernel: String,
    /// `base`, `debug`, `rt`; or `stock` or `own` for a kernel that the project did not build.
    pub flavor: String,
    /// In UTC, as RFC 3339 has it.
    pub started: String,
}

/// A run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    format: u32,
    /// What it is of.
    #[serde(flatten)]
    pub run: Run,
    /// Whether it came to its end.
    pub complete: bool,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// All tests together.
    #[serde(flatten)]
    pub count: Count,
    /// Each of them.
    pub suites: Vec<Suite>,
}

/// What one test program came to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Suite {
    /// The step of several (`make test-all`, .ci/run) that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// `host` or `vm`; `step` for what has no tests but is one.
    pub place: String,
    /// Its name.
    pub name: String,
    /// Which time it ran, with `REPEAT=`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iteration: Option<u32>,
    /// How long it took, in seconds, if it ended.
    pub seconds: Option<f64>,
    /// Its tests together.
    #[serde(flatten)]
    pub count: Count,
    /// Each of them.
    pub tests: Vec<Case>,
}

/// What one test came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Case {
    /// Its name, or a complaint.
    pub name: String,
    /// How it ended.
    pub outcome: Verdict,
    /// How long it took, in seconds, if that is known.
    pub seconds: Option<f64>,
    /// Why it was skipped; the last that it said before it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// It is no test, but something that is wrong with the suite as a whole.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub complaint: bool,
    /// What it said before it failed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub log: Vec<String>,
}

/// How a test ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It passed.
    Passed,
    /// It failed.
    Failed,
    /// It did not run.
    Skipped,
}

impl Case {
    /// What is told of a test.
    pub fn of(test: &Test) -> Self {
        let (outcome, reason) = match &test.outcome {
            Outcome::Passed => (Verdict::Passed, None),
            Outcome::Failed => (Verdict::Failed, last_said(&test.log)),
            Outcome::Skipped(reason) => (Verdict::Skipped, Some(reason)),
        };
        Self {
            name: test.name.clone(),
            outcome,
            seconds: test.took.map(seconds),
            reason: reason.cloned(),
            complaint: test.complaint,
            log: match outcome {
                Verdict::Failed => test.log.clone(),
                _ => Vec::new(),
            },
        }
    }

    /// A test without more to say.
    pub fn new(name: &str, outcome: Verdict) -> Self {
        Self {
            name: name.to_owned(),
            outcome,
            seconds: None,
            reason: None,
            complaint: false,
            log: Vec::new(),
        }
    }
}

impl Suite {
    /// Its name for people, with what tells it from others of that name.
    pub fn full_name(&self) -> String {
        let iteration = self.iteration.map_or(String::new(), |n| format!(" #{n}"));
        format!("{}{iteration}", self.name)
    }

    /// Its tests, counted again.
    fn counted(&self) -> Count {
        let of = |verdict| {
            let tests = self.tests.iter();
            tests.filter(|case| case.outcome == verdict).count()
        };
        Count {
            passed: of(Verdict::Passed),
            failed: of(Verdict::Failed),
            skipped: of(Verdict::Skipped),
        }
    }

    /// Those of its tests that failed.
    pub fn failed(&self) -> impl Iterator<Item = &Case> {
        self.tests
            .iter()
            .filter(|case| case.outcome == Verdict::Failed)
    }
}

impl Summary {
    /// A run that goes on.
    pub fn new(run: Run) -> Self {
        Self {
            format: FORMAT,
            run,
            ..Self::default()
        }
    }

    /// Adds a suite, and counts it.
    pub fn add(&mut self, suite: Suite) {
        self.count.add(suite.count);
        self.suites.push(suite);
    }

    /// What failed, suite by suite.
    pub fn failed(&self) -> impl Iterator<Item = (&Suite, &Case)> {
        let failed = |suite| Suite::failed(suite).map(move |case| (suite, case));
        self.suites.iter().flat_map(failed)
    }

    /// Reads what [`Self::write`] wrote.
    pub fn read(file: &Path) -> Result<Self> {
        let read = || -> Result<Self> {
            let summary: Self = serde_json::from_slice(&fs::read(file)?)?;
            ensure!(
                summary.format == FORMAT,
                "it has the format {}, not {FORMAT}",
                summary.format
            );
            // Nobody shall have to choose between two numbers.
            let mut count = Count::default();
            for suite in &summary.suites {
                let counted = suite.counted();
                ensure!(
                    counted == suite.count,
                    "of {} it counts {}, not {counted}",
                    suite.name,
                    suite.count
                );
                count.add(counted);
            }
            ensure!(
                count == summary.count,
                "it counts {}, not {count}",
                summary.count
            );
            Ok(summary)
        };
        read().with_context(|| format!("cannot read {}", file.display()))
    }

    /// Writes `summary.json` into the folder, and `junit.xml` beside it.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let json = |file: &mut BufWriter<File>| -> Result<()> {
            serde_json::to_writer_pretty(&mut *file, self)?;
            Ok(writeln!(file)?)
        };
        write_whole(&folder.join(FILE), json)?;
        write_whole(&folder.join("junit.xml"), |file| {
            Ok(junit::write(file, self)?)
        })
    }
}

/// Under another name first: who reads it meanwhile, or after we were killed, has all or nothing.
fn write_whole(path: &Path, fill: impl FnOnce(&mut BufWriter<File>) -> Result<()>) -> Result<()> {
    let new = path.with_extension("new");
    let write = || -> Result<()> {
        let mut file = BufWriter::new(File::create(&new)?);
        fill(&mut file)?;
        file.flush()?;
        Ok(fs::rename(&new, path)?)
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

/// In milliseconds, more is noise.
pub fn seconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1000.0).round() / 1000.0
}

/// What was printed last, which says why it failed.
pub fn last_said(log: &[String]) -> Option<&String> {
    log.iter().rfind(|line| !line.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary() -> Summary {
        let failed = Test {
            log: ["# SEED=1", "# it is 3", ""].map(String::from).to_vec(),
            took: Some(Duration::from_micros(1_234_567)),
            ..Test::new("two", Outcome::Failed)
        };
        let skipped = Test::new("three", Outcome::Skipped("no such thing".to_owned()));
        let tests = [Test::new("one", Outcome::Passed), failed, skipped];
        let mut summary = Summary::new(Run {
            kernel: "7.3.4-base-0".to_owned(),
            flavor: "base".to_owned(),
            started: "2026-11-26T00:00:00Z".to_owned(),
        });
        summary.add(Suite {
            place: "vm".to_owned(),
            name: "echo".to_owned(),
            count: Count::of(&tests),
            tests: tests.iter().map(Case::of).collect(),
            ..Suite::default()
        });
        summary
    }

    /// A folder of the test's own, which is there no more afterwards.
    fn in_folder(name: &str, test: impl FnOnce(&Path)) {
        let folder = std::env::temp_dir().join(format!("runner-{}-{name}", std::process::id()));
        fs::create_dir_all(&folder).expect("there is room for a folder");
        test(&folder);
        let _ = fs::remove_dir_all(&folder);
    }

    #[test]
    fn what_is_written_can_be_read() {
        in_folder("written", |folder| {
            summary().write(folder).expect("there is room for a file");
            let read = Summary::read(&folder.join(FILE)).expect("it was just written");
            assert_eq!(read, summary());
            assert!(folder.join("junit.xml").exists());
        });
    }

    #[test]
    fn other_programs_find_what_they_look_for() {
        let json = serde_json::to_value(summary()).expect("it is JSON");
        assert_eq!(json["kernel"], "7.3.4-base-0");
        assert_eq!(
            (&json["failed"], &json["complete"]),
            (&1.into(), &false.into())
        );
        let suite = &json["suites"][0];
        assert_eq!(
            (&suite["place"], &suite["skipped"]),
            (&"vm".into(), &1.into())
        );
        let test = &suite["tests"][1];
        assert_eq!(test["outcome"], "failed");
        assert_eq!(test["seconds"], 1.235);
        assert_eq!(test["reason"], "# it is 3");
        assert_eq!(suite["tests"][2]["reason"], "no such thing");
    }

    #[test]
    fn numbers_that_disagree_are_refused() {
        in_folder("disagree", |folder| {
            let mut summary = summary();
            summary.count.failed = 0;
            summary.write(folder).expect("there is room for a file");
            let error = Summary::read(&folder.join(FILE)).expect_err("it is wrong");
            assert!(format!("{error:#}").ends_with(
                "it counts 1 passed, 0 failed, 1 skipped, not 1 passed, 1 failed, 1 skipped"
            ));

            summary.suites[0].count.failed = 0;
            summary.write(folder).expect("there is room for a file");
            let error = Summary::read(&folder.join(FILE)).expect_err("it is wrong");
            assert!(format!("{error:#}").ends_with(
                "of echo it counts 1 passed, 0 failed, 1 skipped, not 1 passed, 1 failed, 1 skipped"
            ));
        });
    }

    #[test]
    fn what_is_no_summary_is_refused() {
        in_folder("none", |folder| {
            for text in ["", "{}", "[1"] {
                fs::write(folder.join(FILE), text).expect("there is room for a file");
                Summary::read(&folder.join(FILE)).expect_err(text);
            }
            let mut other = summary();
            other.format += 1;
            other.write(folder).expect("there is room for a file");
            Summary::read(&folder.join(FILE)).expect_err("it may mean something else");
        });
    }
}
