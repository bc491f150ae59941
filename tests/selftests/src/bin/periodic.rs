// SPDX-License-Identifier: GPL-2.0

//! What safe code of a module does with `Periodic` and `Broadcaster`, and replies in pieces: carried
//! out by `ct_tick`.

use std::{
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use anyhow::{Context, Error, Result, bail, ensure};
use connector_wire::outcome;
use selftests::{CbId, Client, Header, KernelLog, Module, Suite, in_time, times};

const TICK: CbId = CbId { idx: 26, val: 1 };

/// The error of a scheme that found something else than it expected.
const EFAULT: u32 = 14;

/// Has `ct_tick` carry out a scheme.
fn carry_out(scheme: &'static str) -> Result<()> {
    in_time(scheme, move || {
        let reply = Client::open()?.ask(&Client::header(TICK, 1, 0), scheme.as_bytes())?;
        match outcome(&reply.data) {
            Some(Ok(b"done")) => Ok(()),
            Some(Err(EFAULT)) => bail!("`{scheme}` did not find what it expected"),
            other => bail!("`{scheme}` ended with {other:?}"),
        }
    })
}

fn scheme(name: &'static str) -> Result<()> {
    let (_connector, module) = Module::load_with_connector("ct_tick", "")?;
    for _ in 0..times(5) {
        carry_out(name)?;
    }
    module.unload()
}

/// What is left is ended when the module goes, again and again.
fn left() -> Result<()> {
    for _ in 0..times(20) {
        let (_connector, module) = Module::load_with_connector("ct_tick", "")?;
        carry_out("leave")?;
        let mut log = KernelLog::from_now()?;
        module.unload()?;
        let messages = log.messages()?;
        let warnings = messages.iter();
        let warnings = warnings.filter(|message| message.contains("left a Periodic"));
        ensure!(
            warnings.count() == 4,
            "the kernel log should say so four times, and says {messages:#?}"
        );
    }
    Ok(())
}

/// Two clients at a time have closures made, lost and dropped, while the module goes afterwards.
fn together() -> Result<()> {
    let (_connector, module) = Module::load_with_connector("ct_tick", "")?;
    let threads = ["ends", "own", "other", "moves"].map(|name| thread::spawn(|| carry_out(name)));
    for thread in threads {
        thread
            .join()
            .map_err(|_| Error::msg("a thread panicked"))??;
    }
    module.unload()
}

fn broadcasts() -> Result<()> {
    let (_connector, module) = Module::load_with_connector("ct_tick", "")?;
    // Nobody listens.
    carry_out("broadcast")?;
    let listener = Client::open_in(TICK.idx)?;
    let over = Arc::new(AtomicBool::new(false));
    let reader = thread::spawn({
        let over = over.clone();
        move || read_in_order(&listener, &over)
    });
    let sent = carry_out("broadcast");
    over.store(true, Ordering::Release);
    let seen = reader
        .join()
        .map_err(|_| Error::msg("the reader panicked"))?;
    sent?;
    let seen = seen?;
    ensure!(seen > 100, "only {seen} messages came");
    module.unload()
}

/// Reads until it is `over`, and returns how many came; `seq` has to grow. What there was no room
/// for is missing.
fn read_in_order(listener: &Client, over: &AtomicBool) -> Result<u32> {
    let mut seen = 0;
    let mut last = None;
    loop {
        let was_over = over.load(Ordering::Acquire);
        let message = match listener.try_recv() {
            Err(error) if error.root_cause().to_string().contains("No buffer space") => continue,
            Ok(None) if was_over => return Ok(seen),
            Ok(None) => {
                thread::sleep(Duration::from_millis(1));
                continue;
            }
            other => other?.context("nothing")?.single()?,
        };
        ensure!(message.header.id == TICK, "{:?}", message.header);
        let seq = message.header.seq;
        ensure!(
            last.is_none_or(|last| seq > last),
            "{seq} came after {last:?}"
        );
        last = Some(seq);
        seen += 1;
    }
}

fn pieces() -> Result<()> {
    let (_connector, module) = Module::load_with_connector("ct_tick", "")?;
    let client = Client::open()?;
    for len in [0, 1, 2, 97, 98, 99, 5000, 16000] {
        let data = selftests::pattern(5, len);
        let request: Header = Client::header(TICK, 7, 3);
        client.send(&request, &[b"pieces", &data[..]].concat())?;
        let ok = 0i32.to_ne_bytes();
        let error = (-2i32).to_ne_bytes();
        let expected: [&[&[u8]]; 4] = [&[&data, b"end"], &[], &[&ok, &data], &[&error]];
        for parts in expected {
            client
                .expect_reply(&request, &parts.concat())
                .with_context(|| format!("a reply in pieces, of {len} bytes"))?;
        }
        client.expect_nothing()?;
    }
    module.unload()
}

fn main() -> ExitCode {
    Suite::new()
        .test(
            "a closure is called one at a time until its Periodic is dropped, and goes then",
            || scheme("ends"),
        )
        .test("the drop waits for a closure that runs", || {
            scheme("running")
        })
        .test("it can be moved and swapped meanwhile", || scheme("moves"))
        .test("a closure may end itself, and make others", || {
            scheme("own")
        })
        .test("a closure may end another one", || scheme("other"))
        .test("a period that is none is a short one", || scheme("periods"))
        .test("all of that at a time", together)
        .test("what is never dropped ends with its module", left)
        .test(
            "broadcasts from tasks and softirqs are counted and in order",
            broadcasts,
        )
        .test(
            "an idx that has no group is told when registering and when sending",
            || scheme("groups"),
        )
        .test(
            "a reply may come in pieces, and say how the request ended",
            pieces,
        )
        .run()
}
