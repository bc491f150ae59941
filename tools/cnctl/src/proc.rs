// SPDX-License-Identifier: GPL-2.0

//! `cnctl proc`: what processes do.

use std::{
    collections::HashMap,
    fmt::Write,
    fs,
    os::unix::process::ExitStatusExt,
    process::{self, ExitStatus},
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use connector_client::{
    Connector, Deadline, Event, Gaps, Message, ProcEvent, RecvBatch,
    proc::{Events, ID, Task, What},
};

use crate::{
    Failure, Outcome,
    cli::{Global, Proc},
    clock::Stamp,
    digits, listen,
    output::{Object, Output, Tone},
    signal,
};

/// How long the kernel may take to confirm a request. It does so at once, or never.
const CONFIRMATION: Duration = Duration::from_secs(2);

/// How many bytes of a command line are shown.
const COMMAND: usize = 4096;

pub(crate) fn run(args: &Proc, global: &Global) -> Result<Outcome, Failure> {
    let output = Output::new(global);
    let events = args.events.iter().copied().reduce(|all, one| all | one);
    let events = events.unwrap_or(Events::ALL);
    let connector = Arc::new(listen::open(Connector::builder(), args.buffer)?);

    let incomplete = Arc::new(AtomicBool::new(false));
    let (shared, ended) = (Arc::clone(&connector), Arc::clone(&incomplete));
    signal::on_end(move || {
        let _ = shared.unsubscribe_proc();
        process::exit(listen::outcome(&ended).status().into());
    })?;
    connector.subscribe_proc(events, CONFIRMATION)?;

    let mut monitor = Monitor {
        output,
        events,
        threads: args.threads,
        commands: (!args.no_command).then(Commands::default),
        gaps: Gaps::default(),
        lines: String::new(),
        incomplete,
        left: args.count.unwrap_or(u64::MAX),
    };
    if !output.json {
        monitor.title();
    }
    let watched = monitor.watch(&connector);
    // Also when nobody reads the lines any more: the kernel would go on to make events.
    let _ = connector.unsubscribe_proc();
    watched?;
    Ok(listen::outcome(&monitor.incomplete))
}

/// Puts events into lines.
struct Monitor {
    output: Output,
    events: Events,
    threads: bool,
    commands: Option<Commands>,
    gaps: Gaps,
    lines: String,
    incomplete: Arc<AtomicBool>,
    left: u64,
}

impl Monitor {
    fn watch(&mut self, connector: &Connector) -> Result<(), Failure> {
        let mut batch = RecvBatch::new(listen::AT_ONCE);
        while self.left > 0 {
            // Shown before the next wait; the title, too.
            self.output.flush(&mut self.lines)?;
            connector.recv_many(&mut batch, Deadline::NEVER)?;
            for event in batch.drain() {
                match event {
                    Ok(Event::Message(message)) => self.message(&message),
                    Ok(Event::Overrun(lost)) => {
                        self.incomplete.store(true, Ordering::Relaxed);
                        listen::overrun(&mut self.lines, self.output, lost);
                    }
                    Ok(_) => {}
                    Err(error) => listen::refused(&mut self.lines, self.output, &error),
                }
            }
        }
        self.output.flush(&mut self.lines)?;
        Ok(())
    }

    fn title(&mut self) {
        let tid = if self.threads { "     TID" } else { "" };
        let title = format!("{:>14} {:>7}{tid} WHAT     DETAILS", "TIME", "PID");
        let title = self.output.toned(Tone::Strong, title);
        // Writing to a String cannot fail.
        let _ = writeln!(self.lines, "{title}");
    }

    fn message(&mut self, message: &Message) {
        let event = match ProcEvent::parse(message) {
            Some(Ok(event)) => event,
            Some(Err(error)) => return listen::refused(&mut self.lines, self.output, &error),
            // Not a process event; anybody may broadcast to group 1.
            None => return,
        };
        // The kernel counts events that its filter holds back, too.
        if self.events == Events::ALL {
            self.gap(&event, message.header.seq);
        }
        let Some(task) = task(&event.what) else {
            return;
        };
        let shown = self.events.wants(&event) && (self.threads || task.pid == task.tid);
        let command = match &mut self.commands {
            Some(commands) => commands.follow(&event.what),
            None => None,
        };
        if !shown || self.left == 0 {
            return;
        }
        self.left -= 1;
        match self.output.json {
            true => self.json(&event, task, command.as_deref()),
            false => self.text(&event, task, command.as_deref()),
        }
    }

    /// Reports events that are missing before this one.
    fn gap(&mut self, event: &ProcEvent, seq: u32) {
        let Some(gap) = self.gaps.check_lane(ID, event.cpu, seq) else {
            return;
        };
        self.incomplete.store(true, Ordering::Relaxed);
        let _ = if self.output.json {
            let object = Object::new("gap")
                .value("cpu", event.cpu)
                .value("missing", gap.missing);
            writeln!(self.lines, "{object}")
        } else {
            let text = format!("{} events of CPU {} are missing", gap.missing, event.cpu);
            writeln!(self.lines, "{}", self.output.toned(Tone::Bad, text))
        };
    }

    fn text(&mut self, event: &ProcEvent, task: Task, command: Option<&str>) {
        let (time, what) = (Stamp(event.timestamp), event.what.name());
        let lines = &mut self.lines;
        time.append(lines);
        lines.push(' ');
        id(lines, task.pid, 7);
        lines.push(' ');
        if self.threads {
            id(lines, task.tid, 7);
            lines.push(' ');
        }
        let tone = match event.what {
            What::Exit { status, .. } if !status.success() => Some(Tone::Bad),
            What::Coredump { .. } => Some(Tone::Bad),
            What::Exec { .. } => Some(Tone::Good),
            _ => None,
        };
        match tone {
            Some(tone) => {
                let _ = write!(lines, "{:<8}", self.output.toned(tone, what));
            }
            None => {
                lines.push_str(what);
                lines.push_str(&"        "[what.len().min(8)..]);
            }
        }
        let _ = match event.what {
            What::Fork { parent, .. } => {
                lines.push_str(" by ");
                id(lines, parent.pid, 0);
                Ok(())
            }
            What::Uid {
                real, effective, ..
            }
            | What::Gid {
                real, effective, ..
            } => write!(lines, " real {real} effective {effective}"),
            What::Ptrace {
                tracer: Some(tracer),
                ..
            } => write!(lines, " by {}", tracer.pid),
            What::Ptrace { tracer: None, .. } => write!(lines, " ended"),
            What::Comm { comm, .. } => write!(lines, " {comm}"),
            What::Exit { status, .. } => exit_text(lines, status),
            _ => Ok(()),
        };
        if let Some(command) = command {
            let _ = write!(lines, " {command}");
        }
        lines.truncate(lines.trim_end_matches(' ').len());
        lines.push('\n');
    }

    fn json(&mut self, event: &ProcEvent, task: Task, command: Option<&str>) {
        let object = Object::new("proc")
            .value("time", Stamp(event.timestamp).seconds())
            .value("cpu", event.cpu)
            .string("what", event.what.name())
            .value("pid", task.pid)
            .value("tid", task.tid);
        let object = match event.what {
            What::Fork { parent, .. } => object
                .value("parent_pid", parent.pid)
                .value("parent_tid", parent.tid),
            What::Uid {
                real, effective, ..
            }
            | What::Gid {
                real, effective, ..
            } => object.value("real", real).value("effective", effective),
            What::Ptrace {
                tracer: Some(tracer),
                ..
            } => object.value("tracer_pid", tracer.pid),
            What::Comm { comm, .. } => object.string("comm", &comm.to_string()),
            What::Coredump {
                parent: Some(parent),
                ..
            } => object.value("parent_pid", parent.pid),
            What::Exit { status, parent, .. } => {
                let object = match (status.code(), status.signal()) {
                    (_, Some(signal)) => object.value("signal", signal),
                    (code, None) => object.value("status", code.unwrap_or_default()),
                };
                match parent {
                    Some(parent) => object.value("parent_pid", parent.pid),
                    None => object,
                }
            }
            _ => object,
        };
        let object = match command {
            Some(command) => object.string("command", command),
            None => object,
        };
        let _ = writeln!(self.lines, "{object}");
    }
}

/// How a task ended, in words.
fn exit_text(lines: &mut String, status: ExitStatus) -> std::fmt::Result {
    match (status.code(), status.signal()) {
        (_, Some(signal)) => {
            let core = if status.core_dumped() {
                " (core dumped)"
            } else {
                ""
            };
            write!(lines, " signal {signal}{core}")
        }
        (code, None) => {
            lines.push_str(" status ");
            id(lines, code.unwrap_or_default(), 0);
            Ok(())
        }
    }
}

/// Appends the id of a task, or another number that is not negative, up to a width.
fn id(lines: &mut String, number: i32, width: usize) {
    digits::append(lines, number.unsigned_abs().into(), width, ' ');
}

/// The task that an event is about; acknowledgements are about none.
fn task(what: &What) -> Option<Task> {
    match *what {
        What::Fork { child: task, .. }
        | What::Exec { task }
        | What::Uid { task, .. }
        | What::Gid { task, .. }
        | What::Sid { task }
        | What::Ptrace { task, .. }
        | What::Comm { task, .. }
        | What::Coredump { task, .. }
        | What::Exit { task, .. } => Some(task),
        _ => None,
    }
}

/// The command lines of processes that live, as far as seen.
#[derive(Default)]
struct Commands {
    by_pid: HashMap<i32, Rc<str>>,
}

impl Commands {
    /// Follows an event; returns the command line to show with it. It is read when a program is
    /// executed, passed on to children, and forgotten when the process exits.
    fn follow(&mut self, what: &What) -> Option<Rc<str>> {
        match *what {
            What::Exec { task } => {
                let command: Rc<str> = read_command(task.pid)?.into();
                self.by_pid.insert(task.pid, Rc::clone(&command));
                Some(command)
            }
            What::Fork { parent, child } if child.pid == child.tid => {
                let command = Rc::clone(self.by_pid.get(&parent.pid)?);
                self.by_pid.insert(child.pid, command);
                None
            }
            What::Exit { task, .. } if task.pid == task.tid => self.by_pid.remove(&task.pid),
            _ => None,
        }
    }
}

/// The command line of a process, if it can be read; arguments separated by spaces, nothing in it
/// that a terminal would obey.
fn read_command(pid: i32) -> Option<String> {
    let mut bytes = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    bytes.truncate(COMMAND);
    let text = String::from_utf8_lossy(&bytes);
    let words = text.trim_end_matches('\0').split('\0');
    let command = words.collect::<Vec<_>>().join(" ");
    if command.is_empty() {
        return None;
    }
    let mut shown = String::with_capacity(command.len());
    for c in command.chars() {
        match c.is_control() {
            true => shown.extend(c.escape_default()),
            false => shown.push(c),
        }
    }
    Some(shown)
}
