// SPDX-License-Identifier: GPL-2.0

//! What a guest said, cut at its marks: the kernel's log and the programs' port, which have the
//! same ones. Whether it is read while it comes or from files makes no difference.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use guest::{Mark, mark};

/// One piece of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// A mark, and the kernel's clock in the log.
    Mark(Mark, Option<Duration>),
    /// What the guest has to say of the suite that runs.
    Fault(String),
    /// The program of the suite that runs has ended.
    Exited,
    /// Any other line.
    Line(String),
}

/// What lies between two marks.
#[derive(Debug, Default)]
pub struct Section {
    /// The mark before it; the first section has none.
    pub opened_by: Option<Mark>,
    /// The kernel's clock in that mark.
    pub stamp: Option<Duration>,
    /// The lines, each with its line feed.
    pub text: String,
    /// When each line came, after the mark; empty where nobody watched.
    pub came: Vec<Duration>,
    /// What the guest says of it.
    pub faults: Vec<String>,
    /// How much of the text there was when the suite's program ended.
    pub exited: Option<usize>,
    since: Option<Instant>,
}

/// Which of the two streams it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The kernel's log, as the console prints it.
    Log,
    /// What programs print.
    Port,
}

/// One of the two streams.
#[derive(Debug)]
pub struct Stream {
    kind: Kind,
    /// What comes before a mark, of whatever run.
    intro: String,
    token: String,
    live: bool,
    /// An unfinished line.
    rest: Vec<u8>,
    /// An empty line came that may belong to a mark.
    blank: bool,
    /// The number that the next mark should have.
    next: usize,
    /// The log's marks as they stood there, with their time.
    seen: HashSet<String>,
    sections: Vec<Section>,
    problems: Vec<String>,
}

impl Stream {
    /// An empty one. One that is `live` notes when lines come.
    pub fn new(kind: Kind, token: &str, live: bool) -> Self {
        let intro = match kind {
            Kind::Log => format!("{}@", mark::IN_THE_LOG),
            Kind::Port => "@".to_owned(),
        };
        Self {
            kind,
            intro,
            token: token.to_owned(),
            live,
            rest: Vec::new(),
            blank: false,
            next: 0,
            seen: HashSet::new(),
            sections: vec![Section::default()],
            problems: Vec::new(),
        }
    }

    /// Takes more of it; returns what is complete.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<Item> {
        self.rest.extend_from_slice(bytes);
        let Some(end) = self.rest.iter().rposition(|&byte| byte == b'\n') else {
            return Vec::new();
        };
        let more = self.rest.split_off(end + 1);
        let complete = std::mem::replace(&mut self.rest, more);
        let mut items = Vec::new();
        for line in String::from_utf8_lossy(&complete).split_terminator('\n') {
            self.line(line.trim_end_matches('\r'), &mut items);
        }
        items.iter().for_each(|item| self.keep(item));
        items
    }

    /// No more will come: takes what has no line feed.
    pub fn finish(&mut self) -> Vec<Item> {
        match self.rest.is_empty() {
            true => Vec::new(),
            false => self.feed(b"\n"),
        }
    }

    /// Whether the mark of this number is there, or was passed over.
    pub fn has(&self, number: usize) -> bool {
        self.next > number
    }

    /// All of it, in order.
    pub fn sections(&self) -> &[Section] {
        &self.sections
    }

    /// The section that the mark of this number opens, and its place.
    pub fn opened_by(&self, number: usize) -> Option<(usize, &Section)> {
        // Numbers only grow.
        let number_of = |section: &Section| section.opened_by.as_ref().map(|mark| mark.number);
        let at = self
            .sections
            .binary_search_by_key(&Some(number), number_of)
            .ok()?;
        Some((at, &self.sections[at]))
    }

    /// What is wrong with the marks.
    pub fn problems(&self) -> impl Iterator<Item = String> {
        self.problems.iter().cloned()
    }

    /// Finds a mark in a line. What stands before and after it is text: lines may be torn.
    fn line(&mut self, line: &str, items: &mut Vec<Item>) {
        let found = match self.kind {
            Kind::Log => line.find(&self.intro),
            Kind::Port => line.starts_with(&self.intro).then_some(0),
        };
        let Some((at, (token, rest))) =
            found.and_then(|at| Some((at, line[at + self.intro.len()..].split_once(' ')?)))
        else {
            return self.text(line, items);
        };
        if self.kind == Kind::Port {
            if let Some(fault) = line.strip_prefix(&mark::fault_prefix(&self.token)) {
                self.blank = false;
                return items.push(match fault {
                    mark::EXITED => Item::Exited,
                    _ => Item::Fault(fault.to_owned()),
                });
            }
        }
        let Some((mark, after)) = Mark::parse(rest) else {
            return self.text(line, items);
        };
        if token != self.token {
            self.problems.push(format!("`{mark}` is another run's"));
            return self.text(line, items);
        }
        let (before, stamp) = split_stamp(&line[..at]);
        if !before.is_empty() {
            self.text(before, items);
        }
        self.blank = false;
        if self.is_next(&mark, &line[before.len()..line.len() - after.len()]) {
            items.push(Item::Mark(mark, stamp));
        }
        if !after.is_empty() {
            self.text(after, items);
        }
    }

    fn text(&mut self, line: &str, items: &mut Vec<Item>) {
        if self.kind == Kind::Port {
            // A mark begins on a new line; an empty line before one is its.
            if std::mem::replace(&mut self.blank, line.is_empty()) {
                items.push(Item::Line(String::new()));
            }
            if line.is_empty() {
                return;
            }
        }
        items.push(Item::Line(line.to_owned()));
    }

    /// Whether this mark, which stands there like this, opens a section.
    fn is_next(&mut self, mark: &Mark, line: &str) -> bool {
        // When a CPU in trouble takes the console away in the middle of a line, the kernel prints
        // that line again, with the same time.
        let again = self.kind == Kind::Log && !self.seen.insert(line.to_owned());
        if again {
            return false;
        }
        if mark.number < self.next {
            self.problems
                .push(format!("`{mark}` came again or is made up"));
            return false;
        }
        if mark.number > self.next {
            let missing = self.next;
            self.problems
                .push(format!("mark {missing} is missing before `{mark}`"));
        }
        self.next = mark.number + 1;
        true
    }

    fn keep(&mut self, item: &Item) {
        let section = self.sections.last_mut().expect("there is always one");
        match item {
            Item::Mark(mark, stamp) => self.sections.push(Section {
                opened_by: Some(mark.clone()),
                stamp: *stamp,
                since: self.live.then(Instant::now),
                ..Section::default()
            }),
            Item::Fault(fault) => section.faults.push(fault.clone()),
            Item::Exited => section.exited = Some(section.text.len()),
            Item::Line(line) => {
                section.text.push_str(line);
                section.text.push('\n');
                let since = section.since;
                section.came.extend(since.map(|since| since.elapsed()));
            }
        }
    }
}

/// Takes the `[   12.345678] ` or `[   12.345678][  T42] ` off the end of what stands before a
/// message, and reads the time.
fn split_stamp(before: &str) -> (&str, Option<Duration>) {
    let mut rest = before;
    let mut stamp = None;
    while let Some((text, inner)) = rest
        .trim_end()
        .strip_suffix(']')
        .and_then(|text| text.rsplit_once('['))
    {
        let inner = inner.trim_start();
        let seconds: Option<f64> = inner.parse().ok();
        let of_a_task = inner.strip_prefix(['T', 'C']);
        let of_a_task = of_a_task.is_some_and(|id| id.parse::<u32>().is_ok());
        if seconds.is_none() && !of_a_task {
            break;
        }
        stamp = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        rest = text;
        if stamp.is_some() {
            break;
        }
    }
    let level = rest
        .strip_suffix('>')
        .and_then(|text| text.rsplit_once('<'));
    match level {
        Some((text, level)) if level.parse::<u32>().is_ok() => (text, stamp),
        _ => (rest, stamp),
    }
}

/// The streams of a boot.
#[derive(Debug)]
pub struct Transcript {
    /// The kernel's log.
    pub log: Stream,
    /// What programs printed.
    pub port: Stream,
    /// The kernel's log once more, as records with their levels, from the first suite on.
    pub records: Stream,
}

impl Transcript {
    /// An empty one.
    pub fn new(token: &str, live: bool) -> Self {
        Self {
            log: Stream::new(Kind::Log, token, live),
            port: Stream::new(Kind::Port, token, live),
            records: Stream::new(Kind::Log, token, live),
        }
    }

    /// What was said in a boot that is over.
    pub fn of(token: &str, log: &[u8], port: &[u8], records: &[u8]) -> Self {
        let mut transcript = Self::new(token, false);
        transcript.log.feed(log);
        transcript.port.feed(port);
        transcript.records.feed(records);
        transcript.log.finish();
        transcript.port.finish();
        transcript.records.finish();
        transcript
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use guest::{Counts, What};

    fn mark(number: usize, what: What) -> Mark {
        let counts = Counts::parse("taint=0 warnings=0 oopses=0 lockdep=on kmemleak=on".split(' '));
        Mark {
            number,
            what,
            counts,
        }
    }

    fn booted() -> String {
        mark(0, What::Booted).line("t0k")
    }

    fn begin() -> String {
        mark(1, What::Begin("a".to_owned())).line("t0k")
    }

    fn log(lines: &[String]) -> Stream {
        let mut log = Stream::new(Kind::Log, "t0k", false);
        log.feed(lines.join("\r\n").as_bytes());
        log.finish();
        log
    }

    fn texts(stream: &Stream) -> Vec<&str> {
        let sections = stream.sections().iter();
        sections.map(|section| &section.text[..]).collect()
    }

    #[test]
    fn marks_cut_the_log() {
        let log = log(&[
            "[    0.0] Linux".to_owned(),
            format!("[    1.25] rust-connector: {}", booted()),
            "[    1.5] x".to_owned(),
            format!("[    2.0][   T77] rust-connector: {}", begin()),
        ]);
        assert_eq!(texts(&log), ["[    0.0] Linux\n", "[    1.5] x\n", ""]);
        assert_eq!(log.sections()[1].stamp, Some(Duration::from_millis(1250)));
        assert_eq!(log.sections()[2].stamp, Some(Duration::from_secs(2)));
        assert_eq!(log.problems().count(), 0);
        assert!(log.has(1) && !log.has(2));
        assert_eq!(log.opened_by(1).map(|(at, _)| at), Some(2));
        assert!(log.opened_by(2).is_none());
    }

    #[test]
    fn it_does_not_matter_how_it_comes() {
        let text = format!("\n{}\n\n\nx\n\nok 1\n\n{}\nrest", booted(), begin());
        let mut whole = Stream::new(Kind::Port, "t0k", false);
        whole.feed(text.as_bytes());
        whole.finish();
        let mut pieces = Stream::new(Kind::Port, "t0k", false);
        for byte in text.bytes() {
            pieces.feed(&[byte]);
        }
        pieces.finish();
        assert_eq!(texts(&whole), ["", "\n\nx\n\nok 1\n", "rest\n"]);
        assert_eq!(texts(&pieces), texts(&whole));
    }

    #[test]
    fn a_torn_line_loses_nothing() {
        let log = log(&[
            format!("[ 1.0] BUG: x[ 1.1] rust-connector: {}BUG: y", booted()),
            "z".to_owned(),
        ]);
        assert_eq!(texts(&log), ["[ 1.0] BUG: x\n", "BUG: y\nz\n"]);
    }

    #[test]
    fn half_a_mark_is_text_and_printed_again_it_counts_once() {
        let line = format!("[ 1.1] rust-connector: {}", booted());
        let half = line[..40].to_owned();
        let log = log(&[half.clone(), line.clone(), line, "x".to_owned()]);
        assert_eq!(texts(&log), [&format!("{half}\n"), "x\n"]);
        assert_eq!(log.problems().count(), 0);
    }

    #[test]
    fn a_mark_that_is_lost_repeated_or_of_another_run_is_told() {
        let of = |line: String, time: u32| format!("[ 1.{time}] rust-connector: {line}");
        let problems = |lines: &[String]| -> Vec<String> { log(lines).problems().collect() };
        let lost = problems(&[of(begin(), 1)]);
        assert!(lost[0].contains("mark 0 is missing"), "{lost:?}");
        let again = problems(&[of(booted(), 1), of(booted(), 2)]);
        assert!(again[0].contains("came again or is made up"), "{again:?}");
        let other = problems(&[of(booted().replace("t0k", "other"), 1)]);
        assert!(other[0].contains("is another run's"), "{other:?}");
    }

    #[test]
    fn faults_belong_to_their_section() {
        let mut port = Stream::new(Kind::Port, "t0k", false);
        port.feed(format!("\n{}\n\n@t0k fault it left x\n@other fault y\n", booted()).as_bytes());
        assert_eq!(port.sections()[1].faults, ["it left x"]);
        assert_eq!(port.sections()[1].text, "@other fault y\n");
    }

    #[test]
    fn stamps_are_taken_off() {
        assert_eq!(
            split_stamp("[    1.500000] "),
            ("", Some(Duration::from_millis(1500)))
        );
        assert_eq!(
            split_stamp("x [y][    2.0][  T42] "),
            ("x [y]", Some(Duration::from_secs(2)))
        );
        assert_eq!(
            split_stamp("<8>[    2.0] "),
            ("", Some(Duration::from_secs(2)))
        );
        assert_eq!(split_stamp("x [y] "), ("x [y] ", None));
        assert_eq!(split_stamp(""), ("", None));
    }
}
