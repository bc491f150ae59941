// SPDX-License-Identifier: GPL-2.0

//! Which id `cn_echo` answers on, and what happens if somebody has it.

use std::process::ExitCode;

use anyhow::{Result, bail, ensure};
use nix::errno::Errno;
use selftests::{CbId, Client, ECHO, KernelLog, Module, Suite, notify::PROCESS_EVENTS, procfs};

fn listed(line: &str) -> Result<bool> {
    Ok(procfs::registered()?.iter().any(|listed| listed == line))
}

fn default_id() -> Result<()> {
    let (_connector, echo) = Module::load_with_connector("cn_echo", "")?;
    ensure!(listed("cn_echo 16:1")?, "{:?}", procfs::registered()?);
    echo.unload()?;
    ensure!(!listed("cn_echo 16:1")?, "{:?}", procfs::registered()?);
    Ok(())
}

fn other_ids() -> Result<()> {
    let _connector = Module::load("rust_connector", "")?;
    let client = Client::open()?;
    for (idx, val) in [(20, 7), (16, 2), (17, 1), (0, 0), (u32::MAX - 1, u32::MAX)] {
        let id = CbId { idx, val };
        let _echo = Module::load("cn_echo", &format!("idx={idx} val={val}"))?;
        ensure!(
            listed(&format!("cn_echo {idx}:{val}"))?,
            "{:?}",
            procfs::registered()?
        );
        client.expect_echo(&Client::header(id, 1, 1), b"hello")?;
        client.send(&Client::header(ECHO, 1, 1), b"hello")?;
        client.expect_nothing()?;
    }
    Ok(())
}

/// Loads `cn_echo` with an id that is taken, and checks how it fails.
fn expect_taken(id: CbId) -> Result<()> {
    let before = procfs::registered()?;
    let mut log = KernelLog::from_now()?;
    let CbId { idx, val } = id;
    match Module::try_load("cn_echo", &format!("idx={idx} val={val}"))? {
        Ok(_) => bail!("insmod cn_echo.ko succeeded with the id {id}, which is taken"),
        Err(errno) => ensure!(errno == Errno::EINVAL, "insmod cn_echo.ko: {errno}"),
    }
    log.expect(&format!(
        "cn_echo: cannot register {id}: it is taken, or reserved"
    ))?;
    ensure!(!procfs::is_loaded("cn_echo")?, "cn_echo is loaded");
    let after = procfs::registered()?;
    ensure!(before == after, "{before:?} became {after:?}");
    Ok(())
}

fn taken_by_c() -> Result<()> {
    // The only C user of an id at hand.
    procfs::require_process_events()?;
    let _connector = Module::load("rust_connector", "")?;
    expect_taken(PROCESS_EVENTS)?;
    // The failure leaves nothing behind that would keep another id from being registered.
    let _echo = Module::load("cn_echo", "")?;
    Client::open()?.expect_echo(&Client::header(ECHO, 1, 1), b"hello")
}

fn main() -> ExitCode {
    Suite::new()
        .test(
            "without parameters /proc/net/connector lists `cn_echo 16:1` while it is loaded",
            default_id,
        )
        .test(
            "with idx= and val= it answers on that id, and no more on 16:1",
            other_ids,
        )
        .test(
            "insmod fails with EINVAL and a line in the kernel log if a C module has the id",
            taken_by_c,
        )
        .run()
}
