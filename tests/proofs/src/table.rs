// SPDX-License-Identifier: GPL-2.0

//! The table in README.md: every atomic operation in the source, with the tests that need it or the
//! reason why none does.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::report::{Outcome, Report};
use crate::{litmus, loom, source};

const PROPERTY: &str = "every atomic operation in the source is in the table, with its ordering";

const README: &str = "tests/proofs/README.md";

/// How often each operation of a file is there.
type Counts = BTreeMap<(String, String), usize>;

/// What is between backticks.
fn quoted(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

/// The rows of the README's tables whose first cell is a file: its name, and the other cells.
pub fn rows(top: &Path) -> Result<Vec<(String, Vec<String>)>> {
    let path = top.join(README);
    let text =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let cells = |line: &str| {
        let line = line.trim().strip_prefix('|')?.strip_suffix('|')?;
        // A `|` in a cell has a backslash before it.
        let line = line.replace("\\|", "\0");
        let mut cells = line.split('|').map(|cell| cell.trim().replace('\0', "|"));
        let file = quoted(&cells.next()?).next()?.to_owned();
        [".rs", ".c"]
            .iter()
            .any(|it| file.ends_with(it))
            .then(|| (file, cells.collect()))
    };
    Ok(text.lines().filter_map(cells).collect())
}

/// Whether a word is the name of a test.
fn is_test(word: &str) -> bool {
    word.contains('-') && word.chars().all(|c| c.is_ascii_lowercase() || c == '-')
}

pub fn check(top: &Path, report: &mut Report) -> Result<()> {
    report.suite("source");
    let mut wrong = Vec::new();

    let mut there = Counts::new();
    for (file, path) in source::files(top)? {
        let text = fs::read_to_string(path)?;
        for word in source::unclear(&file, &text) {
            wrong.push(format!(
                "{file}: `{word}` looks like part of an atomic operation, and is not written like one: \
                 as a method of a field or variable, with its ordering as the last argument"
            ));
        }
        for operation in source::operations(&text) {
            *there.entry((file.clone(), operation.name())).or_default() += 1;
        }
    }

    let mut listed = Counts::new();
    let mut tests = BTreeSet::new();
    for (file, cells) in rows(top)? {
        // The other tables have no operations in their second column.
        let [operations, why] = &cells[..] else {
            continue;
        };
        for operation in quoted(operations) {
            let (name, count) = operation.split_once(" ×").unwrap_or((operation, "1"));
            let count: usize = count.parse().context("a count is no number")?;
            *listed.entry((file.clone(), name.to_owned())).or_default() += count;
        }
        if why.is_empty() {
            wrong.push(format!("{file}: neither a test nor a reason: {operations}"));
        }
        tests.extend(quoted(why).filter(|word| is_test(word)).map(str::to_owned));
    }

    for (key @ (file, operation), count) in &there {
        let in_table = listed.get(key).copied().unwrap_or(0);
        if in_table < *count {
            wrong.push(format!(
                "{file}: `{operation}` is {count} times in the source and {in_table} times in the table"
            ));
        }
    }
    for (key @ (file, operation), count) in &listed {
        let in_source = there.get(key).copied().unwrap_or(0);
        if in_source < *count {
            wrong.push(format!(
                "{file}: `{operation}` is {count} times in the table and {in_source} times in the source"
            ));
        }
    }

    let known: BTreeSet<_> = litmus::names(top)?
        .into_iter()
        .chain(loom::names())
        .collect();
    for test in tests.difference(&known) {
        wrong.push(format!("the table has `{test}`, which is no test"));
    }
    let readme = fs::read_to_string(top.join(README))?;
    for test in known
        .iter()
        .filter(|test| !readme.contains(&format!("`{test}`")))
    {
        wrong.push(format!("it does not say what needs `{test}`"));
    }

    let outcome = match wrong.is_empty() {
        true => Outcome::Proved(format!("{} operations", there.values().sum::<usize>())),
        false => {
            wrong.push(format!("all of this is about {README}"));
            Outcome::Broken(wrong.join("\n"))
        }
    };
    report.add("table", PROPERTY, outcome);
    Ok(())
}
