// SPDX-License-Identifier: GPL-2.0

//! Unloading a module while its handlers run: it waits for its own handlers, and for no others.
//!
//! The handlers of `ct_gate` stay inside until they are told to go on. So the tests see in which
//! order things happen, and never ask how long they take.

use std::{
    env,
    io::{BufRead, BufReader},
    os::unix::process::ExitStatusExt,
    process::{Command, ExitCode, Stdio},
    sync::Arc,
    thread,
};

use anyhow::{Context, Result, bail, ensure};
use selftests::{
    CbId, Client, ECHO, Module, Stats, Suite, Unloading, debugfs,
    notify::{Change, Ids, Listener, expect_done},
    procfs, unload_in_background, wait_for,
};

const WAITER: CbId = CbId { idx: 30, val: 1 };
const GROUP: u32 = 2;
const OPENER: CbId = CbId { idx: 30, val: 2 };

/// A client whose `sendmsg(2)` does not return, because the handler stays inside.
struct Inside {
    client: Arc<Client>,
    seq: u32,
}

impl Inside {
    /// Sends from a thread of its own, and returns when the handler is inside.
    fn enter(seq: u32) -> Result<Self> {
        // The thread outlives the test if the kernel never lets it go; so must the socket.
        let client = Arc::new(Client::open()?);
        let sender = client.clone();
        thread::spawn(move || sender.send(&Client::header(WAITER, seq, 0), b"wait"));
        let message = client.recv()?.single()?;
        ensure!(message.data == b"in", "the handler said {message:?}");
        Ok(Self { client, seq })
    }

    /// Whether the handler is still inside.
    fn is_inside(&self) -> Result<bool> {
        match self.client.try_recv()? {
            None => Ok(true),
            Some(datagram) => {
                let message = datagram.single()?;
                ensure!(message.data == b"out", "the handler said {message:?}");
                ensure!(message.header.seq == self.seq, "a reply to another message");
                Ok(false)
            }
        }
    }

    /// Fails unless the handler is inside.
    fn expect_inside(&self) -> Result<()> {
        ensure!(self.is_inside()?, "the handler went on by itself");
        Ok(())
    }
}

/// Lets one handler go on.
fn open_gate() -> Result<()> {
    Client::open()?.send(&Client::header(OPENER, 0, 0), b"open")
}

/// Starts to unload `ct_gate`, and returns when that waits for handlers.
fn begin_unload(gate: Module) -> Result<Unloading> {
    let mut unloading = unload_in_background(gate)?;
    wait_for("rmmod takes the id away", || {
        Ok((!procfs::is_registered(WAITER)?).then_some(()))
    })?;
    wait_for("rmmod waits for the handler", || {
        if unloading.is_over()? {
            bail!("rmmod was done while a handler ran");
        }
        Ok(unloading.is_waiting()?.then_some(()))
    })?;
    Ok(unloading)
}

fn waits_for_handler() -> Result<()> {
    let (_connector, gate) = Module::load_with_connector("ct_gate", "")?;
    let inside = Inside::enter(1)?;
    let unloading = begin_unload(gate)?;
    inside.expect_inside()?;
    ensure!(procfs::is_loaded("ct_gate")?, "ct_gate is gone");
    open_gate()?;
    unloading.wait()?;
    // The handler answered before it left, and rmmod was done after that: no need to wait.
    ensure!(!inside.is_inside()?, "rmmod was done before the handler");
    ensure!(!procfs::is_loaded("ct_gate")?, "ct_gate is still there");
    Ok(())
}

fn waits_for_the_last_of_many() -> Result<()> {
    let (_connector, gate) = Module::load_with_connector("ct_gate", "")?;
    let mut inside = (0..8).map(Inside::enter).collect::<Result<Vec<_>>>()?;
    if debugfs::is_there()? {
        let running = Stats::of(WAITER)?.running;
        ensure!(running == 8, "8 handlers are inside, {running} are counted");
    }
    let mut unloading = begin_unload(gate)?;
    while inside.len() > 1 {
        open_gate()?;
        let left = wait_for("a handler goes on", || {
            for (at, handler) in inside.iter().enumerate() {
                if !handler.is_inside()? {
                    return Ok(Some(at));
                }
            }
            Ok(None)
        })?;
        inside.remove(left);
        ensure!(
            !unloading.is_over()?,
            "rmmod was done with {} handlers inside",
            inside.len()
        );
    }
    if debugfs::is_there()? {
        let total = Stats::total()?;
        ensure!(
            (total.received, total.replied, total.running) == (8 + 7, 8 + 7, 1),
            "8 came in, 7 were let go and 1 is inside, and the counters say {total:?}"
        );
    }
    open_gate()?;
    unloading.wait()?;
    ensure!(!inside[0].is_inside()?, "rmmod was done before the handler");
    Ok(())
}

fn turns_away_while_it_waits() -> Result<()> {
    let (_connector, gate) = Module::load_with_connector("ct_gate", "")?;
    let inside = Inside::enter(1)?;
    let unloading = begin_unload(gate)?;
    let late = Client::open()?;
    for seq in 0..100 {
        late.send(&Client::header(WAITER, seq, 0), b"no wait")?;
    }
    late.expect_nothing()?;
    open_gate()?;
    unloading.wait()?;
    late.expect_nothing()?;
    ensure!(!inside.is_inside()?, "rmmod was done before the handler");
    let total = Stats::total()?;
    ensure!(
        (total.received, total.replied) == (2, 2),
        "`wait` and `open` came in, and `in` and `out` went out, but these are counted: {total:?}"
    );
    Ok(())
}

fn others_do_not_wait() -> Result<()> {
    let (_connector, gate) = Module::load_with_connector("ct_gate", "")?;
    let echo = Module::load("cn_echo", "")?;
    let inside = Inside::enter(1)?;
    // While the handler runs, and nobody waits for it.
    unload_in_background(echo)?.wait()?;
    inside.expect_inside()?;
    // While somebody waits for it: loading, using, counting and unloading go on.
    let mut unloading = begin_unload(gate)?;
    let echo = Module::load("cn_echo", "")?;
    Client::open()?.expect_echo(&Client::header(ECHO, 1, 1), b"hello")?;
    if debugfs::is_there()? {
        let stats = Stats::of(ECHO)?;
        ensure!(stats.received == 1, "{stats:?}");
    }
    unload_in_background(echo)?.wait()?;
    inside.expect_inside()?;
    ensure!(!unloading.is_over()?, "rmmod ct_gate was done too early");
    open_gate()?;
    unloading.wait()?;
    ensure!(!inside.is_inside()?, "rmmod was done before the handler");
    Ok(())
}

/// The client's side of the next test: a process that does not return from its `sendmsg(2)`, and says
/// when the handler is inside.
fn wait_inside() -> Result<()> {
    Inside::enter(1)?;
    println!("inside");
    loop {
        thread::park();
    }
}

fn killed_client() -> Result<()> {
    let (_connector, gate) = Module::load_with_connector("ct_gate", "")?;
    let mut client = Command::new("/proc/self/exe")
        .arg("inside")
        .stdout(Stdio::piped())
        .spawn()?;
    let mut said = String::new();
    let output = client.stdout.take().context("no output")?;
    BufReader::new(output).read_line(&mut said)?;
    ensure!(said == "inside\n", "the client said {said:?}");
    client.kill()?;
    let mut unloading = begin_unload(gate)?;
    ensure!(
        client.try_wait()?.is_none(),
        "the client died in the handler"
    );
    ensure!(!unloading.is_over()?, "rmmod was done while a handler ran");
    open_gate()?;
    unloading.wait()?;
    let status = client.wait()?;
    ensure!(status.signal() == Some(9), "the client ended with {status}");
    Ok(())
}

fn id_is_free_at_once() -> Result<()> {
    let (_connector, gate) = Module::load_with_connector("ct_gate", "")?;
    let _notify = Module::load("cn_notify", "")?;
    let (asker, mut listener) = (Client::open()?, Listener::new(GROUP)?);
    expect_done(&asker, &Ids::one(WAITER), GROUP)?;
    let inside = Inside::enter(1)?;
    let unloading = begin_unload(gate)?;
    let echo = Module::load("cn_echo", "idx=30 val=1")?;
    // To the new one, while a handler of the last one runs.
    Client::open()?.expect_echo(&Client::header(WAITER, 1, 1), b"wait")?;
    // Which the new one does not wait for.
    echo.unload()?;
    let _echo = Module::load("cn_echo", "idx=30 val=1")?;
    inside.expect_inside()?;
    open_gate()?;
    unloading.wait()?;
    ensure!(!inside.is_inside()?, "rmmod was done before the handler");
    Client::open()?.expect_echo(&Client::header(WAITER, 1, 1), b"wait")?;
    // Who listens is told in that order, too.
    expect_done(&asker, &Ids::one(WAITER), GROUP)?;
    listener.expect(&[Change::Went(WAITER), Change::Came(WAITER)].repeat(2))
}

fn main() -> ExitCode {
    if env::args().nth(1).as_deref() == Some("inside") {
        return match wait_inside() {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        };
    }
    Suite::new()
        .test(
            "rmmod waits until a running handler has returned",
            waits_for_handler,
        )
        .test(
            "rmmod waits until the last of 8 running handlers has returned",
            waits_for_the_last_of_many,
        )
        .test(
            "messages that come while rmmod waits are neither handled nor counted, but replies are",
            turns_away_while_it_waits,
        )
        .test(
            "a handler that stays inside holds up nobody but its own module",
            others_do_not_wait,
        )
        .test(
            "a client that is killed while its handler runs dies when that has returned",
            killed_client,
        )
        .test(
            "an id is free at once, while its last handlers run, and these are waited for all the same",
            id_is_free_at_once,
        )
        .run()
}
