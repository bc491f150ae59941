// SPDX-License-Identifier: GPL-2.0

//! What came of each property: a line for people, and a summary.json as a run of the tests has it.

use std::fs;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};
use serde_json::{json, Value};

/// What came of a property.
pub enum Outcome {
    /// It holds; with how that was found, in a few words.
    Proved(String),
    /// It does not; with what breaks it.
    Broken(String),
    /// It could not be checked; with the reason.
    Skipped(String),
}

struct Case {
    name: String,
    property: String,
    outcome: Outcome,
    seconds: f64,
}

/// All that came.
pub struct Report {
    /// By what checks them.
    suites: Vec<(&'static str, Vec<Case>)>,
    started: Instant,
    last: Instant,
}

impl Report {
    pub fn new() -> Self {
        Self {
            suites: Vec::new(),
            started: Instant::now(),
            last: Instant::now(),
        }
    }

    /// Begins with the properties that this checks.
    pub fn suite(&mut self, name: &'static str) {
        self.suites.push((name, Vec::new()));
        self.last = Instant::now();
    }

    /// Adds a property of it. Says so, for who waits.
    pub fn add(&mut self, name: &str, property: &str, outcome: Outcome) {
        let Some((suite, cases)) = self.suites.last_mut() else {
            return;
        };
        let word = match outcome {
            Outcome::Proved(_) => "ok",
            Outcome::Broken(_) => "BROKEN",
            Outcome::Skipped(_) => "skipped",
        };
        let seconds = self.last.elapsed().as_secs_f64();
        eprintln!("  {suite} {name}: {word} ({seconds:.1} s)");
        self.last = Instant::now();
        cases.push(Case {
            name: name.to_owned(),
            property: property.to_owned(),
            outcome,
            seconds,
        });
    }

    /// Tells everything, and keeps it for programs. Returns whether nothing is broken.
    pub fn finish(self, keep: &Path) -> Result<bool> {
        let (mut passed, mut failed, mut skipped) = (0, 0, 0);
        let mut suites = Vec::new();
        println!();
        for (suite, cases) in &self.suites {
            let mut counts = (0, 0, 0);
            let mut tests = Vec::new();
            for case in cases {
                let Case {
                    name,
                    property,
                    outcome,
                    seconds,
                } = case;
                let test = |outcome: &str| json!({"name": format!("{name}: {property}"), "outcome": outcome, "seconds": seconds});
                let (mark, test, more) = match outcome {
                    Outcome::Proved(how) => {
                        counts.0 += 1;
                        println!("proved   {suite:<6} {name:<20} {property} ({how})");
                        continue_with(&mut tests, test("passed"), None);
                        continue;
                    }
                    Outcome::Broken(why) => {
                        counts.1 += 1;
                        ("BROKEN ", test("failed"), why)
                    }
                    Outcome::Skipped(why) => {
                        counts.2 += 1;
                        ("skipped", test("skipped"), why)
                    }
                };
                println!("{mark}  {suite:<6} {name:<20} {property}");
                for line in more.lines() {
                    println!("           {line}");
                }
                continue_with(&mut tests, test, Some(more));
            }
            suites.push(json!({
                "place": "host", "name": format!("proofs-{suite}"),
                "seconds": cases.iter().map(|case| case.seconds).sum::<f64>(),
                "passed": counts.0, "failed": counts.1, "skipped": counts.2, "tests": tests,
            }));
            passed += counts.0;
            failed += counts.1;
            skipped += counts.2;
        }
        let summary = json!({
            "format": 1, "kernel": "", "flavor": "", "started": "", "complete": true,
            "seconds": self.started.elapsed().as_secs_f64(),
            "passed": passed, "failed": failed, "skipped": skipped, "suites": suites,
        });
        fs::create_dir_all(keep)?;
        fs::write(keep.join("summary.json"), format!("{summary:#}\n"))
            .with_context(|| format!("cannot write to {}", keep.display()))?;
        println!("\n{passed} passed, {failed} failed, {skipped} skipped");
        Ok(failed == 0)
    }
}

/// Adds a test, with what there is to say of it.
fn continue_with(tests: &mut Vec<Value>, mut test: Value, more: Option<&String>) {
    if let Some(more) = more {
        test["reason"] = json!(more.lines().next().unwrap_or_default());
        test["log"] = json!(more.lines().collect::<Vec<_>>());
    }
    tests.push(test);
}
