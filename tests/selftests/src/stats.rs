// SPDX-License-Identifier: GPL-2.0

//! The counters in `rust_connector/stats` in debugfs.

use std::{fmt, fs, sync::Mutex};

use anyhow::{Context, Result};
use connector_wire::CbId;

use crate::debugfs;

/// The counters of an id, or of all that ever were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Messages that reached the handler.
    pub received: u64,
    /// Replies that were delivered.
    pub replied: u64,
    /// Replies dropped because the client's buffer was full.
    pub full: u64,
    /// Replies dropped because the client was gone.
    pub gone: u64,
    /// Replies dropped for want of memory.
    pub no_memory: u64,
    /// Replies dropped for another reason.
    pub other: u64,
    /// Handlers running.
    pub running: u64,
}

/// What [`Stats::total`] does not count.
static BEFORE: Mutex<Stats> = Mutex::new(Stats {
    received: 0,
    replied: 0,
    full: 0,
    gone: 0,
    no_memory: 0,
    other: 0,
    running: 0,
});

impl Stats {
    /// The file.
    pub const PATH: &'static str = "/sys/kernel/debug/rust_connector/stats";

    /// Those of a registered id.
    pub fn of(id: CbId) -> Result<Self> {
        Self::line(id)
    }

    /// Those of all ids since `rust_connector` was loaded; or since this program last would have loaded it,
    /// where it is a part of the kernel.
    pub fn total() -> Result<Self> {
        let (now, before) = (Self::line("total")?, *BEFORE.lock().expect("no panic"));
        Ok(Self {
            received: now.received - before.received,
            replied: now.replied - before.replied,
            full: now.full - before.full,
            gone: now.gone - before.gone,
            no_memory: now.no_memory - before.no_memory,
            other: now.other - before.other,
            running: now.running,
        })
    }

    /// Has [`Self::total`] begin at zero, where there are counters.
    pub(crate) fn count_from_now() -> Result<()> {
        if !fs::exists(Self::PATH)? {
            return Ok(());
        }
        *BEFORE.lock().expect("no panic") = Self::line("total")?;
        Ok(())
    }

    /// All replies that were dropped.
    pub fn dropped(&self) -> u64 {
        self.full + self.gone + self.no_memory + self.other
    }

    /// The line that begins with `what`, by the names in the heading.
    fn line(what: impl fmt::Display) -> Result<Self> {
        let what = what.to_string();
        let text = debugfs::read(Self::PATH)?;
        let mut lines = text.lines().map(|line| line.split(' '));
        let heading: Vec<_> = lines.next().context("an empty file")?.collect();
        let values: Vec<_> = lines
            .map(Iterator::collect::<Vec<_>>)
            .find(|line| line.first() == Some(&what.as_str()))
            .with_context(|| format!("no line `{what}` in {}:\n{text}", Self::PATH))?;
        let value = |name: &str| -> Result<u64> {
            let column = heading.iter().position(|&column| column == name);
            let value = column.and_then(|column| values.get(column));
            let value = value.with_context(|| format!("no column {name}"))?;
            value
                .parse()
                .with_context(|| format!("{name} of {what} is {value}"))
        };
        Ok(Self {
            received: value("received")?,
            replied: value("replied")?,
            full: value("dropped_full")?,
            gone: value("dropped_gone")?,
            no_memory: value("dropped_nomem")?,
            other: value("dropped_other")?,
            running: value("running")?,
        })
    }
}
