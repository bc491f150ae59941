// SPDX-License-Identifier: GPL-2.0

//! Process events through a `Connector`: those of known processes, all of them, in order.
//!
//! The order is that of each process, and that in which they were started. That a process has ended
//! is told after its parent could see it, so that what the parent does next may come before.
//!
//! The program starts itself: `node` starts leaves one after the other, which do something and end.

use std::{
    collections::HashMap,
    env, fs,
    os::unix::process::ExitStatusExt,
    process::{Command, ExitCode, ExitStatus, Stdio, exit},
    thread,
};

use anyhow::{Context, Result, anyhow, bail, ensure};
use netlink_connector::{
    Connector, Deadline, Event, Gaps, ProcEvent, ProcEvents,
    proc::{Events, GROUP, ID, What},
};
use nix::{
    sys::signal::{Signal, raise},
    unistd::{Gid, Uid, setresgid, setresuid, setsid},
};
use selftests::{
    Client, Objects, PATIENCE, Suite, no_process_events,
    program::{run, tool},
};

/// What the leaves do, in this order, and how they end.
const LEAVES: [&str; 6] = ["succeed", "fail", "die", "lead", "drop", "rename"];

/// The program's other lives.
fn be(what: &str) -> Result<()> {
    match what {
        "node" => {
            for leaf in LEAVES {
                let mut child = Command::new("/proc/self/exe").arg(leaf).spawn()?;
                println!("{}", child.id());
                child.wait()?;
            }
            exit(5)
        }
        "succeed" => exit(0),
        "fail" => exit(3),
        "die" => raise(Signal::SIGKILL)?,
        "lead" => {
            setsid()?;
        }
        "drop" => {
            let (uid, gid) = (Uid::from_raw(1000), Gid::from_raw(1001));
            setresgid(gid, gid, gid)?;
            setresuid(uid, uid, uid)?;
        }
        "rename" => fs::write("/proc/self/comm", "a new name")?,
        _ => bail!("nobody can be {what}"),
    }
    exit(0)
}

/// An event in words, without times.
fn words(event: &What) -> Option<(i32, String)> {
    let how = |status: ExitStatus| match status.signal() {
        Some(signal) => format!("exit signal {signal}"),
        None => format!("exit {}", status.code().unwrap_or(-1)),
    };
    Some(match *event {
        What::Fork { parent, child } => (child.pid, format!("fork by {}", parent.pid)),
        What::Exec { task } => (task.pid, "exec".to_owned()),
        What::Uid {
            task,
            real,
            effective,
        } => (task.pid, format!("uid {real} {effective}")),
        What::Gid {
            task,
            real,
            effective,
        } => (task.pid, format!("gid {real} {effective}")),
        What::Sid { task } => (task.pid, "sid".to_owned()),
        What::Comm { task, comm } => (task.pid, format!("comm {comm}")),
        What::Exit { task, status, .. } => (task.pid, how(status)),
        _ => return None,
    })
}

/// Starts the tree and waits for its end; returns the node and its leaves.
fn grow() -> Result<(i32, Vec<i32>)> {
    let child = Command::new("/proc/self/exe")
        .arg("node")
        .stdout(Stdio::piped())
        .spawn()?;
    let node = child.id().try_into()?;
    let output = child.wait_with_output()?;
    ensure!(output.status.code() == Some(5), "{:?}", output.status);
    let text = String::from_utf8(output.stdout)?;
    let leaves: Vec<_> = text
        .lines()
        .map(|line| line.parse().context("a process id"))
        .collect::<Result<_>>()?;
    ensure!(leaves.len() == LEAVES.len(), "{text}");
    Ok((node, leaves))
}

/// What a tree must be heard doing, in order.
fn expected(node: i32, leaves: &[i32]) -> Vec<(i32, String)> {
    // CAST: A process id.
    let own = std::process::id() as i32;
    let mut all = vec![(node, format!("fork by {own}")), (node, "exec".to_owned())];
    for (&leaf, what) in leaves.iter().zip(LEAVES) {
        let mut did = |what: &str| all.push((leaf, what.to_owned()));
        did(&format!("fork by {node}"));
        did("exec");
        match what {
            "lead" => did("sid"),
            "drop" => {
                did("gid 1001 1001");
                did("uid 1000 1000");
            }
            "rename" => did("comm a new name"),
            _ => {}
        }
        did(match what {
            "fail" => "exit 3",
            "die" => "exit signal 9",
            _ => "exit 0",
        });
    }
    all.push((node, "exit 5".to_owned()));
    all
}

fn subscribe(events: Events) -> Result<Connector> {
    let connector = Connector::open()?;
    connector.subscribe_proc(events, PATIENCE)?;
    Ok(connector)
}

/// Receives as many events of the expected processes as expected, which must be those. `gaps`
/// watches that nothing is missing.
fn hear(connector: &Connector, expected: &[(i32, String)], mut gaps: Option<Gaps>) -> Result<()> {
    let mut heard = Vec::new();
    let mut times = HashMap::new();
    while heard.len() < expected.len() {
        let message = match connector.recv(PATIENCE)? {
            Event::Message(message) => message,
            other => bail!("{other:?}"),
        };
        let Some(event) = ProcEvent::parse(&message).transpose()? else {
            bail!("this is no process event: {message:?}");
        };
        if let Some(gaps) = &mut gaps {
            let gap = gaps.check_lane(ID, event.cpu, message.header.seq);
            ensure!(gap.is_none(), "{gap:?}");
        }
        let Some((pid, what)) = words(&event.what) else {
            continue;
        };
        if expected.iter().any(|(known, _)| *known == pid) {
            let before = times.insert(pid, event.timestamp);
            ensure!(
                before <= Some(event.timestamp),
                "{event:?} after {before:?}"
            );
            heard.push((pid, what));
        }
    }
    let forks = |all: &[(i32, String)]| -> Vec<_> {
        let forks = all.iter().filter(|(_, what)| what.starts_with("fork"));
        forks.cloned().collect()
    };
    let each = |all: &[(i32, String)]| -> Vec<_> {
        let mut all = all.to_vec();
        // Stable: within a process, the order stays.
        all.sort_by_key(|(pid, _)| *pid);
        all
    };
    ensure!(
        forks(&heard) == forks(expected) && each(&heard) == each(expected),
        "heard {heard:?}, and should have {expected:?}"
    );
    Ok(())
}

fn whole_tree() -> Result<()> {
    let connector = subscribe(Events::ALL)?;
    let (node, leaves) = grow()?;
    hear(&connector, &expected(node, &leaves), Some(Gaps::default()))?;
    Ok(connector.unsubscribe_proc()?)
}

fn filtered() -> Result<()> {
    let connector = subscribe(Events::EXIT | Events::SID)?;
    let (node, leaves) = grow()?;
    let wanted = |text: &str| text == "sid" || text.starts_with("exit");
    let mut expected = expected(node, &leaves);
    expected.retain(|(_, text)| wanted(text));
    hear(&connector, &expected, None)?;

    // Another filter on the same socket.
    connector.subscribe_proc(Events::NONZERO_EXIT, PATIENCE)?;
    while connector.recv(Deadline::NOW).is_ok() {}
    let (node, leaves) = grow()?;
    let ends = [
        (leaves[1], "exit 3"),
        (leaves[2], "exit signal 9"),
        (node, "exit 5"),
    ];
    hear(
        &connector,
        &ends.map(|(pid, text)| (pid, text.to_owned())),
        None,
    )?;
    Ok(connector.unsubscribe_proc()?)
}

fn threads() -> Result<()> {
    let connector = subscribe(Events::FORK | Events::EXIT)?;
    thread::spawn(|| {})
        .join()
        .ok()
        .context("a thread panicked")?;
    // CAST: A process id.
    let own = std::process::id() as i32;
    let mut started = None;
    loop {
        let Event::Message(message) = connector.recv(PATIENCE)? else {
            bail!("a loss");
        };
        match ProcEvent::parse(&message)
            .transpose()?
            .map(|event| event.what)
        {
            Some(What::Fork { child, .. }) if child.pid == own => started = Some(child.tid),
            Some(What::Exit { task, signal, .. }) if Some(task.tid) == started => {
                ensure!(
                    task.pid == own && task.tid != own && signal == -1,
                    "{task:?} {signal}"
                );
                break;
            }
            _ => {}
        }
    }
    Ok(connector.unsubscribe_proc()?)
}

/// Somebody else listens, so that there are events before.
fn from_the_confirmation_on() -> Result<()> {
    let other = subscribe(Events::ALL)?;
    let connector = Connector::open()?;
    connector.join(GROUP)?;
    let (before, _) = grow()?;
    connector.subscribe_proc(Events::ALL, PATIENCE)?;
    let (after, _) = grow()?;
    loop {
        let message = connector.recv(PATIENCE)?.into_message()?;
        let event = ProcEvent::parse(&message).transpose()?;
        match event.and_then(|event| words(&event.what)) {
            // Its end may be told later.
            Some((pid, what)) if pid == before && what.starts_with("fork") => {
                bail!("{what}, before it subscribed")
            }
            Some((pid, what)) if pid == after && what.starts_with("exit") => break,
            _ => {}
        }
    }
    connector.unsubscribe_proc()?;
    Ok(other.unsubscribe_proc()?)
}

fn unsubscribed() -> Result<()> {
    let connector = subscribe(Events::ALL)?;
    connector.unsubscribe_proc()?;
    while connector.recv(Deadline::NOW).is_ok() {}
    grow()?;
    match connector.recv(Deadline::NOW) {
        Err(error) if error.is_timeout() => Ok(()),
        other => bail!("nobody listens, and this comes: {other:?}"),
    }
}

fn many() -> Result<()> {
    const MANY: usize = 200;
    let connector = subscribe(Events::ALL)?;
    connector.set_receive_buffer(16 << 20)?;
    let mut pids = Vec::new();
    for _ in 0..MANY {
        let mut child = Command::new("/bin/busybox").arg("true").spawn()?;
        pids.push(child.id().try_into()?);
        child.wait()?;
    }
    let own = format!("fork by {}", std::process::id());
    let expected: Vec<_> = pids
        .iter()
        .flat_map(|&pid| [own.as_str(), "exec", "exit 0"].map(|text| (pid, text.to_owned())))
        .collect();
    hear(&connector, &expected, Some(Gaps::default()))?;
    Ok(connector.unsubscribe_proc()?)
}

/// Whether the kernel makes no event of a process that is started. It would have made it by the time
/// that the process has been waited for.
fn is_silent(ear: &Client) -> Result<bool> {
    const FORK: [u8; 4] = 1u32.to_ne_bytes();
    while ear.try_recv()?.is_some() {}
    Command::new("/bin/busybox").arg("true").status()?;
    let mut silent = true;
    while let Some(datagram) = ear.try_recv()? {
        silent &= !datagram
            .messages
            .iter()
            .any(|it| it.data.starts_with(&FORK));
    }
    Ok(silent)
}

/// A socket in group 1, after which nobody is counted as a listener who is none: programs of other
/// tests that were killed while they listened. The kernel counts a socket down once more if it asks
/// for something unknown in between.
fn silence() -> Result<Client> {
    let ear = Client::open_in(GROUP.number())?;
    let header = Client::header(ID, 0, 0);
    for _ in 0..1000 {
        if is_silent(&ear)? {
            return Ok(ear);
        }
        let one_less = Client::open_in(GROUP.number())?;
        for operation in [1u32, 2, 99, 2] {
            one_less.send(&header, &operation.to_ne_bytes())?;
        }
    }
    bail!("somebody listens all the time")
}

/// Asks for events and returns early.
fn fails_while_subscribed() -> Result<()> {
    let mut events = ProcEvents::subscribe(Events::ALL)?;
    let nothing: Option<()> = None;
    events.next().context("an event")??;
    nothing.context("it goes wrong")
}

fn nobody_listens_any_more() -> Result<()> {
    drop(subscribe(Events::ALL)?);
    let ear = silence()?;
    type Way = (&'static str, fn() -> Result<()>);
    let ways: [Way; 8] = [
        ("the connector is dropped", || {
            subscribe(Events::ALL).map(drop)
        }),
        ("the filter is changed", || {
            let connector = subscribe(Events::EXEC)?;
            connector.subscribe_proc(Events::ALL, PATIENCE)?;
            Ok(connector.subscribe_proc(Events::EXIT, PATIENCE)?)
        }),
        ("it unsubscribes and leaves", || {
            let connector = subscribe(Events::EXEC)?;
            connector.unsubscribe_proc()?;
            Ok(connector.leave(GROUP)?)
        }),
        ("it begins anew", || {
            let connector = subscribe(Events::EXEC)?;
            connector.unsubscribe_proc()?;
            Ok(connector.subscribe_proc(Events::EXEC, PATIENCE)?)
        }),
        ("nobody waits for the confirmation", || {
            // It comes at once, and is kept for recv.
            let connector = Connector::open()?;
            let _ = connector.subscribe_proc(Events::ALL, Deadline::NOW);
            Ok(())
        }),
        ("the receiver fails", || {
            let failed = thread::spawn(|| {
                Command::new("/bin/busybox").arg("true").status()?;
                fails_while_subscribed()
            });
            while !failed.is_finished() {
                Command::new("/bin/busybox").arg("true").status()?;
            }
            let failed = failed.join().map_err(|_| anyhow!("a panic"))?;
            ensure!(failed.is_err());
            Ok(())
        }),
        ("the receiver panics", || {
            let panicked = thread::spawn(|| {
                let _events = ProcEvents::subscribe(Events::ALL);
                panic!("on purpose");
            });
            ensure!(panicked.join().is_err());
            Ok(())
        }),
        ("the future that reads a stream is cancelled", || {
            let ended = run(tool("examples/stream").arg("0"))?.expect(0)?;
            ensure!(ended.stdout.starts_with("listening\n"), "{ended:?}");
            Ok(())
        }),
    ];
    for (what, way) in ways {
        way().context(what)?;
        ensure!(
            is_silent(&ear)?,
            "{what}, and the kernel goes on to make events"
        );
    }
    Ok(())
}

fn nothing_is_left() -> Result<()> {
    Objects::expect_none_left(200, || subscribe(Events::EXEC).map(drop))?;
    Objects::expect_none_left(200, || {
        let connector = subscribe(Events::ALL)?;
        connector.unsubscribe_proc()?;
        Ok(connector.leave(GROUP)?)
    })
}

fn none_is_not_all() -> Result<()> {
    drop(subscribe(Events::ALL)?);
    let result = Connector::open()?.subscribe_proc(Events::NONE, PATIENCE);
    ensure!(
        matches!(result, Err(netlink_connector::Error::NoEvents)),
        "{result:?}"
    );
    Ok(())
}

fn typed() -> Result<()> {
    drop(subscribe(Events::ALL)?);
    let mut events = ProcEvents::subscribe(Events::EXEC | Events::NONZERO_EXIT)?;
    let child = Command::new("/bin/busybox").arg("false").spawn();
    let mut child = child?;
    let pid = child.id().try_into()?;
    child.wait()?;
    let mut seen = Vec::new();
    while seen.len() < 2 {
        let event = events.recv(PATIENCE)?;
        seen.extend(words(&event.what).filter(|(of, _)| *of == pid));
    }
    let expected = [(pid, "exec".to_owned()), (pid, "exit 1".to_owned())];
    ensure!(seen == expected, "{seen:?}");

    // Whoever iterates can be told to stop.
    let interrupter = events.interrupter()?;
    let iterating = thread::spawn(move || {
        loop {
            if let Some(Err(error)) = events.next() {
                return error;
            }
        }
    });
    interrupter.interrupt();
    let error = iterating.join().map_err(|_| anyhow!("a panic"))?;
    ensure!(
        matches!(error, netlink_connector::Error::Interrupted),
        "{error}"
    );
    Ok(())
}

/// The confirmation shares its way with events, and finds no room if there are too many of them.
fn lost_confirmation() -> Result<()> {
    let _others = subscribe(Events::ALL)?;
    let connector = Connector::builder().receive_buffer(0).open()?;
    connector.join(GROUP)?;
    grow()?;
    match connector.subscribe_proc(Events::ALL, Deadline::NOW) {
        Err(netlink_connector::Error::TimedOut { overrun: true, .. }) => {}
        other => bail!("the confirmation was lost: {other:?}"),
    }
    while connector.recv(Deadline::NOW).is_ok() {}
    Ok(connector.subscribe_proc(Events::ALL, PATIENCE)?)
}

fn main() -> ExitCode {
    if let Some(what) = env::args().nth(1) {
        if let Err(error) = be(&what) {
            eprintln!("{what}: {error:#}");
        }
        return ExitCode::FAILURE;
    }
    Suite::new()
        .skip_if(no_process_events())
        .test(
            "of a known tree of processes every event comes, in order, with how it ended",
            whole_tree,
        )
        .test(
            "the kernel's filter lets through what was asked for, and can be changed",
            filtered,
        )
        .test("a thread is heard as one", threads)
        .test(
            "what others are told before the kernel confirms is no part of it",
            from_the_confirmation_on,
        )
        .test("after unsubscribing nothing comes any more", unsubscribed)
        .test(
            "however a listener ends, the kernel makes no events any more",
            nobody_listens_any_more,
        )
        .test(
            "nothing of a listener is left in the kernel",
            nothing_is_left,
        )
        .test("none of the events is not taken for all", none_is_not_all)
        .test(
            "events come typed, one after the other, until told to stop",
            typed,
        )
        .test(
            "a confirmation that was lost in an overrun is no missing option",
            lost_confirmation,
        )
        .test(
            "of 200 processes that follow each other nothing is missing",
            many,
        )
        .run()
}
