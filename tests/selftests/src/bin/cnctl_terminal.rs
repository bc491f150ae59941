// SPDX-License-Identifier: GPL-2.0

//! `cnctl` for people: colours on a terminal and nowhere else, and Ctrl-C.

use std::{
    fs,
    process::{Command, ExitCode},
};

use anyhow::{Context, Result, ensure};
use nix::{sys::signal::Signal, unistd::pipe};
use selftests::{
    Module, Suite, procfs,
    program::{Running, run, tool},
    puppet::Puppet,
    wait_for,
};

const PING: [&str; 6] = ["cnctl", "ping", "16:1", "-c", "1", "-q"];
/// What every colour begins with.
const ESCAPE: char = '\x1b';

fn colours() -> Result<()> {
    let (_connector, _echo) = Module::load_with_connector("cn_echo", "")?;
    let on_terminal = |words: &[&str], variables: &[(&str, &str)]| -> Result<String> {
        let ended = Running::start_on_terminal(words, variables)?.wait()?;
        Ok(ended.expect(0)?.stdout)
    };
    let plain = on_terminal(&PING, &[])?;
    ensure!(
        plain.contains("PING \x1b[1m16:1\x1b[0m") && plain.contains("\x1b[32m0 lost (0%)\x1b[0m"),
        "on a terminal there should be colours: {plain:?}"
    );
    let empty = on_terminal(&PING, &[("NO_COLOR", "")])?;
    ensure!(empty.contains(ESCAPE), "NO_COLOR is empty: {empty:?}");

    let without = [
        on_terminal(&PING, &[("NO_COLOR", "1")])?,
        on_terminal(&[&PING[..], &["--color", "never"]].concat(), &[])?,
        on_terminal(&[&PING[..], &["--json"]].concat(), &[])?,
        run(tool("cnctl").args(&PING[1..]).env_remove("NO_COLOR"))?.stdout,
    ];
    for text in without {
        ensure!(
            !text.contains(ESCAPE) && text.contains("16:1"),
            "there should be no colours: {text:?}"
        );
    }
    let always = run(tool("cnctl").args(&PING[1..]).args(["--color", "always"]))?;
    ensure!(always.stdout.contains(ESCAPE), "{always:?}");
    Ok(())
}

/// As they come when they are piped to another program, there is nothing cut.
fn narrow() -> Result<()> {
    let _core = Module::load_core()?;
    for words in ["list --known", "sockets", "list --known --color always"] {
        let whole = run(tool("cnctl").args(words.split(' ')))?.expect(0)?;
        let script = format!("stty rows 20 cols 40; exec cnctl {words}");
        let cut = Running::start_on_terminal(&["sh", "-c", &script], &[("NO_COLOR", "1")])?;
        let cut = cut.wait()?.expect(0)?;
        ensure!(
            whole.stdout.lines().count() == cut.stdout.lines().count() && !cut.stdout.is_empty(),
            "{whole:?} {cut:?}"
        );
        for line in cut.stdout.lines() {
            let columns = line
                .trim_end()
                .replace("\x1b[0m", "")
                .replace("\x1b[1m", "");
            ensure!(columns.chars().count() <= 40, "{line:?}");
        }
        ensure!(!whole.stdout.contains('\u{2026}'), "{whole:?}");
        ensure!(
            words == "sockets" || cut.stdout.contains('\u{2026}'),
            "{cut:?}"
        );
    }
    Ok(())
}

/// What a terminal would obey, beside the control characters: marks that turn the direction of a line,
/// and ends of lines.
const TURNS: &[char] = &[
    '\u{61c}', '\u{200e}', '\u{200f}', '\u{202a}', '\u{202b}', '\u{202c}', '\u{202d}', '\u{202e}',
    '\u{2066}', '\u{2067}', '\u{2068}', '\u{2069}', '\u{2028}', '\u{2029}',
];

/// The comm of this process, for as long as this is there.
struct Comm(String);

impl Comm {
    fn change(comm: &str) -> Result<Self> {
        let before = fs::read_to_string("/proc/self/comm")?;
        fs::write("/proc/self/comm", comm)?;
        Ok(Self(before))
    }
}

impl Drop for Comm {
    fn drop(&mut self) {
        let _ = fs::write("/proc/self/comm", self.0.trim_end());
    }
}

/// Services and processes have whatever names they like.
fn obeyed() -> Result<()> {
    // It has a service with such a name; this process has a socket.
    let _puppet = Puppet::load()?;
    let _comm = Comm::change("\x1b[31m\u{2066}me")?;
    let is_calm = |c: char| c == '\n' || !c.is_control() && !TURNS.contains(&c);
    for (words, shown) in [
        ("list", "strings \\u{1b}[31m\\u{202e}\\xff"),
        ("watch --list", "strings \\u{1b}[31m\\u{202e}\\xff"),
        (
            "ping 30:9 -c 1 -W 0.05",
            "(strings \\u{1b}[31m\\u{202e}\\xff)",
        ),
        ("sockets", "\\u{1b}[31m\\u{2066}me"),
        // Not UTF-8: an array of bytes.
        ("list --json", "[115,116,114,105,110,103,115,32,27,"),
        ("sockets --json", "\\u001b[31m\\u2066me"),
    ] {
        let text = run(tool("cnctl").args(words.split(' ')))?.stdout;
        ensure!(text.contains(shown), "{words}: {text:?}");
        ensure!(text.chars().all(is_calm), "{words}: {text:?}");
    }
    Ok(())
}

fn bad_is_red() -> Result<()> {
    let _core = Module::load_core()?;
    let words = ["cnctl", "ping", "77:77", "-c", "1", "-W", "0.05"];
    let ended = Running::start_on_terminal(&words, &[])?.wait()?.expect(1)?;
    ensure!(
        ended.stdout.contains("\x1b[31m77:77 seq=1: no reply")
            && ended.stdout.contains("\x1b[31m1 lost (100%)"),
        "{ended:?}"
    );
    Ok(())
}

fn interrupted_ping() -> Result<()> {
    let (_connector, _echo) = Module::load_with_connector("cn_echo", "")?;
    // The first reply comes at once, the next request after an hour.
    let words = ["cnctl", "ping", "16:1", "-i", "3600"];
    let mut ping = Running::start_on_terminal(&words, &[])?;
    ping.lines_until(|line| line.contains("bytes from 16:1: seq=1"))?;
    ping.press("\x03")?;
    let ended = ping.wait()?.expect(0)?;
    ensure!(
        ended.stdout.contains("1 sent, 1 received") && ended.stdout.contains("rtt min/avg/max"),
        "{ended:?}"
    );
    ensure!(ended.stdout.matches("sent,").count() == 1, "{ended:?}");
    Ok(())
}

fn interrupted_wait() -> Result<()> {
    // Somebody who does not answer.
    let _puppet = Puppet::load()?;
    let words = ["cnctl", "ping", "30:8", "-W", "3600", "-v"];
    let mut ping = Running::start_on_terminal(&words, &[])?;
    ping.lines_until(|line| line.contains("> 30:8 seq=1"))?;
    ping.press("\x03")?;
    let ended = ping.wait()?.expect(1)?;
    ensure!(ended.stdout.contains("1 sent, 0 received"), "{ended:?}");
    Ok(())
}

fn interim() -> Result<()> {
    let (_connector, _echo) = Module::load_with_connector("cn_echo", "")?;
    let words = ["cnctl", "ping", "16:1", "-i", "3600"];
    let mut ping = Running::start_on_terminal(&words, &[])?;
    ping.lines_until(|line| line.contains("seq=1"))?;
    for _ in 0..2 {
        // SIGQUIT, which it survives.
        ping.press("\x1c")?;
        ping.lines_until(|line| line.contains("1/1 replies, 0% lost, min/avg/max = "))?;
    }
    ping.press("\x03")?;
    let ended = ping.wait()?.expect(0)?;
    ensure!(ended.stdout.contains("1 sent, 1 received"), "{ended:?}");
    Ok(())
}

/// A dot for each message; that of one whose reply came is taken back.
fn flood() -> Result<()> {
    let (_connector, _echo) = Module::load_with_connector("cn_echo", "")?;
    for (id, status, dots) in [
        ("16:1", 0, ".\x08 \x08.\x08 \x08.\x08 \x08\r\n"),
        ("77:77", 1, "...\r\n"),
    ] {
        let words = ["cnctl", "ping", id, "-f", "-c", "3", "-W", "0.05"];
        let ended = Running::start_on_terminal(&words, &[])?.wait()?;
        let text = ended.expect(status)?.stdout;
        ensure!(text.contains(dots) && text.contains("3 sent, "), "{text:?}");
    }
    Ok(())
}

/// Waits until a program has so many threads.
fn wait_for_threads(program: &Running, count: usize) -> Result<()> {
    wait_for("threads", || {
        let threads = fs::read_dir(format!("/proc/{}/task", program.pid()))?.count();
        Ok((threads == count).then_some(()))
    })
}

fn interrupted_bench() -> Result<()> {
    let (_connector, _echo) = Module::load_with_connector("cn_echo", "")?;
    let words = [
        "sh",
        "-c",
        "echo begins; exec cnctl bench 16:1 -t 3600 -j 2",
    ];
    let mut bench = Running::start_on_terminal(&words, &[])?;
    bench.lines_until(|line| line.contains("begins"))?;
    // Before it waits for the signal, that ends it.
    wait_for_threads(&bench, 4).context("two threads that measure")?;
    bench.press("\x03")?;
    let ended = bench.wait()?.expect(0)?;
    ensure!(
        ended.stdout.contains(" a second; 0 lost") && ended.stdout.contains("round trip, "),
        "{ended:?}"
    );
    Ok(())
}

fn interrupted_send() -> Result<()> {
    let _puppet = Puppet::load()?;
    let words = ["cnctl", "send", "30:8", "data", "--wait", "-W", "3600"];
    let mut send = Running::start_on_terminal(&words, &[])?;
    wait_for_threads(&send, 2).context("one that waits for the signal")?;
    send.press("\x03")?;
    let ended = send.wait()?.expect(1)?;
    ensure!(
        ended.stdout.contains("sent  30:8 ") && ended.stdout.contains("ended before a reply came"),
        "{ended:?}"
    );
    Ok(())
}

fn interrupted_proc() -> Result<()> {
    procfs::require_process_events()?;
    let mut proc = Running::start_on_terminal(&["cnctl", "proc"], &[])?;
    // The title is shown once it listens.
    proc.lines_until(|line| line.contains("WHAT"))?;
    let mut child = Command::new("/bin/busybox").args(["sleep", "0"]).spawn()?;
    let pid = format!(" {} ", child.id());
    child.wait()?;
    let lines = proc.lines_until(|line| line.contains(&pid) && line.contains("exit"))?;
    ensure!(
        lines
            .iter()
            .any(|line| line.contains(&pid) && line.contains("\x1b[32mexec")),
        "{lines:#?}"
    );
    proc.press("\x03")?;
    proc.wait()?.expect(0)?;
    Ok(())
}

/// What was ignored at the start stays ignored, as `nohup` means it.
fn ignored() -> Result<()> {
    let _core = Module::load_core()?;
    let script = "trap '' HUP INT; exec cnctl listen 5 --json";
    let mut command = Command::new("/bin/busybox");
    let listening = Running::start(command.args(["sh", "-c", script]))?;
    listening.wait_until_in(5)?;
    listening.signal(Signal::SIGHUP)?;
    listening.signal(Signal::SIGINT)?;
    // The kernel drops a signal that is ignored, unless it is blocked: then somebody waits for it.
    let status = fs::read_to_string(format!("/proc/{}/status", listening.pid()))?;
    let mask = status.lines().find_map(|line| line.strip_prefix("SigBlk:"));
    let mask = u64::from_str_radix(mask.context("no mask")?.trim(), 16)?;
    ensure!(mask & 0b11 == 0, "they are waited for: {status}");
    listening.wait_until_in(5)?;
    listening.signal(Signal::SIGTERM)?;
    listening.wait()?.expect(0)?;
    Ok(())
}

fn quit() -> Result<()> {
    let _core = Module::load_core()?;
    let mut listening = Running::start_on_terminal(&["cnctl", "listen", "5"], &[])?;
    listening.wait_until_in(5)?;
    listening.press("\x1c")?;
    listening.wait()?.expect(0)?;
    Ok(())
}

fn nobody_reads() -> Result<()> {
    let (reader, writer) = pipe()?;
    drop(reader);
    let output = tool("cnctl")
        .args(["list", "--known"])
        .stdout(writer)
        .output()?;
    ensure!(
        output.status.success() && output.stderr.is_empty(),
        "{output:?}"
    );
    Ok(())
}

fn main() -> ExitCode {
    Suite::new()
        .test(
            "there are colours on a terminal, and none elsewhere or where they are not wanted",
            colours,
        )
        .test(
            "a table ends where a narrow terminal does, and is whole elsewhere",
            narrow,
        )
        .test("no name that others chose is obeyed by a terminal", obeyed)
        .test("what is missing is red", bad_is_red)
        .test("Ctrl-C ends ping with the summary, once", interrupted_ping)
        .test(
            "Ctrl-C ends a ping that waits for its reply",
            interrupted_wait,
        )
        .test("SIGQUIT has ping tell what came so far", interim)
        .test("a flood leaves a dot for what did not come", flood)
        .test(
            "Ctrl-C ends bench with what it has measured",
            interrupted_bench,
        )
        .test(
            "Ctrl-C ends a send that waits, and tells what was sent",
            interrupted_send,
        )
        .test(
            "proc shows processes in columns until Ctrl-C",
            interrupted_proc,
        )
        .test(
            "signals that were ignored at the start stay ignored",
            ignored,
        )
        .test("SIGQUIT ends listen in order", quit)
        .test("a reader that went away is no error", nobody_reads)
        .run()
}
