// SPDX-License-Identifier: GPL-2.0

//! Modules come and go in random order while tasks send to them, join and leave groups, and close
//! their sockets, all without a pause.
//!
//! `fire` checks that no message is lost meanwhile. Here the kernel's own checks are the verdict,
//! that everything ends, and that the memory at the end is that of the start.

use std::{
    io,
    process::ExitCode,
    sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    thread,
};

use anyhow::{Context, Result, anyhow, ensure};
use fastrand::Rng;
use nix::errno::Errno;
use selftests::{
    CbId, Client, Module, Objects, Setting, Stats, Suite, core_is_module, datagram, debugfs, hurry,
    notify::NOTIFY, pattern, procfs, quiet, renice, seed, times,
};

/// What comes and goes, and an id of each.
const MODULES: [(&str, CbId); 5] = [
    ("cn_echo", CbId { idx: 16, val: 1 }),
    ("cn_notify", NOTIFY),
    (
        "cn_test",
        CbId {
            idx: 14,
            val: 0x457,
        },
    ),
    ("ct_gate", CbId { idx: 30, val: 1 }),
    ("ct_reply", CbId { idx: 30, val: 6 }),
];

const TASKS: u64 = 8;

/// How often `rust_connector` comes and goes.
const ROUNDS: u32 = 50;

/// How often the others do, each time.
const LOADS: usize = 40;

/// What tasks are told.
#[derive(Default)]
struct Tasks {
    stop: AtomicBool,
    /// To have no socket: an open one keeps our own connector loaded.
    close: AtomicBool,
    /// How many replies they have read.
    replies: AtomicU64,
}

/// Whether this came from one of the modules, and is no broadcast.
fn is_reply(datagram: &[u8]) -> bool {
    let id = datagram.get(16..24).unwrap_or_default();
    MODULES
        .iter()
        .any(|(_, CbId { idx, val })| [*idx, *val].map(u32::to_ne_bytes).concat() == id)
}

/// What a task does until told to stop. Returns how many messages it sent.
fn rage(rng: &mut Rng, tasks: &Tasks) -> Result<u64> {
    // What loading a module waits for is done by others, who should not have to wait for us.
    renice(19)?;
    let mut open = None;
    let mut sent = 0;
    while !tasks.stop.load(Relaxed) {
        // Nobody waits for more than one message of each task.
        thread::yield_now();
        if tasks.close.load(Relaxed) {
            open = None;
            continue;
        }
        let client = match open.take().map_or_else(Client::open, Ok) {
            Ok(client) => open.insert(client),
            // There is none for now.
            Err(_) if core_is_module() => continue,
            Err(error) => return Err(error),
        };
        match rng.u32(..100) {
            0..4 => tolerate(client.join(rng.u32(1..=34)), Errno::EINVAL)?,
            4..8 => tolerate(client.leave(rng.u32(1..=34)), Errno::EINVAL)?,
            8 => open = None,
            9..20 => {
                let received = client.recv_raw().map(|datagram| {
                    let replies = u64::from(is_reply(&datagram));
                    tasks.replies.fetch_add(replies, Relaxed);
                });
                tolerate(received, Errno::EAGAIN)?;
            }
            _ => {
                let (_, id) = rng.choice(MODULES).context("no module")?;
                let header = Client::header(id, rng.u32(..), rng.u32(..));
                let data = match rng.u32(..10) {
                    0 => b"nap".to_vec(),
                    1 => pattern(1, 4096),
                    _ => pattern(2, rng.usize(..64)),
                };
                client.send_raw(&datagram(&header, &data))?;
                sent += 1;
            }
        }
    }
    Ok(sent)
}

/// Such an error is to be expected, and so is the one that tells of a full buffer.
fn tolerate(result: io::Result<()>, expected: Errno) -> Result<()> {
    match result {
        Err(error)
            if ![expected, Errno::ENOBUFS]
                .contains(&Errno::from_raw(error.raw_os_error().unwrap_or(0))) =>
        {
            Err(error.into())
        }
        _ => Ok(()),
    }
}

/// Loads and unloads modules at random until there were enough loads; then they all go. Returns how
/// many messages reached a handler, where the kernel tells.
fn round(rng: &mut Rng, tasks: &Tasks) -> Result<Option<u64>> {
    let connector = Module::load("rust_connector", "")?;
    let mut loaded: Vec<Option<Module>> = MODULES.iter().map(|_| None).collect();
    let mut loads = 0;
    while loads < LOADS {
        let at = rng.usize(..MODULES.len());
        match loaded[at].take() {
            Some(module) => module.unload()?,
            None => {
                loaded[at] = Some(Module::load(MODULES[at].0, "")?);
                loads += 1;
            }
        }
    }
    rng.shuffle(&mut loaded);
    loaded.into_iter().flatten().try_for_each(Module::unload)?;
    let total = match debugfs::is_there()? {
        true => Some(Stats::total()?),
        false => None,
    };
    ensure!(total.is_none_or(|total| total.running == 0), "{total:?}");
    tasks.close.store(core_is_module(), Relaxed);
    // Waits for the sockets to be closed.
    drop(connector);
    ensure!(!procfs::is_loaded("cn")? && !procfs::is_loaded("rust_connector")?);
    tasks.close.store(false, Relaxed);
    Ok(total.map(|total| total.received))
}

fn storm() -> Result<()> {
    // cn_test logs every message.
    let _quiet = quiet()?;
    let _hurry = hurry()?;
    // Such a period ends when every task that was interrupted in a reader had its turn again.
    let _turns = Setting::change_if_there_is("/sys/kernel/debug/sched/base_slice_ns", "100000")?;
    let seed = seed()?;
    let mut rng = Rng::with_seed(seed);
    // What is allocated once, for good, is.
    let tasks = Tasks::default();
    round(&mut rng, &tasks)?;
    let before = Objects::count();

    let sent = AtomicU64::new(0);
    let rounds = times(ROUNDS);
    let received: Option<u64> = thread::scope(|scope| {
        let raging: Vec<_> = (0..TASKS)
            .map(|task| {
                let mut rng = Rng::with_seed(seed ^ (task + 1));
                let (tasks, sent) = (&tasks, &sent);
                scope.spawn(move || -> Result<()> {
                    sent.fetch_add(rage(&mut rng, tasks)?, Relaxed);
                    Ok(())
                })
            })
            .collect();
        let rounds = (0..rounds)
            .map(|_| round(&mut rng, &tasks))
            .collect::<Result<Vec<_>>>();
        tasks.stop.store(true, Relaxed);
        for task in raging {
            task.join().map_err(|_| anyhow!("a task panicked"))??;
        }
        Ok::<_, anyhow::Error>(rounds?.into_iter().sum())
    })?;
    let (sent, replies) = (sent.into_inner(), tasks.replies.into_inner());
    let loads = u64::from(rounds) * LOADS as u64;
    println!(
        "# {loads} loads of modules, {rounds} of rust_connector; of {sent} messages {received:?} reached a handler, {replies} replies were read"
    );
    ensure!(
        replies > 0 && received.is_none_or(|received| received > loads),
        "too few messages got through for this to test anything"
    );

    // A leak in every round would be as many, and one in every load or message far more.
    before?.expect_no_more(u64::from(rounds))
}

fn main() -> ExitCode {
    Suite::new()
        .test(
            "modules that come and go in random order 2000 times, and rust_connector 50 times, while 8 tasks send, join, leave and close, end well and leave no memory behind",
            storm,
        )
        .run()
}
