// SPDX-License-Identifier: GPL-2.0

//! Which tests may be skipped: those in tests/skips.tsv that need what the kernel in the VM lacks.
//! They have to be, and no other may.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail, ensure};
use glob::Pattern;

use crate::tap::{Outcome, Report, Test, WHOLE};

/// For people.
const TABLE: &str = "tests/skips.tsv";

/// What tests run on.
#[derive(Clone, Debug, Default)]
pub struct Given {
    /// The kernel's options that are y, by their names, and those that are m, as `NAME=m`.
    options: BTreeSet<String>,
    cpus: u32,
}

impl Given {
    /// A kernel's configuration, as its `.config` has it, and how many CPUs it gets.
    pub fn new(config: &str, cpus: u32) -> Self {
        let set = |line: &str| {
            let option = line.strip_prefix("CONFIG_")?;
            let built_in = option.strip_suffix("=y");
            let name = built_in.or(Some(option).filter(|option| option.ends_with("=m")))?;
            Some(name.to_owned())
        };
        Self {
            options: config.lines().filter_map(set).collect(),
            cpus,
        }
    }

    fn has(&self, need: &Need) -> bool {
        match need {
            Need::Option(name) => self.options.contains(name),
            Need::NotBuiltIn(name) => !self.options.contains(name),
            Need::Cpus(count) => self.cpus >= *count,
            Need::OneOf(needs) => needs.iter().any(|need| self.has(need)),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Need {
    Option(String),
    /// That the option is m or not set.
    NotBuiltIn(String),
    Cpus(u32),
    OneOf(Vec<Need>),
}

impl Need {
    fn of(word: &str) -> Result<Self> {
        if word.contains('|') {
            return Ok(Self::OneOf(
                word.split('|').map(Self::of).collect::<Result<_>>()?,
            ));
        }
        if let Some(count) = word.strip_prefix("CPUS>=") {
            return Ok(Self::Cpus(count.parse().context("CPUS>= how many?")?));
        }
        if let Some(name) = word.strip_suffix("!=y") {
            return match Self::of(name)? {
                Self::Option(name) => Ok(Self::NotBuiltIn(name)),
                _ => bail!("{word} is no option"),
            };
        }
        let letter = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
        ensure!(
            !word.is_empty()
                && !word.starts_with("CONFIG_")
                && word.strip_suffix("=m").unwrap_or(word).chars().all(letter),
            "{word} is no option: expected KPROBES, for example, or CONNECTOR=m, or CPUS>=2"
        );
        Ok(Self::Option(word.to_owned()))
    }

    fn name(&self) -> String {
        match self {
            Self::Option(name) => format!("CONFIG_{name}"),
            Self::NotBuiltIn(name) => format!("a CONFIG_{name} that is not y"),
            Self::Cpus(count) => format!("{count} CPUs"),
            Self::OneOf(needs) => needs
                .iter()
                .map(Self::name)
                .collect::<Vec<_>>()
                .join(" or "),
        }
    }
}

#[derive(Debug)]
struct Row {
    suite: String,
    tests: Pattern,
    needs: Vec<Need>,
}

impl Row {
    fn read(line: &str) -> Result<Self> {
        let fields: Vec<&str> = line.split('\t').collect();
        let [suite, tests, needs, why] = fields[..] else {
            bail!("expected suite, test, needs and why, with a tab between them");
        };
        let needs: Result<Vec<Need>> = needs.split_whitespace().map(Need::of).collect();
        let needs = needs?;
        ensure!(
            !suite.is_empty() && !needs.is_empty() && !why.trim().is_empty(),
            "a suite, what it needs or a reason is missing"
        );
        Ok(Self {
            suite: suite.to_owned(),
            tests: Pattern::new(tests).with_context(|| format!("`{tests}` is no glob"))?,
            needs,
        })
    }

    fn is_about(&self, test: &Test) -> bool {
        !test.complaint && self.tests.matches(&test.name)
    }
}

/// The table, and what it is applied to.
#[derive(Debug, Default)]
pub struct Skips {
    rows: Vec<Row>,
    given: Given,
}

impl Skips {
    /// Reads the table's text.
    pub fn of(text: &str, given: Given) -> Result<Self> {
        let lines = (1..).zip(text.lines());
        let rows: Result<Vec<Row>> = lines
            .filter(|(_, line)| !line.starts_with('#') && !line.is_empty())
            .map(|(number, line)| {
                Row::read(line).with_context(|| format!("{TABLE}, line {number}"))
            })
            .collect();
        Ok(Self { rows: rows?, given })
    }

    /// The suites that the table names.
    pub fn suites(&self) -> impl Iterator<Item = &str> {
        self.rows.iter().map(|row| &row.suite[..])
    }

    /// Makes failures of what was skipped and should not be, and the other way round. `all` is
    /// whether all tests of the suite were to run.
    pub fn check(&self, suite: &str, tests: &mut Vec<Test>, all: bool) {
        let rows: Vec<&Row> = self.rows.iter().filter(|row| row.suite == suite).collect();
        let mut report = Report::default();
        for test in tests.iter_mut() {
            let mut about = rows.iter().filter(|row| row.is_about(test)).peekable();
            let is_known = about.peek().is_some();
            let lacks = about
                .flat_map(|row| &row.needs)
                .find(|need| !self.given.has(need));
            match (&test.outcome, lacks) {
                (Outcome::Skipped(reason), None) => {
                    let why = match is_known {
                        true => "though here is all that it needs by",
                        false => "which is not expected by",
                    };
                    test.log
                        .push(format!("# it was skipped, {why} {TABLE}: {reason}"));
                    test.outcome = Outcome::Failed;
                }
                (Outcome::Passed, Some(need)) => report.fail(format!(
                    "{} passed without {}, which it needs by {TABLE}",
                    test.name,
                    need.name()
                )),
                _ => {}
            }
        }
        // A row about no test any more would hide that one day. What broke off says nothing of it.
        let whole = all
            && !tests
                .iter()
                .any(|test| test.complaint || test.name == WHOLE);
        for row in rows.iter().filter(|_| whole) {
            if !tests.iter().any(|test| row.is_about(test)) {
                report.fail(format!(
                    "{TABLE} has a test that there is not: {}",
                    row.tests
                ));
            }
        }
        tests.append(&mut report.tests);
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::tap;

    const ROWS: &str = "# a remark\n\
        whole\t*\tKUNIT RUST\tbecause\n\
        some\tit is [pP]robed*\tKPROBES\tbecause\n\
        some\tit runs on two\tCPUS>=2\tbecause\n\
        either\t*\tKUNIT|RUST=m RUST|KPROBES!=y\tbecause\n";

    /// What failed in the suite `name` that said this.
    fn failures(name: &str, said: &str, config: &str) -> Vec<String> {
        let skips = Skips::of(ROWS, Given::new(config, 1)).expect("it can be read");
        let mut tests = tap::parse(said).tests;
        skips.check(name, &mut tests, true);
        let failed = |test: &Test| test.outcome == Outcome::Failed;
        tests
            .into_iter()
            .filter(failed)
            .map(|test| test.name)
            .collect()
    }

    const NONE: [&str; 0] = [];
    const KPROBES: &str = "CONFIG_RUST=y\nCONFIG_KPROBES=y\n# CONFIG_KUNIT is not set\n";

    #[test]
    fn what_lacks_what_it_needs_is_skipped() {
        let said = "1..3\nok 1 it is probed now # SKIP\nok 2 it runs on two # SKIP\nok 3 x\n";
        assert_eq!(failures("some", said, ""), NONE);
        assert_eq!(failures("whole", "1..0 # SKIP none\n", KPROBES), NONE);
        assert_eq!(
            failures("whole", "1..1\nok 1 x # SKIP none\n", KPROBES),
            NONE
        );
    }

    #[test]
    fn what_has_what_it_needs_is_not() {
        let said = "1..2\nok 1 it is probed now # SKIP\nok 2 it runs on two # SKIP\n";
        assert_eq!(failures("some", said, KPROBES), ["it is probed now"]);
        let config = "CONFIG_KUNIT=y\nCONFIG_RUST=y\n";
        assert_eq!(failures("whole", "1..0 # SKIP none\n", config), [WHOLE]);
        // A module is another thing.
        let config = "CONFIG_KUNIT=m\nCONFIG_RUST=y\n";
        assert_eq!(failures("whole", "1..0 # SKIP none\n", config), NONE);
    }

    #[test]
    fn one_of_several_is_enough() {
        let failures = |config| failures("either", "1..1\nok 1 x # SKIP none\n", config);
        for config in [
            "CONFIG_KUNIT=y",
            "CONFIG_RUST=m",
            "CONFIG_KUNIT=y\nCONFIG_RUST=y",
        ] {
            assert_eq!(failures(config), ["x"], "{config}");
        }
        for config in ["CONFIG_RUST=y", "CONFIG_KUNIT=y\nCONFIG_KPROBES=y"] {
            assert_eq!(failures(config), NONE, "{config}");
        }
    }

    #[test]
    fn nobody_else_is_skipped() {
        assert_eq!(
            failures("other", "1..1\nok 1 x # SKIP no time\n", ""),
            ["x"]
        );
        assert_eq!(failures("other", "1..0 # SKIP no time\n", ""), [WHOLE]);
        assert_eq!(failures("other", "1..1\nnot ok 1 x # XFAIL\n", ""), ["x"]);
    }

    #[test]
    fn a_skip_that_does_not_come_fails() {
        let said = "1..2\nok 1 it is probed now\nok 2 it runs on two # SKIP\n";
        let failures = failures("some", said, "");
        assert_eq!(
            failures,
            ["it is probed now passed without CONFIG_KPROBES, which it needs by tests/skips.tsv"]
        );
    }

    #[test]
    fn a_row_about_no_test_fails() {
        let said = "1..1\nok 1 it runs on two # SKIP\n";
        let stale = ["tests/skips.tsv has a test that there is not: it is [pP]robed*"];
        assert_eq!(failures("some", said, ""), stale);
        assert_eq!(failures("some", said, KPROBES), stale);
    }

    #[test]
    fn tests_that_were_not_asked_for_are_not_missed() {
        let skips = Skips::of(ROWS, Given::default()).expect("it can be read");
        let mut tests = tap::parse("1..1\nok 1 x\n").tests;
        skips.check("some", &mut tests, false);
        assert_eq!(tests.len(), 1);
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        for rows in [
            "a\tb\tKPROBES\n",
            "a\tb\t\twhy\n",
            "a\tb\tKPROBES\t \n",
            "a\tb\tCONFIG_KPROBES\twhy\n",
            "a\tb\tkprobes\twhy\n",
            "a\tb\tCPUS>=many\twhy\n",
            "a\tb\tKPROBES|\twhy\n",
            "a\t[b\tKPROBES\twhy\n",
            "a b KPROBES why\n",
        ] {
            let error = Skips::of(rows, Given::default()).expect_err(rows);
            assert!(format!("{error:#}").starts_with("tests/skips.tsv, line 1: "));
        }
    }

    #[test]
    fn the_table_is_about_suites_that_there_are() {
        let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let table = std::fs::read_to_string(tests.join("skips.tsv")).expect("the table");
        let skips = Skips::of(&table, Given::default()).expect("the table");
        for suite in skips.suites() {
            let source = match suite.ends_with(".sh") {
                true => format!("selftests/{suite}"),
                false => format!("selftests/src/bin/{suite}.rs"),
            };
            assert!(tests.join(source).exists(), "{suite}");
        }
    }
}
