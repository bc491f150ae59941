// SPDX-License-Identifier: GPL-2.0

//! What `cn_notify` announces while modules in Rust and in C come and go: each change once, in
//! order, and nothing else.

use std::{
    collections::BTreeMap,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
        mpsc,
    },
    thread::{self, JoinHandle},
};

use anyhow::{Result, anyhow, bail, ensure};
use nix::errno::Errno;
use selftests::{
    CbId, Client, ECHO, KernelLog, Module, Suite, debugfs, hurry,
    notify::{
        Change, Ids, Listener, NOTIFY, NotifyStats, OneCpu, answer, blink, expect_done,
        peers_are_seen, probed, require_peers,
    },
    procfs, renice, times, unload_in_background, wait_for,
};

/// `ct_peer`, unless its parameters say otherwise.
const PEER: CbId = CbId { idx: 40, val: 1 };

/// An id that only comes and goes.
const BLINK: CbId = CbId { idx: 41, val: 7 };

const GROUP: u32 = 2;

fn load_notify() -> Result<(Module, Module)> {
    Module::load_with_connector("cn_notify", "")
}

/// What is announced before and after a gap: that `cn_notify` is there, which is no change.
const REPEATED: Change = Change::Came(NOTIFY);

/// Asks for every change; again, it is a barrier.
fn ask_for_every(client: &Client) -> Result<()> {
    expect_done(client, &Ids::every(), GROUP)
}

fn come_and_go() -> Result<()> {
    require_peers()?;
    let times = times(200);
    let _hurry = hurry()?;
    let (_connector, _notify) = load_notify()?;
    let client = Client::open()?;
    let mut listener = Listener::new(GROUP)?;
    ask_for_every(&client)?;
    let mut expected = Vec::new();
    for round in 0..times {
        let peer = Module::load("ct_peer", "")?;
        let echo = Module::load("cn_echo", "")?;
        expected.extend([Change::Came(PEER), Change::Came(ECHO)]);
        // Either order.
        match round % 2 {
            0 => {
                peer.unload()?;
                echo.unload()?;
                expected.extend([Change::Went(PEER), Change::Went(ECHO)]);
            }
            _ => {
                echo.unload()?;
                peer.unload()?;
                expected.extend([Change::Went(ECHO), Change::Went(PEER)]);
            }
        }
    }
    ask_for_every(&client)?;
    listener.expect(&expected)?;
    if !debugfs::is_there()? {
        return Ok(());
    }
    let stats = NotifyStats::read()?;
    ensure!(
        (stats.announced, stats.unheard, stats.lost) == (4 * u64::from(times), 0, 0),
        "{stats:?}"
    );
    Ok(())
}

fn fast() -> Result<()> {
    let (_connector, _notify) = load_notify()?;
    let _peer = Module::load("ct_peer", "")?;
    let client = Client::open()?;
    let mut listener = Listener::new(GROUP)?;
    ask_for_every(&client)?;
    let mut expected = Vec::new();
    for number in 0..20 {
        let id = CbId {
            val: number,
            ..BLINK
        };
        blink(id, 100)?;
        expected.extend([Change::Came(id), Change::Went(id)].repeat(100));
        ask_for_every(&client)?;
    }
    listener.expect(&expected)
}

/// Loads a module with an id that is taken.
fn expect_taken(module: &'static str, id: CbId) -> Result<()> {
    match Module::try_load(module, &format!("idx={} val={}", id.idx, id.val))? {
        Ok(_) => bail!("{module} got {id}, which is taken"),
        Err(errno) => ensure!(errno == Errno::EINVAL, "insmod {module}.ko: {errno}"),
    }
    Ok(())
}

fn duplicates() -> Result<()> {
    require_peers()?;
    let (_connector, _notify) = load_notify()?;
    let client = Client::open()?;
    let mut listener = Listener::new(GROUP)?;
    ask_for_every(&client)?;
    let echo = Module::load("cn_echo", "")?;
    expect_taken("ct_peer", ECHO)?;
    expect_taken("ct_peer", NOTIFY)?;
    let peer = Module::load("ct_peer", "")?;
    let taken = blink(ECHO, 1);
    ensure!(taken.is_err(), "ct_peer got {ECHO}, which is taken");
    let taken = blink(PEER, 1);
    ensure!(taken.is_err(), "ct_peer got {PEER} twice");
    echo.unload()?;
    expect_taken("cn_echo", PEER)?;
    expect_taken("cn_echo", NOTIFY)?;
    peer.unload()?;
    ask_for_every(&client)?;
    listener.expect(&[
        Change::Came(ECHO),
        Change::Came(PEER),
        Change::Went(ECHO),
        Change::Went(PEER),
    ])
}

fn usable_at_once() -> Result<()> {
    const TIMES: u32 = 10;
    // One in C, if it is seen.
    let modules = match peers_are_seen()? {
        true => ["cn_echo", "ct_peer"],
        false => ["cn_echo"; 2],
    };
    let (_connector, _notify) = load_notify()?;
    let client = Client::open()?;
    ask_for_every(&client)?;
    let mut listener = Listener::new(GROUP)?;
    let (used, is_used) = mpsc::channel();
    let user = thread::spawn(move || -> Result<()> {
        for seq in 0..2 * TIMES {
            let came = listener.wait()?;
            let id = came.id();
            ensure!(came == Change::Came(id), "{came:?}");
            client.expect_echo(&Client::header(id, seq, 1), b"at once")?;
            used.send(())?;
            let went = listener.wait()?;
            ensure!(went == Change::Went(id), "{went:?} after {came:?}");
            // Gone is gone.
            client.send(&Client::header(id, seq, 2), b"too late")?;
            client.expect_nothing()?;
            used.send(())?;
        }
        Ok(())
    });
    let script = || -> Result<()> {
        for round in 0..2 * TIMES {
            let module = Module::load(modules[round as usize % 2], "")?;
            is_used.recv()?;
            module.unload()?;
            is_used.recv()?;
        }
        Ok(())
    };
    // Why the other side gave up matters more than that it did.
    let loaded = script();
    join(user)?;
    loaded
}

fn join<T>(thread: JoinHandle<Result<T>>) -> Result<T> {
    wait_for("a thread ends", || Ok(thread.is_finished().then_some(())))?;
    thread.join().map_err(|_| anyhow!("a thread panicked"))?
}

fn before_the_answer() -> Result<()> {
    let (_connector, _notify) = load_notify()?;
    let _peer = Module::load("ct_peer", "")?;
    // It asks, and it is in the group.
    let client = Client::open_in(GROUP)?;
    client.send(&Client::header(NOTIFY, 1, 1), &Ids::every().request(GROUP))?;
    let reply = client.recv_now()?;
    ensure!(answer(&reply)? == Ok(()), "{reply:?}");
    for number in 0..times(200) {
        let id = CbId {
            val: number,
            ..BLINK
        };
        blink(id, 1)?;
        client.send(
            &Client::header(NOTIFY, number, 5),
            &Ids::every().request(GROUP),
        )?;
        for ack in [0, 1] {
            let header = client.recv_now()?.header;
            ensure!(
                header == Client::header(id, 2 * number + ack, ack),
                "{header:?} came, not {id} with ack {ack}"
            );
        }
        let reply = client.recv_now()?;
        ensure!(
            reply.header == Client::header(NOTIFY, number, 5).reply(4),
            "{reply:?}"
        );
    }
    client.expect_nothing()
}

/// Stores as many requests as can be but for one, or as many as are slow already, to a group with
/// somebody in it who never reads. It then takes a while to announce a change of [`BLINK`], or of
/// another val.
fn slow_down(client: &Client) -> Result<Client> {
    const GROUP: u32 = 4;
    const MAX_REQUESTS: u32 = 128;
    let never_reads = Client::open_in(GROUP)?;
    for number in 1..times(MAX_REQUESTS).max(8) {
        let ids = Ids::new(&[(BLINK.idx, 1)], &[(BLINK.val, number)]);
        expect_done(client, &ids, GROUP)?;
    }
    Ok(never_reads)
}

fn own_goodbye() -> Result<()> {
    let changes = times(300);
    let (_connector, notify) = load_notify()?;
    let _peer = Module::load("ct_peer", "")?;
    let client = Client::open()?;
    let mut listener = Listener::new(GROUP)?;
    ask_for_every(&client)?;
    let _never_reads = slow_down(&client)?;
    blink(BLINK, changes)?;
    notify.unload()?;
    // No barrier: what unloading announces is announced when it is done.
    let mut expected = [Change::Came(BLINK), Change::Went(BLINK)].repeat(changes as usize);
    expected.push(Change::Went(NOTIFY));
    listener.expect(&expected)?;
    blink(BLINK, 1)?;
    // A new one knows nothing of what the old one was asked.
    let _notify = Module::load("cn_notify", "")?;
    if debugfs::is_there()? {
        let stats = NotifyStats::read()?;
        ensure!(stats == NotifyStats::default(), "{stats:?}");
    }
    ask_for_every(&client)?;
    listener.expect(&[])
}

fn too_fast() -> Result<()> {
    const TIMES: u32 = 2000;
    let (_connector, _notify) = load_notify()?;
    let _peer = Module::load("ct_peer", "")?;
    let client = Client::open()?;
    let _never_reads = slow_down(&client)?;
    let mut log = KernelLog::from_now()?;
    let mut listener = Listener::new(GROUP)?;
    ask_for_every(&client)?;
    // So that the gap has a beginning and an end.
    blink(BLINK, 1)?;
    ask_for_every(&client)?;
    listener.expect(&[Change::Came(BLINK), Change::Went(BLINK)])?;
    blink(BLINK, TIMES)?;
    ask_for_every(&client)?;

    // Nothing else happens: the gap shows at once.
    let (mut changes, missing) = listener.changes_and_gaps()?;
    let lost = NotifyStats::read()?.lost;
    println!("# {lost} of {} changes at once were lost", 2 * TIMES);
    ensure!(lost > 0, "nothing was lost");
    ensure!(
        u64::from(missing) == lost,
        "{lost} changes are counted as lost, and seq says {missing}"
    );
    let before = changes.len();
    changes.retain(|change| *change != REPEATED);
    ensure!(
        before >= changes.len() + 2,
        "what is known was not repeated before and after the gap"
    );
    ensure!(
        changes.len() as u64 + lost == u64::from(2 * TIMES),
        "{} changes were announced and {lost} lost",
        changes.len()
    );
    ensure!(
        changes.len() >= 1024,
        "{} changes were announced, fewer than are kept",
        changes.len()
    );
    log.expect("changes could not be announced")
}

/// Runs `f` in a thread again and again, until it is dropped.
struct Repeated {
    stop: Arc<AtomicBool>,
    times: Arc<AtomicU64>,
    thread: Option<JoinHandle<Result<()>>>,
}

impl Repeated {
    fn new(f: impl FnMut() -> Result<()> + Send + 'static) -> Self {
        Self::with_nice(0, f)
    }

    /// In the background of those that are fewer and have more to do.
    fn behind(f: impl FnMut() -> Result<()> + Send + 'static) -> Self {
        Self::with_nice(10, f)
    }

    fn with_nice(nice: i32, mut f: impl FnMut() -> Result<()> + Send + 'static) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let times = Arc::new(AtomicU64::new(0));
        let (until, count) = (stop.clone(), times.clone());
        let thread = thread::spawn(move || {
            renice(nice)?;
            while !until.load(Relaxed) {
                f()?;
                count.fetch_add(1, Relaxed);
            }
            Ok(())
        });
        Self {
            stop,
            times,
            thread: Some(thread),
        }
    }

    /// How often it was done; an error if it ended.
    fn times(&mut self) -> Result<u64> {
        if self.thread.as_ref().is_some_and(JoinHandle::is_finished) {
            self.end()?;
            bail!("a thread gave up");
        }
        Ok(self.times.load(Relaxed))
    }

    fn stop(mut self) -> Result<()> {
        self.end()
    }

    fn end(&mut self) -> Result<()> {
        self.stop.store(true, Relaxed);
        self.thread.take().map_or(Ok(()), join)
    }
}

impl Drop for Repeated {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            println!("# in a thread: {error:#}");
        }
    }
}

/// Sends requests without a pause: for ids of its own, for every id, and wrong ones.
fn fire(number: u32, accepted: Arc<AtomicU64>) -> Result<Repeated> {
    let client = Client::open()?;
    let ids = [
        Ids::numbered(number),
        Ids::numbered(100 + number),
        Ids::every(),
    ];
    let mut round = 0;
    Ok(Repeated::behind(move || {
        round += 1;
        let ids = &ids[round % 3];
        let group = [6, 8, 0][round / 3 % 3];
        client.send(
            &Client::header(NOTIFY, round as u32, 0),
            &ids.request(group),
        )?;
        // Nobody answers while the module is away.
        match client.try_recv()? {
            None => {}
            Some(datagram) => match answer(&datagram.single()?)? {
                Ok(()) => drop(accepted.fetch_add(1, Relaxed)),
                Err(Errno::ENOENT) => {}
                Err(errno) => bail!("a request was answered with {errno}"),
            },
        }
        client.send(&Client::header(NOTIFY, round as u32, 0), b"wrong")?;
        match client.try_recv()? {
            None => Ok(()),
            Some(datagram) => {
                let answer = answer(&datagram.single()?)?;
                ensure!(answer == Err(Errno::EINVAL), "{answer:?}");
                Ok(())
            }
        }
    }))
}

fn unloading_under_fire() -> Result<()> {
    let _one_cpu = OneCpu::if_emulated()?;
    let connector = Module::load("rust_connector", "")?;
    let peer = Module::load("ct_peer", "")?;
    let accepted = Arc::new(AtomicU64::new(0));
    let mut threads = (0..4)
        .map(|number| fire(number, accepted.clone()))
        .collect::<Result<Vec<_>>>()?;
    threads.push(Repeated::behind(|| blink(BLINK, 50)));
    threads.push(Repeated::new(|| Module::load("cn_echo", "")?.unload()));
    for _ in 0..times(4).max(2) {
        let notify = Module::load("cn_notify", "")?;
        let before = accepted.load(Relaxed);
        let loads = threads[5].times()?;
        wait_for("requests are accepted, and modules come and go", || {
            for thread in &mut threads {
                thread.times()?;
            }
            let done = accepted.load(Relaxed) > before + 20 && threads[5].times()? > loads;
            Ok(done.then_some(()))
        })?;
        unload_in_background(notify)?.wait()?;
        ensure!(!procfs::is_registered(NOTIFY)?, "{NOTIFY} is still there");
        let probed = probed()?;
        ensure!(probed.is_empty(), "{probed:?} are still probed");
    }
    for thread in threads {
        thread.stop()?;
    }
    peer.unload()?;
    unload_in_background(connector)?.wait()
}

fn many_barriers() -> Result<()> {
    let rounds = u64::from(times(100));
    let (_connector, _notify) = load_notify()?;
    let _peer = Module::load("ct_peer", "")?;
    let client = Client::open()?;
    let mut listener = Listener::new(GROUP)?;
    ask_for_every(&client)?;
    let mut threads = vec![Repeated::new(|| {
        let _echo = Module::load("cn_echo", "")?;
        let _test = Module::load("cn_test", "")?;
        Ok(())
    })];
    // Each request has all that is complete announced, beside the work item.
    for number in 0..3 {
        let client = Client::open()?;
        let id = CbId {
            idx: 42,
            val: number,
        };
        threads.push(Repeated::behind(move || {
            blink(id, 3)?;
            ask_for_every(&client)
        }));
    }
    let mut changes = Vec::new();
    let mut round = 0;
    while round < rounds || threads[0].times()? < 5 {
        blink(BLINK, 3)?;
        let mut seen = listener.changes()?;
        ask_for_every(&client)?;
        seen.extend(listener.changes()?);
        // Of ours, now is the time; of others, some time.
        let of_ours = seen.iter().filter(|change| change.id() == BLINK).count();
        ensure!(
            of_ours == 6,
            "{of_ours} of 6 changes were announced before the answer"
        );
        changes.extend(seen);
        round += 1;
    }
    for thread in threads {
        thread.stop()?;
    }
    ask_for_every(&client)?;
    changes.extend(listener.changes()?);
    if debugfs::is_there()? {
        let lost = NotifyStats::read()?.lost;
        ensure!(lost == 0, "{lost} changes were lost");
    }

    let mut present = BTreeMap::new();
    for change in changes {
        let came = matches!(change, Change::Came(_));
        let was = present.insert(change.id(), came).unwrap_or(false);
        ensure!(was != came, "{change:?} came twice in a row");
    }
    let present: Vec<_> = present.iter().filter(|(_, is)| **is).collect();
    ensure!(present.is_empty(), "{present:?} never went");
    Ok(())
}

fn main() -> ExitCode {
    Suite::new()
        .test(
            "a module in C and one in Rust that come and go 200 times are announced each time, in order, without a gap or a repetition",
            come_and_go,
        )
        .test(
            "so is an id that a module registers and unregisters 2000 times as fast as it can",
            fast,
        )
        .test(
            "an attempt to register an id that is taken is not announced",
            duplicates,
        )
        .test(
            "an id answers when it is announced to have come, and not when it is announced to have gone",
            usable_at_once,
        )
        .test(
            "what was complete when a request came is announced before its answer",
            before_the_answer,
        )
        .test(
            "requests on 4 sockets and changes at the same time do not disturb the order",
            many_barriers,
        )
        .test(
            "cn_notify announces that it goes itself, and comes back without requests",
            own_goodbye,
        )
        .test(
            "when changes come too fast, the lost ones are counted, logged and missing in seq, at once",
            too_fast,
        )
        .test(
            "cn_notify can be unloaded while 4 senders fire requests at it and ids come and go, and rust_connector after it",
            unloading_under_fire,
        )
        .run()
}
