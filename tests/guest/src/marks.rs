// SPDX-License-Identifier: GPL-2.0

//! Writes marks into the kernel's log and to the programs' port.

use std::fs::{File, OpenOptions};
use std::io::Write;

use anyhow::{Context, Result};
use guest::{Counts, Mark, What, mark};

/// A line for the console whatever its loglevel is, unless that is 0.
const ALWAYS: &str = "<8>";

/// The two streams.
#[derive(Debug)]
pub struct Marks {
    token: String,
    number: usize,
    log: File,
    port: File,
}

impl Marks {
    /// The first mark gets this number.
    pub fn new(token: &str, number: usize) -> Result<Self> {
        let open = |path| {
            OpenOptions::new()
                .write(true)
                .open(path)
                .with_context(|| format!("cannot open {path}"))
        };
        Ok(Self {
            token: token.to_owned(),
            number,
            log: open("/dev/kmsg")?,
            port: open("/dev/ttyS1")?,
        })
    }

    /// Where programs print.
    pub fn port(&self) -> Result<File> {
        Ok(self.port.try_clone()?)
    }

    /// Writes the next mark, into the kernel's log first. One write each: nobody gets in between.
    pub fn write(&mut self, what: What) -> Result<()> {
        let mark = Mark {
            number: self.number,
            what,
            counts: Counts::read(),
        };
        self.number += 1;
        let line = mark.line(&self.token);
        self.say(&format!("{ALWAYS}{}{line}", mark::IN_THE_LOG))?;
        self.to_port(&line)
    }

    /// Tells what the suite that runs did beside what its program says.
    pub fn fault(&mut self, text: &str) -> Result<()> {
        let line = mark::fault_prefix(&self.token) + text;
        self.to_port(&line)
    }

    /// Writes a record into the kernel's log.
    pub fn say(&mut self, record: &str) -> Result<()> {
        self.log.write_all(record.as_bytes()).context("/dev/kmsg")
    }

    /// The empty line before it ends a line that a program left open.
    fn to_port(&mut self, line: &str) -> Result<()> {
        let line = format!("\n{line}\n");
        self.port.write_all(line.as_bytes()).context("/dev/ttyS1")
    }
}
