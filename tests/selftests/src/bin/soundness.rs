// SPDX-License-Identifier: GPL-2.0

//! What safe code of a module does to the crate: registrations swapped, lost and kept, made and
//! dropped wherever its code runs, under locks of its own, and while the module goes.

use std::{
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    thread::{self, JoinHandle},
};

use anyhow::{Context, Error, Result, ensure};
use selftests::{
    CbId, Client, KernelLog, Module, Suite, debugfs, in_time, procfs, times, unload_in_background,
    wait_for,
};

const SERVICES: &str = "/sys/kernel/debug/rust_connector/services";

const DIRECTOR: CbId = CbId { idx: 31, val: 1 };

fn mischief(val: u32) -> CbId {
    CbId { idx: 31, val }
}

fn remains(val: u32) -> CbId {
    CbId { idx: 32, val }
}

/// Has `ct_mischief` carry out a scheme.
fn carry_out(scheme: &'static str) -> Result<()> {
    in_time(scheme, move || {
        let reply = Client::open()?.ask(&Client::header(DIRECTOR, 1, 0), scheme.as_bytes())?;
        let said = String::from_utf8_lossy(&reply.data);
        ensure!(said == "done", "`{scheme}` ended with {said}");
        Ok(())
    })
}

/// [`carry_out`] in a thread of its own, for a scheme that goes on until it is told to stop.
fn begin(scheme: &'static str) -> JoinHandle<Result<()>> {
    thread::spawn(move || carry_out(scheme))
}

fn end(scheme: JoinHandle<Result<()>>) -> Result<()> {
    carry_out("stop")?;
    joined(scheme)
}

fn joined<T>(thread: JoinHandle<Result<T>>) -> Result<T> {
    thread.join().map_err(|_| Error::msg("a thread panicked"))?
}

/// Asks an id; the answer, if there is one, has to be the id's own.
fn ask(client: &Client, id: CbId, seq: u32) -> Result<bool> {
    client.send(&Client::header(id, seq, 0), b"who?")?;
    let Some(datagram) = client.try_recv()? else {
        return Ok(false);
    };
    let reply = datagram.single()?;
    ensure!(
        reply.header.id == id && reply.header.seq == seq,
        "{id} was asked, and {:?} answered",
        reply.header
    );
    ensure!(
        reply.data == id.val.to_ne_bytes(),
        "the handler of {id} should answer, and this came: {:?}",
        reply.data
    );
    Ok(true)
}

fn expect_answer(id: CbId) -> Result<()> {
    ensure!(ask(&Client::open()?, id, 7)?, "{id} does not answer");
    Ok(())
}

fn wait_until_registered(id: CbId) -> Result<()> {
    wait_for("an id is registered", || {
        Ok(procfs::is_registered(id)?.then_some(()))
    })
}

/// Fails if an id of the module is registered, or one of them answers.
fn expect_none(idx: u32) -> Result<()> {
    let idx = format!(" {idx}:");
    let left: Vec<_> = procfs::registered()?
        .into_iter()
        .filter(|line| line.contains(&idx))
        .collect();
    ensure!(left.is_empty(), "these are still registered: {left:?}");
    Ok(())
}

/// Runs a scheme while clients ask `vals`, those in `always` of which have to answer each time.
fn while_asked(scheme: &'static str, always: &[u32], vals: &'static [u32]) -> Result<()> {
    let (_connector, module) = Module::load_with_connector("ct_mischief", "")?;
    let scheme = begin(scheme);
    for &val in always {
        wait_until_registered(mischief(val))?;
    }
    let always = always.to_vec();
    let asking: Vec<_> = vals
        .iter()
        .map(|&val| {
            let always = always.contains(&val);
            thread::spawn(move || {
                let client = Client::open()?;
                for seq in 0..times(20_000) {
                    let answered = ask(&client, mischief(val), seq)?;
                    ensure!(answered || !always, "31:{val} did not answer");
                }
                Ok(())
            })
        })
        .collect();
    let asked = asking.into_iter().map(joined).collect::<Result<Vec<_>>>();
    end(scheme)?;
    asked?;
    module.unload()?;
    expect_none(31)
}

fn swapped() -> Result<()> {
    while_asked("swap", &[10, 11, 12, 13], &[10, 11, 12, 13])
}

fn replaced() -> Result<()> {
    while_asked("replace", &[10, 11], &[10, 11, 14, 15])
}

/// What schemes leave is called as long as the module is there, and then taken away.
fn left_by(scheme: &'static str, left: &[u32], gone: &[u32]) -> Result<()> {
    let (_connector, module) = Module::load_with_connector("ct_mischief", "")?;
    carry_out(scheme)?;
    for _ in 0..times(1000) {
        for &val in left {
            expect_answer(mischief(val))?;
        }
    }
    for &val in gone {
        ensure!(!procfs::is_registered(mischief(val))?, "31:{val}");
    }
    let mut log = KernelLog::from_now()?;
    module.unload()?;
    let messages = log.messages()?;
    for &val in left {
        let warning = format!("left 31:{val} registered");
        ensure!(
            messages.iter().any(|message| message.contains(&warning)),
            "the kernel log should say `{warning}`, and says {messages:#?}"
        );
    }
    expect_none(31)
}

/// Carries a scheme out again and again, while others look at everything.
fn meanwhile(scheme: &'static str, count: u32, group: Option<u32>) -> Result<()> {
    let (_connector, module) = Module::load_with_connector("ct_mischief", "")?;
    let _listener = group.map(Client::open_in).transpose()?;
    let over = Arc::new(AtomicBool::new(false));
    let reading = thread::spawn({
        let over = over.clone();
        move || {
            // Where there is something to look at.
            while debugfs::is_there()? && !over.load(Ordering::Relaxed) {
                debugfs::read(SERVICES)?;
            }
            Ok(())
        }
    });
    let asking = thread::spawn({
        let over = over.clone();
        move || {
            let client = Client::open()?;
            while !over.load(Ordering::Relaxed) {
                for val in [19, 20, 23, 24, 29, 30] {
                    ask(&client, mischief(val), val)?;
                }
            }
            Ok(())
        }
    });
    let carried_out = (0..times(count)).try_for_each(|_| carry_out(scheme));
    over.store(true, Ordering::Relaxed);
    carried_out?;
    in_time("readers and clients hang", move || {
        joined(reading).and_then(|()| joined(asking))
    })?;
    module.unload()?;
    expect_none(31)
}

fn shown_under_a_lock() -> Result<()> {
    debugfs::require()?;
    let (_connector, module) = Module::load_with_connector("ct_mischief", "")?;
    for _ in 0..5 {
        let scheme = begin("lock");
        wait_until_registered(mischief(25))?;
        let reading = thread::spawn(|| debugfs::read(SERVICES));
        in_time("insmod and rmmod of a module that is not concerned", || {
            Module::load("ct_crowd", "")?.unload()
        })?;
        let text = in_time("who unregisters, or who reads, hangs", move || {
            joined(scheme)?;
            joined(reading)
        })?;
        ensure!(text.contains("31:1 ct_mischief\ncount "), "{text}");
    }
    module.unload()
}

fn filtered() -> Result<()> {
    // Somebody has to listen, or no filter is asked; that there is more than it has room for is well.
    meanwhile("filter", 20, Some(32))
}

fn with_any_flags() -> Result<()> {
    let (_connector, module) = Module::load_with_connector("ct_mischief", "")?;
    // The messages have to be made and queued, or nothing is allocated.
    let listener = Client::open_in(32)?;
    carry_out("flags")?;
    for _ in 0..2 {
        for len in [10, 500, 10_000] {
            ensure!(listener.recv()?.single()?.data.len() == len);
        }
    }
    module.unload()
}

fn in_an_interrupt() -> Result<()> {
    let (_connector, module) = Module::load_with_connector("ct_mischief", "")?;
    let listener = Client::open_in(31)?;
    carry_out("interrupt")?;
    listener.expect_nothing()?;
    module.unload()
}

fn replies() -> Result<()> {
    let (_connector, module) = Module::load_with_connector("ct_mischief", "")?;
    let client = Client::open()?;
    for len in [5, 6, 7, 8, 9, 100, 1000, 4000, 16000] {
        let data = reply_data(len);
        // CAST: Small.
        let request = Client::header(DIRECTOR, len as u32, 41);
        client.send(&request, &data)?;
        for expected in [&data, &data, &data[..len / 2], b"same"] {
            client
                .expect_reply(&request, expected)
                .with_context(|| format!("of {len} bytes"))?;
        }
        client.expect_nothing()?;
    }
    module.unload()
}

fn reply_data(len: usize) -> Vec<u8> {
    let mut data = b"reply".to_vec();
    data.extend(selftests::pattern(3, len - data.len()));
    data
}

/// What `ct_remains` leaves tries to leave more while the module goes, and cannot.
fn refused(what: &'static [u8], expected: &[&str]) -> Result<()> {
    let _connector = Module::load("rust_connector", "")?;
    for _ in 0..5 {
        let module = Module::load("ct_remains", "")?;
        let reply = Client::open()?.ask(&Client::header(remains(1), 1, 0), what)?;
        ensure!(reply.data == b"done", "{reply:?}");
        let mut log = KernelLog::from_now()?;
        unload_in_background(module)?.wait()?;
        expect_refused(&mut log, expected)?;
    }
    Ok(())
}

fn expect_refused(log: &mut KernelLog, expected: &[&str]) -> Result<()> {
    let messages = log.messages()?;
    for refused in expected {
        let line = format!("ct_remains: refused {refused}");
        ensure!(
            messages.contains(&line),
            "the kernel log should say `{line}`, and says {messages:#?}"
        );
    }
    expect_none(32)?;
    stir()
}

/// Changes that an observer which is still called would be told, and messages that a handler would
/// get.
fn stir() -> Result<()> {
    for val in 1..5 {
        let id = remains(val);
        let _echo = Module::load("cn_echo", &format!("idx={} val={}", id.idx, id.val))?;
        Client::open()?.expect_echo(&Client::header(id, 2, 0), b"hello")?;
    }
    expect_none(32)
}

fn left_while_going(what: &'static [u8], refused: &str) -> Result<()> {
    let _connector = Module::load("rust_connector", "")?;
    for _ in 0..5 {
        let module = Module::load("ct_remains", "")?;
        // The thread outlives the test if the kernel never lets it go; so must the socket.
        let client = Arc::new(Client::open()?);
        let sender = client.clone();
        thread::spawn(move || sender.send(&Client::header(remains(1), 1, 0), what));
        let reply = client.recv()?.single()?;
        ensure!(reply.data == b"in", "the handler said {reply:?}");
        let mut log = KernelLog::from_now()?;
        unload_in_background(module)?.wait()?;
        expect_refused(&mut log, &[refused])?;
    }
    Ok(())
}

fn breeding() -> Result<()> {
    // A line for each.
    let _quiet = selftests::quiet()?;
    let _connector = Module::load("rust_connector", "")?;
    for _ in 0..3 {
        let module = Module::load("ct_remains", "")?;
        let over = Arc::new(AtomicBool::new(false));
        let answers = Arc::new(AtomicU32::new(0));
        let asking: Vec<_> = (0..3)
            .map(|_| {
                let (over, answers) = (over.clone(), answers.clone());
                thread::spawn(move || {
                    let client = Client::open()?;
                    while !over.load(Ordering::Relaxed) {
                        client.send(&Client::header(remains(1), 1, 0), b"more")?;
                        while client.try_recv()?.is_some() {
                            answers.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                    Ok(())
                })
            })
            .collect();
        wait_for("handlers register ids", || {
            Ok((answers.load(Ordering::Relaxed) > 20).then_some(()))
        })?;
        let unloaded = unload_in_background(module)?.wait();
        over.store(true, Ordering::Relaxed);
        asking.into_iter().try_for_each(joined)?;
        unloaded?;
        expect_none(32)?;
    }
    stir()
}

fn main() -> ExitCode {
    Suite::new()
        .test(
            "registrations that are swapped while messages come keep their ids",
            swapped,
        )
        .test(
            "so do those that are moved, and replaced by others",
            replaced,
        )
        .test(
            "one whose memory was freed and used by others still answers, until its module goes",
            || left_by("uninit", &[16, 17], &[]),
        )
        .test(
            "one in a static lock that is never dropped is taken away when its module goes",
            || left_by("keep", &[18], &[]),
        )
        .test(
            "one that is swapped out of a box that was leaked can be dropped",
            || left_by("boxes", &[27], &[26]),
        )
        .test(
            "handlers that own registrations, and register something when dropped, can be dropped",
            || meanwhile("nest", 20, None),
        )
        .test(
            "show() may take a lock under which its module unregisters something: nobody hangs",
            shown_under_a_lock,
        )
        .test(
            "handlers, initialisers and drops may take a lock under which ids are registered",
            || meanwhile("locks", 20, None),
        )
        .test("so may observers, which register ids as well", || {
            meanwhile("observe", 2, None)
        })
        .test("an observer may end its own watch", || {
            meanwhile("end", 2, None)
        })
        .test(
            "a filter may send, and take a lock under which something is sent",
            filtered,
        )
        .test(
            "allocation flags that are of no use do no harm",
            with_any_flags,
        )
        .test(
            "in an interrupt every way of sending is refused",
            in_an_interrupt,
        )
        .test(
            "after a reply, and after three, message and sender are as they were",
            replies,
        )
        .test(
            "observers of leaked watches can register nothing while their module goes",
            // One is dropped meanwhile, and the other one told something.
            || refused(b"heir", &["32:3", "32:4"]),
        )
        .test("nor can a handler that the module waits for", || {
            left_while_going(b"again", "32:1")
        })
        .test("which can leave no watch, either", || {
            left_while_going(b"late", "a watch")
        })
        .test("nor can the closure of a leaked periodic task", || {
            refused(b"tick", &["32:5"])
        })
        .test(
            "a module goes whose closures and observers make the next ones when they are dropped",
            || refused(b"phoenix", &["a periodic task", "a watch"]),
        )
        .test(
            "of a handler that registers an id whenever it is called, nothing is left",
            breeding,
        )
        .run()
}
