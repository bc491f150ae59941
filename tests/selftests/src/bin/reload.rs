// SPDX-License-Identifier: GPL-2.0

//! Modules come and go; clients stay.

use std::{
    fs::File,
    io::{Read, Seek},
    process::ExitCode,
};

use anyhow::{Context, Result, bail, ensure};
use nix::errno::Errno;
use selftests::{
    Client, ECHO, KernelLog, Module, Objects, Stats, Suite, core_is_module, debugfs, hurry, procfs,
    require_unloadable, times,
};

fn echo_can_be_reloaded() -> Result<()> {
    let _connector = Module::load("rust_connector", "")?;
    let mut log = KernelLog::from_now()?;
    let client = Client::open()?;
    for n in 0..20 {
        let echo = Module::load("cn_echo", "")?;
        client.expect_echo(&Client::header(ECHO, n, n), b"hello")?;
        echo.unload()?;
        ensure!(!procfs::is_registered(ECHO)?, "{ECHO} is still registered");
    }
    log.expect_not("was never dropped")
}

/// A client that outlives the connector's module; or, where an open socket keeps that, each time
/// another one.
struct Stayer(Option<Client>);

impl Stayer {
    fn open() -> Result<Self> {
        let stays = (!core_is_module()).then(Client::open);
        Ok(Self(stays.transpose()?))
    }

    fn expect_echo(&self, n: u32) -> Result<()> {
        let header = Client::header(ECHO, n, n);
        match &self.0 {
            Some(client) => client.expect_echo(&header, b"hello"),
            None => Client::open()?.expect_echo(&header, b"hello"),
        }
    }
}

fn connector_can_be_reloaded() -> Result<()> {
    require_unloadable()?;
    let client = Stayer::open()?;
    for n in 0..5 {
        let (connector, echo) = Module::load_with_connector("cn_echo", "")?;
        client.expect_echo(n)?;
        echo.unload()?;
        connector.unload()?;
    }
    Ok(())
}

fn counters_begin_anew() -> Result<()> {
    require_unloadable()?;
    debugfs::require()?;
    for n in 0..2 {
        let (connector, echo) = Module::load_with_connector("cn_echo", "")?;
        Client::open()?.expect_echo(&Client::header(ECHO, n, n), b"hello")?;
        for stats in [Stats::of(ECHO)?, Stats::total()?] {
            ensure!(
                (stats.received, stats.replied) == (1, 1),
                "1 message was sent and answered, and the counters say {stats:?}"
            );
        }
        echo.unload()?;
        connector.unload()?;
    }
    Ok(())
}

fn unloaded_id_does_not_answer() -> Result<()> {
    let core = Module::load_core()?;
    let client = Client::open()?;
    client.send(&Client::header(ECHO, 1, 0), b"before rust_connector")?;
    let connector = match core {
        Some(core) => core,
        None => Module::load("rust_connector", "")?,
    };
    client.send(&Client::header(ECHO, 2, 0), b"before cn_echo")?;
    let echo = Module::load("cn_echo", "")?;
    client.expect_echo(&Client::header(ECHO, 3, 0), b"meanwhile")?;
    echo.unload()?;
    client.send(&Client::header(ECHO, 4, 0), b"after cn_echo")?;
    if !core_is_module() {
        connector.unload()?;
        client.send(&Client::header(ECHO, 5, 0), b"after rust_connector")?;
        return client.expect_nothing();
    }
    client.expect_nothing()?;
    drop(client);
    connector.unload()
}

fn connector_stays_while_used() -> Result<()> {
    require_unloadable()?;
    let (connector, echo) = Module::load_with_connector("cn_echo", "")?;
    let (connector, errno) = match connector.try_unload() {
        Ok(()) => bail!("rust_connector went away under cn_echo"),
        Err(refused) => refused,
    };
    ensure!(errno == Errno::EWOULDBLOCK, "rmmod rust_connector: {errno}");
    Client::open()?.expect_echo(&Client::header(ECHO, 1, 1), b"hello")?;
    echo.unload()?;
    connector.unload()
}

fn memory_is_given_back() -> Result<()> {
    let reloads = u64::from(times(100));
    let _hurry = hurry()?;
    let client = Stayer::open()?;
    let use_echo = || -> Result<()> {
        let echo = Module::load("cn_echo", "")?;
        client.expect_echo(1)?;
        echo.unload()
    };
    let connector = Module::load("rust_connector", "")?;
    // What is allocated once, for good, is.
    use_echo()?;
    Objects::expect_none_left(reloads, use_echo).context("cn_echo")?;
    connector.unload()?;

    let use_both = || -> Result<()> {
        let connector = Module::load("rust_connector", "")?;
        use_echo()?;
        connector.unload()
    };
    use_both()?;
    Objects::expect_none_left(reloads, use_both).context("rust_connector")
}

fn counters_outlive_a_registration() -> Result<()> {
    let _connector = Module::load("rust_connector", "")?;
    let client = Client::open()?;
    for n in 1..4 {
        let echo = Module::load("cn_echo", "")?;
        client.expect_echo(&Client::header(ECHO, 1, n), b"hello")?;
        echo.unload()?;
        // Turned away by the core: nobody counts it.
        client.send(&Client::header(ECHO, 2, n), b"hello")?;
        let total = Stats::total()?;
        ensure!(
            (
                total.received,
                total.replied,
                total.dropped(),
                total.running
            ) == (n.into(), n.into(), 0, 0),
            "after {n} messages the counters say {total:?}"
        );
    }
    Ok(())
}

fn open_stats() -> Result<()> {
    require_unloadable()?;
    let (connector, echo) = Module::load_with_connector("cn_echo", "")?;
    debugfs::require()?;
    let mut file = File::open(Stats::PATH)?;
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    ensure!(text.contains("\n16:1 "), "{text}");
    echo.unload()?;
    let (connector, errno) = match connector.try_unload() {
        Ok(()) => bail!("rust_connector went away under an open file"),
        Err(refused) => refused,
    };
    ensure!(errno == Errno::EWOULDBLOCK, "rmmod rust_connector: {errno}");
    text.clear();
    file.rewind()?;
    file.read_to_string(&mut text)?;
    ensure!(text.contains("\ntotal "), "{text}");
    drop(file);
    connector.unload()
}

fn main() -> ExitCode {
    Suite::new()
        .test(
            "cn_echo answers after each of 20 reloads, on a socket that stays open",
            echo_can_be_reloaded,
        )
        .test(
            "rust_connector can be reloaded 5 times, under a socket that stays open if it is not the core",
            connector_can_be_reloaded,
        )
        .test(
            "a rust_connector that was loaded again counts from zero",
            counters_begin_anew,
        )
        .test(
            "a message to an id that is not loaded gets no reply and no error",
            unloaded_id_does_not_answer,
        )
        .test(
            "rust_connector cannot be unloaded while cn_echo is loaded",
            connector_stays_while_used,
        )
        .test(
            "100 reloads of cn_echo leave no memory behind, nor do 100 of rust_connector",
            memory_is_given_back,
        )
        .test(
            "the total of the counters outlives a registration",
            counters_outlive_a_registration,
        )
        .test(
            "rust_connector cannot be unloaded while its counters are open, and can afterwards",
            open_stats,
        )
        .run()
}
