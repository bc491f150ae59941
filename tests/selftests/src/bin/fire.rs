// SPDX-License-Identifier: GPL-2.0

//! Modules come and go while clients send without a pause.
//!
//! The kernel's own checks are half of the verdict: the runner fails a suite whose kernel log has a
//! splat in it. The other half is that no message is lost between a handler and its client, and
//! none is handled that is not counted.

use std::{
    process::ExitCode,
    sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed, Ordering::SeqCst},
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

/// Replies that all senders have got.
type Answered = AtomicU64;

/// Sends to `id` until told to stop.
fn send_until(
    stop: &AtomicBool,
    answered: &Answered,
    id: CbId,
    data: &[u8],
    answer: &[u8],
) -> Result<()> {
    let client = Client::open()?;
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
            answered.fetch_add(1, Relaxed);
        }
    }
    client.expect_nothing()
}

/// Lets all senders loose on `id`, calls `reload` until it is done, and returns how many replies
/// came in all.
fn under_fire(
    id: CbId,
    data: &[u8],
    answer: &[u8],
    reload: impl FnOnce(&Answered) -> Result<()>,
) -> Result<u64> {
    let stop = AtomicBool::new(false);
    let answered = Answered::new(0);
    thread::scope(|scope| {
        let senders: Vec<_> = (0..SENDERS)
            .map(|_| scope.spawn(|| send_until(&stop, &answered, id, data, answer)))
            .collect();
        // Ahead of the senders, who would leave it a third of the time; they have all of it while
        // it waits for the kernel.
        let reloaded = renice(-20).and_then(|()| reload(&answered));
        stop.store(true, Relaxed);
        for sender in senders {
            sender.join().map_err(|_| anyhow!("a sender panicked"))??;
        }
        reloaded?;
        renice(0)
    })?;
    Ok(answered.into_inner())
}

/// Loads a module, and waits until messages got through to it: without that, a reload tests nothing.
fn load_into_traffic(name: &str, answered: &Answered) -> Result<Module> {
    // Each sender may have got a reply from the last one, and not counted it.
    let before = answered.load(Relaxed) + u64::from(SENDERS);
    let module = Module::load(name, "")?;
    wait_for("a message gets through", || {
        Ok((answered.load(Relaxed) > before).then_some(()))
    })?;
    Ok(module)
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
    let replies = under_fire(ECHO, b"data", b"data", |answered| {
        for _ in 0..times(100) {
            load_into_traffic("cn_echo", answered)?.unload()?;
        }
        Ok(())
    })?;
    expect_all_answered(replies)
}

fn sleeper_comes_and_goes() -> Result<()> {
    let _hurry = hurry()?;
    let _connector = Module::load("rust_connector", "")?;
    let replies = under_fire(WAITER, b"nap", b"out", |answered| {
        for _ in 0..times(50) {
            load_into_traffic("ct_gate", answered)?.unload()?;
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
    let answered = Answered::new(0);
    thread::scope(|scope| {
        let hog = scope.spawn(|| hog(&rounds));
        let sender = scope.spawn(|| {
            place(0, 19)?;
            send_until(&rounds.stop, &answered, ECHO, b"data", b"data")
        });
        let reloaded = (|| -> Result<()> {
            place(1, 0)?;
            for round in 1..=count {
                let connector = Module::load("rust_connector", "")?;
                let echo = load_into_traffic("cn_echo", &answered)?;
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
        for ended in [hog.join(), sender.join()] {
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
