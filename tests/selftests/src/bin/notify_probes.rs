// SPDX-License-Identifier: GPL-2.0

//! How well the ids of C modules are seen: in which order, and what becomes of it when the kernel's
//! probes do not work.

use std::{fs, process::ExitCode, thread};

use anyhow::{Context, Result, anyhow, ensure};
use selftests::{
    CbId, Client, ECHO, KernelLog, Module, Setting, Suite, core_is_ours, debugfs,
    notify::{
        Change, Ids, Listener, NOTIFY, NotifyStats, OneCpu, blink, expect_done, require_peers,
        require_probes,
    },
    procfs, quiet, skip, times, wait_for,
};

/// `ct_peer`, unless its parameters say otherwise.
const PEER: CbId = CbId { idx: 40, val: 1 };

/// An id that only comes and goes.
const BLINK: CbId = CbId { idx: 41, val: 7 };

const GROUP: u32 = 2;

/// Whether the kernel's probes work.
const ENABLED: &str = "/sys/kernel/debug/kprobes/enabled";

/// The modules, a socket for requests, and one in the group.
struct Setup {
    client: Client,
    listener: Listener,
    _peer: Module,
    _notify: Module,
    _connector: Module,
}

impl Setup {
    fn new() -> Result<Self> {
        let connector = Module::load("rust_connector", "")?;
        let notify = Module::load("cn_notify", "")?;
        let setup = Self {
            client: Client::open()?,
            listener: Listener::new(GROUP)?,
            _peer: Module::load("ct_peer", "")?,
            _notify: notify,
            _connector: connector,
        };
        setup.barrier()?;
        Ok(setup)
    }

    /// Asks for every change; again, it is a barrier.
    fn barrier(&self) -> Result<()> {
        expect_done(&self.client, &Ids::every(), GROUP)
    }

    /// Fails unless what is known is repeated, with a gap between, and nothing else is announced.
    fn expect_gap(&mut self) -> Result<()> {
        let repeated = [Change::Came(NOTIFY); 2];
        let (changes, missing) = self.listener.changes_and_gaps()?;
        ensure!(
            changes == repeated && missing > 0,
            "{changes:?} was announced, and {missing} are missing by seq"
        );
        Ok(())
    }

    /// Waits for a gap, without asking for anything.
    fn wait_for_gap(&mut self) -> Result<()> {
        let (mut changes, mut missing) = (Vec::new(), 0);
        wait_for("a gap is announced", || {
            let (more, gap) = self.listener.changes_and_gaps()?;
            changes.extend(more);
            missing += gap;
            Ok((changes.len() >= 2).then_some(()))
        })?;
        ensure!(
            changes == [Change::Came(NOTIFY); 2] && missing > 0,
            "{changes:?} was announced, and {missing} are missing by seq"
        );
        Ok(())
    }
}

/// Has ct_peer do something with an id.
fn peer(parameter: &str, text: &str) -> Result<()> {
    let path = format!("/sys/module/ct_peer/parameters/{parameter}");
    fs::write(&path, text).with_context(|| format!("{text} into {path}"))
}

/// Two tasks want one id, `rounds` times each, a few at a time; all changes are announced, and they
/// alternate.
fn contend(rounds: u32, first: fn(u32) -> Result<()>, second: fn(u32) -> Result<()>) -> Result<()> {
    const AT_ONCE: u32 = 100;
    require_peers()?;
    let _quiet = quiet()?;
    let mut setup = Setup::new()?;
    let mut left = rounds;
    while left > 0 {
        let rounds = left.min(AT_ONCE);
        left -= rounds;
        let others = thread::spawn(move || second(rounds));
        first(rounds)?;
        others.join().map_err(|_| anyhow!("a thread panicked"))??;
        setup.barrier()?;
        let expected = [Change::Came(BLINK), Change::Went(BLINK)].repeat(2 * rounds as usize);
        setup.listener.expect(&expected)?;
    }
    // What is lost is missing in seq as well.
    if debugfs::is_there()? {
        ensure!(NotifyStats::read()?.lost == 0, "changes were lost");
    }
    Ok(())
}

fn in_turn(rounds: u32) -> Result<()> {
    peer("alternate", &format!("{BLINK} {rounds}"))
}

fn as_c(rounds: u32) -> Result<()> {
    peer("contend", &format!("{BLINK} {rounds}"))
}

fn as_rust(rounds: u32) -> Result<()> {
    let parameters = format!("idx={} val={} rounds={rounds}", BLINK.idx, BLINK.val);
    Module::load("ct_churn", &parameters)?.unload()
}

/// Why there is nothing to test where ids are told of without probes.
const NO_PROBES: &str = "the connector is this project's own, which needs no probes";

fn switched_off() -> Result<()> {
    if core_is_ours() {
        return skip(NO_PROBES);
    }
    require_probes()?;
    let _one_cpu = OneCpu::if_emulated()?;
    let mut setup = Setup::new()?;
    let mut log = KernelLog::from_now()?;
    for round in 1..=3 {
        let switched_off = Setting::change(ENABLED, "0")?;
        // Once by asking, else without anybody asking.
        match round {
            1 => {
                setup.barrier()?;
                setup.expect_gap()?;
            }
            _ => setup.wait_for_gap()?,
        }
        log.expect("ids of C modules are not seen")?;
        // Said once. What is the crate's own is seen all the same.
        let echo = Module::load("cn_echo", "")?;
        blink(BLINK, 3)?;
        echo.unload()?;
        setup.barrier()?;
        setup
            .listener
            .expect(&[Change::Came(ECHO), Change::Went(ECHO)])?;
        let unseen = NotifyStats::read()?.unseen;
        ensure!(unseen == round, "{unseen} in round {round}");

        drop(switched_off);
        match round {
            1 => {
                setup.barrier()?;
                setup.expect_gap()?;
            }
            _ => setup.wait_for_gap()?,
        }
        log.expect("ids of C modules are seen again")?;
        blink(BLINK, 3)?;
        setup.barrier()?;
        setup
            .listener
            .expect(&[Change::Came(BLINK), Change::Went(BLINK)].repeat(3))?;
    }
    Ok(())
}

fn switched_off_before() -> Result<()> {
    if core_is_ours() {
        return skip(NO_PROBES);
    }
    require_probes()?;
    let _one_cpu = OneCpu::if_emulated()?;
    let mut log = KernelLog::from_now()?;
    let switched_off = Setting::change(ENABLED, "0")?;
    let mut setup = Setup::new()?;
    log.expect("ids of C modules are not seen")?;
    let echo = Module::load("cn_echo", "")?;
    blink(BLINK, 1)?;
    setup.barrier()?;
    setup.listener.expect(&[Change::Came(ECHO)])?;
    drop(switched_off);
    setup.wait_for_gap()?;
    echo.unload()?;
    blink(BLINK, 1)?;
    setup.barrier()?;
    setup
        .listener
        .expect(&[Change::Went(ECHO), Change::Came(BLINK), Change::Went(BLINK)])
}

fn missed() -> Result<()> {
    if core_is_ours() {
        return skip(NO_PROBES);
    }
    require_probes()?;
    let _one_cpu = OneCpu::if_emulated()?;
    let mut setup = Setup::new()?;
    if !fs::exists("/sys/module/ct_peer/parameters/miss")? {
        return skip("the handler of a return probe cannot call the core here");
    }
    for round in 0..3 {
        let gone = Module::load("cn_echo", "")?;
        drop(gone);
        setup.barrier()?;
        setup
            .listener
            .expect(&[Change::Came(ECHO), Change::Went(ECHO)])?;
        ensure!(procfs::is_registered(PEER)? == (round == 0), "{PEER}");
        peer("miss", &PEER.to_string())?;
        ensure!(!procfs::is_registered(PEER)?, "{PEER} is still there");
        match round {
            0 => {
                setup.barrier()?;
                setup.expect_gap()?;
            }
            _ => setup.wait_for_gap()?,
        }
        let lost = NotifyStats::read()?.lost;
        ensure!(lost > round, "{lost} are counted as lost");
    }
    // Nobody is there to hear of the last ones, but they are counted: the watch ends with the socket
    // that asked, without another request that would have it look before.
    let before = NotifyStats::read()?.lost;
    peer("miss", &PEER.to_string())?;
    setup.client = Client::open()?;
    let lost = NotifyStats::read()?.lost;
    ensure!(lost > before, "{lost} are counted as lost, as before");
    Ok(())
}

fn unknown() -> Result<()> {
    require_peers()?;
    let mut setup = Setup::new()?;
    let _echo = Module::load("cn_echo", "")?;
    // What is told is true: it is not registered. An id of the crate's own is not concerned.
    peer("forget", &BLINK.to_string())?;
    setup.barrier()?;
    // Our own connector knows that nothing has changed.
    let changes = [Change::Came(ECHO), Change::Went(BLINK)];
    setup
        .listener
        .expect(&changes[..if core_is_ours() { 1 } else { 2 }])?;
    ensure!(!procfs::is_registered(BLINK)?, "{BLINK} is registered");
    blink(BLINK, 1)?;
    setup.barrier()?;
    setup
        .listener
        .expect(&[Change::Came(BLINK), Change::Went(BLINK)])
}

fn main() -> ExitCode {
    Suite::new()
        .test(
            "4000 changes of one id by two tasks of a C module in turn are announced, and alternate",
            || contend(times(1000), in_turn, in_turn),
        )
        .test(
            "so are 4000 by a task of a C module and a module in Rust",
            || contend(times(1000), as_c, as_rust),
        )
        .test(
            "when the kernel's probes are switched off, that is announced at once, ids in Rust are seen, and C modules' again when they are back",
            switched_off,
        )
        .test(
            "if they are off when somebody asks, the log says so",
            switched_off_before,
        )
        .test(
            "a call that the kernel does not probe is counted as lost, at once",
            missed,
        )
        .test(
            "when a C module unregisters an id that nobody has, that is announced to be gone",
            unknown,
        )
        .run()
}
