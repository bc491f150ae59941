// SPDX-License-Identifier: GPL-2.0

//! `cnctl proc`: whose events they are, how they ended, and which of them are shown; beside
//! forkstat, on the same processes.
//!
//! The program starts itself: `node` starts leaves one after the other, which do something and end.

use std::{
    collections::HashMap,
    env,
    ffi::OsStr,
    fs, io,
    os::unix::{ffi::OsStrExt, process::CommandExt},
    process::{Child, Command, ExitCode, Stdio, exit},
    thread,
};

use anyhow::{Context, Result, bail, ensure};
use nix::{
    sched::{CpuSet, sched_getaffinity, sched_setaffinity},
    sys::signal::{Signal, raise},
    unistd::{Gid, Pid, Uid, setresgid, setresuid},
};
use selftests::{
    Setting, Suite,
    program::{Running, json, run, tool},
    wait_for,
};
use serde_json::{Value, json as value};

/// A comm that is UTF-8, and has what JSON and terminals make something of.
const COMM: &str = "caf\u{e9}'\\\"\u{7f}";

/// What the leaves do, in this order, and how they end.
const LEAVES: [&str; 3] = ["succeed", "drop", "die"];

/// The program's other lives.
fn be(what: &str) -> Result<()> {
    match what {
        // As `node`, but not before it is told to.
        "wait" => {
            io::stdin().read_line(&mut String::new())?;
            return be("node");
        }
        "node" => {
            for leaf in LEAVES {
                let mut child = Command::new("/proc/self/exe").arg(leaf).spawn()?;
                println!("{}", child.id());
                child.wait()?;
            }
            exit(5)
        }
        "succeed" => {}
        "drop" => {
            let (uid, gid) = (Uid::from_raw(1000), Gid::from_raw(1001));
            setresgid(gid, gid, gid)?;
            setresuid(uid, uid, uid)?;
        }
        "die" => raise(Signal::SIGKILL)?,
        "rename" => fs::write("/proc/self/comm", COMM)?,
        "thread" => {
            let _ = thread::spawn(|| {}).join();
        }
        _ => bail!("nobody can be {what}"),
    }
    exit(0)
}

fn oneself(what: &str) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.arg(what);
    command
}

fn finish(mut child: Child) -> Result<u32> {
    child.wait()?;
    Ok(child.id())
}

fn proc(words: &[&str]) -> Command {
    let mut command = tool("cnctl");
    command.arg("proc").args(words).stdin(Stdio::null());
    command
}

/// Starts processes until a program that watches them says something.
fn wait_until_watching(watching: &mut Running) -> Result<()> {
    wait_for("the first event", || {
        finish(oneself("succeed").spawn()?)?;
        Ok(watching.line_now()?.map(drop))
    })
}

/// The objects up to the one that says that `pid` has ended.
fn until_exit(watching: &mut Running, pid: u32) -> Result<Vec<Value>> {
    let is_exit = |line: &str| {
        json(line).is_ok_and(|o| o["pid"] == pid && o["tid"] == pid && o["what"] == "exit")
    };
    let lines = watching.lines_until(is_exit)?;
    lines.iter().map(|line| json(line)).collect()
}

/// The events of a process.
fn of(objects: &[Value], pid: u32) -> Vec<&Value> {
    objects.iter().filter(|o| o["pid"] == pid).collect()
}

/// Watches with these words while `work` starts a process and waits for its end; returns the events
/// of that process.
fn watch(words: &[&str], work: impl FnOnce() -> Result<u32>) -> Result<Vec<Value>> {
    let mut watching = Running::start(&mut proc(&[&["--json"], words].concat()))?;
    wait_until_watching(&mut watching)?;
    let pid = work()?;
    let objects = until_exit(&mut watching, pid)?;
    watching.signal(Signal::SIGINT)?;
    watching.wait()?.expect(0)?;
    Ok(of(&objects, pid).into_iter().cloned().collect())
}

/// The event of this name, of which there must be one.
fn one<'a>(events: &'a [Value], what: &str) -> Result<&'a Value> {
    let mut found = events.iter().filter(|event| event["what"] == what);
    match (found.next(), found.next()) {
        (Some(event), None) => Ok(event),
        _ => bail!("there should be one {what}: {events:#?}"),
    }
}

/// Two hundred processes that are gone at once. What has to be read in time is, as both programs
/// come before the processes on their CPU.
fn beside_forkstat() -> Result<()> {
    const MANY: usize = 200;
    let all = sched_getaffinity(Pid::from_raw(0))?;
    let mut first = CpuSet::new();
    first.set(0)?;
    sched_setaffinity(Pid::from_raw(0), &first)?;
    let watched = two_watch(MANY);
    sched_setaffinity(Pid::from_raw(0), &all)?;
    let (pids, theirs, ours) = watched?;

    // What forkstat calls a process in an event, and what cnctl does.
    let mut named = 0;
    for line in &theirs {
        let mut fields = line.split_whitespace();
        let (Some(_), Some(what @ ("exec" | "exit"))) = (fields.next(), fields.next()) else {
            continue;
        };
        let pid: u32 = fields.next().context("a process id")?.parse()?;
        if !pids.contains_key(&pid) {
            continue;
        }
        let events: Vec<_> = of(&ours, pid).into_iter().cloned().collect();
        let words = words(one(&events, what)?);
        ensure!(
            line.contains(&words),
            "cnctl says {words:?}, forkstat {line:?}"
        );
        named += 1;
    }
    ensure!(named == 2 * MANY, "forkstat should name all: {named}");
    for (&pid, word) in &pids {
        let events: Vec<_> = of(&ours, pid).into_iter().cloned().collect();
        for what in ["exec", "exit"] {
            let event = one(&events, what)?;
            ensure!(words(event) == format!("busybox true {word}"), "{event}");
        }
        let fork = one(&events, "fork")?;
        ensure!(words(fork).ends_with("cnctl_proc"), "{fork}");
        let duration = one(&events, "exit")?["duration"].as_f64();
        ensure!(duration.is_some_and(|seconds| seconds > 0.0), "{events:#?}");
    }
    Ok(())
}

/// The arguments of an object, with spaces between them.
fn words(event: &Value) -> String {
    let arguments = event["argv"].as_array().cloned().unwrap_or_default();
    let words: Vec<_> = arguments.iter().filter_map(Value::as_str).collect();
    words.join(" ")
}

/// Has both programs watch processes; returns these with their words, and what the two said.
type Watched = (HashMap<u32, String>, Vec<String>, Vec<Value>);

fn two_watch(many: usize) -> Result<Watched> {
    let short = |word: &str| Command::new("busybox").args(["true", word]).spawn();
    let mut forkstat = Running::start(Command::new("forkstat").args(["-r", "-l"]))?;
    let cnctl = proc(&["--json"]);
    let mut chrt = Command::new("chrt");
    chrt.args(["-f", "98"])
        .arg(cnctl.get_program())
        .args(cnctl.get_args());
    let mut cnctl = Running::start(&mut chrt)?;
    let (mut theirs, mut ours) = (false, false);
    wait_for("both programs to watch", || {
        finish(short("early")?)?;
        while let Some(line) = forkstat.line_now()? {
            theirs |= line.contains("early");
        }
        while let Some(line) = cnctl.line_now()? {
            ours |= line.contains("early");
        }
        Ok((theirs && ours).then_some(()))
    })?;
    let mut pids = HashMap::new();
    for number in 0..many {
        let word = format!("word-{number}");
        let pid = finish(short(&word)?)?;
        ensure!(
            pids.insert(pid, word).is_none(),
            "process ids are used twice"
        );
    }
    let last = finish(short("last")?)?;
    let theirs =
        forkstat.lines_until(|line| line.contains("exit") && line.contains("true last"))?;
    let ours = until_exit(&mut cnctl, last)?;
    for program in [forkstat, cnctl] {
        program.signal(Signal::SIGINT)?;
        program.wait()?.expect(0)?;
    }
    Ok((pids, theirs, ours))
}

fn exit_alone() -> Result<()> {
    let events = watch(&["-e", "exit"], || finish(oneself("die").spawn()?))?;
    ensure!(events.len() == 1, "{events:#?}");
    let exit = one(&events, "exit")?;
    let expected = value!({"comm": "exe", "argv": ["/proc/self/exe", "die"], "signal": 9,
        "signal_name": "SIGKILL", "core_dumped": false, "parent_pid": std::process::id()});
    for (name, expected) in expected.as_object().context("members")? {
        ensure!(
            exit[name] == *expected,
            "{name} should be {expected}: {exit}"
        );
    }
    ensure!(exit["duration"].as_f64() > Some(0.0), "{exit}");
    Ok(())
}

fn every_byte() -> Result<()> {
    let events = watch(&[], || {
        let odd = OsStr::from_bytes(b"\xff\x1b");
        let rest = ["", "it's a\\b", "\u{9b}caf\u{e9}\n"];
        finish(oneself("rename").args(rest).arg(odd).spawn()?)
    })?;
    let argv = value!([
        "/proc/self/exe",
        "rename",
        "",
        "it's a\\b",
        "\u{9b}caf\u{e9}\n",
        [255, 27]
    ]);
    ensure!(one(&events, "exec")?["argv"] == argv, "{events:#?}");
    let comm = one(&events, "comm")?;
    ensure!(comm["old_comm"] == "exe" && comm["comm"] == COMM, "{comm}");
    ensure!(comm["argv"] == argv, "{comm}");
    ensure!(one(&events, "exit")?["comm"] == COMM, "{events:#?}");
    Ok(())
}

fn older() -> Result<()> {
    let mut old = oneself("wait")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()?;
    let events = watch(&["-e", "exit", "--extra"], || {
        drop(old.stdin.take());
        finish(old)
    })?;
    let exit = one(&events, "exit")?;
    ensure!(
        exit["argv"] == value!(["/proc/self/exe", "wait"]) && exit["status"] == 5,
        "{exit}"
    );
    ensure!(exit["duration"].as_f64() >= Some(0.0), "{exit}");
    ensure!(
        exit["uid"] == 0 && exit["euid"] == 0 && exit["pgrp"].is_u64(),
        "{exit}"
    );
    Ok(())
}

fn threads() -> Result<()> {
    let work = || finish(oneself("thread").spawn()?);
    let events = watch(&["-t"], work)?;
    let (fork, clone) = (one(&events, "fork")?, one(&events, "clone")?);
    ensure!(
        fork["tid"] == fork["pid"] && clone["tid"] != clone["pid"],
        "{events:#?}"
    );
    let events = watch(&["-e", "clone,exit"], work)?;
    ensure!(
        events.len() == 2 && one(&events, "clone").is_ok(),
        "{events:#?}"
    );
    let events = watch(&["-e", "fork,exit"], work)?;
    ensure!(
        events.len() == 2 && one(&events, "fork").is_ok(),
        "{events:#?}"
    );
    Ok(())
}

/// A work queue that gets another priority has threads of its own, as long as it has that.
fn kernel_threads() -> Result<()> {
    let mut watching = Running::start(&mut proc(&["--pid", "2"]))?;
    watching.lines_until(|line| line.contains("WHAT"))?;
    let nice = Setting::change("/sys/devices/virtual/workqueue/writeback/nice", "-7")?;
    let is = |what: &'static str| {
        move |line: &str| line.contains(what) && line.contains("  [kworker/") && line.ends_with(']')
    };
    watching.lines_until(is(" fork     by 2 kthreadd "))?;
    drop(nice);
    watching.lines_until(is(" exit     0 after "))?;
    watching.signal(Signal::SIGINT)?;
    watching.wait()?.expect(0)?;
    Ok(())
}

/// The ids of the processes that lines are about, each once, in the order in which they come.
fn pids(lines: &[String]) -> Result<Vec<u32>> {
    let mut pids = Vec::new();
    for line in lines {
        let (_, rest) = line.split_once(']').context("no time")?;
        let pid = rest
            .split_whitespace()
            .next()
            .context("no process")?
            .parse()?;
        if !pids.contains(&pid) {
            pids.push(pid);
        }
    }
    Ok(pids)
}

fn selected() -> Result<()> {
    for what in ["pid", "pgrp", "user", "command", "none such"] {
        let mut node = oneself("wait")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()?;
        let id = node.id().to_string();
        let words = match what {
            "pid" => ["--pid", &id],
            "pgrp" => ["--pgrp", &id],
            "user" => ["--user", "1000"],
            "command" => ["--command", "exe"],
            _ => ["--command", "nobody"],
        };
        let mut watching = Running::start(&mut proc(&words))?;
        watching.lines_until(|line| line.contains("WHAT"))?;
        // Somebody else.
        finish(Command::new("busybox").arg("true").spawn()?)?;
        drop(node.stdin.take());
        let output = node.wait_with_output()?;
        let leaves: Vec<u32> = String::from_utf8(output.stdout)?
            .lines()
            .map(|line| line.parse().context("a process id"))
            .collect::<Result<_>>()?;
        let node = id.parse()?;
        let expected = match what {
            "user" => vec![leaves[1]],
            "none such" => vec![],
            _ => [leaves, vec![node]].concat(),
        };
        let lines = match expected.last() {
            Some(last) => {
                let last = format!("{last:>7} exit ");
                watching.lines_until(|line| line.contains(&last))?
            }
            None => vec![],
        };
        watching.signal(Signal::SIGINT)?;
        let mut shown = pids(&lines)?;
        // The events of children come before that of their parent's end; its fork was before.
        shown.sort_by_key(|pid| *pid == node);
        ensure!(shown == expected, "{what}: {expected:?} {lines:#?}");
        let rest = watching.wait()?.expect(0)?;
        ensure!(!expected.is_empty() || rest.stdout.is_empty(), "{rest:?}");
    }
    Ok(())
}

fn statistics() -> Result<()> {
    let mut watching = Running::start(&mut proc(&["--json", "--stats", "-e", "exec,exit"]))?;
    wait_until_watching(&mut watching)?;
    let pid = finish(oneself("succeed").spawn()?)?;
    until_exit(&mut watching, pid)?;
    watching.signal(Signal::SIGINT)?;
    let rows = watching.wait()?.expect(0)?.json()?;
    let own = rows.iter().find(|row| row["program"] == "exe");
    let own = own.with_context(|| format!("{rows:#?}"))?;
    let count = |name: &str| own[name].as_u64().unwrap_or_default();
    ensure!(
        count("exec") >= 1 && count("exit") >= 1 && count("fork") == 0,
        "{own}"
    );
    ensure!(count("total") == count("exec") + count("exit"), "{own}");

    let quiet = run(&mut proc(&["--quiet", "--for", "0.5", "--json"]))?.expect(0)?;
    ensure!(
        quiet.json()?.iter().all(|row| row["event"] == "stats"),
        "{quiet:?}"
    );
    Ok(())
}

/// What a terminal shows of a line: the colours take no room.
fn columns(line: &str) -> usize {
    let mut text = line.replace("\x1b[0m", "").replace('\r', "");
    for colour in ["\x1b[1m", "\x1b[31m", "\x1b[32m"] {
        text = text.replace(colour, "");
    }
    text.chars().count()
}

fn on_a_terminal() -> Result<()> {
    let long = "a long word ".repeat(20);
    for (script, is_cut) in [
        ("stty cols 70; exec cnctl proc -e exec", true),
        ("stty cols 70; exec cnctl proc -e exec --wide", false),
        ("stty cols 70; exec cnctl proc -e exec | busybox cat", false),
    ] {
        let mut watching = Running::start_on_terminal(&["sh", "-c", script], &[])?;
        watching.lines_until(|line| line.contains("WHAT"))?;
        let pid = finish(oneself("succeed").arg(&long).spawn()?)?;
        let lines = watching.lines_until(|line| line.contains(&format!("{pid:>7} ")))?;
        let line = &lines[lines.len() - 1];
        if is_cut {
            ensure!(
                lines.iter().all(|line| columns(line) <= 70),
                "there are lines that are too long: {lines:#?}"
            );
            ensure!(columns(line) == 70 && line.contains('\u{2026}'), "{line:?}");
        } else {
            ensure!(line.contains(long.trim_end()), "{script}: {line:?}");
        }
        watching.press("\x03")?;
        watching.wait()?;
    }
    Ok(())
}

fn main() -> ExitCode {
    if let Some(what) = env::args().nth(1) {
        if let Err(error) = be(&what) {
            eprintln!("{what}: {error:#}");
        }
        return ExitCode::FAILURE;
    }
    let registered = fs::read_to_string("/proc/net/connector").unwrap_or_default();
    let lacking = "the kernel has no CONFIG_PROC_EVENTS";
    Suite::new()
        .skip_if((!registered.contains("cn_proc")).then_some(lacking))
        .test(
            "two hundred short processes are called what forkstat calls them",
            beside_forkstat,
        )
        .test(
            "exit alone says who it was, how it ended and after how long",
            exit_alone,
        )
        .test("arguments and comms are told byte by byte", every_byte)
        .test("a process that is older is known", older)
        .test("a thread is no fork", threads)
        .test("a kernel thread is in brackets", kernel_threads)
        .test(
            "only what was selected is shown: a tree, a group, a user, a program",
            selected,
        )
        .test("events are counted by program", statistics)
        .test(
            "on a terminal an event is one line, unless it shall be wide",
            on_a_terminal,
        )
        .run()
}
