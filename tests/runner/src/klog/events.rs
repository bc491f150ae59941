// SPDX-License-Identifier: GPL-2.0

//! Finds the lines of each report, so that one trouble is told once.

use super::levels;
use super::line::{self, Line};
use super::rules::{self, Role};

/// A report that has not ended after so many lines has: its end was lost.
const LONGEST: usize = 400;
/// How many lines after a report's end something may come that follows from it.
const SOON: usize = 10;
/// What the tests' init writes: who runs next has nothing to do with what was before.
const MARK: &str = "rust-connector: ";

/// Why these lines are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    Trouble,
    /// A warning that is not known to be harmless, and no more than that.
    Warning,
    /// Asked for.
    Provoked,
}

/// A report, as far as it is known.
#[derive(Debug)]
struct Event<'a> {
    why: Why,
    /// Of these, as many as are wanted.
    lines: Vec<&'a str>,
    /// How many there are.
    length: usize,
    /// Where the last one is in the log.
    last: usize,
    /// Who prints it. Where the log does not say, all print everything.
    callers: Vec<Option<&'a str>>,
    /// The headlines that come before its stack dump are its own.
    announced: bool,
    /// It has come to its stack dump.
    dumped: bool,
    /// It began with a double line, and ends with one if it is not lockdep's.
    framed: bool,
    ended: bool,
}

/// A stack dump or a list of the memory.
fn ends_what_was_asked_for(message: &str) -> bool {
    message.starts_with(" </") || message.ends_with(" pages reserved")
}

impl Event<'_> {
    /// Whether what this caller prints now belongs to it.
    fn is_open_for(&self, caller: Option<&str>) -> bool {
        self.why != Why::Warning && !self.ended && self.callers.contains(&caller)
    }

    /// Whether nothing can belong to it any more.
    fn is_over(&self, at: usize) -> bool {
        let asked = self.why == Why::Provoked && !self.dumped;
        at - self.last > if self.ended || asked { SOON } else { LONGEST }
    }
}

/// The troubles that a kernel log tells of, in the order in which they began, with at most `max_lines`
/// lines of each.
///
/// The log is the console's or raw records, with any line ends, cut off anywhere. Several CPUs may
/// have printed at once: with CONFIG_PRINTK_CALLER their reports are told apart; without it the lines
/// of one may be among the other's, but none is lost.
pub fn troubles(log: &str, max_lines: usize) -> Vec<String> {
    let mut reader = Reader {
        max_lines,
        events: Vec::new(),
        over: 0,
        frames: Vec::new(),
    };
    for (at, line) in line::lines(log).enumerate() {
        reader.line(at, line);
    }
    reader
        .events
        .into_iter()
        .filter(|event| event.why != Why::Provoked)
        .map(|event| event.lines.join("\n"))
        .collect()
}

/// A log, as far as it was read.
struct Reader<'a> {
    max_lines: usize,
    events: Vec<Event<'a>>,
    /// How many of them are over, at the start.
    over: usize,
    /// The double line that was the last of its printer, and where it is.
    frames: Vec<(usize, Line<'a>)>,
}

impl<'a> Reader<'a> {
    fn line(&mut self, at: usize, line: Line<'a>) {
        if line.message.starts_with(MARK) {
            self.over = self.events.len();
            self.frames.clear();
            return;
        }
        let over = |event: &&Event<'_>| event.is_over(at);
        self.over += self.events[self.over..].iter().take_while(over).count();
        let frame = self
            .frames
            .iter()
            .position(|(_, frame)| frame.caller == line.caller)
            .map(|frame| self.frames.swap_remove(frame));
        let open = self.last(|event| event.is_open_for(line.caller));
        match rules::role(line.message) {
            Some(Role::Frame) => {
                let ends = |open: &usize| self.events[*open].framed && self.events[*open].dumped;
                if let Some(open) = open.filter(ends) {
                    self.append(open, at, line);
                    self.events[open].ended = true;
                }
                self.frames.push((at, line));
            }
            Some(role @ (Role::Headline | Role::Announcement)) => match open {
                Some(open)
                    if frame.is_none()
                        && self.events[open].announced
                        && !self.events[open].dumped =>
                {
                    self.append(open, at, line);
                }
                _ => {
                    let (first, line_of_first) = frame.unwrap_or((at, line));
                    let event = self.begin(first, line_of_first, Why::Trouble);
                    if frame.is_some() {
                        self.append(event, at, line);
                    }
                    self.events[event].framed = frame.is_some();
                    self.events[event].announced = role == Role::Announcement;
                }
            },
            Some(Role::Consequence) => self.consequence(at, line),
            Some(Role::Dump) => {
                // Not a second one.
                let asked = |event: &Event<'_>| event.why == Why::Provoked && event.dumped;
                let open = open.filter(|&open| !asked(&self.events[open]));
                let event = self.continue_or_begin(open, at, line, Why::Trouble);
                self.events[event].dumped = true;
            }
            Some(Role::Provoked) => {
                self.continue_or_begin(open, at, line, Why::Provoked);
            }
            None => self.other(open, at, line),
        }
    }

    /// Belongs to what its printer reports or has just reported, or else to what anybody has.
    fn consequence(&mut self, at: usize, line: Line<'a>) {
        let trouble = |event: &Event<'_>| event.why == Why::Trouble && !event.is_over(at);
        let cause = self
            .last(|event| trouble(event) && event.callers.contains(&line.caller))
            .or_else(|| self.last(|event| trouble(event) && at - event.last <= SOON));
        let event = self.continue_or_begin(cause, at, line, Why::Trouble);
        let event = &mut self.events[event];
        event.ended = false;
        if !event.callers.contains(&line.caller) {
            event.callers.push(line.caller);
        }
    }

    /// What no rule knows: a line of a report, or nothing; or a warning by its level.
    fn other(&mut self, open: Option<usize>, at: usize, line: Line<'a>) {
        // What was asked for has no errors: these are somebody else's.
        let is_its = |open: &usize| {
            self.events[*open].why != Why::Provoked || !line.is_from_kernel_at(levels::ERROR)
        };
        if let Some(open) = open.filter(is_its) {
            self.append(open, at, line);
            let event = &mut self.events[open];
            event.ended |= line.message.starts_with("---[ end ")
                || (event.why == Why::Provoked && ends_what_was_asked_for(line.message));
        } else if line.is_from_kernel_at(levels::WARNING) && !levels::is_harmless(line.message) {
            let same = self.last(|event| {
                event.why == Why::Warning
                    && event.last + 1 == at
                    && event.callers.contains(&line.caller)
            });
            self.continue_or_begin(same, at, line, Why::Warning);
        }
    }

    /// The last of those that are not over.
    fn last(&self, wanted: impl Fn(&Event<'a>) -> bool) -> Option<usize> {
        let last = self.events[self.over..].iter().rposition(wanted)?;
        Some(self.over + last)
    }

    fn continue_or_begin(
        &mut self,
        event: Option<usize>,
        at: usize,
        line: Line<'a>,
        why: Why,
    ) -> usize {
        match event {
            Some(event) => {
                self.append(event, at, line);
                event
            }
            None => self.begin(at, line, why),
        }
    }

    fn begin(&mut self, at: usize, line: Line<'a>, why: Why) -> usize {
        self.events.push(Event {
            why,
            lines: Vec::new(),
            length: 0,
            last: at,
            callers: vec![line.caller],
            announced: false,
            dumped: false,
            framed: false,
            ended: false,
        });
        let event = self.events.len() - 1;
        self.append(event, at, line);
        event
    }

    fn append(&mut self, event: usize, at: usize, line: Line<'a>) {
        let event = &mut self.events[event];
        if event.lines.len() < self.max_lines {
            event.lines.push(line.text);
        }
        event.length += 1;
        event.last = at;
        event.ended |= event.length >= LONGEST;
    }
}
