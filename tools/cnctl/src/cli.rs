// SPDX-License-Identifier: GPL-2.0

//! The command line: what it accepts and what `--help` says. No work is done here.

use std::{
    ffi::{OsStr, OsString},
    fmt::Display,
    ops::RangeInclusive,
    path::PathBuf,
    time::Duration,
};

use clap::{
    Arg, ArgGroup, Args, ColorChoice, CommandFactory, FromArgMatches, Parser, Subcommand,
    ValueEnum, ValueHint,
    builder::{OsStringValueParser, PossibleValue, TypedValueParser},
};
use netlink_connector::{CbId, Group, MAX_DATA_SIZE, Range, known};

/// Talk to services on the Linux kernel connector (NETLINK_CONNECTOR).
///
/// A service is addressed by its id, IDX:VAL, as in /proc/net/connector. Numbers are decimal or
/// 0x-hexadecimal; ids with a known name can be written by it (proc, w1, dm, cn_test, cn_echo, …).
///
/// Of an option that is given more than once the last one counts, as for ping(8), but for those that take
/// lists, which grow.
#[derive(Debug, Parser)]
#[command(
    name = "cnctl",
    version,
    propagate_version = true,
    // An alias or a script has its defaults, and whoever uses it what he wants otherwise.
    args_override_self = true,
    max_term_width = 100,
    after_help = "Exit status: 0 if all that was asked for came, 1 if something was missing or \
                  lost, 2 on an error."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,

    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options that every command has.
#[derive(Debug, Args)]
#[command(next_help_heading = "Options of every command")]
pub(crate) struct Global {
    /// Print one JSON object a line instead of text
    #[arg(long, global = true)]
    pub(crate) json: bool,

    /// When to use colours
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: When,
}

impl Cli {
    /// Reads the command line; an error may be help that was asked for.
    ///
    /// What clap has to say of words that it does not understand has colours where they are wanted, too.
    pub(crate) fn read() -> Result<Self, clap::Error> {
        let words: Vec<_> = std::env::args_os().collect();
        let command = Self::command().color(match When::asked_for(&words) {
            When::Auto => ColorChoice::Auto,
            When::Always => ColorChoice::Always,
            When::Never => ColorChoice::Never,
        });
        Self::from_arg_matches(&command.try_get_matches_from(words)?)
    }
}

impl When {
    /// What words that may not be understood say of it.
    fn asked_for(words: &[OsString]) -> Self {
        let words = words.iter().map(|word| word.to_str().unwrap_or_default());
        let mut words = words.take_while(|word| *word != "--");
        let mut said = None;
        while let Some(word) = words.next() {
            let when = match word {
                "--color" => words.next(),
                word => word.strip_prefix("--color="),
            };
            let when = when.and_then(|when| Self::from_str(when, false).ok());
            said = when.or(said);
        }
        said.unwrap_or(Self::Auto)
    }
}

/// When to use colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum When {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    List(List),
    Send(Send),
    Ping(Ping),
    Listen(Listen),
    Proc(Proc),
    Watch(Watch),
    Sockets(Sockets),
    Bench(Bench),
}

/// List the ids that are registered, from /proc/net/connector.
///
/// Ids that have a known name show it, and what is behind them. The title says whose connector it is:
/// the kernel's own, or that of rust_connector in its place. The latter acknowledges a message without
/// content, by which it is told. Where no netlink socket may be opened, the list is all that is shown.
#[derive(Debug, Args)]
#[command(after_long_help = "\
JSON: an object a line, by its \"event\":

  connector   core: kernel or rust_connector
  registered  id, name; of an id that is known also known, what
  known       the same, with --known

A name that is not UTF-8 is an array of its bytes instead of a string.

Exit status: 0 if the list was shown, 2 on an error.")]
pub(crate) struct List {
    /// List the known names instead, registered or not
    #[arg(long)]
    pub(crate) known: bool,
}

/// Send a message.
///
/// The kernel's own connector does not tell whether anybody wanted it; with --wait, a reply shows that.
/// That of rust_connector acknowledges what was handled, and says if nobody has registered the id.
/// Which one it is ends the line of what was sent.
#[derive(Debug, Args)]
#[command(allow_negative_numbers = true, group(ArgGroup::new("waiting").multiple(true)))]
#[command(after_long_help = "\
JSON: an object a line, by its \"event\":

  sent     id, seq, ack, len, core: kernel or rust_connector; of the
           latter, if nothing is waited for, also acknowledged
  reply    id, seq, ack, len, data in hexadecimal, time_ms; with --wait
  outcome  id, seq, outcome: granted, refused or handled, time_ms; if
           granted, data behind it; if refused, errno, text; with
           --outcome

Exit status: 0 if it was sent (and answered; with --outcome, granted or handled), 1 if it was refused, if no reply \
came, or if the connector says that nobody has registered the id, 2 on an error.")]
pub(crate) struct Send {
    /// The service, as IDX:VAL or by its name
    #[arg(value_name = "ID", value_parser = Named(known::parse_id), hide_possible_values = true)]
    pub(crate) id: CbId,

    /// The data, as text, whose bytes are sent as they are; none if neither this nor another source is
    /// given
    #[arg(value_name = "TEXT", group = "source")]
    pub(crate) text: Option<OsString>,

    /// The data, as hexadecimal digits; spaces between bytes are allowed
    #[arg(long, value_name = "DIGITS", group = "source", value_parser = hex_digits)]
    pub(crate) hex: Option<Bytes>,

    /// Read the data from a file; - is standard input
    #[arg(short, long, value_name = "PATH", group = "source")]
    pub(crate) file: Option<PathBuf>,

    /// The sequence number [default: one that this program has not used before]
    #[arg(long, value_parser = number)]
    pub(crate) seq: Option<u32>,

    /// The acknowledge number [default: the sequence number, which any service answers alike]
    #[arg(long, value_parser = number)]
    pub(crate) ack: Option<u32>,

    /// The flags, whose meaning is up to the service
    #[arg(long, default_value = "0", value_parser = flags)]
    pub(crate) flags: u16,

    /// Wait for the reply and show it
    #[arg(short, long, group = "waiting")]
    pub(crate) wait: bool,

    /// Wait for the reply and show how the request ended: granted or refused, if the reply begins with
    /// that, as those of cn_notify and others do; handled, if no reply comes and the connector says so
    #[arg(short, long, group = "waiting")]
    pub(crate) outcome: bool,

    /// Seconds to wait for the reply; 0 is for as long as it takes
    #[arg(short = 'W', long, value_name = "SECONDS", default_value = "1", requires = "waiting", value_parser = patience)]
    pub(crate) timeout: Duration,

    /// Show the data of the reply as text or as a hex dump
    #[arg(
        long,
        value_name = "FORM",
        default_value = "auto",
        requires = "waiting"
    )]
    pub(crate) data: Form,
}

/// Data from the command line. A type of its own, because clap takes a `Vec` for a list.
#[derive(Clone, Debug)]
pub(crate) struct Bytes(pub(crate) Vec<u8>);

/// How to show the data of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    /// As text if it is printable, otherwise as a hex dump
    Auto,
    /// As text; what is not printable is escaped
    Text,
    /// As a hex dump
    Hex,
    /// Not at all
    None,
}

/// Send messages to a service that echoes them, and check and time the replies.
///
/// A reply must have the request's seq, its ack plus one, and the same bytes; cn_echo answers like
/// that. The title says whose connector is between, the kernel's own or that of rust_connector, which
/// tells at once if nobody has registered the id. Ctrl-C ends it with a summary; SIGQUIT (Ctrl-\)
/// has it print a line of what came so far.
#[derive(Debug, Args)]
#[command(allow_negative_numbers = true)]
#[command(after_long_help = "\
JSON: an object a line, by its \"event\":

  reply    id, seq, ack, len, time_ms
  lost     id, seq, ack, len, text: no reply came, and why
  wrong    id, seq, ack, len, text: what came is not what was sent
  overrun  text: the receive buffer was full
  summary  id, core: kernel or rust_connector, sent, received, lost,
           wrong, elapsed_ms; if a reply came, rtt_min_ms, rtt_avg_ms,
           rtt_max_ms, rtt_mdev_ms
  interim  the same, on SIGQUIT

With --timestamp, reply, lost and wrong also have unix, in seconds. With --flood or --quiet, there is no reply: \
only what went wrong, and the summary.

Exit status: 0 if every message was answered, 1 if replies were lost or wrong, or if --deadline came before \
--count replies, 2 on an error. Where ping(8) is content with one reply of many, this is not: messages to the kernel \
do not get lost by themselves.")]
pub(crate) struct Ping {
    /// The service, as IDX:VAL or by its name
    #[arg(value_name = "ID", value_parser = Named(known::parse_id), hide_possible_values = true)]
    pub(crate) id: CbId,

    /// Stop after this many messages [default: go on until Ctrl-C; with --sweep, 24]
    #[arg(short, long, value_parser = count)]
    pub(crate) count: Option<u64>,

    /// Stop after this many seconds; --count then counts replies. 0 is for no deadline
    #[arg(short = 'w', long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) deadline: Option<Duration>,

    /// Bytes of data in each message, at most 16364
    #[arg(short, long, default_value_t = 56, value_parser = size)]
    pub(crate) size: usize,

    /// Let the size grow over the messages, first in small steps, then in large ones
    #[arg(long, value_name = "MIN..MAX", conflicts_with = "size", value_parser = sizes)]
    pub(crate) sweep: Option<RangeInclusive<usize>>,

    /// Seconds from one message to the next, such as 0.2; with 0 the next follows the reply
    /// [default: 1; with --flood, 0]
    #[arg(short, long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) interval: Option<Duration>,

    /// Send the next message when the reply is there; print a dot for each message, and take it
    /// back when its reply came
    #[arg(short, long)]
    pub(crate) flood: bool,

    /// Seconds to wait for a reply; 0 is for as long as it takes
    #[arg(short = 'W', long, value_name = "SECONDS", default_value = "1", value_parser = patience)]
    pub(crate) timeout: Duration,

    /// Print the time before each line, in seconds since 1970
    #[arg(short = 'D', long)]
    pub(crate) timestamp: bool,

    /// Show each request and reply with its id, seq, ack and length
    #[arg(short, long, conflicts_with = "flood")]
    pub(crate) verbose: bool,

    /// Print nothing but the summary and what went wrong
    #[arg(short, long, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
}

/// Show broadcasts as they come.
///
/// A group is 1 to 32; a service that broadcasts to its own group has its idx for one. Joining an
/// even group takes CAP_NET_ADMIN, an odd one can be joined by anybody. Losses are reported at their
/// place, and so are gaps in the sequence numbers of a broadcaster.
#[derive(Debug, Args)]
#[command(allow_negative_numbers = true)]
#[command(after_long_help = "\
JSON: an object a line, by its \"event\":

  message  time in seconds since boot, group, id, seq, ack, len, flags,
           data in hexadecimal
  gap      id, expected, got, missing: messages before the next one
  overrun  lost, text: the receive buffer was full; lost may be null
  error    text: a datagram was refused

Exit status: 0 when ended by Ctrl-C or --count, 1 if messages were lost, 2 on an error.")]
pub(crate) struct Listen {
    /// The groups, as numbers or as names of services
    #[arg(value_name = "GROUP", required = true, value_parser = Named(group), hide_possible_values = true)]
    pub(crate) groups: Vec<Group>,

    /// Stop after this many messages
    #[arg(short, long, value_parser = count)]
    pub(crate) count: Option<u64>,

    /// Show the data as text or as a hex dump
    #[arg(long, value_name = "FORM", default_value = "auto")]
    pub(crate) data: Form,

    #[command(flatten)]
    pub(crate) buffer: Buffer,
}

/// The receive buffer.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Buffer {
    /// Ask for a receive buffer of this many bytes, at most 1073741823; the kernel doubles it
    #[arg(long = "buffer", value_name = "BYTES", value_parser = buffer)]
    pub(crate) bytes: Option<usize>,
}

/// Show what processes do: start, execute programs, change ids and names, exit.
///
/// These are the kernel's own events (CONFIG_PROC_EVENTS). Who an event is about is read from /proc:
/// of all processes at the start, and when a program is executed. What a process that is gone by
/// then was called is shown as ?, unless its parent has yet to wait for it: then its comm is.
///
/// On a terminal an event is a line, cut to its width. Where there would be no room for COMMAND, that is the
/// comm and comes before INFO, and times are to the second.
#[derive(Debug, Args)]
#[command(allow_negative_numbers = true)]
#[command(after_long_help = "\
Instead of forkstat:

  forkstat -c            cnctl proc --name comm
  forkstat -d, -s        cnctl proc --name short, which is both
  forkstat -D SECONDS    cnctl proc --for SECONDS
  forkstat -e EVENTS     cnctl proc -e EVENTS
  forkstat -E, -e all    cnctl proc --threads
  forkstat -g            no need: who started whom is in INFO
  forkstat -l            no need: lines are written as the events come
  forkstat -p PGRP       cnctl proc --pgrp PGRP
  forkstat -r            chrt -f 99 cnctl proc
  forkstat -S, -q        cnctl proc --stats, --quiet
  forkstat -x            cnctl proc --extra
  forkstat -X            chrt -f 99 cnctl proc -tSx
  the time of the day    cnctl proc --clock wall

Its names of events are understood. Without --event it shows -e fork,exec,exit.

JSON: an object a line, by its \"event\":

  proc     time in seconds since boot, cpu, what, pid, tid; with --clock
           wall also wall. As far as they are known comm, argv,
           kernel_thread: true. With --extra uid, euid, pgrp, tty. By
           what:
             fork, clone  parent_pid, parent_tid, parent_comm
             exec         parent_pid, parent_comm
             uid, gid     real, effective
             ptrace       tracer_pid, if one came
             comm         old_comm
             coredump     parent_pid
             exit         status; or, if it died of a signal, signal,
                          signal_name, core_dumped; duration in
                          seconds; parent_pid, unless it was a thread's,
                          or the parent has ended, too
  stats    program, total, and counts by the names of the events; at the
           end, with --stats
  gap      cpu, missing: events before the next one
  overrun  lost, text: the receive buffer was full; lost may be null
  error    text: a datagram was refused

A comm, a program or an argument that is not UTF-8 is an array of its bytes instead of a string.

Exit status: 0 when ended by Ctrl-C, --count or --for, 1 if events were lost, 2 on an error.")]
pub(crate) struct Proc {
    /// Show these events only, separated by commas
    #[arg(short, long = "event", value_name = "EVENT", value_delimiter = ',')]
    pub(crate) events: Vec<EventName>,

    /// Show threads, too; otherwise only processes
    #[arg(short, long)]
    pub(crate) threads: bool,

    #[command(flatten)]
    pub(crate) select: Select,

    /// Show user ids and the controlling terminal, too
    #[arg(short = 'x', long, conflicts_with = "no_command")]
    pub(crate) extra: bool,

    /// What to show of a program; JSON has all of it
    #[arg(
        long,
        value_name = "FORM",
        default_value = "full",
        hide_possible_values = false
    )]
    pub(crate) name: NameForm,

    /// Do not find out who it was: no programs, no durations, and the least work for an event
    #[arg(long, conflicts_with_all = ["Select", "name"])]
    pub(crate) no_command: bool,

    /// The clock that times are of
    #[arg(long, default_value = "boot")]
    pub(crate) clock: Clock,

    /// Show all of a line on a terminal, too
    #[arg(short, long)]
    pub(crate) wide: bool,

    /// At the end, show how many events there were by program
    #[arg(short = 'S', long, conflicts_with = "no_command")]
    pub(crate) stats: bool,

    /// Show nothing else; means --stats
    #[arg(short, long, conflicts_with = "no_command")]
    pub(crate) quiet: bool,

    /// Stop after this many events
    #[arg(short, long, value_parser = count)]
    pub(crate) count: Option<u64>,

    /// Stop after this many seconds
    #[arg(long = "for", value_name = "SECONDS", value_parser = span)]
    pub(crate) duration: Option<Duration>,

    #[command(flatten)]
    pub(crate) buffer: Buffer,
}

/// Which processes to show. What is given several times may be any of them; what is different must
/// all be met. What no process meets at the start is told, unless a program that is yet to be started
/// may.
#[derive(Debug, Args)]
pub(crate) struct Select {
    /// Show this process and its descendants only
    #[arg(short, long = "pid", value_name = "PID", value_delimiter = ',', value_parser = pid)]
    pub(crate) pids: Vec<i32>,

    /// Show processes of this process group only
    #[arg(short = 'g', long = "pgrp", value_name = "PGID", value_delimiter = ',', value_parser = pid)]
    pub(crate) pgrps: Vec<i32>,

    /// Show processes with this effective user only, by number or by name
    #[arg(short, long = "user", value_name = "USER", value_delimiter = ',', value_parser = name(), value_hint = ValueHint::Username)]
    pub(crate) users: Vec<OsString>,

    /// Show processes in this cgroup only: a path, with what is below it, or a name such as
    /// ssh.service
    #[arg(long = "cgroup", value_name = "CGROUP", value_parser = name())]
    pub(crate) cgroups: Vec<OsString>,

    /// Show programs of this name only: the comm, or the first argument without its folder
    #[arg(
        short = 'C',
        long = "command",
        value_name = "NAME",
        value_delimiter = ',',
        value_parser = name(),
        value_hint = ValueHint::CommandName
    )]
    pub(crate) commands: Vec<OsString>,
}

/// The name of a process event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum EventName {
    /// A process is started
    Fork,
    /// A thread is started
    Clone,
    /// A program is executed
    Exec,
    /// User ids change
    Uid,
    /// Group ids change
    Gid,
    /// A session is started
    Sid,
    /// A tracer comes or goes
    #[value(alias = "ptrce")]
    Ptrace,
    /// A comm changes, other than by exec
    Comm,
    /// A process dumps core
    #[value(alias = "core")]
    Coredump,
    /// A process ends
    Exit,
    /// A process ends, and not with status 0
    NonzeroExit,
    /// All of them; clone with --threads
    All,
}

/// What to show of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum NameForm {
    /// The command line
    Full,
    /// Its first word, without the folder
    Short,
    /// The comm: what the kernel calls it, at most 15 bytes
    Comm,
}

/// A clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Clock {
    /// Seconds since boot, as in the kernel's log
    Boot,
    /// The time of the day
    Wall,
}

/// Show the ids that are registered, then every change; needs the module cn_notify.
///
/// Nothing is missed between the two, and nothing shown twice. Needs CAP_NET_ADMIN.
#[derive(Debug, Args)]
#[command(allow_negative_numbers = true)]
#[command(after_long_help = "\
JSON: an object a line, by its \"event\":

  present       time in seconds since boot, id, name; at the start
  registered    the same
  unregistered  the same
  overrun       lost, text: changes were lost; the ids are then read anew

A name that is not UTF-8 is an array of its bytes instead of a string.

Exit status: 0 when ended by Ctrl-C or --count, 2 on an error.")]
pub(crate) struct Watch {
    /// The ids: IDX or IDX-IDX, then :VAL or :VAL-VAL if not every val is meant; or a name
    /// [default: every id]
    #[arg(value_name = "IDS", value_parser = Named(pattern), hide_possible_values = true)]
    pub(crate) ids: Vec<Pattern>,

    /// The group that notifications go to
    #[arg(long, default_value = "26", value_parser = Named(group), hide_possible_values = true)]
    pub(crate) group: Group,

    /// Stop after this many changes
    #[arg(short, long, value_parser = count)]
    pub(crate) count: Option<u64>,

    /// Show what is registered now and end
    #[arg(long)]
    pub(crate) list: bool,
}

/// Ranges of idx and val.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pattern {
    pub(crate) idx: Vec<Range>,
    pub(crate) val: Vec<Range>,
}

/// Show which sockets use the connector: who listens, to which groups, and what was lost.
///
/// A socket's port is often, but not always, the id of the process that opened it. The processes
/// that have it open now are those that this user may see: all of them as root. That some cannot be seen is
/// told, and why.
#[derive(Debug, Args)]
#[command(after_long_help = "\
JSON: an object a line, whose \"event\" is \"socket\":

  port           the netlink port
  groups         an array of numbers
  receive_queue  the bytes of the receive buffer that are in use
  drops          how many datagrams were dropped because it was full
  owners         an array of objects: pid, fd, comm

A comm that is not UTF-8 is an array of its bytes instead of a string.

Exit status: 0 if the sockets were shown, also those that have lost something; 2 on an error.")]
pub(crate) struct Sockets {}

/// Measure how fast a service answers.
///
/// Each thread sends a request, waits for its reply, and sends the next. The threads share one
/// socket unless told otherwise.
#[derive(Debug, Args)]
#[command(allow_negative_numbers = true)]
#[command(after_long_help = "\
JSON: an object whose \"event\" is \"bench\": id, size, threads, elapsed_ms, replies, lost, per_second and, in \
microseconds, min_us, avg_us, p50_us, p90_us, p99_us, p999_us, max_us.

Exit status: 0 if every message was answered, 1 if replies were lost or did not come, 2 on an error.")]
pub(crate) struct Bench {
    /// The service, as IDX:VAL or by its name
    #[arg(value_name = "ID", value_parser = Named(known::parse_id), hide_possible_values = true)]
    pub(crate) id: CbId,

    /// Bytes of data in each message, at most 16364
    #[arg(short, long, default_value_t = 32, value_parser = size)]
    pub(crate) size: usize,

    /// Stop after this many seconds [default: 3; with --count, none]
    #[arg(short, long, value_name = "SECONDS", value_parser = span)]
    pub(crate) time: Option<Duration>,

    /// Stop after this many messages of each thread
    #[arg(short, long, value_parser = count)]
    pub(crate) count: Option<u64>,

    /// Threads, at most 10000
    #[arg(short = 'j', long, default_value = "1", value_parser = threads)]
    pub(crate) threads: u32,

    /// Give each thread a socket of its own
    #[arg(long)]
    pub(crate) own_sockets: bool,
}

/// Reads something that may be written by a known name: shells complete these.
#[derive(Clone)]
struct Named<T, E>(fn(&str) -> Result<T, E>);

impl<T, E> TypedValueParser for Named<T, E>
where
    T: Clone + std::marker::Send + Sync + 'static,
    E: Display + Clone + std::marker::Send + Sync + 'static,
{
    type Value = T;

    fn parse_ref(
        &self,
        command: &clap::Command,
        arg: Option<&Arg>,
        value: &OsStr,
    ) -> Result<T, clap::Error> {
        let read = self.0;
        let parser = move |text: &str| read(text).map_err(|error| error.to_string());
        TypedValueParser::parse_ref(&parser, command, arg, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        // A service that has no group is none of those that can be listened to.
        let names = known::KNOWN
            .iter()
            .filter(|known| (self.0)(known.name).is_ok())
            .map(|known| PossibleValue::new(known.name).help(known.what));
        Some(Box::new(names))
    }
}

/// Reads a number, decimal or 0x-hexadecimal.
fn number(text: &str) -> Result<u32, &'static str> {
    known::parse_number(text).ok_or("expected a number below 2^32, decimal or 0x-hexadecimal")
}

/// Reads flags.
fn flags(text: &str) -> Result<u16, &'static str> {
    known::parse_number(text)
        .and_then(|number| number.try_into().ok())
        .ok_or("expected a number below 65536, decimal or 0x-hexadecimal")
}

/// Reads a group: its number, or the name of a service that broadcasts to its own group.
fn group(text: &str) -> Result<Group, String> {
    let most = Group::MAX;
    let expected = format!("expected a group, 1 to {most}, or the name of a service");
    if let Some(number) = known::parse_number(text) {
        return Group::new(number).ok_or(expected);
    }
    let id = known::named(text).map_err(|_| expected)?;
    Group::new(id.idx)
        .ok_or_else(|| format!("{id} has no group of its own, since groups end at {most}"))
}

/// Reads the id of a process or of a process group.
fn pid(text: &str) -> Result<i32, String> {
    // No kernel has more: PID_MAX_LIMIT; see proc_sys_kernel(5).
    const MOST: i32 = (1 << 22) - 1;
    let id = text.parse().ok().filter(|id| (1..=MOST).contains(id));
    id.ok_or_else(|| format!("expected the id of a process, 1 to {MOST}"))
}

/// Reads hexadecimal digits, two a byte.
fn hex_digits(text: &str) -> Result<Bytes, String> {
    let digits: String = text.split_ascii_whitespace().collect();
    hex::decode(digits).map(Bytes).map_err(|error| match error {
        hex::FromHexError::OddLength => "expected two digits for each byte".to_owned(),
        error => format!("expected hexadecimal digits: {error}"),
    })
}

/// Reads `IDX[-IDX][:VAL[-VAL]]`, where a part that is missing or `*` means every number; or a
/// name.
fn pattern(text: &str) -> Result<Pattern, String> {
    if let Ok(id) = known::named(text) {
        return Ok(Pattern {
            idx: ranges(id.idx, id.idx),
            val: ranges(id.val, id.val),
        });
    }
    let (idx, val) = text.split_once(':').unwrap_or((text, "*"));
    let part = |part: &str| {
        let (first, last) = match part {
            "" | "*" => (0, u32::MAX),
            part => {
                let (first, last) = part.split_once('-').unwrap_or((part, part));
                (known::parse_number(first)?, known::parse_number(last)?)
            }
        };
        (first <= last).then(|| ranges(first, last))
    };
    match (part(idx), part(val)) {
        // Nothing at all is more likely a variable that is not set than a wish for everything.
        (Some(idx), Some(val)) if !["", ":"].contains(&text) => Ok(Pattern { idx, val }),
        _ => Err("expected IDX[-IDX][:VAL[-VAL]] or the name of a service".to_owned()),
    }
}

/// The numbers from `first` to `last`: one range, or two where there are too many for one.
fn ranges(first: u32, last: u32) -> Vec<Range> {
    match (last - first).checked_add(1) {
        Some(range) => vec![Range { first, range }],
        None => vec![
            Range {
                first,
                range: u32::MAX,
            },
            Range {
                first: last,
                range: 1,
            },
        ],
    }
}

/// Reads a size that fits into a message.
fn size(text: &str) -> Result<usize, String> {
    let size = text
        .parse()
        .map_err(|_| "expected a number of bytes".to_owned())?;
    if size > MAX_DATA_SIZE {
        return Err(format!("the connector takes at most {MAX_DATA_SIZE} bytes"));
    }
    Ok(size)
}

/// Reads how many there shall be.
fn count(text: &str) -> Result<u64, String> {
    let count = text.parse().ok().filter(|count| *count > 0);
    count.ok_or_else(|| format!("expected a whole number from 1 to {}", u64::MAX))
}

/// Reads how many threads there shall be.
fn threads(text: &str) -> Result<u32, String> {
    const MOST: u32 = 10_000;
    let threads = text.parse().ok().filter(|n| (1..=MOST).contains(n));
    threads.ok_or_else(|| format!("expected a whole number from 1 to {MOST}"))
}

/// Reads a name, as the bytes that it is. An empty one is more likely a variable that is not set than
/// a wish.
fn name() -> impl TypedValueParser<Value = OsString> {
    OsStringValueParser::new().try_map(|name| match name.is_empty() {
        true => Err("expected a name, and got nothing"),
        false => Ok(name),
    })
}

/// Reads `MIN..MAX`; MAX is included.
fn sizes(text: &str) -> Result<RangeInclusive<usize>, String> {
    let (min, max) = text
        .split_once("..")
        .ok_or("expected MIN..MAX, such as 0..16364")?;
    let (min, max) = (size(min)?, size(max)?);
    if min > max {
        return Err(format!("{min} is more than {max}"));
    }
    Ok(min..=max)
}

/// Reads the size of a receive buffer, which the kernel doubles and keeps in an `int`.
fn buffer(text: &str) -> Result<usize, String> {
    const MOST: usize = i32::MAX as usize / 2;
    let bytes = text.parse().ok().filter(|bytes| *bytes <= MOST);
    bytes.ok_or_else(|| format!("expected a number of bytes, at most {MOST}"))
}

/// Reads seconds with an optional fraction: no more of them than can be added to a time of the
/// clock.
fn seconds(text: &str) -> Result<Duration, &'static str> {
    let seconds = text.parse().ok();
    seconds
        .filter(|seconds| *seconds <= f64::from(u32::MAX))
        .and_then(|seconds| {
            let duration = Duration::try_from_secs_f64(seconds).ok()?;
            // What is too little for a clock is not nothing, which may mean something else.
            let least = Duration::from_nanos(u64::from(seconds > 0.0));
            Some(duration.max(least))
        })
        .ok_or("expected seconds, such as 0.2, at most 4294967295")
}

/// Reads for how long something is done; for no time at all it would not be done.
fn span(text: &str) -> Result<Duration, &'static str> {
    let span = seconds(text).ok().filter(|span| !span.is_zero());
    span.ok_or("expected seconds above 0, such as 0.2, at most 4294967295")
}

/// How long to wait for what may take as long as it wants: more than a century.
pub(crate) const FOREVER: Duration = Duration::from_secs(u32::MAX as u64);

/// Reads how long to wait for a reply. As for ping(8), 0 is for as long as it takes.
fn patience(text: &str) -> Result<Duration, &'static str> {
    let patience = seconds(text)?;
    Ok(match patience.is_zero() {
        true => FOREVER,
        false => patience,
    })
}

#[cfg(test)]
mod tests {
    use clap::error::ErrorKind;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_has_examples_and_they_are_understood() {
        let mut command = Cli::command();
        command.build();
        let names = command.get_subcommands().map(clap::Command::get_name);
        for name in names.chain(["cnctl"]).filter(|name| *name != "help") {
            let examples = crate::examples::of(name);
            assert!(!examples.is_empty(), "{name}");
            for (line, _) in examples {
                let words = line
                    .split(" | ")
                    .find(|command| command.starts_with("cnctl"))
                    .unwrap_or_default()
                    .split(' ');
                Cli::try_parse_from(words).expect(line);
            }
        }
    }

    /// What options take, and what they do not: numbers at the limits, and what is none.
    const NUMBERS: &[(&[&str], &[&str], &[&str])] = &[
        // Counts.
        (
            &[
                "ping --count",
                "listen --count",
                "proc --count",
                "watch --count",
                "bench --count",
            ],
            &["1", "18446744073709551615"],
            &["0", "18446744073709551616"],
        ),
        // Seconds.
        (
            &[
                "send --timeout",
                "ping --timeout",
                "ping --deadline",
                "ping --interval",
            ],
            &["0", "1", "1e-9", "4294967295"],
            &["4294967296"],
        ),
        (
            &["proc --for", "bench --time"],
            &["1", "1e-9", "4294967295"],
            &["0", "-0", "4294967296"],
        ),
        // Bytes of data.
        (
            &["ping --size", "bench --size"],
            &["0", "1", "16364"],
            &["16365"],
        ),
        (
            &["ping --sweep"],
            &["0..0", "0..1", "16364..16364"],
            &["1..0", "0..16365", "0..1e19", "0..NaN", "-1..1", ".."],
        ),
        // Fields of a message.
        (
            &["send --seq", "send --ack"],
            &["0", "1", "4294967295", "0xffffffff"],
            &["4294967296", "0x100000000"],
        ),
        (
            &["send --flags"],
            &["0", "1", "65535", "0xffff"],
            &["65536"],
        ),
        // Of the kernel's.
        (
            &["listen --buffer", "proc --buffer"],
            &["0", "1", "1073741823"],
            &["1073741824"],
        ),
        (
            &["proc --pid", "proc --pgrp"],
            &["1", "4194303", "1,2"],
            &["0", "4194304", "2147483648", "1,0"],
        ),
        (&["watch --group"], &["1", "32", "0x20"], &["0", "33"]),
        (&["bench --threads"], &["1", "10000"], &["0", "10001"]),
        // What stands by itself.
        (
            &["send ID", "ping ID", "bench ID"],
            &["0:0", "1:1", "4294967295:0xffffffff"],
            &["0", "1", "1:4294967296", "1:1e19", "1:-1", "-1:1", "1:NaN"],
        ),
        (
            &["listen GROUP"],
            &["1", "32", "0x20"],
            &["0", "33", "4294967296"],
        ),
        (
            &["watch IDS"],
            &["0", "1", "4294967295", "0-4294967295:0-0xffffffff"],
            &["4294967296", "1:4294967296", "1:1e19", "1:-1", "1-0"],
        ),
    ];

    #[test]
    fn every_command_says_what_its_exit_statuses_mean() {
        for command in Cli::command().get_subcommands() {
            let help = command.get_after_long_help().map(ToString::to_string);
            let says = help.is_some_and(|help| {
                help.contains("\n\nExit status: 0 ") && help.contains("2 on an error")
            });
            assert!(says, "{}", command.get_name());
        }
    }

    #[test]
    fn what_forkstat_s_options_are_here_is_understood() {
        let mut command = Cli::command();
        let proc = command.find_subcommand_mut("proc").unwrap();
        let help = proc.get_after_long_help().unwrap().to_string();
        let table = help.split("\n\n").nth(1).unwrap();
        let mut letters = Vec::new();
        for line in table.lines() {
            let (left, right) = line.split_at(25);
            letters.extend(
                left.split(" -")
                    .skip(1)
                    .filter_map(|word| word.chars().next()),
            );
            let Some((_, words)) = right.split_once("cnctl ") else {
                assert!(right.starts_with("no need: "), "{line}");
                continue;
            };
            let words = words.split(", which").next().unwrap();
            let words = words.replace(", ", " ").replace("SECONDS", "1");
            let words = words
                .replace("EVENTS", "fork,core,ptrce")
                .replace("PGRP", "1");
            let words = format!("cnctl {words}");
            Cli::try_parse_from(words.split(' ')).unwrap_or_else(|error| panic!("{line}: {error}"));
        }
        letters.sort_unstable();
        letters.dedup();
        // All but -h.
        assert_eq!(String::from_iter(letters), "DESXcdeglpqrsx");
    }

    #[test]
    fn tables_in_help_fit_into_a_page_of_80_columns() {
        // man(1) indents by seven.
        for command in Cli::command().get_subcommands() {
            let help = command.get_after_long_help().map(ToString::to_string);
            let help = help.unwrap_or_default();
            for line in help.lines().filter(|line| line.starts_with("  ")) {
                assert!(line.len() <= 73, "{line}");
            }
        }
    }

    /// A value that an option takes, if it takes one.
    fn value_of(option: &Arg) -> Option<String> {
        let possible = option.get_possible_values();
        let first = possible.first().map(|value| value.get_name().to_owned());
        let of_another_kind = match option.get_long()? {
            "hex" => "ff",
            "file" | "user" | "command" | "cgroup" => "x",
            "sweep" => "1..2",
            _ => "1",
        };
        option
            .get_action()
            .takes_values()
            .then(|| first.unwrap_or_else(|| of_another_kind.to_owned()))
    }

    #[test]
    fn of_an_option_that_is_repeated_the_last_one_counts_or_a_list_grows() {
        let mut command = Cli::command();
        command.build();
        let mut options = 0;
        for subcommand in command.get_subcommands() {
            let required = subcommand
                .get_positionals()
                .filter(|arg| arg.is_required_set());
            let required = required.map(|_| "1:1".to_owned());
            let required: Vec<_> = match subcommand.get_name() {
                "listen" => vec!["1".to_owned()],
                "help" => continue,
                _ => required.collect(),
            };
            for option in subcommand
                .get_arguments()
                .filter(|arg| !arg.is_positional())
            {
                let Some(long) = option
                    .get_long()
                    .filter(|long| !["help", "version"].contains(long))
                else {
                    continue;
                };
                let option = match value_of(option) {
                    Some(value) => format!("--{long}={value}"),
                    None => format!("--{long}"),
                };
                let mut words = vec!["cnctl".to_owned(), subcommand.get_name().to_owned()];
                if subcommand.get_name() == "send" {
                    words.push("--wait".to_owned());
                }
                words.extend(required.clone());
                words.extend([option.clone(), option.clone()]);
                Cli::try_parse_from(&words).unwrap_or_else(|error| panic!("{words:?}: {error}"));
                options += 1;
            }
        }
        assert!(options > 50, "{options}");

        let read = |words: &str| {
            let cli = Cli::try_parse_from(format!("cnctl {words}").split(' '));
            cli.unwrap().command
        };
        let Command::Ping(ping) = read("ping 1:1 -c 1 -c 2 -W 3 --timeout 0") else {
            panic!()
        };
        assert_eq!((ping.count, ping.timeout), (Some(2), FOREVER));
        let Command::Proc(proc) = read("proc -p 1 --pid 2,3 --for 4 --for 5") else {
            panic!()
        };
        assert_eq!(
            (proc.select.pids, proc.duration),
            (vec![1, 2, 3], Some(Duration::from_secs(5)))
        );
    }

    #[test]
    fn what_the_kernel_has_as_bytes_is_taken_as_bytes() {
        use std::os::unix::ffi::OsStrExt;
        let bytes = OsStr::from_bytes(b"\xff\xc3");
        for words in [
            &["send", "1:1"][..],
            &["proc", "--command"],
            &["proc", "-u"],
            &["proc", "--cgroup"],
        ] {
            let words = [&["cnctl"], words].concat();
            let words = words.into_iter().map(OsStr::new).chain([bytes]);
            let read = match Cli::try_parse_from(words).unwrap().command {
                Command::Send(send) => send.text.into_iter().collect(),
                Command::Proc(proc) => {
                    let select = proc.select;
                    [select.commands, select.users, select.cgroups].concat()
                }
                _ => Vec::new(),
            };
            assert_eq!(read, [bytes]);
        }
    }

    /// What takes something else than a number, in every command.
    const WORDS: &[&str] = &[
        "--cgroup",
        "--clock",
        "--color",
        "--command",
        "--data",
        "--event",
        "--file",
        "--hex",
        "--name",
        "--user",
        "TEXT",
    ];

    #[test]
    fn every_number_is_taken_up_to_its_limits_and_refused_beyond() {
        let read = |option: &str, value: &str| {
            let (command, option) = option.split_once(' ').unwrap();
            if !option.starts_with("--") {
                // Behind that, it is certainly no option.
                return Cli::try_parse_from(["cnctl", command, "--", value]);
            }
            let id: &[&str] = match command {
                "send" => &["16:1", "--wait"],
                "ping" | "bench" => &["16:1"],
                "listen" => &["1"],
                _ => &[],
            };
            let option = format!("{option}={value}");
            let words = [&["cnctl", command], id, &[&option]].concat();
            Cli::try_parse_from(words)
        };
        for (options, taken, refused) in NUMBERS {
            for option in *options {
                for value in *taken {
                    read(option, value).unwrap_or_else(|error| panic!("{option} {value}: {error}"));
                }
                let never = ["-1", "1e19", "NaN", "inf", "-inf", "", " 1", "x"];
                for value in refused.iter().chain(&never) {
                    let error = read(option, value).expect_err(option);
                    let kind = error.kind();
                    assert_eq!(
                        kind,
                        ErrorKind::ValueValidation,
                        "{option} {value:?}: {error}"
                    );
                }
            }
        }
    }

    #[test]
    fn no_number_is_left_out_of_that() {
        let mut command = Cli::command();
        command.build();
        for subcommand in command.get_subcommands() {
            for arg in subcommand.get_arguments() {
                let name = match (arg.get_long(), arg.get_value_names()) {
                    _ if !arg.get_action().takes_values() => continue,
                    (Some(long), _) => format!("--{long}"),
                    (None, names) => names.unwrap_or_default()[0].to_string(),
                };
                if WORDS.contains(&&*name) || subcommand.get_name() == "help" {
                    continue;
                }
                let name = format!("{} {name}", subcommand.get_name());
                let mut all = NUMBERS.iter().flat_map(|(names, ..)| *names);
                assert!(all.any(|known| *known == name), "{name}");
            }
        }
    }

    #[test]
    fn groups_have_the_names_of_services_but_not_of_those_that_have_none() {
        assert_eq!(group("cn_echo"), Ok(Group::new(16).unwrap()));
        let error = group("cn_notify").unwrap_err();
        assert!(error.contains("has no group of its own"), "{error}");
        assert!(group("nobody").unwrap_err().starts_with("expected a group"));
        let offered = |named: Option<Box<dyn Iterator<Item = PossibleValue> + '_>>| {
            let mut names = named.into_iter().flatten();
            names.any(|name| name.get_name() == "cn_notify")
        };
        assert!(!offered(Named(group).possible_values()));
        assert!(offered(Named(known::parse_id).possible_values()));
    }

    #[test]
    fn sweeps_are_read_and_their_bounds_checked() {
        assert_eq!(sizes("0..16364"), Ok(0..=16364));
        for wrong in ["", "0", "0..", "..1", "2..1", "0..16365", "-1..2"] {
            assert!(sizes(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn hexadecimal_data_is_read_and_half_a_byte_refused() {
        assert_eq!(hex_digits("00fF 1a").unwrap().0, [0, 0xff, 0x1a]);
        assert!(hex_digits("").unwrap().0.is_empty());
        assert!(hex_digits("0").is_err());
        assert!(hex_digits("0g").is_err());
    }

    #[test]
    fn patterns_take_numbers_ranges_names_and_everything() {
        let one = |first, last| ranges(first, last);
        let read = |text| pattern(text).map(|pattern| (pattern.idx, pattern.val));
        let every = ranges(0, u32::MAX);
        assert_eq!(read("5"), Ok((one(5, 5), every.clone())));
        assert_eq!(read("5-7:0x10"), Ok((one(5, 7), one(16, 16))));
        assert_eq!(read(":1-2"), Ok((every.clone(), one(1, 2))));
        assert_eq!(read("*:*"), Ok((every.clone(), every)));
        assert_eq!(read("proc"), Ok((one(1, 1), one(1, 1))));
        for wrong in ["", ":", "7-5", "x", "1:2:3", "1-2-3", "-1", "1-"] {
            assert!(pattern(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn every_number_takes_two_ranges_that_do_not_wrap() {
        let every = ranges(0, u32::MAX);
        assert_eq!(every.len(), 2);
        for number in [0, 1, u32::MAX - 1, u32::MAX] {
            assert!(every.iter().any(|range| range.contains(number)));
        }
        assert!(!every.iter().any(Range::wraps));
    }

    #[test]
    fn seconds_take_fractions_and_refuse_what_is_no_time() {
        assert_eq!(seconds("0.2"), Ok(Duration::from_millis(200)));
        assert_eq!(seconds("0"), Ok(Duration::ZERO));
        assert_eq!(seconds("1e-99"), Ok(Duration::from_nanos(1)));
        assert_eq!(patience("0"), Ok(FOREVER));
        assert_eq!(patience("1e-99"), Ok(Duration::from_nanos(1)));
        assert_eq!(
            seconds("4294967295"),
            Ok(Duration::from_secs(u32::MAX.into()))
        );
        for wrong in [
            "",
            "-1",
            "nan",
            "inf",
            "-inf",
            "1e19",
            "1e99",
            "1s",
            "4294967296",
        ] {
            assert!(seconds(wrong).is_err(), "{wrong:?}");
        }
    }
}
