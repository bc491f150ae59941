// SPDX-License-Identifier: GPL-2.0

//! What a boot leaves in its folder, enough to judge it again: the kernel's log (`console.log`),
//! the same with levels, from the first suite on (`console.records`), the programs' port as it came
//! (`console.port`), and what was expected and how it ended (`console.run`).

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};

/// What the boot was for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    /// What the marks have.
    pub token: String,
    /// The suites, in their order.
    pub suites: Vec<String>,
    /// Whether they speak TAP; else only their exit status counts.
    pub tap: bool,
    /// Whether the log is there with levels, too.
    pub records: bool,
    /// The words on the kernel's command line, for people.
    pub options: String,
    /// How many CPUs the VM has.
    pub cpus: u32,
}

/// How a boot ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// QEMU ended after the guest had said that all was done.
    Done,
    /// QEMU ended although the guest had not said so: a panic, a reset.
    Died,
    /// QEMU itself failed, with this status, or -1 for a signal.
    QemuFailed(i32),
    /// All was done, but the guest had not reset after this long.
    Stayed(Duration),
    /// Neither stream had anything for this long.
    Silent(Duration),
    /// Still going after this long.
    TimedOut(Duration),
    /// The runner did not see the end.
    Unseen,
}

impl Ending {
    /// In words, for a failure; `None` if all is well.
    pub fn complaint(self) -> Option<String> {
        let seconds = |time: Duration| time.as_secs();
        Some(match self {
            Ending::Done => return None,
            Ending::Died => "the VM ended before its programs did".to_owned(),
            Ending::QemuFailed(-1) => "QEMU was killed by a signal".to_owned(),
            Ending::QemuFailed(status) => format!("QEMU failed with status {status}"),
            Ending::Stayed(time) => format!(
                "the VM was done but had not ended after {} s",
                seconds(time)
            ),
            Ending::Silent(time) => format!("the VM hung: not a word for {} s", seconds(time)),
            Ending::TimedOut(time) => {
                format!("the VM was still running after {} s", seconds(time))
            }
            Ending::Unseen => "nobody saw how the VM ended".to_owned(),
        })
    }

    fn to_words(self) -> String {
        match self {
            Ending::Done => "done".to_owned(),
            Ending::Died => "died".to_owned(),
            Ending::QemuFailed(status) => format!("failed {status}"),
            Ending::Stayed(time) => format!("stayed {}", time.as_secs()),
            Ending::Silent(time) => format!("silent {}", time.as_secs()),
            Ending::TimedOut(time) => format!("timed-out {}", time.as_secs()),
            Ending::Unseen => "unseen".to_owned(),
        }
    }

    fn from_words(words: &str) -> Option<Self> {
        let (word, value) = words.split_once(' ').unwrap_or((words, ""));
        let time = || Some(Duration::from_secs(value.parse().ok()?));
        Some(match word {
            "done" => Ending::Done,
            "died" => Ending::Died,
            "failed" => Ending::QemuFailed(value.parse().ok()?),
            "stayed" => Ending::Stayed(time()?),
            "silent" => Ending::Silent(time()?),
            "timed-out" => Ending::TimedOut(time()?),
            "unseen" => Ending::Unseen,
            _ => return None,
        })
    }
}

/// Where the files of one boot are.
#[derive(Clone, Debug)]
pub struct Files {
    /// The kernel's log.
    pub log: PathBuf,
    /// What programs printed.
    pub port: PathBuf,
    /// The kernel's log with its levels.
    pub records: PathBuf,
    /// What QEMU itself says.
    pub qemu: PathBuf,
    /// What was expected, and how it ended.
    pub run: PathBuf,
}

impl Files {
    /// Those that go with `keep/NAME.log`.
    pub fn new(keep: &Path, name: &str) -> Self {
        let file = |extension| keep.join(format!("{name}.{extension}"));
        Self {
            log: file("log"),
            port: file("port"),
            records: file("records"),
            qemu: file("qemu"),
            run: file("run"),
        }
    }

    /// Writes what is expected, and how it ended once that is known.
    pub fn write_run(&self, expected: &Expected, ending: Ending) -> Result<()> {
        let text = format!(
            "token={}\nsuites={}\ntap={}\nrecords={}\noptions={}\ncpus={}\nending={}\n",
            expected.token,
            expected.suites.join(" "),
            expected.tap,
            expected.records,
            expected.options,
            expected.cpus,
            ending.to_words()
        );
        fs::write(&self.run, text).with_context(|| format!("cannot write {}", self.run.display()))
    }
}

/// A boot that is over.
#[derive(Debug)]
pub struct Recording {
    /// The kernel's log.
    pub log: Vec<u8>,
    /// What programs printed.
    pub port: Vec<u8>,
    /// The kernel's log with its levels.
    pub records: Vec<u8>,
    /// What it was for.
    pub expected: Expected,
    /// How it ended.
    pub ending: Ending,
}

impl Recording {
    /// Reads the files.
    pub fn read(files: &Files) -> Result<Self> {
        let read = |path: &Path| {
            fs::read(path)
                .with_context(|| format!("cannot read {}, which a run leaves", path.display()))
        };
        let run = String::from_utf8_lossy(&read(&files.run)?).into_owned();
        let mut expected = Expected::default();
        let mut ending = Ending::Unseen;
        for line in run.lines() {
            let known = line.split_once('=').is_some_and(|(name, value)| {
                match name {
                    "token" => expected.token = value.to_owned(),
                    "suites" => {
                        expected.suites = value.split_whitespace().map(str::to_owned).collect();
                    }
                    "tap" => expected.tap = value == "true",
                    "records" => expected.records = value == "true",
                    "options" => expected.options = value.to_owned(),
                    "cpus" => match value.parse() {
                        Ok(cpus) => expected.cpus = cpus,
                        Err(_) => return false,
                    },
                    "ending" => match Ending::from_words(value) {
                        Some(known) => ending = known,
                        None => return false,
                    },
                    _ => return false,
                }
                true
            });
            if !known {
                bail!("{}: `{line}` is not understood", files.run.display());
            }
        }
        if expected.token.is_empty() {
            bail!("{} has no token", files.run.display());
        }
        Ok(Self {
            log: read(&files.log)?,
            port: read(&files.port)?,
            records: match expected.records {
                true => read(&files.records)?,
                false => Vec::new(),
            },
            expected,
            ending,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endings_are_read_back() {
        let time = Duration::from_secs(7);
        for ending in [
            Ending::Done,
            Ending::Died,
            Ending::QemuFailed(-1),
            Ending::QemuFailed(1),
            Ending::Stayed(time),
            Ending::Silent(time),
            Ending::TimedOut(time),
            Ending::Unseen,
        ] {
            assert_eq!(Ending::from_words(&ending.to_words()), Some(ending));
            assert_eq!(ending.complaint().is_none(), ending == Ending::Done);
        }
        assert_eq!(Ending::from_words("silent"), None);
    }
}
