// SPDX-License-Identifier: GPL-2.0

//! Modules that go, or fail to load, without dropping a registration; and ids that leave nothing.

use std::{process::ExitCode, sync::Arc, thread};

use anyhow::{Result, bail, ensure};
use nix::errno::Errno;
use selftests::{CbId, Client, KernelLog, Module, Objects, Suite, procfs, times};

const LEAK: CbId = CbId { idx: 30, val: 3 };
const LEAK_STATIC: CbId = CbId { idx: 30, val: 4 };

/// Fails unless the id is free: nobody answers, and it can be registered.
fn expect_free(id: CbId) -> Result<()> {
    ensure!(!procfs::is_registered(id)?, "{id} is still registered");
    let client = Client::open()?;
    client.send(&Client::header(id, 1, 0), b"anybody?")?;
    client.expect_nothing()?;
    let _echo = Module::load("cn_echo", &format!("idx={} val={}", id.idx, id.val))?;
    client.expect_echo(&Client::header(id, 2, 0), b"hello")
}

fn warning(module: &str, id: CbId) -> String {
    format!("{module} goes and left {id} registered: its Registration was never dropped")
}

fn unloading(module: &'static str, id: CbId, answer: &[u8]) -> Result<()> {
    let _connector = Module::load("rust_connector", "")?;
    for seq in 0..5 {
        let mut log = KernelLog::from_now()?;
        let leaking = Module::load(module, "")?;
        let reply = Client::open()?.ask(&Client::header(id, seq, 0), b"")?;
        ensure!(reply.data == answer, "the handler said {reply:?}");
        leaking.unload()?;
        log.expect(&warning(module, id))?;
        expect_free(id)?;
    }
    Ok(())
}

fn unloading_while_it_runs() -> Result<()> {
    let (_connector, leaking) = Module::load_with_connector("ct_leak", "")?;
    // The thread outlives the test if the kernel never lets it go; so must the socket.
    let client = Arc::new(Client::open()?);
    let sender = client.clone();
    thread::spawn(move || sender.send(&Client::header(LEAK, 1, 0), b"nap"));
    let reply = client.recv()?.single()?;
    ensure!(reply.data == b"in", "the handler said {reply:?}");
    leaking.unload()?;
    // It was said before the handler returned, which is before rmmod was done.
    let reply = client.recv_now()?;
    ensure!(reply.data == b"out", "the handler said {reply:?}");
    expect_free(LEAK)
}

fn failing(module: &'static str, parameters: &str, id: CbId, left: bool) -> Result<()> {
    let _connector = Module::load("rust_connector", "")?;
    for _ in 0..5 {
        let mut log = KernelLog::from_now()?;
        match Module::try_load(module, parameters)? {
            Ok(_) => bail!("{module} was loaded, though it should fail"),
            Err(errno) => ensure!(errno == Errno::ENXIO, "insmod {module}.ko: {errno}"),
        }
        match left {
            true => log.expect(&warning(module, id))?,
            false => log.expect_not("was never dropped")?,
        }
        expect_free(id)?;
    }
    Ok(())
}

/// Ids that come and go leave nothing: neither memory, nor something that a look-up has to pass.
fn many_ids() -> Result<()> {
    let ids = times(200_000);
    let _connector = Module::load("rust_connector", "")?;
    let churn = |ids: u32| Module::load("ct_churn", &format!("ids={ids}"))?.unload();
    churn(1000)?;
    let before = Objects::count();
    churn(ids)?;
    before?.expect_no_more(ids.into())
}

fn main() -> ExitCode {
    Suite::new()
        .test(
            "a forgotten registration is taken away with a warning when its module goes",
            || unloading("ct_leak", LEAK, b"out"),
        )
        .test(
            "so is one that the module's static data hold and never drop",
            || unloading("ct_leak_static", LEAK_STATIC, b"the handler's 16"),
        )
        .test(
            "a module that leaked its registration waits for its handler when it goes",
            unloading_while_it_runs,
        )
        .test(
            "a module that fails to load after it registered leaves nothing behind",
            || failing("ct_leak", "leak=0 fail=1", LEAK, false),
        )
        .test(
            "nor does one that forgot its registration and then fails to load",
            || failing("ct_leak", "leak=1 fail=1", LEAK, true),
        )
        .test(
            "nor does one whose static data hold it when loading fails",
            || failing("ct_leak_static", "fail=1", LEAK_STATIC, true),
        )
        .test(
            "200000 different ids that come and go leave no memory behind",
            many_ids,
        )
        .run()
}
