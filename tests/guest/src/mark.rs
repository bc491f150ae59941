// SPDX-License-Identifier: GPL-2.0

//! The marks that the guest writes, word for word the same into two streams: the kernel's log, and
//! the programs' port. What lies between two of them belongs to one suite, or to none.
//!
//! A mark has the run's token, so that no program writes one by accident; and a number that grows
//! by one, so that one that is lost, repeated or made up is noticed: two would have the same
//! number, or the streams would differ. It ends with a sign, so that half a mark is none.

use std::fmt::{self, Display};

use crate::Counts;

/// What a mark says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// The guest is up.
    Booted,
    /// A suite begins.
    Begin(String),
    /// A suite has ended, and this is its exit status as a shell has it.
    End(String, i32),
    /// All is done; the guest resets now.
    Done,
}

/// One mark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Its place among all marks, from 0.
    pub number: usize,
    /// What it says.
    pub what: What,
    /// What the kernel counted so far.
    pub counts: Counts,
}

/// What comes before a mark in the kernel's log.
pub const IN_THE_LOG: &str = "rust-connector: ";

/// What the guest says of a suite, as if it were a fault, when its program has ended. What comes after
/// that is of processes that it left.
pub const EXITED: &str = "exited";

/// The end of each mark.
const END: &str = " @";

impl Mark {
    /// The line for this run's token, without a line feed.
    pub fn line(&self, token: &str) -> String {
        format!("@{token} {self}{END}")
    }

    /// Reads what [`Self::line`] writes after the token. Also returns what follows in the line,
    /// which is nothing unless lines are torn.
    pub fn parse(text: &str) -> Option<(Self, &str)> {
        let (text, after) = text.split_once(END)?;
        let mut words = text.split(' ');
        let number = words.next()?.parse().ok()?;
        let mut word = || words.next().filter(|word| !word.is_empty());
        let what = match word()? {
            "booted" => What::Booted,
            "begin" => What::Begin(word()?.to_owned()),
            "end" => What::End(word()?.to_owned(), word()?.parse().ok()?),
            "done" => What::Done,
            _ => return None,
        };
        let counts = Counts::parse(words);
        Some((
            Self {
                number,
                what,
                counts,
            },
            after,
        ))
    }
}

impl Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.number)?;
        match &self.what {
            What::Booted => write!(f, "booted")?,
            What::Begin(name) => write!(f, "begin {name}")?,
            What::End(name, status) => write!(f, "end {name} {status}")?,
            What::Done => write!(f, "done")?,
        }
        write!(f, " {}", self.counts)
    }
}

/// What the guest has to say of the suite that runs, beside what its program says: the start of
/// a line on the programs' port.
pub fn fault_prefix(token: &str) -> String {
    format!("@{token} fault ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_can_be_read() {
        for what in [
            What::Booted,
            What::Begin("echo".to_owned()),
            What::End("echo".to_owned(), -1),
            What::Done,
        ] {
            let mark = Mark {
                number: 7,
                what,
                counts: Counts::parse("taint=4096 warnings=0".split(' ')),
            };
            let line = mark.line("t0k");
            let text = line.strip_prefix("@t0k ").expect("the token comes first");
            assert_eq!(Mark::parse(text), Some((mark.clone(), "")));
            assert_eq!(
                Mark::parse(&format!("{text}BUG: x")),
                Some((mark, "BUG: x"))
            );
        }
    }

    #[test]
    fn half_a_mark_is_none() {
        let line = "3 end echo 0 taint=0 warnings=0 oopses=0 lockdep=on kmemleak=on @";
        assert!(Mark::parse(line).is_some());
        for end in 0..line.len() {
            assert_eq!(Mark::parse(&line[..end]), None, "{}", &line[..end]);
        }
        assert_eq!(Mark::parse("3 end echo taint=0 @"), None);
        assert_eq!(Mark::parse("x begin echo @"), None);
        assert_eq!(Mark::parse("3 pause @"), None);
    }
}
