// SPDX-License-Identifier: GPL-2.0

//! Reads what one test program printed: TAP 13 or KTAP 1, nested to any depth.
//!
//! Trusts nothing that is not said: a plan that is missing or not kept, a number
//! left out or given twice, a parent that passes although a subtest failed are
//! failures of their own. So is whatever can be read in two ways.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::line::{Directive, Line, Told, understand};

/// What a program that is skipped as a whole has for a test.
pub const WHOLE: &str = "everything";

/// How one test ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// `ok`.
    Passed,
    /// `not ok`, or a rule of the protocol that was broken.
    Failed,
    /// `# SKIP`, with the reason given; or a failure that the program calls known (`# XFAIL`, `# TODO`).
    Skipped(String),
}

/// One test without subtests, or a complaint about the stream itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Test {
    /// The path to it: `suite / subtest`.
    pub name: String,
    /// How it ended.
    pub outcome: Outcome,
    /// What was printed since the test before it.
    pub log: Vec<String>,
    /// From the result before it to its own, if somebody looked at a clock.
    pub took: Option<Duration>,
    /// It is no test that the program has, but something that is wrong with what it said or did.
    pub complaint: bool,
}

impl Test {
    /// A test of which nothing more is known.
    pub fn new(name: impl Into<String>, outcome: Outcome) -> Self {
        Self {
            name: name.into(),
            outcome,
            log: Vec::new(),
            took: None,
            complaint: false,
        }
    }
}

/// Everything that a program reported.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The tests, in the order of their result lines.
    pub tests: Vec<Test>,
    /// What was printed after the last result.
    pub rest: Vec<String>,
}

/// How many passed, failed, were skipped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// Passed.
    pub passed: usize,
    /// Failed.
    pub failed: usize,
    /// Skipped.
    pub skipped: usize,
}

impl Count {
    /// Counts tests.
    pub fn of(tests: &[Test]) -> Self {
        let mut count = Self::default();
        for test in tests {
            match test.outcome {
                Outcome::Passed => count.passed += 1,
                Outcome::Failed => count.failed += 1,
                Outcome::Skipped(_) => count.skipped += 1,
            }
        }
        count
    }

    /// Adds another count to this one.
    pub fn add(&mut self, other: Count) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Count {
            passed,
            failed,
            skipped,
        } = self;
        write!(f, "{passed} passed, {failed} failed, {skipped} skipped")
    }
}

impl Report {
    /// Counts the tests.
    pub fn count(&self) -> Count {
        Count::of(&self.tests)
    }

    /// Adds a failure that no result line reports.
    pub fn fail(&mut self, why: impl Into<String>) {
        self.tests.push(Test {
            log: std::mem::take(&mut self.rest),
            complaint: true,
            ..Test::new(why, Outcome::Failed)
        });
    }
}

/// One level of nesting while it is read.
#[derive(Default)]
struct Level {
    indent: usize,
    plan: Option<usize>,
    /// How many results there were when the plan came: it may come first or last.
    before_plan: usize,
    /// The plan's `# SKIP`, which stands for all tests.
    skip_all: Option<String>,
    results: usize,
    /// Where this level's tests begin in the flat list.
    first: usize,
}

/// Reads a whole stream.
#[cfg(test)]
pub fn parse(text: &str) -> Report {
    parse_timed(text, &[])
}

/// Reads a whole stream, of whose lines one knows when they came.
pub fn parse_timed(text: &str, came: &[Duration]) -> Report {
    let mut reader = Reader::default();
    for (at, line) in text.lines().enumerate() {
        reader.line(line, came.get(at).copied());
    }
    reader.end()
}

#[derive(Default)]
struct Reader {
    report: Report,
    levels: Vec<Level>,
    log: Vec<String>,
    bailed: bool,
    /// When the result before this came.
    last: Duration,
}

impl Reader {
    fn line(&mut self, raw: &str, came: Option<Duration>) {
        let raw = raw.trim_end_matches('\r');
        let line = raw.trim_start_matches(' ');
        let indent = raw.len() - line.len();
        let known = understand(line);
        if !matches!(known, Line::Other | Line::Result(_)) {
            // A line further left ends the levels to its right, results or not.
            while self
                .levels
                .last()
                .is_some_and(|level| level.indent > indent)
            {
                self.close(None);
            }
        }
        match known {
            Line::Version => {
                if self
                    .levels
                    .last()
                    .is_some_and(|level| level.indent == indent)
                {
                    self.close(None);
                    if indent == 0 {
                        self.report.fail("a second stream");
                    }
                }
                self.level_at(indent);
            }
            Line::Plan(number, skip) => {
                let level = self.level_at(indent);
                if level.plan.is_some() {
                    self.report.fail("a second plan line");
                } else {
                    level.plan = Some(number);
                    level.before_plan = level.results;
                    level.skip_all = skip.map(str::to_owned);
                }
            }
            Line::BadPlan => self
                .report
                .fail(format!("a plan that cannot be read: {line}")),
            Line::BailOut(reason) => {
                self.report.rest = std::mem::take(&mut self.log);
                self.report.fail(format!("bailed out: {reason}"));
                self.bailed = true;
            }
            Line::Result(told) => self.result(&told, indent, came),
            Line::Other => self.log.push(raw.to_owned()),
        }
    }

    fn result(&mut self, told: &Told<'_>, indent: usize, came: Option<Duration>) {
        // Levels to the right are this test's subtests.
        let mut subtests = None;
        while self
            .levels
            .last()
            .is_some_and(|level| level.indent > indent)
        {
            subtests = self.levels.last().map(|level| level.first);
            self.close(Some(told.name));
        }
        let level = self.level_at(indent);
        level.results += 1;
        let number = level.results;
        let late = level.plan.is_some() && level.before_plan > 0;
        let title = match told.name {
            "" => format!("test {number}"),
            name => name.to_owned(),
        };
        let outcome = outcome(told);
        let took = came.map(|came| came.saturating_sub(std::mem::replace(&mut self.last, came)));
        match subtests {
            // The subtests are what counts, the parent only sums them up.
            Some(first) if self.report.tests.len() > first => self.parent(&title, &outcome, first),
            _ => {
                let mut test = Test {
                    log: std::mem::take(&mut self.log),
                    took,
                    ..Test::new(&title[..], outcome)
                };
                if let (Outcome::Failed, Some((directive, reason))) =
                    (&test.outcome, told.directive)
                {
                    test.log.push(format!("# {} {reason}", directive.word()));
                }
                self.report.tests.push(test);
            }
        }
        if told.unclear {
            self.report.fail(format!(
                "{title}: is this a directive, or a `#` in the text?"
            ));
        }
        if late {
            self.report.fail(format!(
                "{title} comes after the plan, as others came before it"
            ));
        }
        match told.number {
            Some(told) if told == number => {}
            Some(told) => self
                .report
                .fail(format!("{title} has number {told}, expected {number}")),
            None => self
                .report
                .fail(format!("{title} has no number, expected {number}")),
        }
    }

    /// What a parent says has to agree with its subtests, which begin at `first`.
    fn parent(&mut self, title: &str, outcome: &Outcome, first: usize) {
        let subtests = &self.report.tests[first..];
        let any_failed = subtests.iter().any(|test| test.outcome == Outcome::Failed);
        let all_skipped = subtests
            .iter()
            .all(|test| matches!(test.outcome, Outcome::Skipped(_)));
        match outcome {
            Outcome::Failed if !any_failed => {
                self.report.rest = std::mem::take(&mut self.log);
                self.report
                    .fail(format!("{title} failed, though none of its subtests did"));
            }
            Outcome::Passed if any_failed => {
                self.report
                    .fail(format!("{title} says it passed, though a subtest failed"));
            }
            Outcome::Skipped(_) if !all_skipped => {
                self.report.fail(format!(
                    "{title} says it was skipped, though a subtest was not"
                ));
            }
            _ => {}
        }
    }

    /// The level for a line with this indentation, opened if no version line did.
    fn level_at(&mut self, indent: usize) -> &mut Level {
        let levels = &mut self.levels;
        if levels.last().is_none_or(|level| level.indent < indent) {
            levels.push(Level {
                indent,
                first: self.report.tests.len(),
                ..Level::default()
            });
        }
        levels.last_mut().expect("one was just pushed")
    }

    /// The innermost level is over: was its plan kept? Its tests get their parent's name.
    fn close(&mut self, parent: Option<&str>) {
        let Some(level) = self.levels.pop() else {
            return;
        };
        let report = &mut self.report;
        match (level.plan, level.skip_all) {
            (Some(0), Some(reason)) if level.results == 0 => report.tests.push(Test {
                log: std::mem::take(&mut report.rest),
                ..Test::new(WHOLE, Outcome::Skipped(reason))
            }),
            (Some(plan), _) if plan != level.results => {
                report.fail(format!("{plan} tests planned, {} reported", level.results));
            }
            (Some(0), None) => report.fail("an empty plan without a reason"),
            (None, _) => report.fail("no plan line (1..N)"),
            _ if parent.is_none() && level.indent > 0 => report.fail("subtests of no test"),
            _ => {}
        }
        if let Some(parent) = parent {
            for test in &mut report.tests[level.first..] {
                test.name = format!("{parent} / {}", test.name);
            }
        }
    }

    fn end(mut self) -> Report {
        self.report.rest = std::mem::take(&mut self.log);
        while !self.levels.is_empty() {
            // Who bails out need not keep the plan.
            if self.bailed {
                self.levels.clear();
            }
            self.close(None);
        }
        self.report
    }
}

fn outcome(told: &Told<'_>) -> Outcome {
    match told.directive {
        _ if told.unclear => Outcome::Failed,
        Some((Directive::Skip, reason)) => Outcome::Skipped(reason.to_owned()),
        // kselftest says `ok` of what fails as expected; of what passes in spite of it nobody is
        // told, so that `ok` with TODO, which is TAP's, is a surprise.
        Some((Directive::Xfail, reason)) => Outcome::Skipped(format!("known to fail: {reason}")),
        Some((Directive::Todo, reason)) if !told.ok => {
            Outcome::Skipped(format!("known to fail: {reason}"))
        }
        Some((Directive::Todo | Directive::Timeout | Directive::Error, _)) => Outcome::Failed,
        None if told.ok => Outcome::Passed,
        None => Outcome::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(text: &str) -> (usize, usize, usize) {
        let count = parse(text).count();
        (count.passed, count.failed, count.skipped)
    }

    fn failures(text: &str) -> Vec<String> {
        parse(text)
            .tests
            .into_iter()
            .filter(|test| test.outcome == Outcome::Failed)
            .map(|test| test.name)
            .collect()
    }

    #[test]
    fn a_plain_stream_counts() {
        assert_eq!(
            count("TAP version 13\n1..2\nok 1 a\nnot ok 2 b\n"),
            (1, 1, 0)
        );
    }

    #[test]
    fn carriage_returns_do_not_matter() {
        assert_eq!(count("TAP version 13\r\n1..1\r\nok 1 a\r\n"), (1, 0, 0));
    }

    #[test]
    fn the_plan_may_come_last() {
        assert_eq!(count("TAP version 13\nok 1 a\nok 2 b\n1..2\n"), (2, 0, 0));
    }

    #[test]
    fn a_skip_keeps_its_reason() {
        let report = parse("TAP version 13\n1..1\nok 1 a # SKIP no such thing\n");
        assert_eq!(
            report.tests[0].outcome,
            Outcome::Skipped("no such thing".to_owned())
        );
        assert_eq!(report.tests[0].name, "a");
    }

    #[test]
    fn a_skip_counts_with_not_ok_and_without_a_name() {
        assert_eq!(count("1..2\nnot ok 1 a # SKIP\nok 2 # skip x\n"), (0, 0, 2));
    }

    #[test]
    fn an_expected_failure_is_no_failure() {
        assert_eq!(
            count("1..3\nnot ok 1 a # TODO later\nok 2 b # XFAIL c\nnot ok 3 c # XFAIL\n"),
            (0, 0, 3)
        );
    }

    #[test]
    fn an_expected_failure_that_passes_fails() {
        assert_eq!(failures("1..1\nok 1 a # TODO later\n"), ["a"]);
    }

    #[test]
    fn what_can_be_read_in_two_ways_fails() {
        assert_eq!(
            failures("1..2\nok 1 a # SKIP: no such thing\nok 2 issue #5 works # SKIP\n"),
            ["a", "a: is this a directive, or a `#` in the text?"]
        );
    }

    #[test]
    fn a_result_needs_its_number() {
        assert_eq!(
            failures("1..2\nok a\nok 2222222222222222222222 b\n"),
            [
                "a has no number, expected 1",
                "2222222222222222222222 b has no number, expected 2"
            ]
        );
    }

    #[test]
    fn a_plan_that_cannot_be_read_fails() {
        assert_eq!(
            failures("1..1x\nok 1 a\n"),
            ["a plan that cannot be read: 1..1x", "no plan line (1..N)"]
        );
    }

    #[test]
    fn a_complaint_is_no_test() {
        let report = parse("1..3\nok 1 a\nnot ok 2 b\n");
        let complaints: Vec<bool> = report.tests.iter().map(|test| test.complaint).collect();
        assert_eq!(complaints, [false, false, true]);
    }

    #[test]
    fn a_plan_in_the_middle_fails() {
        assert_eq!(
            failures("ok 1 a\n1..2\nok 2 b\n"),
            ["b comes after the plan, as others came before it"]
        );
    }

    #[test]
    fn two_streams_fail() {
        assert_eq!(
            failures("TAP version 13\n1..1\nok 1 a\nTAP version 13\n1..1\nok 1 b\n"),
            ["a second stream"]
        );
    }

    #[test]
    fn subtests_need_a_test() {
        assert_eq!(failures("  1..1\n  ok 1 a\n"), ["subtests of no test"]);
    }

    #[test]
    fn a_skipped_parent_hides_no_subtest() {
        assert_eq!(
            failures("1..1\n  1..1\n  ok 1 x\nok 1 p # SKIP\n"),
            ["p says it was skipped, though a subtest was not"]
        );
    }

    #[test]
    fn a_test_takes_from_the_result_before_it() {
        let came = [0, 0, 30, 40, 90].map(Duration::from_millis);
        let report = parse_timed("TAP version 13\n1..2\nok 1 a\n# x\nok 2 b\n", &came);
        let took: Vec<_> = report.tests.iter().map(|test| test.took).collect();
        assert_eq!(took, [30, 60].map(|ms| Some(Duration::from_millis(ms))));
        assert_eq!(parse("1..1\nok 1 a\n").tests[0].took, None);
    }

    #[test]
    fn a_time_out_fails() {
        assert_eq!(count("1..1\nnot ok 1 a # TIMEOUT 45 seconds\n"), (0, 1, 0));
    }

    #[test]
    fn a_whole_program_may_skip() {
        assert_eq!(count("TAP version 13\n1..0 # SKIP not root\n"), (0, 0, 1));
    }

    #[test]
    fn fewer_tests_than_planned_fail() {
        assert_eq!(
            failures("TAP version 13\n1..3\nok 1 a\n"),
            ["3 tests planned, 1 reported"]
        );
    }

    #[test]
    fn more_tests_than_planned_fail() {
        assert_eq!(
            failures("1..1\nok 1 a\nok 2 b\n"),
            ["1 tests planned, 2 reported"]
        );
    }

    #[test]
    fn a_missing_plan_fails() {
        assert_eq!(
            failures("TAP version 13\nok 1 a\n"),
            ["no plan line (1..N)"]
        );
    }

    #[test]
    fn an_empty_plan_needs_a_reason() {
        assert_eq!(failures("1..0\n"), ["an empty plan without a reason"]);
    }

    #[test]
    fn a_second_plan_fails() {
        assert_eq!(failures("1..1\nok 1 a\n1..1\n"), ["a second plan line"]);
    }

    #[test]
    fn a_number_given_twice_fails() {
        assert_eq!(
            failures("1..2\nok 1 a\nok 1 b\n"),
            ["b has number 1, expected 2"]
        );
    }

    #[test]
    fn bailing_out_fails() {
        assert_eq!(
            failures("TAP version 13\n1..5\nok 1 a\nBail out! no module\n"),
            ["bailed out: no module"]
        );
    }

    #[test]
    fn words_that_begin_like_results_are_output() {
        let report = parse("1..1\nokay then\nok: fine\nnotable\nok 1 a\n");
        assert_eq!(report.tests.len(), 1);
        assert_eq!(report.tests[0].log, ["okay then", "ok: fine", "notable"]);
    }

    #[test]
    fn output_belongs_to_the_next_result() {
        let report = parse("1..2\nok 1 a\n# why\nnot ok 2 b\n# after\n");
        assert!(report.tests[0].log.is_empty());
        assert_eq!(report.tests[1].log, ["# why"]);
        assert_eq!(report.rest, ["# after"]);
    }

    const NESTED: &str = "\
KTAP version 1
1..2
  KTAP version 1
  1..2
    KTAP version 1
    1..1
    # test_1: initializing test_1
    ok 1 test_1
  ok 1 example_test_1
    KTAP version 1
    1..2
    ok 1 test_1 # SKIP test_1 skipped
    ok 2 test_2
  ok 2 example_test_2
ok 1 main_test_01
  KTAP version 1
  1..3
    # Subtest: x
  ok 1 test_1
  ok 2 test_2
  ok 3 test_3
ok 2 main_test_02
";

    #[test]
    fn nested_tests_count_by_their_leaves() {
        assert_eq!(count(NESTED), (5, 0, 1));
        assert_eq!(
            parse(NESTED).tests[0].name,
            "main_test_01 / example_test_1 / test_1"
        );
    }

    #[test]
    fn a_parent_cannot_hide_a_failed_subtest() {
        let text = "KTAP version 1\n1..1\n  KTAP version 1\n  1..1\n  not ok 1 x\nok 1 p\n";
        assert_eq!(
            failures(text),
            ["p / x", "p says it passed, though a subtest failed"]
        );
    }

    #[test]
    fn a_failed_parent_counts_when_no_subtest_failed() {
        let text = "KTAP version 1\n1..1\n  KTAP version 1\n  1..1\n  ok 1 x\nnot ok 1 p\n";
        assert_eq!(
            failures(text),
            ["p failed, though none of its subtests did"]
        );
    }

    #[test]
    fn a_nested_plan_has_to_be_kept() {
        let text = "KTAP version 1\n1..1\n  KTAP version 1\n  1..2\n  ok 1 x\nok 1 p\n";
        assert_eq!(
            failures(text),
            [
                "p / 2 tests planned, 1 reported",
                "p says it passed, though a subtest failed"
            ]
        );
    }

    #[test]
    fn a_stream_cut_inside_a_subtest_fails_at_both_levels() {
        let text = "KTAP version 1\n1..2\n  KTAP version 1\n  1..2\n  ok 1 x\n";
        assert_eq!(
            failures(text),
            ["2 tests planned, 1 reported", "2 tests planned, 0 reported"]
        );
    }

    #[test]
    fn nothing_is_not_a_pass() {
        assert_eq!(parse("").tests.len(), 0);
        assert_eq!(parse("hello\n").rest, ["hello"]);
    }
}
