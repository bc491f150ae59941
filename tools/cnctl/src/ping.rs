// SPDX-License-Identifier: GPL-2.0

//! `cnctl ping`: like ping(8), for services that echo.

use std::{
    fmt::{self, Display},
    ops::RangeInclusive,
    os::unix::ffi::OsStrExt,
    process,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use netlink_connector::{
    CbId, Connector, Core, Deadline, Error, Event, Header, Message, registered,
};

use crate::{
    cli::{FOREVER, Global, Ping},
    clock::Stamp,
    core, escape,
    outcome::{Failure, Outcome},
    output::{Object, Output, Tone, aside, complain},
    signal,
    silence::{self, NOBODY},
};

/// From one message to the next, unless told.
const INTERVAL: Duration = Duration::from_secs(1);

/// How many messages a sweep has unless told.
const SWEEP_COUNT: u64 = 24;

/// How long after Ctrl-C the reply to a message under way may still come and count.
const GRACE: Duration = Duration::from_millis(100);

pub(crate) fn run(args: &Ping, global: &Global) -> Result<Outcome, Failure> {
    let connector = Connector::open()?;
    let core = Core::find()?;
    let started = Instant::now();
    // As for ping(8), 0 is none.
    let deadline = args.deadline.filter(|deadline| !deadline.is_zero());
    let run = Arc::new(Run {
        id: args.id,
        core,
        output: Output::new(global),
        started,
        // What is too far to be a time is never.
        end: deadline.and_then(|deadline| started.checked_add(deadline)),
        wanted: deadline.and(args.count),
        stop: AtomicBool::new(false),
        tally: Mutex::default(),
    });

    let (asked, ended, main) = (Arc::clone(&run), Arc::clone(&run), thread::current());
    signal::on_quit_or_end(
        move || asked.interim(),
        move || {
            ended.stop.store(true, Ordering::Relaxed);
            main.unpark();
            thread::sleep(GRACE);
            ended.end(&ended.tally());
        },
    )?;

    run.title(args);
    let interval = args.interval.unwrap_or(match args.flood {
        true => Duration::ZERO,
        false => INTERVAL,
    });
    let count = args.count.or(args.sweep.as_ref().map(|_| SWEEP_COUNT));
    let mut next = Some(started);
    for number in 0.. {
        let done = match deadline {
            // As ping(8): what is counted then are replies.
            Some(_) => run.tally().received,
            None => number,
        };
        if count.is_some_and(|count| done >= count) {
            break;
        }
        run.sleep_until(next);
        if run.stop.load(Ordering::Relaxed) || run.is_over() {
            break;
        }
        // After a slow reply, the messages that are late do not follow in a burst.
        next = next.and_then(|next| next.max(Instant::now()).checked_add(interval));
        let size = match (&args.sweep, count) {
            (Some(sizes), Some(count)) => sweep(sizes, number, count),
            _ => args.size,
        };
        let sent = Instant::now();
        if run.ping(&connector, args, number, size)? == Waited::NoNeed {
            // Where nobody is, the next one is not due before this one's time would have been up.
            let timeout = match args.timeout {
                FOREVER => INTERVAL,
                timeout => timeout,
            };
            let up = sent.checked_add(timeout);
            next = next.zip(up).map(|(next, up)| next.max(up));
        }
    }
    run.end(&run.tally())
}

/// The size of message `number` (from 0) of `count` that grow from the start of `sizes` to its end:
/// geometrically, but each by at least 1 where there is room.
fn sweep(sizes: &RangeInclusive<usize>, number: u64, count: u64) -> usize {
    let (min, max) = (*sizes.start(), *sizes.end());
    if number + 1 >= count {
        return max;
    }
    let ratio = (max + 1) as f64 / (min + 1) as f64;
    let part = number as f64 / (count - 1) as f64;
    let geometric = ((min + 1) as f64 * ratio.powf(part)).round() as usize - 1;
    let linear = min.saturating_add(number.try_into().unwrap_or(usize::MAX));
    geometric.max(linear).min(max)
}

/// What is in message `number`: bytes that differ from message to message and from place to place,
/// zero and non-UTF-8 among them.
fn pattern(number: u64, size: usize) -> Vec<u8> {
    (0..size)
        .map(|at| {
            (at as u64)
                .wrapping_mul(31)
                .wrapping_add(number.wrapping_mul(7)) as u8
        })
        .collect()
}

/// A run, shared with the thread that handles Ctrl-C.
struct Run {
    id: CbId,
    core: Core,
    output: Output,
    started: Instant,
    /// When `--deadline` is.
    end: Option<Instant>,
    /// How many replies have to come before that.
    wanted: Option<u64>,
    stop: AtomicBool,
    tally: Mutex<Tally>,
}

/// How long a reply was waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waited {
    /// Until it came, or the time was up.
    AsLong,
    /// Not at all: there is nobody to reply.
    NoNeed,
}

/// What has come of the messages so far.
#[derive(Debug, Default)]
struct Tally {
    sent: u64,
    received: u64,
    /// Replies that were not what was sent; they count as lost.
    wrong: u64,
    times: Times,
}

impl Run {
    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn title(&self, args: &Ping) {
        if self.output.json {
            return;
        }
        let id = self.output.toned(Tone::Strong, self.id);
        let name = name_of(self.id).map_or(String::new(), |name| format!(" ({name})"));
        let size = match &args.sweep {
            Some(sizes) => format!("{} to {}", sizes.start(), sizes.end()),
            None => args.size.to_string(),
        };
        self.output.line(format_args!(
            "PING {id}{name}, {size} bytes of data, by {}",
            self.core
        ));
    }

    /// Whether `--deadline` has come.
    fn is_over(&self) -> bool {
        self.end.is_some_and(|end| Instant::now() >= end)
    }

    /// Sleeps until `next`, or the deadline, or until the end was asked for; `None` is never.
    fn sleep_until(&self, next: Option<Instant>) {
        let next = match (next, self.end) {
            (Some(next), Some(end)) => Some(next.min(end)),
            (next, end) => next.or(end),
        };
        while !self.stop.load(Ordering::Relaxed) {
            match next.map(|next| next.saturating_duration_since(Instant::now())) {
                Some(Duration::ZERO) => break,
                Some(left) => thread::park_timeout(left),
                None => thread::park(),
            }
        }
    }

    /// Sends a message and checks what comes back.
    fn ping(
        &self,
        connector: &Connector,
        args: &Ping,
        number: u64,
        size: usize,
    ) -> Result<Waited, Failure> {
        let request = Header {
            len: size as u16,
            ..Header::request(self.id, (number as u32).wrapping_add(1))
        };
        let data = pattern(number, size);
        if args.verbose && !self.output.json {
            let time = Time::of(args);
            self.output
                .line(format_args!("{time}> {}", genealogy(&request)));
        }
        // One dot for each message that is under way, or has come to nothing.
        let dots = args.flood && !args.quiet && !self.output.json;
        if dots {
            self.output.part(".");
        }

        self.tally().sent += 1;
        let start = Instant::now();
        let left = self.end.map(|end| end.saturating_duration_since(start));
        let timeout = args.timeout.min(left.unwrap_or(args.timeout));
        let reply = connector.request(&request, &data, timeout);
        let time = start.elapsed();

        let mut waited = Waited::AsLong;
        match reply {
            Ok(reply) if reply.data == data => {
                let mut tally = self.tally();
                tally.received += 1;
                tally.times.add(time);
                drop(tally);
                if dots {
                    self.output.part("\x08 \x08");
                } else {
                    self.show(args, &reply, time);
                }
            }
            Ok(reply) => {
                self.tally().wrong += 1;
                self.complain(args, "wrong", &request, &difference(&reply, &data));
            }
            Err(Error::NotRegistered { .. }) => {
                let what = format!("no reply: {NOBODY}; so the connector says");
                self.complain(args, "lost", &request, &what);
                waited = Waited::NoNeed;
            }
            Err(error) => match silence::explained(self.id, timeout, &error) {
                Some(what) => self.complain(args, "lost", &request, &what),
                None => return Err(error.into()),
            },
        }
        self.show_strangers(connector, args)?;
        Ok(waited)
    }

    /// Shows a good reply.
    fn show(&self, args: &Ping, reply: &Message, time: Duration) {
        let (header, ms) = (&reply.header, millis(time));
        let at = Time::of(args);
        if args.quiet || args.flood {
        } else if self.output.json {
            self.output
                .line(at.member(members("reply", header).value("time_ms", ms)));
        } else if args.verbose {
            self.output
                .line(format_args!("{at}< {} time={ms:.3} ms", genealogy(header)));
        } else {
            self.output.line(format_args!(
                "{at}{} bytes from {}: seq={} time={ms:.3} ms",
                header.len, header.id, header.seq
            ));
        }
    }

    /// Shows what came and was no reply to any request that still waits: late replies, and replies
    /// with the wrong genealogy.
    fn show_strangers(&self, connector: &Connector, args: &Ping) -> Result<(), Failure> {
        loop {
            match connector.recv(Deadline::NOW) {
                Ok(Event::Message(message)) => self.complain(
                    args,
                    "wrong",
                    &message.header,
                    &format!(
                        "came too late, or is no reply to what was sent (ack={} len={})",
                        message.header.ack, message.header.len
                    ),
                ),
                Ok(Event::Overrun(overrun)) => {
                    let text = overrun.to_string();
                    match self.output.json {
                        true => self
                            .output
                            .line(Object::new("overrun").string("text", &text)),
                        false => self.output.line(self.output.toned(Tone::Bad, text)),
                    }
                }
                Ok(_) => {}
                Err(error) if error.is_timeout() => return Ok(()),
                Err(error @ (Error::Malformed(_) | Error::ForeignSender { .. })) => {
                    complain("ping", error);
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Reports what is wrong with the message of this header, as an event of this name. In a flood
    /// its dot stays instead.
    fn complain(&self, args: &Ping, event: &str, header: &Header, what: &str) {
        let at = Time::of(args);
        if self.output.json {
            self.output
                .line(at.member(members(event, header).string("text", what)));
        } else if !args.flood || args.quiet {
            let line = format!("{at}{} seq={}: {what}", header.id, header.seq);
            self.output.line(self.output.toned(Tone::Bad, line));
        }
    }

    /// Tells what came so far, and goes on: where ping(8) does, so that it does not get between
    /// the lines of a file.
    fn interim(&self) {
        let tally = self.tally();
        if self.output.json {
            return self.output.line(self.summary("interim", &tally));
        }
        let times = match tally.times.summary() {
            Some([min, avg, max, _]) => format!(", min/avg/max = {min:.3}/{avg:.3}/{max:.3} ms"),
            None => String::new(),
        };
        aside(format_args!(
            "{}/{} replies, {}% lost{times}",
            tally.received,
            tally.sent,
            tally.percent()
        ));
    }

    fn summary(&self, event: &str, tally: &Tally) -> Object {
        let object = Object::new(event)
            .string("id", &self.id.to_string())
            .string("core", core::word(self.core))
            .value("sent", tally.sent)
            .value("received", tally.received)
            .value("lost", tally.lost())
            .value("wrong", tally.wrong)
            .value("elapsed_ms", millis(self.started.elapsed()));
        match tally.times.summary() {
            Some([min, avg, max, mdev]) => object
                .value("rtt_min_ms", min)
                .value("rtt_avg_ms", avg)
                .value("rtt_max_ms", max)
                .value("rtt_mdev_ms", mdev),
            None => object,
        }
    }

    /// Writes the summary and ends the process.
    fn end(&self, tally: &Tally) -> ! {
        let lost = tally.lost();
        if self.output.json {
            self.output.line(self.summary("summary", tally));
        } else {
            self.output.line(format_args!("\n--- {} ---", self.id));
            let loss = format!("{lost} lost ({}%)", tally.percent());
            let tone = if lost == 0 { Tone::Good } else { Tone::Bad };
            self.output.line(format_args!(
                "{} sent, {} received, {}, time {:.0} ms",
                tally.sent,
                tally.received,
                self.output.toned(tone, loss),
                millis(self.started.elapsed())
            ));
            if let Some([min, avg, max, mdev]) = tally.times.summary() {
                self.output.line(format_args!(
                    "rtt min/avg/max/mdev = {min:.3}/{avg:.3}/{max:.3}/{mdev:.3} ms"
                ));
            }
        }
        let too_few = self.wanted.is_some_and(|wanted| tally.received < wanted);
        let outcome = match lost == 0 && tally.received > 0 && !too_few {
            true => Outcome::Complete,
            false => Outcome::Incomplete,
        };
        // The thread for Ctrl-C and the main thread may both get here. Whoever is first holds the
        // tally, and writes, until there is no process.
        process::exit(outcome.status().into())
    }
}

impl Tally {
    fn lost(&self) -> u64 {
        self.sent - self.received
    }

    /// How many are lost of a hundred, with as many digits as it takes to see that some are.
    fn percent(&self) -> f64 {
        match self.sent {
            0 => 0.0,
            sent => (self.lost() as f64 * 1e8 / sent as f64).round() / 1e6,
        }
    }
}

/// The time before a line, if it is wanted.
#[derive(Clone, Copy)]
struct Time(Option<Duration>);

impl Time {
    fn of(args: &Ping) -> Self {
        let now = || SystemTime::now().duration_since(UNIX_EPOCH).ok();
        Self(args.timestamp.then(now).flatten())
    }

    /// Adds it to an object.
    fn member(self, object: Object) -> Object {
        match self.0 {
            Some(time) => object.value("unix", Stamp(time).seconds()),
            None => object,
        }
    }
}

impl Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(time) => write!(f, "[{}.{:06}] ", time.as_secs(), time.subsec_micros()),
            None => Ok(()),
        }
    }
}

/// The name that `id` is registered by, if it is and the kernel tells.
fn name_of(id: CbId) -> Option<String> {
    let registered = registered().ok()?;
    let found = registered.into_iter().find(|entry| entry.id == id)?;
    Some(escape::shown(found.name.as_bytes()))
}

/// The members of a header in JSON.
fn members(event: &str, header: &Header) -> Object {
    Object::new(event)
        .string("id", &header.id.to_string())
        .value("seq", header.seq)
        .value("ack", header.ack)
        .value("len", header.len)
}

/// A header in columns.
fn genealogy(header: &Header) -> String {
    format!(
        "{} seq={:<5} ack={:<3} len={:<5}",
        header.id, header.seq, header.ack, header.len
    )
}

/// What is wrong with the data of a reply to a message with `data`.
fn difference(reply: &Message, data: &[u8]) -> String {
    if reply.data.len() != data.len() {
        return format!(
            "wrong reply: {} bytes came back of {}",
            reply.data.len(),
            data.len()
        );
    }
    let at = reply.data.iter().zip(data).take_while(|(a, b)| a == b);
    format!("wrong reply: another byte at offset {}", at.count())
}

/// A time in milliseconds, to the nanosecond.
fn millis(time: Duration) -> f64 {
    time.as_nanos() as f64 / 1e6
}

/// Round-trip times, in milliseconds.
#[derive(Debug, Default)]
struct Times {
    count: u64,
    min: f64,
    max: f64,
    sum: f64,
    sum_of_squares: f64,
}

impl Times {
    fn add(&mut self, time: Duration) {
        let ms = millis(time);
        self.min = if self.count == 0 {
            ms
        } else {
            self.min.min(ms)
        };
        self.max = self.max.max(ms);
        self.sum += ms;
        self.sum_of_squares += ms * ms;
        self.count += 1;
    }

    /// Minimum, average, maximum and standard deviation ("mdev"), if there were any times.
    fn summary(&self) -> Option<[f64; 4]> {
        if self.count == 0 {
            return None;
        }
        let count = self.count as f64;
        let average = self.sum / count;
        let variance = (self.sum_of_squares / count - average * average).max(0.0);
        let nanos = |ms: f64| (ms * 1e6).round() / 1e6;
        Some([self.min, average, self.max, variance.sqrt()].map(nanos))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sweep_grows_with_every_message_and_includes_both_ends() {
        for (sizes, count) in [
            (0..=16364, 24),
            (0..=16364, 2),
            (5..=40, 24),
            (0..=100, 101),
        ] {
            let all: Vec<_> = (0..count).map(|n| sweep(&sizes, n, count)).collect();
            assert_eq!(all.first(), Some(sizes.start()));
            assert_eq!(all.last(), Some(sizes.end()));
            assert!(all.is_sorted_by(|a, b| a < b), "{all:?}");
        }
    }

    #[test]
    fn a_sweep_over_few_sizes_stays_within_them() {
        for n in 0..24 {
            assert!((3..=5).contains(&sweep(&(3..=5), n, 24)));
        }
        assert_eq!(sweep(&(3..=5), 0, 1), 5);
    }

    #[test]
    fn few_lost_messages_are_not_none_and_many_not_all() {
        let percent = |sent, received| {
            let tally = Tally {
                sent,
                received,
                ..Tally::default()
            };
            tally.percent().to_string()
        };
        assert_eq!(percent(0, 0), "0");
        assert_eq!(percent(4, 3), "25");
        assert_eq!(percent(1000, 999), "0.1");
        assert_eq!(percent(1000, 1), "99.9");
        assert_eq!(percent(3, 2), "33.333333");
    }

    #[test]
    fn times_are_summed_up() {
        let mut times = Times::default();
        assert_eq!(times.summary(), None);
        for ms in [1, 2, 3] {
            times.add(Duration::from_millis(ms));
        }
        let [min, avg, max, mdev] = times.summary().unwrap();
        assert_eq!((min, avg, max), (1.0, 2.0, 3.0));
        assert_eq!(mdev, 0.816497);
    }
}
