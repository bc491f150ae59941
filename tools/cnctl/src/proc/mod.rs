// SPDX-License-Identifier: GPL-2.0

//! `cnctl proc`: what processes do.
//!
//! This file receives events and decides what is shown. [`processes`] knows who they are about,
//! [`text`] and [`json`] make lines of them.

mod json;
mod kind;
mod name;
mod processes;
mod procfs;
mod select;
mod stats;
mod text;
mod users;
mod wall;

use std::{
    fmt::Write,
    process,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use netlink_connector::{
    Connector, Deadline, Event, Gaps, Message, Overrun, ProcEvent, RecvBatch,
    proc::{Events, ID},
};

use self::{
    kind::{Kind, Shown},
    name::Naming,
    processes::{Processes, Subject, Wanted},
    select::Selection,
    stats::Stats,
    text::Text,
    users::Users,
    wall::Wall,
};
use crate::{
    cli::{Clock, Global, Proc},
    outcome::{Failure, Outcome},
    output::{Object, Output, Tone, complain},
    receiving, signal, terminal,
};

/// How long the kernel may take to confirm a request. It does so at once, or never.
const CONFIRMATION: Duration = Duration::from_secs(2);

pub(crate) fn run(args: &Proc, global: &Global) -> Result<Outcome, Failure> {
    let monitor = Monitor::new(args, global)?;
    let output = monitor.text.output;
    let needed = monitor.needed();
    let incomplete = Arc::clone(&monitor.incomplete);
    let counts = monitor.stats.is_some();
    let monitor = Arc::new(Mutex::new(monitor));
    let connector = Arc::new(receiving::open(Connector::builder(), args.buffer)?);

    let (shared, ended) = (Arc::clone(&connector), Arc::clone(&incomplete));
    let counted = Arc::clone(&monitor);
    signal::on_end(move || {
        let _ = shared.unsubscribe_proc();
        // Not waited for without need: whoever holds it may wait for a reader of the lines.
        if counts {
            let mut monitor = counted.lock().unwrap_or_else(PoisonError::into_inner);
            let mut lines = monitor.end();
            let _ = output.flush(&mut lines);
        }
        process::exit(receiving::outcome(&ended).status().into());
    })?;
    connector.subscribe_proc(needed, CONFIRMATION)?;

    let watched = watch(&connector, &monitor, args.duration);
    // Also when nobody reads the lines any more: the kernel would go on to make events.
    let _ = connector.unsubscribe_proc();
    watched?;
    let mut monitor = monitor.lock().unwrap_or_else(PoisonError::into_inner);
    output.flush(&mut monitor.end())?;
    Ok(receiving::outcome(&incomplete))
}

/// Receives events and shows them, until there were enough or the time is up.
fn watch(
    connector: &Connector,
    monitor: &Mutex<Monitor>,
    duration: Option<Duration>,
) -> Result<(), Failure> {
    let lock = || monitor.lock().unwrap_or_else(PoisonError::into_inner);
    let output = {
        let mut monitor = lock();
        monitor.begin();
        monitor.text.output
    };
    let end = duration.and_then(|duration| Instant::now().checked_add(duration));
    let mut batch = RecvBatch::new(receiving::AT_ONCE);
    loop {
        let mut monitor = lock();
        // Shown before the next wait; the title, too.
        output.flush(&mut monitor.lines)?;
        if monitor.left == 0 {
            return Ok(());
        }
        drop(monitor);
        let deadline = match end.map(|end| end.saturating_duration_since(Instant::now())) {
            Some(Duration::ZERO) => return Ok(()),
            Some(left) => left.into(),
            None => Deadline::NEVER,
        };
        match connector.recv_many(&mut batch, deadline) {
            Err(error) if error.is_timeout() => return Ok(()),
            received => received?,
        };
        let mut monitor = lock();
        monitor.look_around();
        for event in batch.drain() {
            match event {
                Ok(Event::Message(message)) => monitor.message(&message),
                Ok(Event::Overrun(lost)) => monitor.overrun(lost),
                Ok(_) => {}
                Err(error) => receiving::refused(&mut monitor.lines, output, &error),
            }
        }
    }
}

/// Puts events into lines.
struct Monitor {
    shown: Shown,
    text: Text,
    /// Whether lines end at the edge of a terminal.
    cut: bool,
    quiet: bool,
    selection: Selection,
    processes: Option<Processes>,
    stats: Option<Stats>,
    gaps: Gaps,
    lines: String,
    incomplete: Arc<AtomicBool>,
    left: u64,
}

impl Monitor {
    fn new(args: &Proc, global: &Global) -> Result<Self, Failure> {
        let output = Output::new(global);
        let selection = Selection::new(&args.select)?;
        let cut = !args.wide && !output.json && terminal::columns().is_some();
        let naming = Naming {
            form: args.name,
            cut,
        };
        let wanted = Wanted {
            naming,
            facts: args.extra || selection.needs_facts(),
            cgroups: selection.needs_cgroups(),
        };
        let processes = (!args.no_command).then(|| Processes::new(wanted, &selection.pids));
        Ok(Self {
            shown: Shown::new(args),
            text: Text {
                output,
                threads: args.threads,
                wall: (args.clock == Clock::Wall).then(Wall::new),
                users: args.extra.then(Users::read),
                width: None,
                narrow: false,
            },
            cut,
            quiet: args.quiet,
            selection,
            processes,
            stats: (args.stats || args.quiet).then(Stats::default),
            gaps: Gaps::default(),
            lines: String::new(),
            incomplete: Arc::new(AtomicBool::new(false)),
            left: args.count.unwrap_or(u64::MAX),
        })
    }

    /// The events that the kernel has to send: all, where it takes others to know who it was.
    fn needed(&self) -> Events {
        match self.processes {
            Some(_) => Events::ALL,
            None => self.shown.needed,
        }
    }

    /// What comes before the first event.
    fn begin(&mut self) {
        // From here on nothing is missed, and what is read now is not older than the events.
        if let Some(processes) = &mut self.processes {
            processes.scan();
            if let Err(error) = procfs::can_be_read() {
                complain(
                    "proc",
                    format_args!(
                        "/proc/1/stat: {error}: who events are about is not known, for which /proc has to be \
                         mounted and to show everybody's processes (see hidepid= in proc(5), and ulimit -n)"
                    ),
                );
            }
            for unmet in self.selection.unmet(processes) {
                complain("proc", unmet);
            }
        }
        self.look_around();
        if !self.text.output.json && !self.quiet {
            self.text.title(&mut self.lines, self.processes.is_some());
        }
    }

    /// What comes after the last event; once.
    fn end(&mut self) -> String {
        let mut lines = std::mem::take(&mut self.lines);
        if let Some(stats) = self.stats.take() {
            match self.text.output.json {
                true => stats.json(&mut lines),
                false => stats.text(&mut lines, self.text.output),
            }
        }
        lines
    }

    /// What may have changed since the last events came: the terminal's width, and the clock.
    fn look_around(&mut self) {
        if self.cut {
            self.text.fit(terminal::columns(), self.processes.is_some());
        }
        if let Some(wall) = &mut self.text.wall {
            wall.read();
        }
    }

    fn message(&mut self, message: &Message) {
        let event = match ProcEvent::parse(message) {
            Some(Ok(event)) => event,
            Some(Err(error)) => {
                return receiving::refused(&mut self.lines, self.text.output, &error);
            }
            // Not a process event; anybody may broadcast to group 1.
            None => return,
        };
        // The kernel counts events that its filter holds back, too.
        if self.needed() == Events::ALL {
            self.gap(&event, message.header.seq);
        }
        let Some((kind, task)) = Kind::of(&event) else {
            return;
        };
        let subject = match &mut self.processes {
            Some(processes) => {
                let subject = processes.follow(&event, task);
                if !self.selection.has(&subject.process) {
                    return;
                }
                Some(subject)
            }
            None => None,
        };
        if self.left == 0 || !self.shown.has(&event, kind, task) {
            return;
        }
        self.left -= 1;
        let subject = subject.as_ref();
        if let Some(stats) = &mut self.stats {
            stats.count(program(subject), kind);
        }
        if self.quiet {
            return;
        }
        if self.text.output.json {
            let object = json::event(&event, kind, task, subject, self.text.wall.as_ref());
            self.lines.push_str(&object);
            self.lines.push('\n');
        } else {
            self.text
                .event(&mut self.lines, &event, kind, task, subject);
        }
    }

    /// Reports events that are missing before this one.
    fn gap(&mut self, event: &ProcEvent, seq: u32) {
        let Some(gap) = self.gaps.check_lane(ID, event.cpu, seq) else {
            return;
        };
        self.incomplete.store(true, Ordering::Relaxed);
        let _ = if self.text.output.json {
            let object = Object::new("gap")
                .value("cpu", event.cpu)
                .value("missing", gap.missing);
            writeln!(self.lines, "{object}")
        } else {
            let text = match gap.missing {
                1 => format!("1 event of CPU {} is missing", event.cpu),
                missing => format!("{missing} events of CPU {} are missing", event.cpu),
            };
            writeln!(self.lines, "{}", self.text.output.toned(Tone::Bad, text))
        };
    }

    fn overrun(&mut self, lost: Overrun) {
        self.incomplete.store(true, Ordering::Relaxed);
        receiving::overrun(&mut self.lines, self.text.output, lost);
        // Who came and went meanwhile?
        if let Some(processes) = &mut self.processes {
            processes.scan();
        }
    }
}

/// The program that an event is counted for.
fn program(subject: Option<&Subject>) -> Option<&[u8]> {
    subject?.process.name.program()
}
