// SPDX-License-Identifier: GPL-2.0

//! Reads what one test program printed: TAP 13 or KTAP 1, nested to any depth.
//!
//! Trusts nothing that is not said: a plan that is missing or not kept, a number
//! left out or given twice, a parent that passes although a subtest failed are
//! failures of their own.

use std::fmt;

/// How one test ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// `ok`.
    Passed,
    /// `not ok`, or a rule of the protocol that was broken.
    Failed,
    /// `# SKIP`, with the reason given; or an expected failure (`# TODO`).
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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
            name: why.into(),
            outcome: Outcome::Failed,
            log: std::mem::take(&mut self.rest),
        });
    }
}

/// One level of nesting while it is read.
#[derive(Default)]
struct Level {
    indent: usize,
    plan: Option<usize>,
    /// The plan's `# SKIP`, which stands for all tests.
    skip_all: Option<String>,
    results: usize,
    /// Where this level's tests begin in the flat list.
    first: usize,
}

/// One line, understood.
enum Line<'a> {
    Version,
    Plan(usize, Option<&'a str>),
    Result {
        ok: bool,
        number: Option<usize>,
        name: &'a str,
        directive: Option<(&'a str, &'a str)>,
    },
    BailOut(&'a str),
    Other,
}

/// Splits `name # DIRECTIVE reason`; a `#` that is followed by no known directive
/// is only a remark.
fn split_directive(text: &str) -> (&str, Option<(&str, &str)>) {
    let Some((name, after)) = text.split_once(" #").or_else(|| {
        // No name at all: "ok 1 # SKIP reason".
        text.strip_prefix('#').map(|after| ("", after))
    }) else {
        return (text.trim(), None);
    };
    let after = after.trim();
    let (word, reason) = after.split_once(char::is_whitespace).unwrap_or((after, ""));
    let known = ["SKIP", "TODO", "XFAIL", "TIMEOUT", "ERROR"]
        .iter()
        .any(|known| word.eq_ignore_ascii_case(known));
    let directive = known.then(|| (word, reason.trim()));
    (name.trim(), directive)
}

fn understand(line: &str) -> Line<'_> {
    if line.starts_with("TAP version ") || line.starts_with("KTAP version ") {
        return Line::Version;
    }
    if let Some(reason) = line.strip_prefix("Bail out!") {
        return Line::BailOut(reason.trim());
    }
    if let Some(rest) = line.strip_prefix("1..") {
        let (number, directive) = match rest.split_once('#') {
            Some((number, _)) => (number, split_directive(&rest[number.len()..]).1),
            None => (rest, None),
        };
        if let Ok(number) = number.trim().parse() {
            let reason = directive
                .filter(|(word, _)| word.eq_ignore_ascii_case("SKIP"))
                .map(|(_, reason)| reason);
            return Line::Plan(number, reason);
        }
    }
    let (ok, rest) = if let Some(rest) = line.strip_prefix("not ok") {
        (false, rest)
    } else if let Some(rest) = line.strip_prefix("ok") {
        (true, rest)
    } else {
        return Line::Other;
    };
    if !rest.is_empty() && !rest.starts_with(' ') {
        return Line::Other; // "okay", "ok:"
    }
    let rest = rest.trim_start();
    let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let number = rest[..digits].parse().ok();
    let rest = rest[digits..].trim_start();
    let (name, directive) = split_directive(rest);
    let name = name.strip_prefix("- ").unwrap_or(name);
    Line::Result {
        ok,
        number,
        name,
        directive,
    }
}

/// Reads a whole stream.
pub fn parse(text: &str) -> Report {
    let mut report = Report::default();
    let mut levels: Vec<Level> = Vec::new();
    let mut log: Vec<String> = Vec::new();
    let mut bailed = false;

    for raw in text.lines() {
        let raw = raw.trim_end_matches('\r');
        let line = raw.trim_start_matches(' ');
        let indent = raw.len() - line.len();
        let known = understand(line);
        if !matches!(known, Line::Other) {
            // A line further left ends the levels to its right, results or not.
            while levels.last().is_some_and(|level| level.indent > indent)
                && !matches!(known, Line::Result { .. })
            {
                let level = levels.pop().expect("it was just seen");
                close(&mut report, level, None);
            }
        }
        match known {
            Line::Version => {
                if levels.last().is_some_and(|level| level.indent == indent) {
                    let level = levels.pop().expect("it was just seen");
                    close(&mut report, level, None);
                }
                levels.push(Level {
                    indent,
                    first: report.tests.len(),
                    ..Level::default()
                });
            }
            Line::Plan(number, skip) => {
                let level = level_at(&mut levels, indent, &report);
                if level.plan.is_some() {
                    report.fail("a second plan line");
                } else {
                    level.plan = Some(number);
                    level.skip_all = skip.map(str::to_owned);
                }
            }
            Line::BailOut(reason) => {
                report.rest = std::mem::take(&mut log);
                report.fail(format!("bailed out: {reason}"));
                bailed = true;
            }
            Line::Result {
                ok,
                number,
                name,
                directive,
            } => {
                // Levels to the right are this test's subtests.
                let mut subtests = None;
                while levels.last().is_some_and(|level| level.indent > indent) {
                    let level = levels.pop().expect("it was just seen");
                    subtests = Some(level.first);
                    close(&mut report, level, Some(name));
                }
                let level = level_at(&mut levels, indent, &report);
                level.results += 1;
                let expected = level.results;
                let outcome = outcome(ok, directive);
                let title = if name.is_empty() {
                    format!("test {expected}")
                } else {
                    name.to_owned()
                };
                match subtests {
                    // The subtests are what counts, the parent only sums them up.
                    Some(first) if report.tests.len() > first => {
                        let any_failed = report.tests[first..]
                            .iter()
                            .any(|test| test.outcome == Outcome::Failed);
                        if outcome == Outcome::Failed && !any_failed {
                            report.rest = std::mem::take(&mut log);
                            report.fail(format!("{title} failed, though none of its subtests did"));
                        } else if outcome == Outcome::Passed && any_failed {
                            report.fail(format!("{title} says it passed, though a subtest failed"));
                        }
                    }
                    _ => {
                        let mut test = Test {
                            name: title.clone(),
                            outcome,
                            log: std::mem::take(&mut log),
                        };
                        if let Some((word, reason)) = directive {
                            if test.outcome == Outcome::Failed {
                                test.log.push(format!("# {word} {reason}"));
                            }
                        }
                        report.tests.push(test);
                    }
                }
                if number.is_some_and(|number| number != expected) {
                    let number = number.unwrap_or_default();
                    report.fail(format!("{title} has number {number}, expected {expected}"));
                }
            }
            Line::Other => log.push(raw.to_owned()),
        }
    }
    report.rest = log;
    while let Some(level) = levels.pop() {
        // Who bails out need not keep the plan.
        if !bailed {
            close(&mut report, level, None);
        }
    }
    report
}

/// The level for a line with this indentation, opened if no version line did.
fn level_at<'a>(levels: &'a mut Vec<Level>, indent: usize, report: &Report) -> &'a mut Level {
    if levels.is_empty() || levels.last().is_some_and(|level| level.indent < indent) {
        levels.push(Level {
            indent,
            first: report.tests.len(),
            ..Level::default()
        });
    }
    levels.last_mut().expect("one was just pushed")
}

fn outcome(ok: bool, directive: Option<(&str, &str)>) -> Outcome {
    let is = |word: &str| directive.is_some_and(|(w, _)| w.eq_ignore_ascii_case(word));
    let reason = directive.map_or(String::new(), |(_, reason)| reason.to_owned());
    if is("SKIP") {
        Outcome::Skipped(reason)
    } else if is("TODO") && !ok {
        Outcome::Skipped(format!("known to fail: {reason}"))
    } else if ok && !is("TIMEOUT") && !is("ERROR") {
        Outcome::Passed
    } else {
        Outcome::Failed
    }
}

/// The level is over: was its plan kept? Its tests get their parent's name.
fn close(report: &mut Report, level: Level, parent: Option<&str>) {
    match (level.plan, level.skip_all) {
        (Some(0), Some(reason)) if level.results == 0 => report.tests.push(Test {
            name: "everything".to_owned(),
            outcome: Outcome::Skipped(reason),
            log: std::mem::take(&mut report.rest),
        }),
        (Some(plan), _) if plan != level.results => {
            report.fail(format!("{plan} tests planned, {} reported", level.results));
        }
        (Some(0), None) => report.fail("an empty plan without a reason"),
        (None, _) => report.fail("no plan line (1..N)"),
        _ => {}
    }
    if let Some(parent) = parent {
        for test in &mut report.tests[level.first..] {
            test.name = format!("{parent} / {}", test.name);
        }
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
            count("1..2\nnot ok 1 a # TODO later\nok 2 b # XFAIL c\n"),
            (1, 0, 1)
        );
    }

    #[test]
    fn a_time_out_fails() {
        assert_eq!(count("1..1\nnot ok 1 a # TIMEOUT 45 seconds\n"), (0, 1, 0));
    }

    #[test]
    fn a_remark_is_no_directive() {
        let report = parse("1..1\nok 1 check return code # rcode=0\n");
        assert_eq!(report.tests[0].name, "check return code");
        assert_eq!(report.tests[0].outcome, Outcome::Passed);
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
