// SPDX-License-Identifier: GPL-2.0

//! Clients that send without a pause and do not read: they lose replies, and hold up nobody.

use std::{
    io,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
};

use anyhow::{Result, anyhow, ensure};
use fastrand::Rng;
use nix::errno::Errno;
use selftests::{
    Client, ECHO, Module, Stats, Suite, debugfs, in_time, pattern, procfs, renice, seed, times,
    unload_in_background, wait_for,
};

const MESSAGES: u32 = 2000;
const SIZE: usize = 4096;

/// Sends messages that nobody reads the replies to. Fails if that blocks.
fn flood(client: &Arc<Client>, messages: u32) -> Result<()> {
    let client = client.clone();
    in_time("sendmsg blocks in a client that does not read", move || {
        let data = pattern(0, SIZE);
        (0..messages).try_for_each(|seq| client.send(&Client::header(ECHO, seq, 0), &data))
    })
}

fn errno(error: &io::Error) -> Option<Errno> {
    error.raw_os_error().map(Errno::from_raw)
}

/// Reads everything; returns how many replies there were, which must be those to the first
/// messages.
fn drain(client: &Client) -> Result<u32> {
    let mut seq = 0;
    while let Some(datagram) = client.try_recv()? {
        let reply = datagram.single()?;
        ensure!(
            reply.header.seq == seq && reply.data == pattern(0, SIZE),
            "reply {seq} is {:?}",
            reply.header
        );
        seq += 1;
    }
    Ok(seq)
}

fn lost_replies_are_counted() -> Result<()> {
    let (_connector, _echo) = Module::load_with_connector("cn_echo", "")?;
    let client = Arc::new(Client::open()?);
    flood(&client, MESSAGES)?;

    let told = client.recv_raw().map_err(|error| errno(&error));
    ensure!(told == Err(Some(Errno::ENOBUFS)), "recv returned {told:?}");
    let read = drain(&client)?;
    ensure!(
        0 < read && read < MESSAGES,
        "{read} of {MESSAGES} replies found room"
    );
    println!("# {read} of {MESSAGES} replies found room");

    // Who reads again is served again, and not told twice.
    client.expect_echo(&Client::header(ECHO, 1, 1), b"again")?;
    let (received, replied) = (u64::from(MESSAGES) + 1, u64::from(read) + 1);
    let stats = Stats::of(ECHO)?;
    ensure!(
        (stats.received, stats.replied, stats.full) == (received, replied, received - replied),
        "{read} replies were read and one more, and the counters say {stats:?}"
    );
    ensure!(
        stats.dropped() == stats.full && stats.running == 0,
        "{stats:?}"
    );
    Ok(())
}

fn others_are_served() -> Result<()> {
    let (_connector, _echo) = Module::load_with_connector("cn_echo", "")?;
    let client = Arc::new(Client::open()?);
    flood(&client, MESSAGES)?;
    let other = Client::open()?;
    for seq in 0..100 {
        other.expect_echo(&Client::header(ECHO, seq, 0), b"hello")?;
    }
    // Still full, and still not blocked.
    let before = procfs::drops(client.portid())?;
    flood(&client, 10)?;
    let dropped = procfs::drops(client.portid())? - before;
    ensure!(dropped == 10, "{dropped} of 10 replies were dropped");
    Ok(())
}

fn unloading_under_flood() -> Result<()> {
    let _connector = Module::load("rust_connector", "")?;
    let stop = Arc::new(AtomicBool::new(false));
    let clients = (0..4).map(|_| Client::open()).collect::<Result<Vec<_>>>()?;
    let ports: Vec<_> = clients.iter().map(Client::portid).collect();
    let dropped = || -> Result<u64> { ports.iter().map(|&port| procfs::drops(port)).sum() };
    let flooders: Vec<_> = clients
        .into_iter()
        .map(|client| {
            let stop = stop.clone();
            thread::spawn(move || -> Result<()> {
                // Who loads and unloads should not have to wait for a turn.
                renice(19)?;
                let data = pattern(0, SIZE);
                while !stop.load(Relaxed) {
                    client.send(&Client::header(ECHO, 0, 0), &data)?;
                }
                Ok(())
            })
        })
        .collect();
    for _ in 0..5 {
        let before = dropped()?;
        let echo = Module::load("cn_echo", "")?;
        wait_for("replies are dropped", || {
            Ok((dropped()? > before).then_some(()))
        })?;
        unload_in_background(echo)?.wait()?;
        ensure!(!procfs::is_registered(ECHO)?, "{ECHO} is still registered");
    }
    stop.store(true, Relaxed);
    wait_for("the flooders stop", || {
        Ok(flooders.iter().all(|f| f.is_finished()).then_some(()))
    })?;
    for flooder in flooders {
        flooder
            .join()
            .map_err(|_| anyhow!("a flooder panicked"))??;
    }
    if !debugfs::is_there()? {
        return Ok(());
    }
    let total = Stats::total()?;
    ensure!(
        total.received == total.replied + total.full && total.dropped() == total.full,
        "the counters do not add up: {total:?}"
    );
    Ok(())
}

/// What became of one socket's requests.
#[derive(Debug, Default)]
struct Account {
    requests: u64,
    replies: u64,
    dropped: u64,
    /// How often a receive said that something was lost.
    told: u64,
}

impl Account {
    /// Sends without a pause and reads now and then, in `rounds` of another length each.
    fn keep(rng: &mut Rng, rounds: u32) -> Result<Self> {
        let client = Client::open()?;
        let mut account = Self::default();
        for _ in 0..rounds {
            let size = rng.usize(..SIZE);
            let data = pattern(0, size);
            for _ in 0..rng.u32(1..200) {
                client.send(&Client::header(ECHO, 0, 0), &data)?;
                account.requests += 1;
            }
            for _ in 0..rng.u32(..200) {
                if !account.receive(&client)? {
                    break;
                }
            }
        }
        while account.receive(&client)? {}
        account.dropped = procfs::drops(client.portid())?;
        Ok(account)
    }

    /// Receives a reply, or that some are lost; returns false if there is neither.
    fn receive(&mut self, client: &Client) -> Result<bool> {
        match client.recv_raw().map_err(|error| errno(&error)) {
            Ok(_) => self.replies += 1,
            Err(Some(Errno::ENOBUFS)) => self.told += 1,
            Err(Some(Errno::EAGAIN)) => return Ok(false),
            Err(other) => anyhow::bail!("recv returned {other:?}"),
        }
        Ok(true)
    }
}

fn every_reply_is_accounted_for() -> Result<()> {
    const SENDERS: u64 = 8;
    let (_connector, _echo) = Module::load_with_connector("cn_echo", "")?;
    let seed = seed()?;
    let accounts = thread::scope(|scope| {
        let senders = (0..SENDERS).map(|sender| {
            let mut rng = Rng::with_seed(seed ^ (sender + 1));
            scope.spawn(move || Account::keep(&mut rng, times(200)))
        });
        let senders: Vec<_> = senders.collect();
        let joined = senders.into_iter().map(|sender| sender.join());
        let accounts = joined.map(|account| account.map_err(|_| anyhow!("a sender panicked"))?);
        accounts.collect::<Result<Vec<_>>>()
    })?;
    for account in &accounts {
        ensure!(
            account.requests == account.replies + account.dropped
                && (account.dropped > 0) == (account.told > 0),
            "{account:?}"
        );
    }
    let sum = |of: fn(&Account) -> u64| accounts.iter().map(of).sum::<u64>();
    let (requests, replies, dropped) =
        (sum(|a| a.requests), sum(|a| a.replies), sum(|a| a.dropped));
    println!("# {requests} requests: {replies} replies were read, {dropped} were dropped");
    ensure!(dropped > 0 && replies > 0, "this tests nothing");
    if !debugfs::is_there()? {
        return Ok(());
    }
    let stats = Stats::of(ECHO)?;
    ensure!(
        (stats.received, stats.replied, stats.full, stats.dropped())
            == (requests, replies, dropped, dropped),
        "the counters say {stats:?}"
    );
    Ok(())
}

fn smallest_buffer() -> Result<()> {
    let (_connector, _echo) = Module::load_with_connector("cn_echo", "")?;
    let client = Arc::new(Client::open()?);
    client.shrink_receive_buffer()?;
    flood(&client, 3)?;
    let told = client.recv_raw().map_err(|error| errno(&error));
    ensure!(told == Err(Some(Errno::ENOBUFS)), "recv returned {told:?}");
    // Netlink takes one datagram into an empty buffer, whatever its size.
    let read = drain(&client)?;
    ensure!(read == 1, "{read} replies of {SIZE} bytes found room");
    Ok(())
}

fn main() -> ExitCode {
    Suite::new()
        .test(
            "a client that never reads is not blocked in sendmsg; what it lost is counted, it is told once by ENOBUFS, and served again when it has read",
            lost_replies_are_counted,
        )
        .test(
            "a client that never reads holds up no other",
            others_are_served,
        )
        .test(
            "of 8 senders' requests every one is a reply read, or a drop that is counted and told of, socket by socket",
            every_reply_is_accounted_for,
        )
        .test(
            "with the smallest receive buffer one reply of 4096 bytes gets through",
            smallest_buffer,
        )
        .test(
            "rmmod returns while 4 clients that never read flood the module",
            unloading_under_flood,
        )
        .run()
}
