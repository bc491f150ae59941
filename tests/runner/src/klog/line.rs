// SPDX-License-Identifier: GPL-2.0

//! One line of a kernel log, taken apart.

use std::sync::LazyLock;

use regex::Regex;

/// A line as `info_print_prefix()` in kernel/printk/printk.c makes it: `<6>[   12.345678][  T42] text`.
/// Each of the three may be missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// All of it.
    pub text: &'a str,
    /// Facility and level, with CONFIG_PRINTK's numbers: `facility << 3 | level`.
    pub priority: Option<u32>,
    /// With CONFIG_PRINTK_CALLER, the task (`T42`) or, in interrupts, the CPU (`C0`).
    pub caller: Option<&'a str>,
    /// What was printed.
    pub message: &'a str,
}

impl<'a> Line<'a> {
    /// Never fails: what is not a prefix is the message.
    pub fn parse(text: &'a str) -> Self {
        let (priority, rest) = match enclosed(text, '<', '>') {
            Some((digits, rest)) if is_number(digits) => (digits.parse().ok(), rest),
            _ => (None, text),
        };
        let (stamped, rest) = match enclosed(rest, '[', ']') {
            Some((stamp, rest)) if is_stamp(stamp) => (true, rest),
            _ => (false, rest),
        };
        let (caller, rest) = match enclosed(rest, '[', ']') {
            Some((caller, rest)) if is_caller(caller) => (Some(caller.trim_start()), rest),
            _ => (None, rest),
        };
        let message = if stamped || caller.is_some() {
            rest.strip_prefix(' ').unwrap_or(rest)
        } else {
            rest
        };
        Self {
            text,
            priority,
            caller,
            message,
        }
    }

    /// The kernel's own words at this level or a worse one. Programs that write to /dev/kmsg get
    /// another facility.
    pub fn is_from_kernel_at(&self, level: u32) -> bool {
        self.priority
            .is_some_and(|priority| priority >> 3 == 0 && priority & 7 <= level)
    }
}

/// The lines of a log. A console that is taken over in an emergency may begin a line in the midst
/// of another: they are two.
pub fn lines(log: &str) -> impl Iterator<Item = Line<'_>> {
    static STAMP: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"(?:<\d+>)?\[ *\d+\.\d{6}\]").expect("it is a constant"));
    log.lines().flat_map(|line| {
        let line = line.trim_end_matches('\r');
        let mut starts: Vec<usize> = STAMP.find_iter(line).map(|stamp| stamp.start()).collect();
        if starts.first() != Some(&0) {
            starts.insert(0, 0);
        }
        let ends: Vec<usize> = starts[1..].iter().copied().chain([line.len()]).collect();
        starts
            .into_iter()
            .zip(ends)
            .map(|(start, end)| Line::parse(&line[start..end]))
    })
}

/// What stands between these two at the start of the text, and what follows.
fn enclosed(text: &str, open: char, close: char) -> Option<(&str, &str)> {
    text.strip_prefix(open)?.split_once(close)
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_stamp(text: &str) -> bool {
    match text.trim_start().split_once('.') {
        Some((seconds, fraction)) => is_number(seconds) && is_number(fraction),
        None => is_number(text.trim_start()),
    }
}

fn is_caller(text: &str) -> bool {
    text.trim_start()
        .strip_prefix(['T', 'C'])
        .is_some_and(is_number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> (Option<u32>, Option<&str>, &str) {
        let line = Line::parse(text);
        (line.priority, line.caller, line.message)
    }

    #[test]
    fn every_part_of_the_prefix_may_be_missing() {
        assert_eq!(
            parts("<12>[    2.500000][   T42] x"),
            (Some(12), Some("T42"), "x")
        );
        assert_eq!(parts("<4>[12345.500000] x"), (Some(4), None, "x"));
        assert_eq!(parts("[    2.500000][    C0] x"), (None, Some("C0"), "x"));
        assert_eq!(parts("[   T42] x"), (None, Some("T42"), "x"));
        assert_eq!(parts("x"), (None, None, "x"));
        assert_eq!(parts(""), (None, None, ""));
    }

    #[test]
    fn what_only_looks_like_a_prefix_is_the_message() {
        for text in [
            "[ BUG: x ]",
            "<TASK>",
            "[<0>] x",
            "[Hardware Error]: x",
            "[",
            "<",
        ] {
            assert_eq!(parts(text), (None, None, text));
        }
    }

    #[test]
    fn indentation_is_part_of_the_message() {
        assert_eq!(parts("[    2.500000]   x").2, "  x");
    }

    #[test]
    fn a_line_within_a_line_is_a_line() {
        let messages = |log| lines(log).map(|line| line.message).collect::<Vec<_>>();
        assert_eq!(
            messages("[    1.000000] one, tw[    1.100000][   T1] two\r\n<4>[    1.2"),
            ["one, tw", "two", "[    1.2"]
        );
        assert_eq!(
            messages("<6>[    1.000000] a<4>[    1.000001] b\n\nc[ 1] d"),
            ["a", "b", "", "c[ 1] d"]
        );
        // A terminal may add its own to the console's.
        assert_eq!(messages("[    1.000000] a\r\r\nb\r"), ["a", "b"]);
    }

    #[test]
    fn a_program_s_words_are_not_the_kernel_s() {
        assert!(Line::parse("<4>[    1.000000] x").is_from_kernel_at(4));
        assert!(Line::parse("<0>[    1.000000] x").is_from_kernel_at(4));
        assert!(!Line::parse("<5>[    1.000000] x").is_from_kernel_at(4));
        assert!(!Line::parse("<12>[    1.000000] x").is_from_kernel_at(4));
        assert!(!Line::parse("[    1.000000] x").is_from_kernel_at(4));
    }
}
