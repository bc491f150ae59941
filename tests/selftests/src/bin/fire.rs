// SPDX-License-Identifier: GPL-2.0

//! Modules come and go while clients send without a pause.
//!
//! The kernel's own checks are half of the verdict: the runner fails a suite whose kernel log has a
//! splat in it. The other half is that no message is lost between a handler and its client, and
//! none is handled that is not counted.

use std::{
    process::ExitCode,
    sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed, Ordering::SeqCst},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, anyhow, ensure};
use nix::{
    sched::{CpuSet, sched_setaffinity},
    unistd::gettid,
};
use selftests::{
    CbId, Client, ECHO, Module, Stats, Suite, core_is_ours, hurry, renice, skip, times, wait_for,
};

const SENDERS: u32 = 4;
const WAITER: CbId = CbId { idx: 30, val: 1 };

/// Sends to `id` until told to stop, and returns how many replies came.
fn send_until(stop: &AtomicBool, id: CbId, data: &[u8], answer: &[u8]) -> Result<u64> {
    let client = Client::open()?;
    let mut replies = 0;
    for seq in 0.. {
        if stop.load(Relaxed) {
            break;
        }
        let request = Client::header(id, seq, !seq);
        client.send(&request, data)?;
        // It is there now, or it never comes.
        if let Some(datagram) = client.try_recv()? {
            let reply = datagram.single()?;
            ensure!(
                reply.header.is_reply_to(&request) && reply.data == answer,
                "to {request:?} came {reply:?}"
            );
            replies += 1;
        }
    }
    client.expect_nothing()?;
    Ok(replies)
}

/// Lets all senders loose on `id`, calls `reload` until it is done, and returns how many replies
/// came in all.
fn under_fire(
    id: CbId,
    data: &[u8],
    answer: &[u8],
    reload: impl FnOnce() -> Result<()>,
) -> Result<u64> {
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let senders: Vec<_> = (0..SENDERS)
            .map(|_| scope.spawn(|| send_until(&stop, id, data, answer)))
            .collect();
        // Ahead of the senders, who would leave it a third of the time; they have all of it while
        // it waits for the kernel.
        let reloaded = renice(-20).and_then(|()| reload());
        stop.store(true, Relaxed);
        let mut replies = 0;
        for sender in senders {
            replies += sender.join().map_err(|_| anyhow!("a sender panicked"))??;
        }
        reloaded?;
        renice(0)?;
        Ok(replies)
    })
}

/// Waits until messages got through to the module that was just loaded: without that, a reload
/// tests nothing.
fn wait_for_traffic(received: &mut u64) -> Result<()> {
    *received = wait_for("a message gets through", || {
        let now = Stats::total()?.received;
        Ok((now > *received).then_some(now))
    })?;
    Ok(())
}

/// Fails unless all that was received was answered, and all answers arrived.
fn expect_all_answered(replies: u64) -> Result<()> {
    let total = Stats::total()?;
    ensure!(
        total.received == replies && total.replied == replies,
        "{replies} replies came, and the counters say {total:?}"
    );
    ensure!(total.dropped() == 0 && total.running == 0, "{total:?}");
    println!("# {replies} messages were answered");
    Ok(())
}

fn echo_comes_and_goes() -> Result<()> {
    let _hurry = hurry()?;
    let _connector = Module::load("rust_connector", "")?;
    let replies = under_fire(ECHO, b"data", b"data", || {
        let mut received = 0;
        for _ in 0..times(100) {
            let echo = Module::load("cn_echo", "")?;
            wait_for_traffic(&mut received)?;
            echo.unload()?;
        }
        Ok(())
    })?;
    expect_all_answered(replies)
}

fn sleeper_comes_and_goes() -> Result<()> {
    let _hurry = hurry()?;
    let _connector = Module::load("rust_connector", "")?;
    let replies = under_fire(WAITER, b"nap", b"out", || {
        let mut received = 0;
        for _ in 0..times(50) {
            let gate = Module::load("ct_gate", "")?;
            wait_for_traffic(&mut received)?;
            gate.unload()?;
        }
        Ok(())
    })?;
    expect_all_answered(replies)
}

/// What the threads of the next test tell each other: the number of a round.
#[derive(Default)]
struct Rounds {
    /// The hog shall take the CPU away.
    wanted: AtomicU32,
    /// It has.
    taken: AtomicU32,
    /// It can give it back.
    over: AtomicU32,
    stop: AtomicBool,
}

/// Puts the calling thread on one CPU, with a nice level.
fn place(cpu: usize, nice: i32) -> Result<()> {
    let mut cpus = CpuSet::new();
    cpus.set(cpu)?;
    sched_setaffinity(gettid(), &cpus)?;
    renice(nice)
}

/// Takes the CPU away from whoever has it, at a moment that nobody chose, until the round is over.
fn hog(rounds: &Rounds) -> Result<()> {
    place(0, -20)?;
    for round in 1.. {
        while rounds.wanted.load(SeqCst) < round {
            if rounds.stop.load(SeqCst) {
                return Ok(());
            }
            thread::sleep(Duration::from_micros(100));
        }
        rounds.taken.store(round, SeqCst);
        // Until rmmod has had the time to take everything away; but not for long if that waits for
        // a handler which has been preempted too.
        let limit = Instant::now() + Duration::from_millis(500);
        let mut end = limit;
        while Instant::now() < end {
            if end == limit && rounds.over.load(SeqCst) >= round {
                end = Instant::now() + Duration::from_millis(200);
            }
        }
    }
    Ok(())
}

/// The core finds an id, lets go of its lock, and calls. A task that is preempted in between is seen
/// by nobody; when it goes on, the code that it calls must still be there.
///
/// A sender shares its CPU with a hog that takes it away while the module and `rust_connector` are
/// unloaded on another one. A crowd of ids makes the core search for long, under its lock and with
/// softirqs off; an interrupt that comes meanwhile has its effect just where the lock is given back.
fn preempted_sender(count: u32) -> Result<()> {
    if thread::available_parallelism()?.get() < 2 {
        return skip("this takes two CPUs");
    }
    if core_is_ours() {
        return skip(
            "the connector finds ids under no lock, and its module stays while a socket is open",
        );
    }
    let _crowd = Module::load("ct_crowd", "")?;
    let rounds = Rounds::default();
    thread::scope(|scope| {
        let hog = scope.spawn(|| hog(&rounds));
        let sender = scope.spawn(|| {
            place(0, 19)?;
            send_until(&rounds.stop, ECHO, b"data", b"data")
        });
        let reloaded = (|| -> Result<()> {
            place(1, 0)?;
            for round in 1..=count {
                let (connector, echo) = Module::load_with_connector("cn_echo", "")?;
                wait_for_traffic(&mut 0)?;
                rounds.wanted.store(round, SeqCst);
                while rounds.taken.load(SeqCst) < round {
                    thread::yield_now();
                }
                let echo = echo.unload();
                rounds.over.store(round, SeqCst);
                echo?;
                connector.unload()?;
            }
            Ok(())
        })();
        rounds.over.store(u32::MAX, SeqCst);
        rounds.stop.store(true, SeqCst);
        for ended in [hog.join().map(|r| r.map(|()| 0)), sender.join()] {
            ended.map_err(|_| anyhow!("a thread panicked"))??;
        }
        reloaded
    })
}

fn main() -> ExitCode {
    Suite::new()
        .test(
            "4 senders in a loop get an answer to all that was received while cn_echo is reloaded 100 times",
            echo_comes_and_goes,
        )
        .test(
            "so they do while a module whose handler sleeps is reloaded 50 times",
            sleeper_comes_and_goes,
        )
        .test(
            "a sender that is preempted anywhere may go on after both modules were to go",
            || preempted_sender(times(10)),
        )
        .run()
}
