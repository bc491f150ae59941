// SPDX-License-Identifier: GPL-2.0

//! How many events of which kind there were, by program.

use std::{
    collections::HashMap,
    fmt::{self, Write},
};

use serde::Serialize;

use super::{json, kind::Kind, name};
use crate::output::{Output, Tone};

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
    pub(super) fn json(&self, lines: &mut String) -> fmt::Result {
        for (program, counts) in self.sorted() {
            let count = |kind: Kind| counts[kind as usize];
            let row = Row {
                event: "stats",
                program: json::Bytes(program),
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
            writeln!(lines, "{}", json::line(&row))?;
        }
        Ok(())
    }

    /// Appends a table: a line for each program, a column for each kind of which there were some.
    pub(super) fn text(&self, lines: &mut String, output: Output) -> fmt::Result {
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

        let mut title = format!("{:>7}", "TOTAL");
        for kind in &shown {
            write!(title, " {:>6}", kind.name().to_uppercase())?;
        }
        title.push_str(" PROGRAM");
        writeln!(lines, "\n{}", output.toned(Tone::Strong, title))?;
        for (program, counts) in rows.iter().copied().chain([(&b"total"[..], sums)]) {
            write!(lines, "{:>7}", total(&counts))?;
            for kind in &shown {
                let width = kind.name().len().max(6);
                write!(lines, " {:>width$}", counts[*kind as usize])?;
            }
            lines.push(' ');
            name::append(lines, program);
            lines.push('\n');
        }
        Ok(())
    }
}

fn total(counts: &Counts) -> u64 {
    counts.iter().sum()
}

#[derive(Serialize)]
struct Row<'a> {
    event: &'static str,
    program: json::Bytes<'a>,
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
