// SPDX-License-Identifier: GPL-2.0

//! `cnctl` for scripts: what a JSON parser makes of `--json`, and the exit status.

use std::{
    fs,
    io::Write,
    os::unix::process::CommandExt,
    process::{Command, ExitCode, Stdio},
};

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use selftests::{
    CbId, ECHO, Header, Module, Suite, core_is_ours, procfs,
    program::{Ended, Running, beside, json, run, tool},
    puppet::{PUPPET, Puppet, To},
    wait_for,
};
use serde_json::{Value, json as value};

fn cnctl(words: &[&str]) -> Command {
    let mut command = tool("cnctl");
    command.args(words).stdin(Stdio::null());
    command
}

fn ended(words: &[&str], status: i32) -> Result<Ended> {
    run(&mut cnctl(words))?.expect(status)
}

/// Fails unless `object` has these members, and they are these; `null` stands for any value.
fn expect(object: &Value, members: Value) -> Result<()> {
    for (name, expected) in members.as_object().context("no object")? {
        let got = object.get(name);
        let got = got.with_context(|| format!("no member {name}: {object}"))?;
        ensure!(
            expected.is_null() || got == expected,
            "{name} should be {expected}: {object}"
        );
    }
    Ok(())
}

/// What JSON calls the connector that is here.
fn core() -> &'static str {
    match core_is_ours() {
        true => "rust_connector",
        false => "kernel",
    }
}

/// What text calls it.
fn core_in_words() -> &'static str {
    match core_is_ours() {
        true => "rust_connector's own connector",
        false => "the kernel's own connector",
    }
}

/// The objects of this event.
fn of<'a>(objects: &'a [Value], event: &str) -> Vec<&'a Value> {
    objects.iter().filter(|o| o["event"] == event).collect()
}

fn list() -> Result<()> {
    let (_connector, _echo) = Module::load_with_connector("cn_echo", "")?;
    let objects = ended(&["list", "--json"], 0)?.json()?;
    ensure!(
        objects[0] == value!({"event": "connector", "core": core()}),
        "{objects:?}"
    );
    let title = ended(&["list"], 0)?.stdout;
    let title = title.lines().next().context("no title")?;
    ensure!(
        title.starts_with("ID ") && title.contains(core_in_words()),
        "{title}"
    );
    let echo = objects.iter().find(|object| object["id"] == "16:1");
    let echo = echo.context("cn_echo is not in the list")?;
    expect(
        echo,
        value!({"event": "registered", "name": "cn_echo", "known": "cn_echo", "what": null}),
    )?;
    let known = ended(&["list", "--known", "--json"], 0)?.json()?;
    ensure!(known.iter().any(|object| object["name"] == "w1"));
    Ok(())
}

fn send() -> Result<()> {
    let (_connector, _echo) = Module::load_with_connector("cn_echo", "")?;
    let path = "/tmp/cnctl_json.data";
    fs::write(path, b"\0file\xff")?;
    let reply = |words: &[&str], data: &str| -> Result<()> {
        let words = [
            &["send", "cn_echo", "--json", "--wait", "--seq", "7"],
            words,
        ]
        .concat();
        let objects = ended(&words, 0)?.json()?;
        ensure!(objects.len() == 2, "{objects:?}");
        let len = data.len() / 2;
        expect(
            &objects[0],
            value!({"event": "sent", "id": "16:1", "seq": 7, "ack": 7, "len": len, "core": core()}),
        )?;
        expect(
            &objects[1],
            value!({"event": "reply", "seq": 7, "ack": 8, "len": len, "data": data, "time_ms": null}),
        )
    };
    reply(&[], "")?;
    reply(&["text"], "74657874")?;
    reply(&["--hex", "00 Ff 10"], "00ff10")?;
    reply(&["--file", path], "0066696c65ff")?;
    fs::remove_file(path)?;

    let mut typed = cnctl(&["send", "0x10:1", "--json", "-w", "-f", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut input = typed.stdin.take().context("no input")?;
    input.write_all(b"typed")?;
    drop(input);
    let output = typed.wait_with_output()?;
    let text = String::from_utf8(output.stdout)?;
    ensure!(text.contains("\"data\":\"7479706564\""), "{text}");
    Ok(())
}

/// What is known of a message when it has been sent.
fn send_and_go() -> Result<()> {
    let (_connector, _echo) = Module::load_with_connector("cn_echo", "")?;
    let sent = ended(&["send", "16:1", "hello", "--json"], 0)?.json()?;
    let [sent] = &sent[..] else {
        anyhow::bail!("{sent:?}")
    };
    expect(
        sent,
        value!({"event": "sent", "id": "16:1", "core": core()}),
    )?;
    let acknowledged = core_is_ours().then_some(true);
    ensure!(sent["acknowledged"].as_bool() == acknowledged, "{sent}");
    let text = ended(&["send", "16:1", "hello"], 0)?.stdout;
    let end = match core_is_ours() {
        true => "len=5 by rust_connector's own connector, acknowledged\n",
        false => "len=5 by the kernel's own connector\n",
    };
    ensure!(text.ends_with(end), "{text}");
    if !core_is_ours() {
        // Nobody is told.
        ended(&["send", "77:77", "hello"], 0)?;
        return Ok(());
    }
    for words in [
        &["send", "77:77"][..],
        &["send", "77:77", "-w", "-W", "600"],
    ] {
        let nobody = ended(words, 1)?;
        ensure!(
            nobody.stderr.contains("nobody has registered this id"),
            "{words:?}: {nobody:?}"
        );
    }
    let ping = ended(&["ping", "77:77", "-c", "1", "-W", "600"], 1)?;
    ensure!(
        ping.stdout.contains("so the connector says") && ping.stdout.contains("1 lost"),
        "{ping:?}"
    );
    Ok(())
}

/// What a service says in its reply, and what only the connector may know.
fn outcomes() -> Result<()> {
    let _puppet = Puppet::load()?;
    let kv = Module::load("cn_kv", "")?;
    let outcome = |id: &str, text: &str, status| -> Result<Value> {
        let words = ["send", id, text, "--outcome", "--json", "-W", "5"];
        let objects = ended(&words, status)?.json()?;
        ensure!(
            objects.len() == 2 && objects[0]["event"] == "sent",
            "{objects:?}"
        );
        Ok(objects[1].clone())
    };
    let set = outcome("20:1", "set it 5", 0)?;
    expect(
        &set,
        value!({"event": "outcome", "id": "20:1", "seq": null, "outcome": "granted", "data": "", "time_ms": null}),
    )?;
    let get = outcome("20:1", "get it", 0)?;
    expect(&get, value!({"outcome": "granted", "data": "35"}))?;
    let refused = outcome("20:1", "get nothing", 1)?;
    expect(
        &refused,
        value!({"outcome": "refused", "errno": 2, "text": null}),
    )?;

    let text = ended(&["send", "20:1", "get it", "-o"], 0)?.stdout;
    ensure!(text.ends_with(" ms granted \"5\"\n"), "{text}");
    let user = cnctl(&["send", "20:1", "del it", "-o"])
        .uid(1000)
        .gid(1000)
        .output()?;
    let text = String::from_utf8(user.stdout)?;
    ensure!(
        user.status.code() == Some(1) && text.contains(" ms refused: Operation not permitted"),
        "{text}"
    );
    // It has no number in its reply that is an error.
    let echo = Module::load("cn_echo", "")?;
    let other = ended(&["send", "16:1", "hello", "-o"], 2)?.stderr;
    echo.unload()?;
    ensure!(
        other.contains("does not begin with how the request ended"),
        "{other}"
    );
    // It does not reply, which only a core that acknowledges tells from nobody.
    let mute = ["send", "30:8", "hello", "-o", "-W", "0.2"];
    match core_is_ours() {
        true => {
            let handled = ended(&mute, 0)?.stdout;
            ensure!(handled.contains(" ms handled\n"), "{handled}");
        }
        false => drop(ended(&mute, 1)?),
    }
    kv.unload()
}

/// The kernel's 1-wire driver answers a request for the list of masters with the request's `seq`
/// plus one as `ack`.
fn send_to_w1() -> Result<()> {
    let puppet = Puppet::load()?;
    let answered_like_w1 = |words: &[&str]| -> Result<Ended> {
        // An id where somebody is, who leaves the answer to this test.
        let id = PUPPET.to_string();
        let words = [&["send", &id, "--json", "--wait", "-W", "60"], words].concat();
        let mut sending = Running::start(&mut cnctl(&words))?;
        let sent = json(&sending.line()?)?;
        let seq = sent["seq"].as_u64().context("a number")?.try_into()?;
        let answer = Header {
            id: PUPPET,
            seq,
            ack: seq.wrapping_add(1),
            ..Header::default()
        };
        puppet.send(To::Port(sending.pid()), &[(answer, b"masters")])?;
        sending.wait()
    };
    for words in [&["--hex", "060000000000000000000000"][..], &["--ack", "0"]] {
        let objects = answered_like_w1(words)?.expect(0)?.json()?;
        let data = value!({"event": "reply", "id": "30:8", "data": "6d617374657273"});
        expect(objects.first().context("no reply")?, data)?;
    }
    Ok(())
}

fn sockets() -> Result<()> {
    let _core = Module::load_core()?;
    let listening = Running::start(&mut cnctl(&["listen", "5", "9"]))?;
    listening.wait_until_in(9)?;
    let pid = listening.pid();
    let objects = ended(&["sockets", "--json"], 0)?.json()?;
    let own = objects.iter().find(|object| object["port"] == pid);
    let own = own.context("the listener is not in the list")?;
    expect(
        own,
        value!({"event": "socket", "groups": [5, 9], "receive_queue": 0, "drops": 0}),
    )?;
    let owner = &own["owners"][0];
    expect(owner, value!({"pid": pid, "comm": "cnctl", "fd": null}))?;
    let text = ended(&["sockets"], 0)?.stdout;
    let mut lines = text.lines();
    let own = lines.find(|line| line.trim().starts_with(&format!("{pid} 5,9 ")));
    ensure!(
        own.is_some_and(|line| line.ends_with(&format!(" {pid} cnctl"))),
        "{text}"
    );
    // Who may not look does not take a socket for nobody's.
    let user = run(cnctl(&["sockets"]).uid(1000).gid(1000))?.expect(0)?;
    ensure!(
        user.stdout.contains(&format!("{pid} 5,9 "))
            && user.stderr.contains("cannot be seen: /proc/"),
        "{user:?}"
    );
    ensure!(
        user.stderr.contains("Permission denied") && user.stderr.contains("as root"),
        "{user:?}"
    );
    listening.signal(Signal::SIGTERM)?;
    listening.wait()?.expect(0)?;
    Ok(())
}

fn ping() -> Result<()> {
    let (_connector, _echo) = Module::load_with_connector("cn_echo", "")?;
    let words = ["ping", "16:1", "--json", "-i", "0", "--sweep", "0..16364"];
    let objects = ended(&words, 0)?.json()?;
    ensure!(of(&objects, "reply").len() == 24, "{objects:?}");
    let summary = objects.last().context("no summary")?;
    expect(
        summary,
        value!({"event": "summary", "id": "16:1", "core": core(), "sent": 24, "received": 24, "lost": 0,
                "wrong": 0, "elapsed_ms": null, "rtt_min_ms": null, "rtt_avg_ms": null,
                "rtt_max_ms": null, "rtt_mdev_ms": null}),
    )?;
    let number = |name: &str| summary[name].as_f64().context("a number");
    ensure!(
        number("rtt_min_ms")? <= number("rtt_avg_ms")?
            && number("rtt_avg_ms")? <= number("rtt_max_ms")?,
        "{summary}"
    );

    let words = [
        "ping", "77:77", "--json", "-c", "2", "-i", "0", "-W", "0.05",
    ];
    let objects = ended(&words, 1)?.json()?;
    let lost = of(&objects, "lost");
    ensure!(lost.len() == 2, "{objects:?}");
    expect(lost[1], value!({"id": "77:77", "seq": 2}))?;
    let summary = objects.last().context("no summary")?;
    expect(
        summary,
        value!({"event": "summary", "sent": 2, "lost": 2, "wrong": 0}),
    )
}

/// `--deadline` ends it, and `--count` then counts replies.
fn ping_in_time() -> Result<()> {
    let (_connector, _echo) = Module::load_with_connector("cn_echo", "")?;
    let words = ["ping", "16:1", "--json", "-D", "-i", "0", "-c", "3"];
    let objects = ended(&[&words[..], &["-w", "3600"]].concat(), 0)?.json()?;
    let replies = of(&objects, "reply");
    ensure!(replies.len() == 3, "{objects:?}");
    let times = replies.iter().map(|reply| reply["unix"].as_f64());
    ensure!(
        times.clone().all(|time| time > Some(0.0)) && times.is_sorted(),
        "{objects:?}"
    );

    // Too few replies.
    let words = ["ping", "77:77", "-W", "0.05", "-w", "0.2", "-i0", "-c9"];
    let few = ended(&words, 1)?;
    ensure!(few.stdout.contains(" sent, "), "{few:?}");
    // As for ping(8): no deadline, and as long as a reply takes. Of what is repeated, the last counts.
    let words = [
        "ping", "16:1", "-W", "0", "-w", "7", "-w", "0", "-i0", "-c9",
    ];
    let all = ended(&words, 0)?;
    ensure!(all.stdout.contains("9 sent, 9 received"), "{all:?}");
    // No count; and an interval that no clock has the room for: the deadline comes first. Whether a reply
    // came before it is up to the machine.
    for interval in ["-i0", "-i4294967295"] {
        let words = ["ping", "16:1", "-W", "1", "-w", "0.2", "-q", interval];
        let ended = run(&mut cnctl(&words))?;
        let none = ended.stdout.contains(" 0 received");
        let ended = ended.expect(i32::from(none))?;
        ensure!(ended.stdout.contains(" sent, "), "{ended:?}");
    }
    Ok(())
}

fn bench() -> Result<()> {
    let (_connector, _echo) = Module::load_with_connector("cn_echo", "")?;
    let words = ["bench", "16:1", "--json", "-c", "100", "-j", "4"];
    let objects = ended(&words, 0)?.json()?;
    ensure!(objects.len() == 1, "{objects:?}");
    // Whichever comes first.
    let most = u64::MAX.to_string();
    ended(&["bench", "16:1", "-c", &most, "-t", "0.1"], 0)?;
    let bench = &objects[0];
    expect(
        bench,
        value!({"event": "bench", "id": "16:1", "size": 32, "threads": 4, "elapsed_ms": null,
                "replies": 400, "lost": 0, "per_second": null}),
    )?;
    let order = ["min_us", "p50_us", "p90_us", "p99_us", "p999_us", "max_us"];
    let times: Vec<_> = order
        .iter()
        .map(|name| bench[name].as_f64().context("a number"))
        .collect::<Result<_>>()?;
    ensure!(times.is_sorted() && times[0] > 0.0, "{bench}");
    Ok(())
}

/// Threads that have been started wait for those that have not, which must not be for good.
/// By a limit on the user's tasks: one on memory is met by whatever comes first.
fn bench_without_threads() -> Result<()> {
    let (_connector, _echo) = Module::load_with_connector("cn_echo", "")?;
    let script = "ulimit -u 100 && exec cnctl bench 16:1 -j 2000";
    let mut limited = Command::new("/bin/busybox");
    limited.args(["sh", "-c", script]).uid(1000).gid(1000);
    let limited = run(&mut limited)?.expect(2)?;
    ensure!(
        limited.stderr.contains("cannot start 2000 threads"),
        "{limited:?}"
    );
    Ok(())
}

fn listen() -> Result<()> {
    let puppet = Puppet::load()?;
    let header = |seq| Header {
        id: PUPPET,
        seq,
        ack: 4,
        flags: 5,
        ..Header::default()
    };
    let group = To::Group(14);
    let words = ["listen", "14", "--json", "--count", "3"];
    let listening = Running::start(&mut cnctl(&words))?;
    listening.wait_until_in(14)?;
    let data = [&b"two"[..], b"\"\\\n\x1b", b""];
    for (seq, data) in [7, 8, 11].into_iter().zip(data) {
        puppet.send(group, &[(header(seq), data)])?;
    }
    // Something is missing.
    let objects = listening.wait()?.expect(1)?.json()?;
    ensure!(objects.len() == 4, "{objects:?}");
    expect(
        &objects[0],
        value!({"event": "message", "time": null, "group": 14, "id": "30:8", "seq": 7, "ack": 4,
                "len": 3, "flags": 5, "data": "74776f"}),
    )?;
    expect(&objects[1], value!({"seq": 8, "data": "225c0a1b"}))?;
    expect(
        &objects[2],
        value!({"event": "gap", "id": "30:8", "expected": 9, "got": 11, "missing": 2}),
    )?;
    expect(&objects[3], value!({"seq": 11, "data": ""}))?;

    // A reader that stands still: the loss is told once, at its place.
    let words = ["listen", "14", "--json", "--buffer", "1"];
    let mut slow = Running::start(&mut cnctl(&words))?;
    slow.wait_until_in(14)?;
    slow.stand_still()?;
    puppet.repeat(group, 100, &[(header(0), &[0; 500])])?;
    slow.signal(Signal::SIGCONT)?;
    let lines = slow.lines_until(|line| line.contains("overrun") || line.contains("\"seq\":99"))?;
    let overrun = json(&lines[lines.len() - 1])?;
    let kept = lines.len() - 1;
    expect(
        &overrun,
        value!({"event": "overrun", "lost": 100 - kept, "text": null}),
    )?;
    slow.signal(Signal::SIGINT)?;
    let rest = slow.wait()?.expect(1)?;
    ensure!(rest.stdout.is_empty(), "{rest:?}");

    // Nothing is missing.
    let listening = Running::start(&mut cnctl(&["listen", "0xe", "--json"]))?;
    listening.wait_until_in(14)?;
    listening.signal(Signal::SIGTERM)?;
    listening.wait()?.expect(0)?;
    Ok(())
}

fn proc() -> Result<()> {
    procfs::require_process_events()?;
    let start = || -> Result<u32> {
        let mut child = Command::new("/bin/busybox")
            .args(["sh", "-c", "exit 7", "an argument"])
            .spawn()?;
        child.wait()?;
        Ok(child.id())
    };
    let mut watching = Running::start(&mut cnctl(&["proc", "--json"]))?;
    // It does not say when it begins.
    let mut lines = Vec::new();
    wait_for("the first event", || {
        start()?;
        lines.extend(watching.line_now()?);
        Ok((!lines.is_empty()).then_some(()))
    })?;
    // This one lives until cnctl has looked what it is called.
    let mut child = Command::new("/bin/busybox")
        .args(["sh", "-c", "read line; exit 7", "an argument"])
        .stdin(Stdio::piped())
        .spawn()?;
    let pid = child.id();
    let is =
        |line: &str, what: &str| json(line).is_ok_and(|o| o["pid"] == pid && o["what"] == what);
    lines.extend(watching.lines_until(|line| is(line, "exec"))?);
    drop(child.stdin.take());
    child.wait()?;
    lines.extend(watching.lines_until(|line| is(line, "exit"))?);
    watching.signal(Signal::SIGINT)?;
    watching.wait()?.expect(0)?;

    let objects: Vec<_> = lines.iter().map(|line| json(line)).collect::<Result<_>>()?;
    let own: Vec<_> = objects.iter().filter(|o| o["pid"] == pid).collect();
    let parent = std::process::id();
    ensure!(own.len() == 3, "{own:?}");
    expect(
        own[0],
        value!({"event": "proc", "time": null, "cpu": null, "what": "fork", "pid": pid,
                "tid": pid, "parent_pid": parent, "parent_tid": null}),
    )?;
    expect(
        own[1],
        value!({"event": "proc", "what": "exec",
                "argv": ["/bin/busybox", "sh", "-c", "read line; exit 7", "an argument"]}),
    )?;
    expect(
        own[2],
        value!({"event": "proc", "what": "exit", "status": 7}),
    )?;
    let times = own.iter().map(|object| object["time"].as_f64());
    ensure!(times.is_sorted(), "{own:?}");

    // Filtered by the kernel.
    let words = ["proc", "--json", "-e", "nonzero-exit", "--count", "3"];
    let mut failures = Running::start(&mut cnctl(&words))?;
    let mut lines = Vec::new();
    wait_for("three failures", || {
        start()?;
        lines.extend(failures.line_now()?);
        Ok((lines.len() == 3).then_some(()))
    })?;
    failures.wait()?.expect(0)?;
    for line in lines {
        expect(&json(&line)?, value!({"what": "exit", "status": 7}))?;
    }
    Ok(())
}

fn watch() -> Result<()> {
    let connector = Module::load("rust_connector", "")?;
    let notify = Module::load("cn_notify", "")?;
    let mut watching = Running::start(&mut cnctl(&["watch", "--json"]))?;
    let present = watching.lines_until(|line| line.contains("4294967295:4294967295"))?;
    for line in &present {
        expect(
            &json(line)?,
            value!({"event": "present", "time": null, "id": null, "name": null}),
        )?;
    }
    for _ in 0..3 {
        let echo = Module::load("cn_echo", "")?;
        let line = json(&watching.line()?)?;
        expect(
            &line,
            value!({"event": "registered", "id": "16:1", "name": "cn_echo"}),
        )?;
        echo.unload()?;
        let line = json(&watching.line()?)?;
        expect(
            &line,
            value!({"event": "unregistered", "id": "16:1", "name": "cn_echo"}),
        )?;
    }
    watching.signal(Signal::SIGINT)?;
    let rest = watching.wait()?.expect(0)?;
    ensure!(rest.stdout.is_empty(), "{rest:?}");
    notify.unload()?;
    connector.unload()
}

/// A forged notification, of an id that nobody has: it is shown, and since its number does not
/// follow from the one before, what really is registered is looked up.
fn watch_with_a_gap() -> Result<()> {
    let puppet = Puppet::load()?;
    let notify = Module::load("cn_notify", "")?;
    let mut watching = Running::start(&mut cnctl(&["watch", "--json"]))?;
    watching.lines_until(|line| line.contains("4294967295:4294967295"))?;
    let echo = Module::load("cn_echo", "")?;
    let line = json(&watching.line()?)?;
    expect(&line, value!({"event": "registered", "id": "16:1"}))?;
    let forged = Header {
        id: CbId { idx: 99, val: 9 },
        seq: 1000,
        ..Header::default()
    };
    puppet.send(To::Group(26), &[(forged, b"")])?;
    for event in ["registered", "unregistered"] {
        let line = json(&watching.line()?)?;
        expect(&line, value!({"event": event, "id": "99:9"}))?;
    }
    watching.signal(Signal::SIGINT)?;
    watching.wait()?.expect(0)?;
    echo.unload()?;
    notify.unload()
}

fn statuses() -> Result<()> {
    let (_connector, _echo) = Module::load_with_connector("cn_echo", "")?;
    // All came.
    ended(&["list"], 0)?;
    ended(&["--help"], 0)?;
    ended(&["ping", "16:1", "-c", "2", "-i", "0"], 0)?;
    // Something did not.
    let silent = ended(&["send", "77:77", "--wait", "-W", "0.05"], 1)?;
    let expected = match core_is_ours() {
        true => "nobody gets messages to 77:77",
        false => "no reply within 0.05 s: nobody has registered this id",
    };
    ensure!(
        silent.stderr.contains(expected) && silent.stdout.starts_with("sent"),
        "{silent:?}"
    );
    ended(&["ping", "77:77", "-c", "1", "-W", "0.05"], 1)?;
    ended(&["bench", "77:77"], 1)?;
    // Too many open files are named with what to do about them: the first one, and one that comes later.
    for (most, words) in [
        ("3", &["list"][..]),
        ("3", &["listen", "1"]),
        ("8", &["bench", "16:1", "-j", "9", "--own-sockets"]),
    ] {
        let script = format!("ulimit -n {most}; exec \"$@\"");
        let mut limited = Command::new("/bin/busybox");
        limited
            .args(["sh", "-c", &script, "sh"])
            .arg(beside("bin").join("cnctl"))
            .args(words);
        let limited = run(limited.stdin(Stdio::null()))?.expect(2)?;
        ensure!(
            limited.stderr.contains("ulimit -n"),
            "{words:?}: {limited:?}"
        );
    }
    // It could not be done, and the reason is on one line.
    for words in [
        &["frobnicate"][..],
        &["ping"],
        &["ping", "nonsense"],
        &["ping", "16:1", "--size", "16365"],
        &["listen", "33"],
        &["send", "16:1", "--hex", "0"],
        &["send", "16:1", "--file", "/nowhere"],
        &["watch"],
    ] {
        let failed = ended(words, 2)?;
        ensure!(
            failed.stdout.is_empty() && !failed.stderr.is_empty(),
            "{words:?}: {failed:?}"
        );
    }
    Ok(())
}

fn unprivileged() -> Result<()> {
    procfs::require_namespaces("net")?;
    let (_connector, _echo) = Module::load_with_connector("cn_echo", "")?;
    let id = ECHO.to_string();
    let user = |words: &[&str], status| run(cnctl(words).uid(1000).gid(1000))?.expect(status);
    let ping = user(&["ping", &id, "-c", "3", "-i", "0"], 0)?;
    ensure!(
        ping.stdout.contains("3 sent, 3 received, 0 lost"),
        "{ping:?}"
    );
    user(&["list"], 0)?;
    let listen = user(&["listen", "14"], 2)?;
    ensure!(
        listen.stderr.contains("group 14") && listen.stderr.contains("CAP_NET_ADMIN"),
        "{listen:?}"
    );
    user(&["watch"], 2)?;

    for words in [
        &["ping", &id][..],
        &["list"],
        &["sockets"],
        &["listen", "5"],
        &["proc"],
        &["watch"],
    ] {
        let words = [&["unshare", "-n", "cnctl"], words].concat();
        let away = run(Command::new("/bin/busybox").args(&words))?.expect(2)?;
        ensure!(
            away.stderr.contains("network namespace"),
            "{words:?}: {away:?}"
        );
    }
    Ok(())
}

fn in_a_pid_namespace() -> Result<()> {
    procfs::require_process_events()?;
    procfs::require_namespaces("pid")?;
    let contained = ["unshare", "-p", "-f", "cnctl", "proc"];
    let contained = run(Command::new("/bin/busybox").args(contained))?.expect(2)?;
    ensure!(contained.stderr.contains("pid and user"), "{contained:?}");
    Ok(())
}

fn main() -> ExitCode {
    Suite::new()
        .test("list shows what is registered and what is known", list)
        .test(
            "send --wait takes data from everywhere and shows the reply",
            send,
        )
        .test(
            "send says which connector took the message, and if nobody has the id, where that is known",
            send_and_go,
        )
        .test("send --outcome says what became of a request", outcomes)
        .test("send --wait understands w1's answer", send_to_w1)
        .test("sockets shows who listens to what", sockets)
        .test(
            "ping shows each reply, what is missing, and a summary",
            ping,
        )
        .test("bench shows replies and times that are in order", bench)
        .test(
            "bench that cannot start all of its threads ends and says why",
            bench_without_threads,
        )
        .test("ping ends in time, and tells the time", ping_in_time)
        .test(
            "listen shows messages, gaps and losses at their place",
            listen,
        )
        .test(
            "proc shows the life of a process, or what the filter wants",
            proc,
        )
        .test("watch shows what is there and every change", watch)
        .test(
            "watch looks again where notifications are missing",
            watch_with_a_gap,
        )
        .test(
            "the exit status is 0, 1 if something is missing, and 2 on an error",
            statuses,
        )
        .test(
            "without privilege and from other namespaces cnctl works or says why not",
            unprivileged,
        )
        .test(
            "from another pid namespace proc says why it does not",
            in_a_pid_namespace,
        )
        .run()
}
