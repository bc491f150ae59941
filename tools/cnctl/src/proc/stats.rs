// SPDX-License-Identifier: GPL-2.0

//! How many events of which kind there were, by program.

use std::collections::HashMap;

use serde::Serialize;

use super::kind::Kind;
use crate::{
    escape,
    output::{self, Bytes, Output},
    table::{Cell, Side, Table},
    terminal,
};

/// Counts by kind of event, in the order of [`Kind::ALL`].
type Counts = [u64; Kind::ALL.len()];

/// Events that were counted.
#[derive(Debug, Default)]
pub(super) struct Stats {
    by_program: HashMap<Vec<u8>, Counts>,
}

impl Stats {
    pub(super) fn count(&mut self, program: Option<&[u8]>, kind: Kind) {
        let program = program.unwrap_or(b"?");
        let kind = kind as usize;
        match self.by_program.get_mut(program) {
            Some(counts) => counts[kind] += 1,
            None => self.by_program.entry(program.to_vec()).or_default()[kind] += 1,
        }
    }

    /// The programs, first those that had most events.
    fn sorted(&self) -> Vec<(&[u8], Counts)> {
        let programs = self.by_program.iter();
        let mut rows: Vec<_> = programs
            .map(|(name, counts)| (&name[..], *counts))
            .collect();
        rows.sort_by_key(|(name, counts)| (std::cmp::Reverse(total(counts)), *name));
        rows
    }

    /// Appends an object for each program.
    pub(super) fn json(&self, lines: &mut String) {
        for (program, counts) in self.sorted() {
            let count = |kind: Kind| counts[kind as usize];
            let row = Row {
                event: "stats",
                program: Bytes(program),
                fork: count(Kind::Fork),
                clone: count(Kind::Clone),
                exec: count(Kind::Exec),
                uid: count(Kind::Uid),
                gid: count(Kind::Gid),
                sid: count(Kind::Sid),
                ptrace: count(Kind::Ptrace),
                comm: count(Kind::Comm),
                coredump: count(Kind::Coredump),
                exit: count(Kind::Exit),
                total: total(&counts),
            };
            lines.push_str(&output::json(&row));
            lines.push('\n');
        }
    }

    /// Appends a table: a line for each program, a column for each kind of which there were some.
    pub(super) fn text(&self, lines: &mut String, output: Output) {
        let rows = self.sorted();
        let mut sums = Counts::default();
        for (_, counts) in &rows {
            for (sum, count) in sums.iter_mut().zip(counts) {
                *sum += count;
            }
        }
        let shown: Vec<_> = Kind::ALL
            .into_iter()
            .filter(|kind| sums[*kind as usize] > 0)
            .collect();

        let titles = ["total"]
            .into_iter()
            .chain(shown.iter().map(|kind| kind.name()));
        let titles = titles.map(|title| (title.to_uppercase(), Side::Right));
        let program = [("PROGRAM".to_owned(), Side::Left)];
        let mut table = Table::new(output, titles.chain(program));
        for (program, counts) in rows.iter().copied().chain([(&b"total"[..], sums)]) {
            let total = total(&counts);
            let counts = shown.iter().map(|kind| counts[*kind as usize]);
            let numbers = [total].into_iter().chain(counts);
            let numbers = numbers.map(|number| Cell::from(number.to_string()));
            table.row(numbers.chain([escape::shown(program).into()]));
        }
        lines.push('\n');
        table.append(lines, terminal::columns());
    }
}

fn total(counts: &Counts) -> u64 {
    counts.iter().sum()
}

#[derive(Serialize)]
struct Row<'a> {
    event: &'static str,
    program: Bytes<'a>,
    fork: u64,
    clone: u64,
    exec: u64,
    uid: u64,
    gid: u64,
    sid: u64,
    ptrace: u64,
    comm: u64,
    coredump: u64,
    exit: u64,
    total: u64,
}
