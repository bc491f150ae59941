// SPDX-License-Identifier: GPL-2.0

//! Watches of a kernel module: several at a time, and observers that do what they may.

use std::{fs, process::ExitCode, sync::mpsc, thread};

use anyhow::{Context, Result, bail, ensure};
use nix::{
    errno::Errno,
    sys::prctl::set_name,
    unistd::{Pid, gettid},
};
use selftests::{
    CbId, Client, ECHO, KernelLog, Module, Objects, PATIENCE, Suite, core_is_ours, hurry,
    notify::{Change, Ids, Listener, NOTIFY, blink, expect_done, probed, probes_are_listed},
    procfs, times, unload_in_background, wait_for,
};

/// Takes `ct_watch`'s commands.
const COMMANDS: CbId = CbId { idx: 30, val: 10 };

/// An id that only comes and goes.
const BLINK: CbId = CbId { idx: 41, val: 7 };

const GROUP: u32 = 2;

/// The ids of `ct_watch` itself.
fn own(val: u32) -> CbId {
    CbId { idx: 42, val }
}

fn came_and_went(id: CbId, times: u32) -> Vec<Change> {
    [Change::Came(id), Change::Went(id)].repeat(times as usize)
}

/// Sends a command, which must succeed; it can take as long as an observer does.
fn command(client: &Client, command: &str) -> Result<()> {
    let header = Client::header(COMMANDS, 1, 0);
    let answer = client.ask(&header, command.as_bytes())?.data;
    let number: [u8; 4] = answer.try_into().ok().context("an odd answer")?;
    match i32::from_ne_bytes(number) {
        0 => Ok(()),
        error => bail!("`{command}`: {}", Errno::from_raw(-error)),
    }
}

/// A command that waits for an observer, in a thread of its own, which is left behind if it hangs.
struct Waiting {
    thread: Pid,
    result: mpsc::Receiver<Result<()>>,
}

impl Waiting {
    fn new(text: &'static str) -> Result<Self> {
        let (send_thread, thread) = mpsc::channel();
        let (send, result) = mpsc::channel();
        thread::spawn(move || {
            let _ = send_thread.send(gettid());
            let _ = send.send(Client::open().and_then(|client| command(&client, text)));
        });
        Ok(Self {
            thread: thread.recv()?,
            result,
        })
    }

    /// Waits until it sleeps in the kernel; an error if it is over instead.
    fn wait_until_it_waits(&self) -> Result<()> {
        wait_for("a command waits", || {
            if let Ok(result) = self.result.try_recv() {
                bail!("a command that has to wait was answered: {result:?}");
            }
            let stat = fs::read_to_string(format!("/proc/self/task/{}/stat", self.thread))?;
            let (_, fields) = stat.rsplit_once(") ").context("an odd stat line")?;
            Ok(fields.starts_with('D').then_some(()))
        })
    }

    fn wait(self) -> Result<()> {
        self.result
            .recv_timeout(PATIENCE)
            .context("a command is not answered")?
    }
}

/// What an observer was told that is no change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Change(Change),
    Lost(u32),
    SeesCModules(bool),
}

/// The modules, and a socket for commands.
struct Setup {
    client: Client,
    peer: Module,
    watch: Module,
    connector: Module,
}

impl Setup {
    fn new() -> Result<Self> {
        let connector = Module::load("rust_connector", "")?;
        let watch = Module::load("ct_watch", "")?;
        let peer = Module::load("ct_peer", "")?;
        Ok(Self {
            client: Client::open()?,
            peer,
            watch,
            connector,
        })
    }

    /// Sends commands that do not wait for an observer, each in time.
    fn commands(&self, commands: &[&str]) -> Result<()> {
        commands
            .iter()
            .try_for_each(|text| command(&self.client, text))
    }

    /// What a watch was told since it was last asked.
    fn told(&self, watch: u32) -> Result<Vec<Told>> {
        let header = Client::header(COMMANDS, 1, 0);
        let reply = self.client.ask(&header, format!("r{watch}").as_bytes())?;
        let words = reply.data.chunks_exact(4).map(|bytes| {
            let bytes = bytes.try_into().context("an odd answer")?;
            Ok(u32::from_ne_bytes(bytes))
        });
        let words = words.collect::<Result<Vec<_>>>()?;
        let told = words.chunks_exact(3).map(|event| match *event {
            [idx, val, 0] => Ok(Told::Change(Change::Came(CbId { idx, val }))),
            [idx, val, 1] => Ok(Told::Change(Change::Went(CbId { idx, val }))),
            [count, _, 2] => Ok(Told::Lost(count)),
            [seen, _, 3] => Ok(Told::SeesCModules(seen == 1)),
            _ => bail!("what is {event:?}?"),
        });
        told.collect()
    }

    /// Flushes a watch; fails unless it was told exactly this since it was last asked.
    fn expect(&self, watch: u32, expected: &[Change]) -> Result<()> {
        command(&self.client, &format!("f{watch}"))?;
        self.expect_told(watch, expected)
    }

    fn expect_told(&self, watch: u32, expected: &[Change]) -> Result<()> {
        let expected: Vec<_> = expected.iter().copied().map(Told::Change).collect();
        let told = self.told(watch)?;
        ensure!(
            told == expected,
            "watch {watch} was told {told:?}, and should be {expected:?}"
        );
        Ok(())
    }

    /// Waits until a watch was told something, which it may not be done with.
    fn wait_until_told(&self, watch: u32, expected: Change) -> Result<()> {
        wait_for("an observer is called", || {
            let told = self.told(watch)?;
            ensure!(
                told.is_empty() || told == [Told::Change(expected)],
                "{told:?}"
            );
            Ok((!told.is_empty()).then_some(()))
        })
    }

    fn unload(self) -> Result<()> {
        drop(self.client);
        self.peer.unload()?;
        unload_in_background(self.watch)?.wait()?;
        unload_in_background(self.connector)?.wait()
    }
}

/// Our own connector tells of all ids without a probe.
fn expect_probed(expected: bool) -> Result<()> {
    if !probes_are_listed()? {
        return Ok(());
    }
    let probed = probed()?;
    let expected = expected && !core_is_ours();
    ensure!(
        probed.is_empty() != expected,
        "{probed:?} are probed, and that should be {expected}"
    );
    Ok(())
}

fn several() -> Result<()> {
    let setup = Setup::new()?;
    expect_probed(false)?;
    setup.commands(&["n0", "n1"])?;
    let notify = Module::load("cn_notify", "")?;
    setup.commands(&["n2"])?;
    let client = Client::open()?;
    let mut listener = Listener::new(GROUP)?;
    expect_done(&client, &Ids::every(), GROUP)?;
    blink(BLINK, 20)?;
    let echo = Module::load("cn_echo", "")?;
    echo.unload()?;
    expect_done(&client, &Ids::every(), GROUP)?;
    let mut changes = came_and_went(BLINK, 20);
    changes.extend([Change::Came(ECHO), Change::Went(ECHO)]);
    listener.expect(&changes)?;
    setup.expect(2, &changes)?;
    changes.insert(0, Change::Came(NOTIFY));
    setup.expect(0, &changes)?;
    setup.expect(1, &changes)?;

    // The others go on when one goes, whichever that is.
    setup.commands(&["d0"])?;
    blink(BLINK, 1)?;
    setup.expect(1, &came_and_went(BLINK, 1))?;
    setup.expect(2, &came_and_went(BLINK, 1))?;
    setup.commands(&["d2"])?;
    notify.unload()?;
    blink(BLINK, 1)?;
    let mut changes = vec![Change::Went(NOTIFY)];
    changes.extend(came_and_went(BLINK, 1));
    setup.expect(1, &changes)?;
    expect_probed(true)?;
    setup.commands(&["d1"])?;
    expect_probed(false)?;
    blink(BLINK, 1)?;
    for watch in 0..3 {
        setup.expect_told(watch, &[])?;
    }
    drop((client, listener));
    setup.unload()
}

fn slow() -> Result<()> {
    let setup = Setup::new()?;
    setup.commands(&["n0", "n1", "m0w"])?;
    blink(BLINK, 1)?;
    setup.wait_until_told(0, Change::Came(BLINK))?;
    // It waits; everybody else does not.
    blink(BLINK, 3)?;
    setup.expect(1, &came_and_went(BLINK, 4))?;
    setup.commands(&["n2"])?;
    Module::load("cn_echo", "")?.unload()?;
    setup.expect(2, &[Change::Came(ECHO), Change::Went(ECHO)])?;
    setup.commands(&["d2", "d1", "o0"])?;
    let mut expected = vec![Change::Went(BLINK)];
    expected.extend(came_and_went(BLINK, 3));
    expected.extend([Change::Came(ECHO), Change::Went(ECHO)]);
    setup.expect(0, &expected)?;
    setup.commands(&["d0"])?;
    setup.unload()
}

fn waiting() -> Result<()> {
    let setup = Setup::new()?;
    for text in ["f0", "d0"] {
        setup.commands(&["n0", "m0w"])?;
        blink(BLINK, 2)?;
        setup.wait_until_told(0, Change::Came(BLINK))?;
        // After the observer was called for what had happened by then.
        blink(BLINK, 1)?;
        let waiting = Waiting::new(text)?;
        waiting.wait_until_it_waits()?;
        setup.commands(&["o0"])?;
        waiting.wait()?;
        // All that had happened was told by then.
        setup.expect_told(0, &came_and_went(BLINK, 3)[1..])?;
    }
    expect_probed(false)?;
    setup.unload()
}

fn inside() -> Result<()> {
    let setup = Setup::new()?;
    for round in 0..times(20) {
        setup.commands(&["n0", "n1", "m0d", "n2", "m2f"])?;
        blink(BLINK, 2)?;
        // It was told that once, and never again.
        setup.expect(1, &came_and_went(BLINK, 2))?;
        setup.expect(2, &came_and_went(BLINK, 2))?;
        setup.wait_until_told(0, Change::Came(BLINK))?;
        blink(BLINK, 1)?;
        setup.expect(1, &came_and_went(BLINK, 1))?;
        setup.expect_told(0, &[])?;
        setup.commands(&["d1", "d2"])?;
        setup.told(2)?;
        // The last one that goes may be one that drops itself.
        setup.commands(&["n3", "m3d"])?;
        blink(BLINK, 1)?;
        setup.wait_until_told(3, Change::Came(BLINK))?;
        wait_for("the probes go", || Ok(probed()?.is_empty().then_some(())))
            .with_context(|| format!("round {round}"))?;
    }
    setup.unload()
}

fn registering() -> Result<()> {
    let setup = Setup::new()?;
    setup.commands(&["n0", "n1", "m0r"])?;
    blink(BLINK, 1)?;
    let mut expected = came_and_went(BLINK, 1);
    let id = own(0);
    command(&setup.client, "f0")?;
    command(&setup.client, "f0")?;
    // What it did itself, it is told later.
    expected.extend(came_and_went(id, 1));
    let told = |watch| -> Result<Vec<Told>> {
        let mut told = setup.told(watch)?;
        told.sort_by_key(|told| *told == Told::Change(Change::Went(BLINK)));
        told.retain(|told| *told != Told::Change(Change::Went(BLINK)));
        Ok(told)
    };
    expected.retain(|change| *change != Change::Went(BLINK));
    let expected: Vec<_> = expected.into_iter().map(Told::Change).collect();
    for watch in [0, 1] {
        command(&setup.client, &format!("f{watch}"))?;
        let told = told(watch)?;
        ensure!(told == expected, "{told:?}, not {expected:?}");
    }
    setup.commands(&["d0", "d1"])?;
    setup.unload()
}

fn others_watches() -> Result<()> {
    let setup = Setup::new()?;
    setup.commands(&["n0", "m0m"])?;
    blink(BLINK, 2)?;
    setup.expect(0, &came_and_went(BLINK, 2))?;
    setup.commands(&["n1", "m0n"])?;
    blink(BLINK, 2)?;
    setup.expect(0, &came_and_went(BLINK, 2))?;
    // What was noted for the one that was dropped may have been told to it.
    setup.told(1)?;
    blink(BLINK, 1)?;
    setup.expect(0, &came_and_went(BLINK, 1))?;
    setup.expect_told(1, &[])?;
    setup.commands(&["d0"])?;
    setup.unload()
}

fn locking() -> Result<()> {
    let setup = Setup::new()?;
    setup.commands(&["n0"])?;
    let id = own(20);
    for _ in 0..times(50) {
        setup.commands(&["m0l"])?;
        // The observer takes the lock while an id is registered under it.
        let other = Waiting::new("b0")?;
        setup.commands(&["b0"])?;
        other.wait()?;
        setup.expect(0, &came_and_went(id, 2))?;
    }
    setup.commands(&["d0"])?;
    setup.unload()
}

const LEFT: &str = "a module goes and left a Watch: it was never dropped";

fn leaking() -> Result<()> {
    // By this name the suite kmemleak knows what is leaked on purpose.
    set_name(c"leak")?;
    let result = leaking_under_that_name();
    set_name(c"notify_observer")?;
    result
}

fn leaking_under_that_name() -> Result<()> {
    let setup = Setup::new()?;
    let mut log = KernelLog::from_now()?;
    setup.commands(&["n0", "n1", "l0", "i0"])?;
    // What an observer leaks was allocated in a kernel thread, whose name does not say that it is
    // on purpose.
    if !fs::exists("/sys/kernel/debug/kmemleak")? {
        setup.commands(&["m0i"])?;
    }
    let Setup {
        client,
        peer,
        watch,
        connector,
    } = setup;
    // The second is in memory that goes nowhere; both are stopped. When the first is told that an id
    // goes, it registers another one, which goes as well.
    unload_in_background(watch)?.wait()?;
    log.expect(LEFT)?;
    for id in [own(30), own(31), COMMANDS] {
        ensure!(!procfs::is_registered(id)?, "{id} is still registered");
    }
    expect_probed(false)?;
    blink(BLINK, 1)?;
    drop(client);
    peer.unload()?;
    unload_in_background(connector)?.wait()
}

fn going_while_it_runs() -> Result<()> {
    for _ in 0..3 {
        let setup = Setup::new()?;
        setup.commands(&["n0", "m0D"])?;
        blink(BLINK, 1)?;
        setup.wait_until_told(0, Change::Came(BLINK))?;
        // It has dropped its watch, or will, and sleeps in code that is about to go.
        setup.unload()?;
    }
    Ok(())
}

fn given_back() -> Result<()> {
    let (watches, loads) = (u64::from(times(100)), u64::from(times(80)));
    let _hurry = hurry()?;
    let setup = Setup::new()?;
    // While this one is there, the probes are.
    setup.commands(&["n1"])?;
    let make_and_drop = || setup.commands(&["n0", "d0"]);
    // What is allocated once, for good, is.
    make_and_drop()?;
    Objects::expect_none_left(watches, make_and_drop).context("watches that are dropped")?;
    setup.commands(&["d1"])?;
    setup.unload()?;

    let load_and_unload = || {
        let setup = Setup::new()?;
        setup.commands(&["n0", "d0"])?;
        setup.unload()
    };
    load_and_unload()?;
    Objects::expect_none_left(loads, load_and_unload).context("modules that had a watch")
}

fn main() -> ExitCode {
    Suite::new()
        .test(
            "three watches of a kernel module and cn_notify are told the same, until the last one goes",
            several,
        )
        .test(
            "an observer that waits delays no other one, and nobody who registers or watches",
            slow,
        )
        .test(
            "flushing and dropping a watch wait for its observer, which is told all that happened",
            waiting,
        )
        .test(
            "an observer can drop its own watch, and is not called again; it can flush it",
            inside,
        )
        .test(
            "an observer can register and unregister an id, and is told",
            registering,
        )
        .test(
            "an observer can make a watch and drop it, and drop another one",
            others_watches,
        )
        .test(
            "an observer can take a lock under which its module registers",
            locking,
        )
        .test(
            "a leaked watch ends with its module, and so does what its observer registers meanwhile",
            leaking,
        )
        .test(
            "a module waits for an observer that has dropped its own watch",
            going_while_it_runs,
        )
        .test(
            "100 watches that are dropped leave no memory behind, nor do modules that had one",
            given_back,
        )
        .run()
}
