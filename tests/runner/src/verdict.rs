// SPDX-License-Identifier: GPL-2.0

//! Judges a boot: each suite by its results, its exit status, what it left behind, the kernel's log
//! meanwhile and the kernel's own counts; and all else by the same measures, as the VM itself.
//!
//! A suite is judged between two marks that both streams have, so with all of the log that was
//! written before its end. Nothing is judged twice and nothing not at all: at the end the whole log
//! is compared with what was said of its parts.

use std::collections::HashSet;
use std::sync::LazyLock;
use std::time::Duration;

use guest::{Checker, Counts, Mark, What, mark};
use regex::Regex;

use crate::klog;
use crate::recording::{Ending, Expected, Recording};
use crate::tap::{self, Outcome, Report, Test};
use crate::transcript::{Section, Stream, Transcript};

/// How much of the kernel log is shown for one trouble.
const TROUBLE_LINES: usize = 40;

/// What the kernel says last, whatever the architecture then does.
const LAST_WORDS: &str = "reboot: Restarting system";

/// What one suite came to.
#[derive(Debug, Default)]
pub struct Judged {
    /// Its name.
    pub name: String,
    /// Its tests, and what else is wrong.
    pub tests: Vec<Test>,
    /// What it printed.
    pub output: String,
    /// The kernel's log meanwhile.
    pub log: String,
    /// How long it took by the kernel's clock, if it ended.
    pub took: Option<Duration>,
}

/// The number of the mark with which the nth suite begins; the next one is its end.
pub fn begin_of(suite: usize) -> usize {
    2 * suite + 1
}

/// Which suite a mark of this number ends, if it is one of those.
pub fn ended_by(number: usize) -> Option<usize> {
    (number >= 2 && number % 2 == 0).then(|| number / 2 - 1)
}

/// What the mark of this number should say.
fn expected_mark(expected: &Expected, number: usize) -> String {
    let suites = &expected.suites;
    match number {
        0 => "booted".to_owned(),
        last if last == begin_of(suites.len()) => "done".to_owned(),
        number => match suites.get((number - 1) / 2) {
            Some(name) if number % 2 == 1 => format!("begin {name}"),
            Some(name) => format!("end {name}"),
            None => "nothing".to_owned(),
        },
    }
}

fn says(mark: &Mark) -> String {
    match &mark.what {
        What::Booted => "booted".to_owned(),
        What::Done => "done".to_owned(),
        What::Begin(name) => format!("begin {name}"),
        What::End(name, _) => format!("end {name}"),
    }
}

/// Judges the nth suite.
pub fn suite(expected: &Expected, transcript: &Transcript, suite: usize) -> Judged {
    let name = expected.suites[suite].clone();
    let begin = begin_of(suite);
    let port = Part::of(transcript.port.opened_by(begin), transcript.port.sections());
    let log = Part::of(transcript.log.opened_by(begin), transcript.log.sections());
    let mut report = if expected.tap {
        tap::parse_timed(port.text(), port.came())
    } else {
        Report::default()
    };
    let status = port.closed_by.and_then(|mark| match &mark.what {
        What::End(ended, status) if *ended == name => Some(*status),
        _ => None,
    });
    check_status(&mut report, expected.tap, port.section.is_some(), status);
    for fault in port.section.iter().flat_map(|section| &section.faults) {
        report.fail(fault);
    }
    if port.section.is_some_and(reports_late) {
        report.fail("a process that it left behind reported a test");
    }
    let records = Part::of(
        transcript.records.opened_by(begin),
        transcript.records.sections(),
    );
    let troubles = troubles(log.text(), records.text());
    for trouble in &troubles {
        fail_with(&mut report, trouble, "the kernel is in trouble");
    }
    if expected.records && status.is_some() && records.closed_by.is_none() {
        report.fail("the kernel's records do not show where it ends");
    }
    if port.section.is_some() && log.section.is_none() {
        report.fail("the kernel's log does not show where it begins");
    } else if status.is_some() && log.closed_by.is_none() {
        report.fail("the kernel's log does not show where it ends");
    }
    if let (Some(before), Some(after)) = (log.opened_by(), log.closed_by) {
        compare(
            &mut report,
            &before.counts,
            &after.counts,
            troubles.is_empty(),
        );
    }
    let clock = |from: Option<Duration>, to: Option<Duration>| to?.checked_sub(from?);
    Judged {
        name,
        tests: report.tests,
        output: port.text().to_owned(),
        log: log.text().to_owned(),
        took: log
            .section
            .and_then(|section| clock(section.stamp, log.closed_at)),
    }
}

/// Whether somebody reports a test, or how many there are, when the program has ended.
fn reports_late(section: &Section) -> bool {
    let late = section.exited.and_then(|end| section.text.get(end..));
    let lines = late.unwrap_or_default().lines().map(str::trim_start);
    let mut reports = lines.filter(|line| {
        let words = ["ok ", "not ok ", "1.."];
        words.iter().any(|word| line.starts_with(word))
    });
    reports.next().is_some()
}

/// The troubles in a part of the kernel's log: as the console has it, or, if that has none, as the
/// records tell them, which have levels and what the console left out.
fn troubles(log: &str, records: &str) -> Vec<String> {
    let found = klog::troubles(log, TROUBLE_LINES);
    match found.is_empty() {
        true => klog::troubles(records, TROUBLE_LINES),
        false => found,
    }
}

fn check_status(report: &mut Report, tap: bool, began: bool, status: Option<i32>) {
    let count = report.count();
    match status {
        None if !began => report.fail("it did not run"),
        None => report.fail("it did not end"),
        Some(0) if !tap => {}
        Some(0 | 1 | 4) if tap && report.tests.is_empty() => report.fail("it reported no test"),
        Some(0) => {}
        Some(1) if count.failed > 0 => {}
        Some(1) if tap => report.fail("it ended with status 1, though no test failed"),
        Some(4) if tap && count.failed == 0 && count.passed == 0 => {}
        Some(4) if tap => report.fail("it ended with status 4 (skipped), though tests ran"),
        Some(137) => report.fail("it was killed: its time was up, or its memory"),
        Some(status @ 129..=192) => {
            report.fail(format!("it was killed by signal {}", status - 128));
        }
        Some(status) => report.fail(format!("it ended with status {status}")),
    }
}

/// What lies between two marks that follow each other, or from one on.
#[derive(Clone, Copy, Debug, Default)]
struct Part<'a> {
    section: Option<&'a Section>,
    closed_by: Option<&'a Mark>,
    closed_at: Option<Duration>,
}

impl<'a> Part<'a> {
    fn of(found: Option<(usize, &'a Section)>, all: &'a [Section]) -> Self {
        let Some((at, section)) = found else {
            return Self::default();
        };
        let number = section.opened_by.as_ref().map(|mark| mark.number);
        let next = all.get(at + 1);
        let closed_by = next.and_then(|next| next.opened_by.as_ref());
        Self {
            section: Some(section),
            closed_by: closed_by.filter(|mark| Some(mark.number) == number.map(|n| n + 1)),
            closed_at: next.and_then(|next| next.stamp),
        }
    }

    fn text(&self) -> &'a str {
        self.section.map_or("", |section| &section.text)
    }

    fn came(&self) -> &'a [Duration] {
        self.section.map_or(&[], |section| &section.came)
    }

    fn opened_by(&self) -> Option<&'a Mark> {
        self.section.and_then(|section| section.opened_by.as_ref())
    }
}

fn fail_with(report: &mut Report, lines: &str, why: &str) {
    report.rest = lines.lines().map(str::to_owned).collect();
    report.fail(why);
}

/// Whether the kernel counted no trouble between two moments. What it counted and also said is not
/// told twice.
fn compare(report: &mut Report, before: &Counts, after: &Counts, said_nothing: bool) {
    let unread = |value: Option<()>, what: &str, report: &mut Report| {
        if value.is_none() {
            report.fail(format!("the kernel's {what} could not be read"));
        }
    };
    let pairs = [
        (before.warnings, after.warnings, "warning"),
        (before.oopses, after.oopses, "oops"),
    ];
    for (before, after, what) in pairs {
        unread(
            before.and(after).map(|_| ()),
            &format!("count of each {what}"),
            report,
        );
        let (Some(before), Some(after)) = (before, after) else {
            continue;
        };
        if after < before {
            report.fail(format!(
                "the kernel's count of each {what} went from {before} to {after}"
            ));
        } else if after > before && said_nothing {
            report.fail(format!(
                "the kernel counted a {what} that its log does not show"
            ));
        }
    }
    unread(before.taint.and(after.taint).map(|_| ()), "taint", report);
    if let (Some(before), Some(after)) = (before.taint, after.taint) {
        if let Some(flag) = klog::bad_taint(after & !before).filter(|_| said_nothing) {
            report.fail(format!(
                "the kernel is tainted: {flag}, which its log does not show"
            ));
        }
    }
    let checkers = [
        (before.lockdep, after.lockdep, "lockdep"),
        (before.kmemleak, after.kmemleak, "kmemleak"),
    ];
    for (before, after, what) in checkers {
        match (before, after) {
            (None, _) | (_, None) => unread(None, &format!("state of {what}"), report),
            (Some(before), Some(after)) if before == after => {}
            (Some(_), Some(Checker::Off)) => {
                report.fail(format!("{what} has turned itself off"));
            }
            (Some(_), Some(Checker::Absent)) => report.fail(format!("{what} has gone")),
            (Some(_), Some(Checker::On)) => report.fail(format!("{what} has come back")),
        }
    }
}

/// What a kernel with these checkers counts before anything happens.
fn at_first(booted: &Counts) -> Counts {
    let checker = |state| match state {
        Some(Checker::Absent) => Some(Checker::Absent),
        _ => Some(Checker::On),
    };
    Counts {
        taint: Some(0),
        warnings: Some(0),
        oopses: Some(0),
        lockdep: checker(booted.lockdep),
        kmemleak: checker(booted.kmemleak),
    }
}

/// Judges what is no suite's: the boot, the end, what lies between suites, the marks, and whatever of
/// the log is not explained by what was said of the suites.
pub fn rest(
    expected: &Expected,
    transcript: &Transcript,
    ending: Ending,
    suites: &[Judged],
) -> Vec<Test> {
    let mut report = Report::default();
    if let Some(complaint) = ending.complaint() {
        let log = transcript.log.sections();
        let log: String = log.iter().map(|section| &section.text[..]).collect();
        report.rest = tail(&log, 40);
        report.fail(complaint);
    }
    check_marks(&mut report, expected, transcript);
    if ending == Ending::Done {
        check_end(&mut report, expected, transcript);
    }
    let log = transcript.log.sections();
    for (at, section) in log.iter().enumerate() {
        let part = Part::of(Some((at, section)), log);
        if is_of_suite(expected, section) {
            continue;
        }
        let when = when(section);
        let number = section.opened_by.as_ref().map(|mark| mark.number);
        let records = number.and_then(|number| transcript.records.opened_by(number));
        let troubles = troubles(
            &section.text,
            records.map_or("", |(_, section)| &section.text),
        );
        for trouble in &troubles {
            let why = format!("the kernel is in trouble while no test ran, {when}");
            fail_with(&mut report, trouble, &why);
        }
        let said_nothing = troubles.is_empty();
        let next = log.get(at + 1).and_then(|next| next.opened_by.as_ref());
        if let Some(after) = next.map(|mark| &mark.counts) {
            let before = part.opened_by().map(|mark| mark.counts.clone());
            compare(
                &mut report,
                &before.unwrap_or_else(|| at_first(after)),
                after,
                said_nothing,
            );
        }
    }
    for section in transcript.port.sections() {
        if !is_of_suite(expected, section) && !section.text.trim().is_empty() {
            report.rest = tail(&section.text, 10);
            report.fail(format!(
                "something printed while no test ran, {}",
                when(section)
            ));
        }
        if !is_of_suite(expected, section) {
            for fault in &section.faults {
                report.fail(format!("{}: {fault}", when(section)));
            }
        }
    }
    unexplained(&mut report, transcript, suites);
    report.tests
}

/// Whether a suite is judged by this section.
fn is_of_suite(expected: &Expected, section: &Section) -> bool {
    let number = section.opened_by.as_ref().map(|mark| mark.number);
    number.is_some_and(|number| number % 2 == 1 && number < begin_of(expected.suites.len()))
}

fn when(section: &Section) -> String {
    match section.opened_by.as_ref().map(|mark| &mark.what) {
        None => "before it was up".to_owned(),
        Some(What::Booted) => "before the first one".to_owned(),
        Some(What::Begin(name)) => format!("after the beginning of {name}"),
        Some(What::End(name, _)) => format!("after the end of {name}"),
        Some(What::Done) => "after all was done".to_owned(),
    }
}

/// The marks of both streams say the same, and what was expected.
fn check_marks(report: &mut Report, expected: &Expected, transcript: &Transcript) {
    let log = Marks::of("the kernel's log", &transcript.log);
    let port = Marks::of("the programs' port", &transcript.port);
    for marks in [&log, &port] {
        let name = marks.name;
        let problems = marks.stream.problems();
        fail_once(
            report,
            &format!("something is wrong with marks in {name}"),
            problems,
        );
        let wrong = marks.all.iter().filter_map(|mark| {
            let should = expected_mark(expected, mark.number);
            (says(mark) != should).then(|| format!("`{mark}` should be `{should}`"))
        });
        fail_once(report, &format!("{name} has marks of other suites"), wrong);
    }
    for (one, other) in [(&log, &port), (&port, &log)] {
        let missing = one
            .all
            .iter()
            .filter(|mark| other.get(mark.number).is_none());
        let missing = missing.map(|mark| format!("`{mark}`"));
        fail_once(
            report,
            &format!("only {} has some of the marks", one.name),
            missing,
        );
    }
    let differ = log.all.iter().filter_map(|mark| {
        let twin = port.get(mark.number).filter(|twin| twin != mark)?;
        Some(format!(
            "`{mark}` in {}, `{twin}` in {}",
            log.name, port.name
        ))
    });
    fail_once(report, "marks differ between the streams", differ);
}

/// The marks of one stream.
struct Marks<'a> {
    name: &'static str,
    stream: &'a Stream,
    all: Vec<&'a Mark>,
}

impl<'a> Marks<'a> {
    fn of(name: &'static str, stream: &'a Stream) -> Self {
        let sections = stream.sections().iter();
        Self {
            name,
            stream,
            all: sections
                .filter_map(|section| section.opened_by.as_ref())
                .collect(),
        }
    }

    fn get(&self, number: usize) -> Option<&'a Mark> {
        let (_, section) = self.stream.opened_by(number)?;
        section.opened_by.as_ref()
    }
}

/// One failure for all of these lines, if there are any.
fn fail_once(report: &mut Report, why: &str, lines: impl Iterator<Item = String>) {
    report.rest = lines.collect();
    if !report.rest.is_empty() {
        report.fail(why);
    }
}

/// The log begins where the kernel does, and goes on to its very end.
fn check_end(report: &mut Report, expected: &Expected, transcript: &Transcript) {
    let text = |at: usize| {
        transcript
            .log
            .sections()
            .get(at)
            .map(|section| &section.text)
    };
    let boots = (0..transcript.log.sections().len())
        .filter_map(text)
        .flat_map(|text| text.lines())
        .filter(|line| is_first_of_boot(line))
        .count();
    if boots != 1 {
        report.fail(format!("the kernel's log has {boots} boots, not one"));
    }
    let done = transcript.log.opened_by(begin_of(expected.suites.len()));
    if !done.is_some_and(|(_, section)| section.text.contains(LAST_WORDS)) {
        report.fail("the kernel's log breaks off before its end");
    }
}

/// Whether a kernel began with this line, before its clock ran. (A program may print the like later.)
fn is_first_of_boot(line: &str) -> bool {
    static FIRST: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"\[ *0\.0+\](?:\[ *[TC]\d+\])? Linux version ").expect("it is a constant")
    });
    FIRST.is_match(line)
}

/// Every trouble in the log, wherever it is, has to have been told.
fn unexplained(report: &mut Report, transcript: &Transcript, suites: &[Judged]) {
    // The marks end whatever report is open, as in the parts.
    let parts = transcript.log.sections().iter();
    let all: String = parts
        .flat_map(|section| ["[    0.000000] ", mark::IN_THE_LOG, "\n", &section.text])
        .collect();
    let suites = suites.iter().flat_map(|suite| &suite.tests);
    let told: HashSet<&str> = suites
        .chain(&report.tests)
        .filter(|test| test.outcome == Outcome::Failed)
        .flat_map(|test| &test.log)
        .map(|line| &line[..])
        .collect();
    let untold: Vec<String> = klog::troubles(&all, 1)
        .into_iter()
        .filter(|trouble| !trouble.lines().all(|line| told.contains(line)))
        .collect();
    for trouble in untold {
        fail_with(
            report,
            &trouble,
            "the kernel is in trouble, and no suite was told",
        );
    }
}

/// Judges a boot that is over.
pub fn all(recording: &Recording) -> (Vec<Judged>, Vec<Test>) {
    let expected = &recording.expected;
    let transcript = Transcript::of(
        &expected.token,
        &recording.log,
        &recording.port,
        &recording.records,
    );
    let suites: Vec<Judged> = (0..expected.suites.len())
        .map(|at| suite(expected, &transcript, at))
        .collect();
    let rest = rest(expected, &transcript, recording.ending, &suites);
    (suites, rest)
}

/// The last lines of a text.
pub fn tail(text: &str, lines: usize) -> Vec<String> {
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..]
        .iter()
        .map(|line| line.trim_end_matches('\r').to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recording::Files;
    use std::fs;
    use std::path::Path;

    const COUNTS: &str = "taint=0 warnings=0 oopses=0 lockdep=on kmemleak=on";
    const GOOD: &str = "TAP version 13\n1..1\nok 1 a\n";

    /// A boot with one suite `a`, in which all is well.
    struct Story {
        output: &'static str,
        status: i32,
        during: &'static str,
        end: String,
    }

    impl Story {
        fn good() -> Self {
            Self {
                output: GOOD,
                status: 0,
                during: "",
                end: COUNTS.to_owned(),
            }
        }

        fn tell(&self) -> Recording {
            let Self {
                output,
                status,
                during,
                end,
            } = self;
            let marks = [
                format!("@t0k 0 booted {COUNTS} @"),
                format!("@t0k 1 begin a {COUNTS} @"),
                format!("@t0k 2 end a {status} {end} @"),
                format!("@t0k 3 done {end} @"),
            ];
            let [booted, begin, end, done] = &marks;
            let log = format!(
                "[ 0.0] Linux version 7.3.4\n[ 1.0] rust-connector: {booted}\n\
                 [ 2.0] rust-connector: {begin}\n{during}[ 3.5] rust-connector: {end}\n\
                 [ 4.0] rust-connector: {done}\n[ 4.1] reboot: Restarting system\n"
            );
            let port = format!("\n{booted}\n\n{begin}\n{output}\n{end}\n\n{done}\n");
            Recording {
                log: log.into_bytes(),
                port: port.into_bytes(),
                records: Vec::new(),
                expected: Expected {
                    token: "t0k".to_owned(),
                    suites: vec!["a".to_owned()],
                    tap: true,
                    ..Expected::default()
                },
                ending: Ending::Done,
            }
        }

        fn failures(&self) -> Vec<String> {
            failures(&self.tell())
        }
    }

    /// What fails, each after the name of its suite; the VM itself has none.
    fn failures(recording: &Recording) -> Vec<String> {
        let (suites, rest) = all(recording);
        let failed = |test: &&Test| test.outcome == Outcome::Failed;
        let of_suites = suites.iter().flat_map(|suite| {
            let tests = suite.tests.iter().filter(failed);
            tests.map(|test| format!("{}: {}", suite.name, test.name))
        });
        let of_rest = rest.iter().filter(failed);
        of_suites
            .chain(of_rest.map(|test| format!("vm: {}", test.name)))
            .collect()
    }

    #[test]
    fn a_good_program_passes_and_its_time_is_the_kernels() {
        let recording = Story::good().tell();
        assert!(failures(&recording).is_empty());
        let (suites, _) = all(&recording);
        assert_eq!(suites[0].took, Some(Duration::from_millis(1500)));
    }

    #[test]
    fn a_program_that_says_nothing_fails() {
        for output in ["", "hello\n"] {
            let story = Story {
                output,
                ..Story::good()
            };
            assert_eq!(story.failures(), ["a: it reported no test"]);
        }
    }

    #[test]
    fn what_is_reported_when_the_program_has_ended_is_none_of_its_results() {
        for (output, complaint) in [
            ("1..2\nok 1 a\n!@t0k exited\nok 2 b\n", true),
            ("1..1\nok 1 a\n!@t0k exited\nbye\n", false),
        ] {
            let output = output.replace("!@t0k ", &mark::fault_prefix("t0k"));
            let story = Story {
                output: output.leak(),
                ..Story::good()
            };
            let expected = ["a: a process that it left behind reported a test"];
            assert_eq!(story.failures(), &expected[..usize::from(complaint)]);
        }
    }

    #[test]
    fn the_exit_status_has_to_agree() {
        for (status, complaint) in [
            (1, "a: it ended with status 1, though no test failed"),
            (4, "a: it ended with status 4 (skipped), though tests ran"),
            (101, "a: it ended with status 101"),
            (137, "a: it was killed: its time was up, or its memory"),
            (139, "a: it was killed by signal 11"),
        ] {
            let story = Story {
                status,
                ..Story::good()
            };
            assert_eq!(story.failures(), [complaint]);
        }
    }

    #[test]
    fn a_skipped_program_is_skipped() {
        let story = Story {
            output: "TAP version 13\n1..0 # SKIP no such thing\n",
            status: 4,
            ..Story::good()
        };
        assert!(story.failures().is_empty());
        let (suites, _) = all(&story.tell());
        assert!(matches!(suites[0].tests[0].outcome, Outcome::Skipped(_)));
    }

    #[test]
    fn a_lie_is_caught_by_the_kernel_log() {
        let story = Story {
            during: "[ 2.1] BUG: KASAN: slab-use-after-free in y\n[ 2.1] Call Trace:\n",
            ..Story::good()
        };
        assert_eq!(story.failures(), ["a: the kernel is in trouble"]);
    }

    #[test]
    fn what_the_kernel_counts_counts() {
        for (end, complaint) in [
            (
                "taint=512 warnings=1 oopses=0 lockdep=on kmemleak=on",
                &[
                    "a: the kernel counted a warning that its log does not show",
                    "a: the kernel is tainted: W (a warning), which its log does not show",
                ][..],
            ),
            (
                "taint=0 warnings=0 oopses=0 lockdep=off kmemleak=on",
                &["a: lockdep has turned itself off"],
            ),
            (
                "taint=0 warnings=0 oopses=0 lockdep=on kmemleak=off",
                &["a: kmemleak has turned itself off"],
            ),
        ] {
            let story = Story {
                end: end.to_owned(),
                ..Story::good()
            };
            assert_eq!(story.failures(), complaint);
        }
    }

    #[test]
    fn what_cannot_be_read_is_not_0() {
        let story = Story {
            end: "taint=? warnings=? oopses=? lockdep=? kmemleak=?".to_owned(),
            ..Story::good()
        };
        let failures = story.failures();
        for what in [
            "taint",
            "count of each warning",
            "count of each oops",
            "state of lockdep",
            "state of kmemleak",
        ] {
            let complaint = format!("a: the kernel's {what} could not be read");
            assert!(failures.contains(&complaint), "{what}: {failures:?}");
        }
    }

    #[test]
    fn a_warning_that_the_log_shows_is_told_once() {
        let story = Story {
            during: "[ 2.1] WARNING: net/x.c:1 at y+0x1/0x2, CPU#1: a/77\n",
            end: COUNTS.replace("taint=0 warnings=0", "taint=512 warnings=1"),
            ..Story::good()
        };
        assert_eq!(story.failures(), ["a: the kernel is in trouble"]);
    }

    #[test]
    fn a_boot_that_nobody_saw_end_fails() {
        for ending in [Ending::Unseen, Ending::Died, Ending::QemuFailed(1)] {
            let mut recording = Story::good().tell();
            recording.ending = ending;
            let complaint = ending.complaint().expect("it is no good end");
            assert_eq!(failures(&recording), [format!("vm: {complaint}")]);
        }
    }

    /// Real runs, cut short and changed by hand. What is to fail stands in `expected` beside them.
    #[test]
    fn recorded_runs_are_judged_as_they_should_be() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("recorded");
        let mut runs: Vec<_> = fs::read_dir(&folder)
            .expect("they are there")
            .map(|entry| entry.expect("it can be read").path())
            .filter(|path| path.is_dir())
            .collect();
        runs.sort();
        assert!(runs.len() > 10, "there are {}", runs.len());
        let mut wrong = String::new();
        for run in runs {
            let recording = Recording::read(&Files::new(&run, "console")).expect("it is complete");
            let expected = fs::read_to_string(run.join("expected")).expect("it is known");
            let expected: Vec<&str> = expected.lines().collect();
            let failures = failures(&recording);
            if failures != expected {
                let name = run.file_name().unwrap_or_default().to_string_lossy();
                wrong += &format!("{name}: expected {expected:#?}, failed {failures:#?}\n");
            }
        }
        assert!(wrong.is_empty(), "{wrong}");
    }
}
