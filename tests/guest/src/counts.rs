// SPDX-License-Identifier: GPL-2.0

//! What the kernel itself counts of its troubles. Every mark carries it, so that a trouble whose
//! words nobody knows, or whose words were lost, is noticed all the same.

use std::fmt::{self, Display};
use std::fs;
use std::io::ErrorKind;

/// A checker of the kernel, which may turn itself off for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checker {
    /// The kernel was built without it.
    Absent,
    /// It looks.
    On,
    /// It is there and does not look any more.
    Off,
}

/// The kernel's counts at one moment. `None` is what could not be read, which is never taken for 0.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// `/proc/sys/kernel/tainted`.
    pub taint: Option<u64>,
    /// `/sys/kernel/warn_count`.
    pub warnings: Option<u64>,
    /// `/sys/kernel/oops_count`.
    pub oopses: Option<u64>,
    /// `debug_locks` in `/proc/lockdep_stats`.
    pub lockdep: Option<Checker>,
    /// Whether `/sys/kernel/debug/kmemleak` takes orders.
    pub kmemleak: Option<Checker>,
}

impl Counts {
    /// Reads them from this machine's kernel.
    pub fn read() -> Self {
        let number = |path| fs::read_to_string(path).ok()?.trim().parse().ok();
        Self {
            taint: number("/proc/sys/kernel/tainted"),
            warnings: number("/sys/kernel/warn_count"),
            oopses: number("/sys/kernel/oops_count"),
            lockdep: lockdep(),
            kmemleak: kmemleak(),
        }
    }

    /// Reads the words that [`Display`] writes; a word that is not there is `None`.
    pub fn parse<'a>(words: impl Iterator<Item = &'a str>) -> Self {
        let mut counts = Self::default();
        for (name, value) in words.filter_map(|word| word.split_once('=')) {
            let checker = match value {
                "absent" => Some(Checker::Absent),
                "on" => Some(Checker::On),
                "off" => Some(Checker::Off),
                _ => None,
            };
            match name {
                "taint" => counts.taint = value.parse().ok(),
                "warnings" => counts.warnings = value.parse().ok(),
                "oopses" => counts.oopses = value.parse().ok(),
                "lockdep" => counts.lockdep = checker,
                "kmemleak" => counts.kmemleak = checker,
                _ => {}
            }
        }
        counts
    }
}

impl Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = |value: Option<u64>| value.map_or("?".to_owned(), |value| value.to_string());
        let checker = |value| match value {
            Some(Checker::Absent) => "absent",
            Some(Checker::On) => "on",
            Some(Checker::Off) => "off",
            None => "?",
        };
        write!(
            f,
            "taint={} warnings={} oopses={} lockdep={} kmemleak={}",
            number(self.taint),
            number(self.warnings),
            number(self.oopses),
            checker(self.lockdep),
            checker(self.kmemleak),
        )
    }
}

fn lockdep() -> Option<Checker> {
    match fs::read_to_string("/proc/lockdep_stats") {
        Ok(stats) => debug_locks(&stats),
        Err(error) if error.kind() == ErrorKind::NotFound => Some(Checker::Absent),
        Err(_) => None,
    }
}

/// Finds ` debug_locks:                             1` in what lockdep says of itself.
fn debug_locks(stats: &str) -> Option<Checker> {
    let value = stats
        .lines()
        .find_map(|line| line.trim().strip_prefix("debug_locks:"))?;
    match value.trim() {
        "1" => Some(Checker::On),
        "0" => Some(Checker::Off),
        _ => None,
    }
}

/// An order that changes nothing (it is the default) is refused with EPERM by a kmemleak that has
/// turned itself off.
fn kmemleak() -> Option<Checker> {
    let file = fs::OpenOptions::new()
        .write(true)
        .open("/sys/kernel/debug/kmemleak");
    match file.and_then(|mut file| std::io::Write::write_all(&mut file, b"stack=on")) {
        Ok(()) => Some(Checker::On),
        Err(error) => match error.kind() {
            ErrorKind::NotFound => Some(Checker::Absent),
            ErrorKind::PermissionDenied => Some(Checker::Off),
            _ => None,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_can_be_read() {
        for counts in [
            Counts {
                taint: Some(12288),
                warnings: Some(2),
                oopses: Some(0),
                lockdep: Some(Checker::On),
                kmemleak: Some(Checker::Absent),
            },
            Counts {
                lockdep: Some(Checker::Off),
                ..Counts::default()
            },
        ] {
            let text = counts.to_string();
            assert_eq!(Counts::parse(text.split(' ')), counts, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_not_0() {
        let counts = Counts::parse("taint=? warnings= oopses=x lockdep=1".split(' '));
        assert_eq!(counts, Counts::default());
    }

    #[test]
    fn lockdep_says_whether_it_looks() {
        let stats = " lock-classes:     1 [max: 8192]\n debug_locks:          0\n";
        assert_eq!(debug_locks(stats), Some(Checker::Off));
        assert_eq!(
            debug_locks(&stats.replace(" 0\n", " 1\n")),
            Some(Checker::On)
        );
        assert_eq!(debug_locks(" lock-classes: 1\n"), None);
    }
}
