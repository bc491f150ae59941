// SPDX-License-Identifier: GPL-2.0

//! What the test programs have in common: TAP, modules, a plain socket, the kernel log.
//!
//! Each program in `src/bin/` is one suite. It runs as root on a machine whose kernel the modules
//! were built for, prints one TAP stream and ends with kselftest's exit codes. The modules are
//! looked for in `modules`, beside the program, or where the environment's `MODULES` says; the tools
//! in `bin`, beside the program.
//!
//! No verdict comes from a pause. A test waits for an event, for at most [`PATIENCE`]. That
//! something did *not* happen is seen without waiting: the kernel calls a handler inside the
//! sender's `sendmsg(2)`, so that what the handler sends is there when that returns.

use std::{
    env,
    process::{Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use nix::unistd::gettid;

pub mod ack;
mod client;
pub mod debugfs;
pub mod dm;
pub mod faults;
mod kcov;
mod klog;
mod module;
pub mod notify;
mod objects;
pub mod procfs;
pub mod program;
pub mod puppet;
mod setting;
mod stats;
pub mod steps;
mod tap;

pub use self::{
    client::{Client, Datagram, Received, datagram},
    kcov::Kcov,
    klog::{KernelLog, quiet},
    module::{
        Module, Unloading, connector_is_built_in, core_is_module, core_is_ours, no_process_events,
        require_unloadable, unload_in_background,
    },
    objects::Objects,
    setting::{Setting, hurry},
    stats::Stats,
    tap::{Suite, skip},
};
pub use connector_wire::{CbId, Header, MAX_DATA_SIZE, netlink::NlHeader};

/// `cn_echo`, unless its parameters say otherwise.
pub const ECHO: CbId = CbId { idx: 16, val: 1 };

/// How long to wait for what has to happen. It is long because an emulated machine with a debug
/// kernel is slow, the more so on a busy host; no test that passes waits for it to end.
pub const PATIENCE: Duration = Duration::from_secs(240);

/// How often to do something that is to be done very often: fewer times where the environment's
/// `SLOWNESS` says that the kernel is so many times slower than usual, being full of checkers.
pub fn times(count: u32) -> u32 {
    let slowness = env::var("SLOWNESS").ok();
    let slowness = slowness.and_then(|text| text.parse().ok());
    (count / slowness.unwrap_or(1).max(1)).max(1)
}

/// What random choices are made from: the environment's `SEED`, or one of its own, which is printed.
pub fn seed() -> Result<u64> {
    let seed = match env::var("SEED") {
        Ok(seed) => seed.parse().context("SEED is no number")?,
        Err(_) => fastrand::u64(..),
    };
    println!("# SEED={seed} makes the same choices again");
    Ok(seed)
}

/// Gives the calling thread a nice level.
pub fn renice(nice: i32) -> Result<()> {
    // With -n, busybox would add it to the level that it is.
    let status = Command::new("renice")
        .args([&nice.to_string(), "-p", &gettid().to_string()])
        .stdout(Stdio::null())
        .status()
        .context("renice")?;
    ensure!(status.success(), "renice: {status}");
    Ok(())
}

/// Runs `f` in a thread of its own, for something that may never return: the thread is then left
/// behind, and `what` says what it hung in.
pub fn in_time<T: Send + 'static>(
    what: &'static str,
    f: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let (done, is_done) = mpsc::channel();
    thread::spawn(move || done.send(f()));
    is_done.recv_timeout(PATIENCE).context(what)?
}

/// Waits until `event` returns something; `what` says what was waited for in vain.
pub fn wait_for<T>(what: &str, mut event: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = event()? {
            return Ok(value);
        }
        if Instant::now() > deadline {
            bail!("waited {} s for this: {what}", PATIENCE.as_secs());
        }
        thread::sleep(Duration::from_millis(1));
    }
}

/// Bytes that differ from those of another seed, and from themselves one place on.
pub fn pattern(seed: u32, len: usize) -> Vec<u8> {
    let mut state = seed ^ 0x9e37_79b9;
    (0..len)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        })
        .collect()
}
