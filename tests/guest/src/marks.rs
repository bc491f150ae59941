// SPDX-License-Identifier: GPL-2.0

//! Writes marks into the kernel's log and to the programs' port, and hands over the log's records.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;

use anyhow::{Context, Result};
use guest::{Counts, Mark, What, mark};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::termios::tcdrain;

/// A line for the console whatever its loglevel is, unless that is 0.
const ALWAYS: &str = "<8>";

/// The streams.
#[derive(Debug)]
pub struct Marks {
    token: String,
    number: usize,
    log: File,
    port: File,
    /// The kernel's log as records, with the levels that the console neither shows nor always lets
    /// through; and where they go.
    records: File,
    to: File,
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
        let mut records = OpenOptions::new()
            .read(true)
            .custom_flags(OFlag::O_NONBLOCK.bits())
            .open("/dev/kmsg")
            .context("cannot read /dev/kmsg")?;
        // Of what was before, much depends on the machine, and nothing on us.
        records.seek(SeekFrom::End(0)).context("/dev/kmsg")?;
        Ok(Self {
            token: token.to_owned(),
            number,
            log: open("/dev/kmsg")?,
            port: open("/dev/ttyS1")?,
            records,
            to: open("/dev/ttyS2")?,
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
        self.hand_over_records()?;
        self.print(&line)
    }

    /// Tells what the suite that runs did beside what its program says.
    pub fn fault(&mut self, text: &str) -> Result<()> {
        let line = mark::fault_prefix(&self.token) + text;
        self.print(&line)
    }

    /// Writes a record into the kernel's log.
    ///
    /// Its end goes with it: one without would be kept back, from the console and from who reads the log,
    /// until there is another, since it might be continued.
    pub fn say(&mut self, record: &str) -> Result<()> {
        let line = format!("{record}\n");
        self.log.write_all(line.as_bytes()).context("/dev/kmsg")
    }

    /// Waits until all that was printed is out.
    pub fn drain(&self) -> Result<()> {
        tcdrain(&self.port).context("/dev/ttyS1")
    }

    /// The empty line before it ends a line that a program left open.
    fn print(&mut self, line: &str) -> Result<()> {
        let line = format!("\n{line}\n");
        self.port.write_all(line.as_bytes()).context("/dev/ttyS1")
    }

    /// Those that are new, this mark's own among them.
    fn hand_over_records(&mut self) -> Result<()> {
        // The most that the kernel puts into one.
        let mut record = [0; 8192];
        let mut text = String::new();
        loop {
            match self.records.read(&mut record) {
                Ok(len) => text += &raw(&String::from_utf8_lossy(&record[..len])),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                // The kernel's own words for it.
                Err(error) if error.raw_os_error() == Some(Errno::EPIPE as i32) => {
                    text += "** 1 printk messages dropped **\n";
                }
                Err(error) => return Err(error).context("reading /dev/kmsg"),
            }
        }
        self.to.write_all(text.as_bytes()).context("/dev/ttyS2")
    }
}

/// A record of /dev/kmsg as dmesg(1) shows it with --raw: `4,77,12345678,-;text`, with more about its
/// origin in the lines after that, is `<4>[   12.345678] text`.
fn raw(record: &str) -> String {
    let line = record.lines().next().unwrap_or_default();
    let (head, text) = line.split_once(';').unwrap_or(("", line));
    let mut fields = head.split(',');
    let priority = fields.next().unwrap_or_default();
    let micros: u64 = fields
        .nth(1)
        .and_then(|field| field.parse().ok())
        .unwrap_or(0);
    let prefix = format!(
        "<{priority}>[{:5}.{:06}] ",
        micros / 1_000_000,
        micros % 1_000_000
    );
    let lines = text.split("\\x0a");
    let lines: Vec<_> = lines.map(|line| format!("{prefix}{line}\n")).collect();
    lines.concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_shown_with_their_level() {
        assert_eq!(
            raw("4,77,12345678,-;a\\x0ab\n SUBSYSTEM=x\n"),
            "<4>[   12.345678] a\n<4>[   12.345678] b\n"
        );
    }
}
