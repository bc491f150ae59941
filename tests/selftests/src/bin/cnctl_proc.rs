// SPDX-License-Identifier: GPL-2.0

//! `cnctl proc`: whose events they are, how they ended, and which of them are shown; beside
//! forkstat, on the same processes.
//!
//! The program starts itself: `node` starts leaves one after the other, which do something and end.
//! What a process is called can be read as long as there is one: where that matters, it is held until
//! it was read.

use std::{
    collections::{BTreeSet, HashMap},
    env,
    ffi::OsStr,
    fs,
    io::{self, BufRead, BufReader, Write},
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

/// One that a terminal would obey: a colour, a turn of the line.
const ODD: &str = "\x1b[31m\u{202e}odd";

/// What the leaves do, in this order, and how they end.
const LEAVES: [&str; 3] = ["succeed", "drop", "die"];

/// The program's other lives: one of the leaves, or with `hold` in front what follows, once it is
/// told to go on. `node` starts the leaves, held, and lets each go when it is told to.
fn be(words: &[String]) -> Result<()> {
    match words[0].as_str() {
        "hold" => {
            println!("up");
            io::stdin().read_line(&mut String::new())?;
            return be(&words[1..]);
        }
        "node" => {
            for leaf in LEAVES {
                let leaf = Held::start(&[leaf.as_ref()])?;
                println!("{}", leaf.0.id());
                io::stdin().read_line(&mut String::new())?;
                leaf.end()?;
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
        "rename twice" => {
            fs::write("/proc/self/comm", ODD)?;
            fs::write("/proc/self/comm", "calm")?;
            fs::write("/proc/self/comm", ODD)?;
        }
        "thread" => {
            let _ = thread::spawn(|| {}).join();
        }
        what => bail!("nobody can be {what}"),
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

/// A process that has been executed, and does nothing before [`Self::end`].
struct Held(Child);

impl Held {
    fn start(words: &[&OsStr]) -> Result<Self> {
        let mut child = oneself("hold")
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().context("no output")?).read_line(&mut line)?;
        ensure!(line == "up\n", "{line:?}");
        Ok(Self(child))
    }

    /// Lets it do its work, and waits for its end.
    fn end(mut self) -> Result<u32> {
        drop(self.0.stdin.take());
        finish(self.0)
    }
}

fn proc(words: &[&str]) -> Command {
    let mut command = tool("cnctl");
    // On a busy machine there are many events that are of no interest here.
    command
        .args(["proc", "--buffer", "33554432"])
        .args(words)
        .stdin(Stdio::null());
    command
}

/// Starts processes until a program that watches them says that one has ended; it has then looked at
/// all that was before. Returns what it said.
fn catch_up(watching: &mut Running) -> Result<Vec<String>> {
    let (mut lines, mut pids) = (Vec::new(), Vec::new());
    wait_for("the end of a process to be told", || {
        pids.push(finish(oneself("succeed").spawn()?)?);
        while let Some(line) = watching.line_now()? {
            lines.push(line);
        }
        let told = |line: &String| {
            json(line).is_ok_and(|o| o["what"] == "exit" && pids.iter().any(|pid| o["pid"] == *pid))
        };
        Ok(lines.iter().any(told).then_some(()))
    })?;
    Ok(lines)
}

/// The objects up to the one that says that `pid` has ended.
fn until_exit(watching: &mut Running, pid: u32) -> Result<Vec<Value>> {
    let ends = |o: &Value| {
        o["event"] == "overrun" || o["pid"] == pid && o["tid"] == pid && o["what"] == "exit"
    };
    let lines = watching.lines_until(|line| json(line).is_ok_and(|object| ends(&object)))?;
    let objects: Vec<_> = lines.iter().map(|line| json(line)).collect::<Result<_>>()?;
    let lost = objects.iter().find(|object| object["event"] == "overrun");
    ensure!(lost.is_none(), "events were lost: {lost:?}");
    Ok(objects)
}

/// The events of a process.
fn of(objects: &[Value], pid: u32) -> Vec<&Value> {
    objects.iter().filter(|o| o["pid"] == pid).collect()
}

/// Watches with these words what comes of a process with those; returns its events.
fn watch(words: &[&str], held: &[&OsStr]) -> Result<Vec<Value>> {
    let mut watching = Running::start(&mut proc(&[&["--json"], words].concat()))?;
    catch_up(&mut watching)?;
    let held = Held::start(held)?;
    // What it is called can be read now, and not much longer.
    let lines = catch_up(&mut watching)?;
    let pid = held.end()?;
    let mut objects: Vec<_> = lines.iter().map(|line| json(line)).collect::<Result<_>>()?;
    objects.extend(until_exit(&mut watching, pid)?);
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
        // So it calls what it could not look at in time, which is no fault of ours.
        if line.contains("<unknown>") {
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
    ensure!(named > MANY, "forkstat should name most: {named}");
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
    let events = watch(&["-e", "exit"], &["die".as_ref()])?;
    ensure!(events.len() == 1, "{events:#?}");
    let exit = one(&events, "exit")?;
    let expected = value!({"comm": "exe", "argv": ["/proc/self/exe", "hold", "die"], "signal": 9,
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
    let rest = ["rename", "", "it's a\\b", "\u{9b}caf\u{e9}\n"].map(OsStr::new);
    let odd = OsStr::from_bytes(b"\xff\x1b");
    let events = watch(&[], &[&rest[..], &[odd]].concat())?;
    let argv = value!([
        "/proc/self/exe",
        "hold",
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

/// Where the comm is shown, where it changes, beside another process, and in the counts.
fn odd_names() -> Result<()> {
    for words in [&["--name", "full"][..], &["--name", "comm"]] {
        let mut watching = Running::start(&mut proc(&[words, &["-e", "all", "--stats"]].concat()))?;
        watching.lines_until(|line| line.contains("WHAT"))?;
        let held = Held::start(&["rename twice".as_ref(), ODD.as_ref()])?;
        let exec = format!("{:>7} exec ", held.0.id());
        let mut lines = watching.lines_until(|line| line.contains(&exec))?;
        let pid = held.end()?;
        let exit = format!("{pid:>7} exit ");
        lines.extend(watching.lines_until(|line| line.contains(&exit))?);
        watching.signal(Signal::SIGINT)?;
        let text = lines.join("\n") + &watching.wait()?.expect(0)?.stdout;
        let odd = "\\u{1b}[31m\\u{202e}odd";
        for shown in [
            format!(" exe -> {odd} "),
            format!(" {odd} -> calm "),
            format!(" {odd}\n"),
        ] {
            ensure!(text.contains(&shown), "{shown:?}: {text}");
        }
        let obeyed = |c: char| c != '\n' && (c.is_control() || c == '\u{202e}');
        ensure!(!text.contains(obeyed), "{text:?}");
    }
    Ok(())
}

fn older() -> Result<()> {
    let old = Held::start(&["succeed".as_ref()])?;
    let mut watching = Running::start(&mut proc(&["--json", "-e", "exit", "--extra"]))?;
    catch_up(&mut watching)?;
    let pid = old.end()?;
    let events = until_exit(&mut watching, pid)?;
    watching.signal(Signal::SIGINT)?;
    watching.wait()?.expect(0)?;
    let events: Vec<_> = of(&events, pid).into_iter().cloned().collect();
    let exit = one(&events, "exit")?;
    ensure!(
        exit["argv"] == value!(["/proc/self/exe", "hold", "succeed"]) && exit["status"] == 0,
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
    let held = ["thread".as_ref()];
    let events = watch(&["-t"], &held)?;
    let (fork, clone) = (one(&events, "fork")?, one(&events, "clone")?);
    ensure!(
        fork["tid"] == fork["pid"] && clone["tid"] != clone["pid"],
        "{events:#?}"
    );
    let events = watch(&["-e", "clone,exit"], &held)?;
    ensure!(
        events.len() == 2 && one(&events, "clone").is_ok(),
        "{events:#?}"
    );
    let events = watch(&["-e", "fork,exit"], &held)?;
    ensure!(
        events.len() == 2 && one(&events, "fork").is_ok(),
        "{events:#?}"
    );
    Ok(())
}

/// Each CPU numbers its events, and who only listens is not told which those of others are.
fn listened_to() -> Result<()> {
    let watching = Running::start(&mut proc(&["--quiet"]))?;
    let mut listen = tool("cnctl");
    listen.args([
        "listen", "proc", "--json", "--data", "none", "--buffer", "33554432",
    ]);
    let mut listening = Running::start(listen.stdin(Stdio::null()))?;
    listening.wait_until_in(1)?;
    let all = sched_getaffinity(Pid::from_raw(0))?;
    let mut lines = Vec::new();
    wait_for("fifty events of every CPU in turn", || {
        for cpu in (0..CpuSet::count()).filter(|cpu| all.is_set(*cpu).unwrap_or(false)) {
            let mut one = CpuSet::new();
            one.set(cpu)?;
            sched_setaffinity(Pid::from_raw(0), &one)?;
            finish(oneself("succeed").spawn()?)?;
        }
        while let Some(line) = listening.line_now()? {
            lines.push(line);
        }
        Ok((lines.len() >= 50).then_some(()))
    })?;
    sched_setaffinity(Pid::from_raw(0), &all)?;
    watching.signal(Signal::SIGINT)?;
    watching.wait()?.expect(0)?;
    listening.signal(Signal::SIGINT)?;
    listening.wait()?.expect(0)?;
    let other = lines.iter().find(|line| !line.contains("\"message\""));
    ensure!(other.is_none(), "nothing was lost: {other:?}");
    Ok(())
}

/// A work queue that gets another priority has threads of its own, as long as it has that.
fn kernel_threads() -> Result<()> {
    let mut watching = Running::start(&mut proc(&["--pid", "2"]))?;
    watching.lines_until(|line| line.contains("WHAT"))?;
    let (mut nice, mut started) = (None, Vec::new());
    // Others may come as well, and stay; and it may go before its name was read.
    wait_for("one to come and go", || {
        nice = match nice.take() {
            None => Some(Setting::change(
                "/sys/devices/virtual/workqueue/writeback/nice",
                "-7",
            )?),
            Some(_) => None,
        };
        while let Some(line) = watching.line_now()? {
            if !line.contains("  [kworker/") || !line.ends_with(']') {
                continue;
            }
            let pid = pid(&line)?;
            if line.contains(" fork     by 2 kthreadd ") {
                started.push(pid);
            } else if started.contains(&pid) && line.contains(&format!("{pid:>7} exit ")) {
                return Ok(Some(()));
            }
        }
        Ok(None)
    })?;
    drop(nice);
    watching.signal(Signal::SIGINT)?;
    watching.wait()?.expect(0)?;
    Ok(())
}

/// The id of the process that a line is about.
fn pid(line: &str) -> Result<u32> {
    // What else there may be tells of a loss.
    let event = line
        .split_once(']')
        .map(|(_, rest)| rest.split_whitespace());
    let pid = event.and_then(|mut words| words.next()?.parse().ok());
    pid.with_context(|| format!("no event: {line:?}"))
}

fn selected() -> Result<()> {
    let nobody = format!("nobody-{}", std::process::id());
    for what in ["pid", "pgrp", "user", "command", "none such"] {
        let mut node = oneself("node")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()?;
        let mut output = BufReader::new(node.stdout.take().context("no output")?).lines();
        let mut next = || -> Result<u32> { Ok(output.next().context("no leaf")??.parse()?) };
        let mut go_on = node.stdin.take().context("no input")?;
        let id = node.id().to_string();
        let words = match what {
            "pid" => ["--pid", &id],
            "pgrp" => ["--pgrp", &id],
            "user" => ["--user", "1000"],
            "command" => ["--command", "exe"],
            _ => ["--command", &nobody],
        };
        // It comes before all that is watched.
        let mut leaves = vec![next()?];
        let mut watching = Running::start(&mut proc(&words))?;
        watching.lines_until(|line| line.contains("WHAT"))?;
        // Somebody else.
        let other = finish(Command::new("busybox").arg("true").spawn()?)?;
        let mut lines = Vec::new();
        for last in [false, false, true] {
            go_on.write_all(b"\n")?;
            if last {
                break;
            }
            leaves.push(next()?);
            if what == "command" {
                // What it is called can be read now, and not much longer.
                let leaf = format!("{:>7} exec ", leaves[leaves.len() - 1]);
                lines.extend(watching.lines_until(|line| line.contains(&leaf))?);
            }
        }
        finish(node)?;
        let all = [&leaves[..], &[id.parse()?]].concat();
        let expected: BTreeSet<_> = match what {
            "user" => [leaves[1]].into(),
            "none such" => BTreeSet::new(),
            _ => all.iter().copied().collect(),
        };
        // That a process has ended is told after its parent may know, and so after what that does next;
        // on a busy machine, after the parent's own end.
        for pid in &expected {
            let exit = format!("{pid:>7} exit ");
            if !lines.iter().any(|line: &String| line.contains(&exit)) {
                lines.extend(watching.lines_until(|line| line.contains(&exit))?);
            }
        }
        watching.signal(Signal::SIGINT)?;
        // On a machine in use, others may have the same user or program.
        let ours: BTreeSet<_> = all.into_iter().chain([other]).collect();
        let shown: BTreeSet<_> = lines.iter().map(|line| pid(line)).collect::<Result<_>>()?;
        let shown: BTreeSet<_> = shown.intersection(&ours).copied().collect();
        ensure!(shown == expected, "{what}: {expected:?} {lines:#?}");
        let rest = watching.wait()?.expect(0)?;
        ensure!(!expected.is_empty() || rest.stdout.is_empty(), "{rest:?}");
    }
    Ok(())
}

fn statistics() -> Result<()> {
    let mut watching = Running::start(&mut proc(&["--json", "--stats", "-e", "exec,exit"]))?;
    catch_up(&mut watching)?;
    let held = Held::start(&["succeed".as_ref()])?;
    catch_up(&mut watching)?;
    until_exit(&mut watching, held.end()?)?;
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
    for (script, columns_there) in [
        (
            "stty rows 20 cols 70; exec cnctl proc --buffer 33554432 -e exec",
            Some(70),
        ),
        (
            "stty rows 20 cols 40; exec cnctl proc --buffer 33554432 -e exec",
            Some(40),
        ),
        (
            "stty rows 20 cols 70; exec cnctl proc --buffer 33554432 -e exec --wide",
            None,
        ),
        (
            "stty rows 20 cols 40; exec cnctl proc --buffer 33554432 -e exec | busybox cat",
            None,
        ),
    ] {
        let mut watching = Running::start_on_terminal(&["sh", "-c", script], &[])?;
        watching.lines_until(|line| line.contains("WHAT"))?;
        let held = Held::start(&["succeed".as_ref(), long.as_ref()])?;
        let pid = format!("{:>7} ", held.0.id());
        let lines = watching.lines_until(|line| line.contains(&pid))?;
        held.end()?;
        let line = &lines[lines.len() - 1];
        if let Some(most) = columns_there {
            ensure!(
                lines.iter().all(|line| columns(line) <= most),
                "there are lines that are too long: {lines:#?}"
            );
            ensure!(
                columns(line) == most && line.contains('\u{2026}'),
                "{line:?}"
            );
            // Where there is room for little, it still says who it was.
            ensure!(most > 40 || line.contains(" exe  by "), "{line:?}");
        } else {
            ensure!(line.contains(long.trim_end()), "{script}: {line:?}");
        }
        watching.press("\x03")?;
        watching.wait()?;
    }
    Ok(())
}

fn main() -> ExitCode {
    let words: Vec<_> = env::args_os()
        .skip(1)
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    if !words.is_empty() {
        if let Err(error) = be(&words) {
            eprintln!("{words:?}: {error:#}");
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
        .test(
            "no name that a process gives itself is obeyed by a terminal",
            odd_names,
        )
        .test("a process that is older is known", older)
        .test("a thread is no fork", threads)
        .test("a kernel thread is in brackets", kernel_threads)
        .test(
            "who listens to all of them sees no gaps between CPUs",
            listened_to,
        )
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
