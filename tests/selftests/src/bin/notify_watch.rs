// SPDX-License-Identifier: GPL-2.0

//! `cnctl watch` tells the state and then its changes: whoever reads along knows, at every moment,
//! what is registered.

use std::{
    collections::BTreeMap,
    process::{ExitCode, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
};

use anyhow::{Context, Result, anyhow, bail, ensure};
use nix::sys::signal::Signal;
use selftests::{
    CbId, KernelLog, Module, Setting, Suite, core_is_ours, debugfs,
    notify::{NOTIFY, NotifyStats, OneCpu, blink, peers_are_seen, require_probes},
    procfs,
    program::{Running, json, tool},
    skip, wait_for,
};

/// An id whose announcement says that all before it was announced.
const LAST: CbId = CbId { idx: 99, val: 99 };

/// What a line is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    Present,
    Registered,
    Unregistered,
    Overrun,
}

/// A running `cnctl watch --json`, and somebody who reads along.
struct Watch {
    process: Running,
    /// Names by id, as in `/proc/net/connector`.
    present: BTreeMap<String, String>,
    overruns: usize,
    changes: usize,
    /// Whether the state was told, after which only changes are.
    told: bool,
}

impl Watch {
    fn start(ids: &[&str]) -> Result<Self> {
        let mut command = tool("cnctl");
        command.args(["watch", "--json"]).args(ids);
        Ok(Self {
            process: Running::start(command.stdin(Stdio::null()))?,
            present: BTreeMap::new(),
            overruns: 0,
            changes: 0,
            told: false,
        })
    }

    /// Waits for a line, and checks that it fits to those before it.
    fn follow(&mut self) -> Result<(Event, String)> {
        let line = self.process.line().context("cnctl watch says nothing")?;
        let object = json(&line)?;
        let member = |name: &str| {
            let text = object[name].as_str().map(str::to_owned);
            text.with_context(|| format!("no {name} in {line}"))
        };
        let event = match &*member("event")? {
            "present" => Event::Present,
            "registered" => Event::Registered,
            "unregistered" => Event::Unregistered,
            "overrun" => {
                self.overruns += 1;
                return Ok((Event::Overrun, String::new()));
            }
            _ => bail!("what is {line}?"),
        };
        let id = member("id")?;
        let name = member("name")?;
        match event {
            Event::Present => ensure!(!self.told, "{line} after a change"),
            _ => {
                self.told = true;
                self.changes += 1;
            }
        }
        let before = match event {
            Event::Unregistered => self.present.remove(&id),
            _ => self.present.insert(id.clone(), name),
        };
        ensure!(
            before.is_some() == (event == Event::Unregistered),
            "{line} when {id} was known as {before:?}"
        );
        Ok((event, id))
    }

    /// Reads along until an id is said to be registered.
    fn follow_to(&mut self, id: CbId) -> Result<()> {
        let id = id.to_string();
        while !self.present.contains_key(&id) {
            self.follow()?;
        }
        Ok(())
    }

    /// Fails unless what was read is what is registered.
    fn expect_state(&self, wanted: impl Fn(&str) -> bool) -> Result<()> {
        let mut registered = procfs::registered()?;
        registered.retain(|line| wanted(line));
        registered.sort();
        let known = self.present.iter().map(|(id, name)| format!("{name} {id}"));
        let mut known: Vec<_> = known.collect();
        known.sort();
        ensure!(
            known == registered,
            "by cnctl watch this is registered: {known:?}, by the kernel that: {registered:?}"
        );
        Ok(())
    }

    /// Ends it as Ctrl-C does; it takes its requests back.
    fn end(self) -> Result<()> {
        self.process.signal(Signal::SIGINT)?;
        self.process.wait()?.expect(0)?;
        if debugfs::is_there()? {
            let stored = NotifyStats::read()?.stored;
            ensure!(stored == 0, "{stored} requests are left");
        }
        Ok(())
    }
}

/// Threads that load and unload modules, until this is dropped.
struct Churn {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Result<()>>>,
}

impl Churn {
    fn start() -> Self {
        let modules: [fn() -> Result<()>; 2] = [
            || {
                let _echo = Module::load("cn_echo", "")?;
                let _test = Module::load("cn_test", "")?;
                Ok(())
            },
            || {
                let _peer = Module::load(peer()?, "")?;
                let _gate = Module::load("ct_gate", "")?;
                blink(CbId { idx: 16, val: 2 }, 2)
            },
        ];
        let stop = Arc::new(AtomicBool::new(false));
        let threads = modules.map(|load| {
            let stop = stop.clone();
            thread::spawn(move || {
                while !stop.load(Relaxed) {
                    load()?;
                }
                Ok(())
            })
        });
        Self {
            stop,
            threads: threads.into(),
        }
    }

    fn stop(mut self) -> Result<()> {
        self.end()
    }

    fn end(&mut self) -> Result<()> {
        self.stop.store(true, Relaxed);
        for thread in self.threads.drain(..) {
            wait_for("a thread ends", || Ok(thread.is_finished().then_some(())))?;
            thread.join().map_err(|_| anyhow!("a thread panicked"))??;
        }
        Ok(())
    }
}

impl Drop for Churn {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            println!("# in a thread: {error:#}");
        }
    }
}

/// A module whose id is seen to come and go: one in C, if that is.
fn peer() -> Result<&'static str> {
    Ok(match peers_are_seen()? {
        true => "ct_peer",
        false => "ct_reply",
    })
}

fn load_notify() -> Result<(Module, Module)> {
    Module::load_with_connector("cn_notify", "")
}

fn load_last() -> Result<Module> {
    Module::load("ct_sender", "")?.unload()?;
    Module::load("cn_echo", &format!("idx={} val={}", LAST.idx, LAST.val))
}

fn state_then_changes() -> Result<()> {
    const TIMES: usize = 4;
    let _one_cpu = OneCpu::if_emulated()?;
    let (_connector, _notify) = load_notify()?;
    for _ in 0..TIMES {
        let churn = Churn::start();
        let mut watch = Watch::start(&[])?;
        watch.follow_to(NOTIFY)?;
        while watch.changes < 20 {
            watch.follow()?;
        }
        churn.stop()?;
        let _peer = Module::load(peer()?, "")?;
        let _last = load_last()?;
        watch.follow_to(LAST)?;
        watch.expect_state(|_| true)?;
        ensure!(watch.overruns == 0, "cnctl watch missed something");
        watch.end()?;
    }
    Ok(())
}

fn only_what_was_asked() -> Result<()> {
    let _one_cpu = OneCpu::if_emulated()?;
    let (_connector, _notify) = load_notify()?;
    let churn = Churn::start();
    // Two requests, which overlap.
    let mut watch = Watch::start(&["16-99", "90-100:99"])?;
    while watch.changes < 20 {
        let (_, id) = watch.follow()?;
        ensure!(
            ["16:", "40:", "30:", "99:"]
                .iter()
                .any(|idx| id.starts_with(idx)),
            "{id} was not asked for"
        );
    }
    churn.stop()?;
    let _last = load_last()?;
    watch.follow_to(LAST)?;
    watch
        .expect_state(|line| !line.ends_with(&NOTIFY.to_string()) && !procfs::is_of_kernel(line))?;
    watch.end()
}

fn after_an_overrun() -> Result<()> {
    let (_connector, _notify) = load_notify()?;
    let _peer = Module::load("ct_peer", "")?;
    let mut watch = Watch::start(&[])?;
    watch.follow_to(NOTIFY)?;
    for _ in 0..3 {
        // While it does not read, something comes that it gets to know, much happens, and that
        // goes and something else comes, which it does not get to know.
        let before = procfs::all_drops()?;
        let overruns = watch.overruns;
        watch.process.stand_still()?;
        let echo = Module::load("cn_echo", "")?;
        blink(CbId { idx: 41, val: 1 }, 1000)?;
        echo.unload()?;
        let gate = Module::load("ct_gate", "")?;
        wait_for("a notification to be dropped", || {
            Ok((procfs::all_drops()? != before).then_some(()))
        })?;
        watch.process.signal(Signal::SIGCONT)?;
        while watch.overruns == overruns {
            watch.follow()?;
        }
        let last = load_last()?;
        watch.follow_to(LAST)?;
        watch.expect_state(|_| true)?;
        let is_loaded_here = |id: &str| id.starts_with("30:") || id == LAST.to_string();
        last.unload()?;
        gate.unload()?;
        while watch.present.keys().any(|id| is_loaded_here(id)) {
            watch.follow()?;
        }
    }
    watch.end()
}

fn while_probes_are_off() -> Result<()> {
    const ENABLED: &str = "/sys/kernel/debug/kprobes/enabled";
    if core_is_ours() {
        return skip("the connector is this project's own, which needs no probes");
    }
    require_probes()?;
    let _one_cpu = OneCpu::if_emulated()?;
    let (_connector, _notify) = load_notify()?;
    // Nothing is registered or unregistered but by a module in C, which is not seen while it is off.
    let mut watch = Watch::start(&["40-41"])?;
    // Once before it lists what is registered, and once after it.
    wait_for("cnctl asks", || {
        Ok((NotifyStats::read()?.accepted >= 2).then_some(()))
    })?;
    let mut peer = None;
    for _ in 0..2 {
        let before = NotifyStats::read()?.unseen;
        let switched_off = Setting::change(ENABLED, "0")?;
        wait_for("that is found out", || {
            Ok((NotifyStats::read()?.unseen > before).then_some(()))
        })?;
        let came = peer.is_none();
        peer = match peer.take() {
            None => Some(Module::load("ct_peer", "")?),
            Some(peer) => {
                Module::unload(peer)?;
                None
            }
        };
        let mut log = KernelLog::from_now()?;
        drop(switched_off);
        // Nobody asks, and nothing else happens.
        let expected = if came {
            Event::Registered
        } else {
            Event::Unregistered
        };
        // It looks again when it is told that changes may be missing: what comes at that moment it
        // may find there.
        let mut told = watch.follow()?;
        while !came && told.0 != expected {
            told = watch.follow()?;
        }
        let (event, id) = told;
        let found = came && event == Event::Present;
        ensure!(
            (event == expected || found) && id == "40:1",
            "{event:?} {id}"
        );
        // What it found, it may have found before that: then the next time would be the same time.
        wait_for("it is found out that they are back", || {
            let messages = log.messages()?;
            let back = messages.iter().any(|text| text.contains("are seen again"));
            Ok(back.then_some(()))
        })?;
    }
    watch.end()
}

fn main() -> ExitCode {
    Suite::new()
        .test(
            "with modules coming and going, cnctl watch tells a state and then changes that lead to the state that is",
            state_then_changes,
        )
        .test(
            "with ids to watch, it tells of these alone",
            only_what_was_asked,
        )
        .test(
            "after notifications were dropped it says so, and tells the state that is",
            after_an_overrun,
        )
        .test(
            "what happened while the kernel's probes were switched off it tells when they are back, at once",
            while_probes_are_off,
        )
        .run()
}
