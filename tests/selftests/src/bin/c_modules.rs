// SPDX-License-Identifier: GPL-2.0

//! Modules in C on this project's own connector: the kernel's, which are loaded as they are where that is
//! `cn.ko`, though they were built against the kernel's own, or built in; and some that the kernel's
//! would not survive.

use std::{
    fs,
    path::PathBuf,
    process::{Command, ExitCode, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use nix::errno::Errno;
use selftests::{
    CbId, Client, KernelLog, Module, Objects, Stats, Suite,
    ack::{self, Ack},
    core_is_ours, datagram,
    dm::{self, LogRequest},
    pattern, procfs,
    program::beside,
    times, unload_in_background, wait_for,
};

const PEER: CbId = CbId { idx: 40, val: 1 };
const CALLBACK: CbId = CbId { idx: 50, val: 1 };
const CN_TEST: CbId = CbId {
    idx: 14,
    val: 0x456,
};
const W1: CbId = CbId { idx: 3, val: 1 };
const CROWD: u32 = 0x6372;

/// Whether somebody has the id, by what a message to it is acknowledged with.
fn is_handled(id: CbId) -> Result<bool> {
    let client = Client::open()?;
    client.send_raw(&ack::asking(&Client::header(id, 1, 1), b""))?;
    // Of what it answers, the acknowledgement is the last.
    let mut last = None;
    while let Ok(bytes) = client.recv_raw() {
        last = Some(bytes);
    }
    let ack = Ack::parse(&last.context("no acknowledgement")?)?;
    ensure!([0, -(Errno::ENODEV as i32)].contains(&ack.error), "{ack:?}");
    Ok(ack.error == 0)
}

fn sample() -> Result<()> {
    let _connector = Module::load("rust_connector", "")?;
    let sample = Module::load_kernels("samples/connector/cn_test.ko")?;
    ensure!(procfs::registered()?.contains(&"cn_test 14:1110".to_owned()));
    // The kernel's own ucon, and this project's.
    for (name, line) in [("ucon-of-kernel", "[e.457]"), ("ucon", "[14:1111]")] {
        let out = PathBuf::from(format!("/tmp/{name}.out"));
        let mut listening = Command::new(beside("bin").join(name))
            .arg(&out)
            .stdout(Stdio::null())
            .spawn()
            .with_context(|| name.to_owned())?;
        let heard = wait_for("cn_test's timer sends something", || {
            let text = fs::read_to_string(&out).unwrap_or_default();
            Ok((text.lines().filter(|heard| heard.contains(line)).count() > 1).then_some(()))
        });
        listening.kill()?;
        listening.wait()?;
        fs::remove_file(out)?;
        heard.with_context(|| name.to_owned())?;

        let before = Stats::of(CN_TEST)?.received;
        let sent = Command::new(beside("bin").join(name))
            .arg("-s")
            .stdout(Stdio::null())
            .status()?;
        ensure!(sent.success(), "{name} -s: {sent}");
        let received = Stats::of(CN_TEST)?.received - before;
        ensure!(received == 10_000, "{name} -s sent {received} messages");
    }
    sample.unload()?;
    ensure!(!procfs::is_registered(CN_TEST)?);
    Ok(())
}

/// `W1_LIST_MASTERS`, which needs no hardware: there are none.
fn w1() -> Result<()> {
    const W1_LIST_MASTERS: u8 = 6;
    let _connector = Module::load("rust_connector", "")?;
    let w1 = Module::load_kernels("drivers/w1/wire.ko")?;
    let client = Client::open()?;
    let mut request = [0; 12];
    request[0] = W1_LIST_MASTERS;
    client.send(&Client::header(W1, 41, 7), &request)?;
    let reply = client.recv()?.single()?;
    ensure!(
        (reply.header.id, reply.header.seq, reply.header.ack) == (W1, 41, 42),
        "{reply:?}"
    );
    ensure!(
        reply.data[0] == W1_LIST_MASTERS && reply.data[1] == 0,
        "{reply:?}"
    );
    drop(client);
    w1.unload()
}

/// Loads the device mapper's modules, each after those that it needs.
fn load_dm(names: &[&str]) -> Result<Vec<Module>> {
    let load = |name| Module::load_kernels(&format!("drivers/md/{name}.ko"));
    names.iter().map(load).collect()
}

/// Unloads modules, the last one first.
fn unload_all(modules: Vec<Module>) -> Result<()> {
    modules.into_iter().rev().try_for_each(Module::unload)
}

fn dm_log_userspace() -> Result<()> {
    let _connector = Module::load("rust_connector", "")?;
    let below = load_dm(&["dm-mod", "dm-log"])?;
    let module = Module::load_kernels("drivers/md/dm-log-userspace.ko")?;
    ensure!(procfs::registered()?.contains(&"dmlogusr 7:1".to_owned()));
    ensure!(is_handled(dm::LOG)?);
    let stays = module.is_built_in();
    module.unload()?;
    ensure!(is_handled(dm::LOG)? == stays);
    unload_all(below)
}

/// A mirror asks by broadcast, and waits for what the program sends to the id. Of a mirror whose disks are
/// not there, the log is made all the same, and let go again.
fn dm_log_daemon() -> Result<()> {
    const UUID: &str = "of-the-tests";
    let _connector = Module::load("rust_connector", "")?;
    let modules = load_dm(&[
        "dm-mod",
        "dm-log",
        "dm-region-hash",
        "dm-mirror",
        "dm-log-userspace",
    ])?;
    let daemon = Client::open_in(dm::LOG.idx)?;
    let mut asked = Vec::new();
    let loaded = thread::scope(|scope| -> Result<_> {
        let mirror = scope.spawn(|| -> Result<_> {
            let parameters =
                format!("userspace 3 {UUID} clustered-core 64 2 /nowhere 0 /nowhere 0");
            dm::Device::create("of-the-tests")?.load(2048, "mirror", &parameters)
        });
        while !mirror.is_finished() {
            let Some(request) = LogRequest::next(&daemon)? else {
                thread::sleep(Duration::from_millis(1));
                continue;
            };
            asked.push((
                request.kind(),
                request.uuid(),
                String::from_utf8_lossy(request.data()).into_owned(),
            ));
            let region_size = 64_u64.to_ne_bytes();
            match request.kind() {
                LogRequest::REGION_SIZE => request.answer(&daemon, &region_size)?,
                _ => request.answer(&daemon, b"")?,
            }
        }
        mirror.join().map_err(|_| anyhow::anyhow!("it panicked"))?
    })?;
    ensure!(loaded == Err(Errno::ENOENT), "the table: {loaded:?}");
    let kinds: Vec<_> = asked.iter().map(|(kind, ..)| *kind).collect();
    ensure!(
        kinds
            == [
                LogRequest::CREATE,
                LogRequest::REGION_SIZE,
                LogRequest::DESTROY
            ]
            && asked.iter().all(|(_, uuid, _)| uuid == UUID)
            && asked[0].2.contains("clustered-core 64"),
        "{asked:?}"
    );
    unload_all(modules)
}

fn crowd() -> Result<()> {
    let _connector = Module::load("rust_connector", "")?;
    // What the kernel has built in.
    let before = procfs::registered()?;
    let crowd = Module::load("ct_crowd", "count=1000")?;
    ensure!(procfs::registered()?.len() == before.len() + 1000);
    for val in 0..1000 {
        ensure!(
            is_handled(CbId { idx: CROWD, val })?,
            "{val} is not handled"
        );
    }
    ensure!(!is_handled(CbId {
        idx: CROWD,
        val: 1000
    })?);
    crowd.unload()?;
    ensure!(procfs::registered()? == before);
    Ok(())
}

fn taken_id() -> Result<()> {
    let (_connector, _echo) = Module::load_with_connector("cn_echo", "idx=50 val=1")?;
    match Module::try_load("ct_callback", "")? {
        Ok(_) => anyhow::bail!("an id was registered twice"),
        Err(errno) => ensure!(errno == Errno::EINVAL, "insmod ct_callback.ko: {errno}"),
    }
    // Unregistering does not take it from whom it belongs to either.
    let peer = Module::load("ct_peer", "")?;
    fs::write("/sys/module/ct_peer/parameters/forget", "50:1")?;
    Client::open()?.expect_echo(&Client::header(CALLBACK, 1, 1), b"hello")?;
    fs::write("/sys/module/ct_peer/parameters/forget", "40:1")?;
    ensure!(
        !procfs::is_registered(CbId { idx: 40, val: 1 })?,
        "40:1 is still there"
    );
    peer.unload()
}

/// A client in the callback of `ct_callback`, and its answer when it comes.
fn in_callback(data: &'static [u8]) -> Result<std::thread::JoinHandle<Result<u32>>> {
    let client = Client::open()?;
    let sending = std::thread::spawn(move || {
        client.send(&Client::header(CALLBACK, 1, 1), data)?;
        Ok(client.recv_now()?.header.ack)
    });
    wait_for("the callback runs", || {
        Ok((Stats::total()?.running > 0).then_some(()))
    })?;
    Ok(sending)
}

fn expect_answer(sending: std::thread::JoinHandle<Result<u32>>) -> Result<()> {
    let ack = sending.join().ok().context("a thread panicked")??;
    ensure!(ack == 2, "the callback answered with ack {ack}");
    Ok(())
}

fn unloaded_while_it_sleeps() -> Result<()> {
    let _connector = Module::load("rust_connector", "")?;
    for _ in 0..3 {
        let module = Module::load("ct_callback", "")?;
        let sending = in_callback(b"sleep")?;
        let unloading = unload_in_background(module)?;
        // The callback goes on in the module's code after it slept.
        expect_answer(sending)?;
        unloading.wait()?;
        ensure!(!is_handled(CALLBACK)?);
    }
    Ok(())
}

fn unregistered_while_it_sleeps() -> Result<()> {
    let _connector = Module::load("rust_connector", "")?;
    for _ in 0..3 {
        let module = Module::load("ct_callback", "")?;
        let sending = in_callback(b"sleep")?;
        fs::write("/sys/module/ct_callback/parameters/unregister", "now")
            .context("cn_del_callback() returned while the callback ran")?;
        expect_answer(sending)?;
        ensure!(!is_handled(CALLBACK)?);
        module.unload()?;
    }
    Ok(())
}

fn deletes_itself() -> Result<()> {
    let _connector = Module::load("rust_connector", "")?;
    for round in 0..4 {
        // Whether it has its exit function ask again, which waits, or leaves that to us.
        let leave = if round < 2 { "" } else { "leave=1" };
        let module = Module::load("ct_callback", leave)?;
        let sending = in_callback(b"delete")?;
        wait_for("the callback unregisters its id", || {
            Ok((!procfs::is_registered(CALLBACK)?).then_some(()))
        })?;
        // The id is free at once, while the callback sleeps; and the module waits for that.
        let _echo = Module::load("cn_echo", "idx=50 val=1")?;
        Client::open()?.expect_echo(&Client::header(CALLBACK, 1, 1), b"hello")?;
        if round % 2 == 1 {
            // There is nothing to take away any more, but who asks for that waits as well.
            fs::write("/sys/module/ct_callback/parameters/unregister", "now")
                .context("cn_del_callback() returned while the callback ran")?;
        }
        let unloading = unload_in_background(module)?;
        expect_answer(sending)?;
        unloading.wait()?;
        Client::open()?.expect_echo(&Client::header(CALLBACK, 2, 1), b"hello")?;
    }
    Ok(())
}

fn registers_itself_again() -> Result<()> {
    let _connector = Module::load("rust_connector", "")?;
    let module = Module::load("ct_callback", "")?;
    let client = Client::open()?;
    let again = || -> Result<()> {
        client.send(&Client::header(CALLBACK, 2, 1), b"register again")?;
        let reply = client.recv_now()?;
        ensure!(
            reply.header.flags == 0,
            "registering again: {}",
            reply.header.flags
        );
        ensure!(is_handled(CALLBACK)?);
        Ok(())
    };
    again()?;
    // What was unregistered in such a way is let go.
    Objects::expect_none_left(u64::from(times(500)), again)?;
    let total = Stats::total()?;
    ensure!(total.running == 0, "{total:?}");
    module.unload()
}

/// More tasks than the connector has room for in its lanes, so that some of those who unregister their own
/// id, one after the other, are noted elsewhere.
fn registers_itself_again_in_a_crowd() -> Result<()> {
    const CROWD: u64 = 200;
    let _connector = Module::load("rust_connector", "")?;
    let module = Module::load("ct_callback", "")?;
    let ask = |data: &'static [u8]| -> Result<std::thread::JoinHandle<Result<u32>>> {
        let client = Client::open()?;
        Ok(std::thread::spawn(move || {
            client.send(&Client::header(CALLBACK, 1, 1), data)?;
            Ok(client.recv_now()?.header.ack)
        }))
    };
    let crowd: Result<Vec<_>> = (0..CROWD).map(|_| ask(b"wait")).collect();
    let crowd = crowd?;
    wait_for("the crowd is in the callback", || {
        Ok((Stats::total()?.running == CROWD).then_some(()))
    })?;
    for _ in 0..20 {
        expect_answer(ask(b"register again")?)?;
    }
    expect_answer(ask(b"open")?)?;
    crowd.into_iter().try_for_each(expect_answer)?;
    ensure!(is_handled(CALLBACK)?);
    let total = Stats::total()?;
    ensure!(total.running == 0, "{total:?}");
    module.unload()
}

/// The kernel's own core prints a name that is not there like that, too.
fn nameless() -> Result<()> {
    let _connector = Module::load("rust_connector", "")?;
    let module = Module::load("ct_callback", "nameless=1")?;
    ensure!(procfs::registered()?.contains(&"(null) 50:1".to_owned()));
    ensure!(is_handled(CALLBACK)?);
    module.unload()
}

fn forgets_to_unregister() -> Result<()> {
    let _connector = Module::load("rust_connector", "")?;
    for _ in 0..3 {
        let module = Module::load("ct_callback", "leave=1")?;
        ensure!(is_handled(CALLBACK)?);
        let sending = in_callback(b"sleep")?;
        let mut log = KernelLog::from_now()?;
        module.unload()?;
        log.expect(
            "ct_callback goes and left 50:1 registered: cn_del_callback() was never called",
        )?;
        expect_answer(sending)?;
        ensure!(!procfs::is_registered(CALLBACK)? && !is_handled(CALLBACK)?);
    }
    Ok(())
}

fn counted() -> Result<()> {
    let (_connector, _callback) = Module::load_with_connector("ct_callback", "")?;
    for _ in 0..5 {
        ensure!(is_handled(CALLBACK)?);
    }
    let stats = Stats::of(CALLBACK)?;
    ensure!((stats.received, stats.running) == (5, 0), "{stats:?}");
    Ok(())
}

/// What an old client may send, right and wrong, but for what only our connector understands.
fn old_datagrams() -> Vec<Vec<u8>> {
    let header = Client::header(PEER, 7, 8);
    let right = |len| datagram(&header, &pattern(1, len));
    let mut all: Vec<_> = (0..40).chain([1000, 16364, 16365]).map(right).collect();
    // Lengths that lie: the netlink message's, and the data's.
    for len in [0, 1, 15, 16, 35, 36, 37, 47, 48, 49, u32::MAX] {
        let mut lie = right(12);
        lie[..4].copy_from_slice(&len.to_ne_bytes());
        all.push(lie);
    }
    for len in [0, 1, 11, 12, 13, u16::MAX] {
        let mut lie = right(12);
        lie[32..34].copy_from_slice(&len.to_ne_bytes());
        all.push(lie);
    }
    // Other types, and what is no message behind one.
    for kind in [0, 1, 2, 4, 16, u16::MAX] {
        let mut other = right(12);
        other[4..6].copy_from_slice(&u16::to_ne_bytes(kind));
        all.push(other);
    }
    for more in [1, 3, 4, 15, 16, 40] {
        let mut long = right(12);
        long.resize(long.len() + more, 0xff);
        all.push(long);
    }
    all.extend((1..36).map(|len| right(12)[..len].to_vec()));
    all.push(datagram(
        &Client::header(CbId { idx: 99, val: 99 }, 1, 1),
        b"nobody",
    ));
    all
}

/// What comes of it all, in words.
fn what_an_old_client_sees() -> Result<Vec<String>> {
    let peer = Module::load("ct_peer", "")?;
    let client = Client::open()?;
    let mut seen = vec![fs::read_to_string("/proc/net/connector")?];
    for (number, bytes) in old_datagrams().iter().enumerate() {
        let sent = client.send_raw(bytes).map_err(|error| error.raw_os_error());
        let mut came = Vec::new();
        while let Ok(bytes) = client.recv_raw() {
            came.push(bytes);
        }
        seen.push(format!("datagram {number}: {sent:?}, {came:02x?}"));
    }
    for group in 1..=32 {
        let joined = client.join(group).map_err(|error| error.raw_os_error());
        seen.push(format!("group {group}: {joined:?}"));
    }
    drop(client);
    peer.unload()?;
    Ok(seen)
}

fn old_clients() -> Result<()> {
    let kernels = Module::load_kernels("drivers/connector/cn.ko")?;
    ensure!(
        !fs::exists("/sys/kernel/debug/rust_connector")?,
        "that is ours"
    );
    let on_kernels = what_an_old_client_sees().context("on the kernel's")?;
    kernels.unload()?;
    let _connector = Module::load("rust_connector", "")?;
    let on_ours = what_an_old_client_sees().context("on ours")?;
    for (kernels, ours) in on_kernels.iter().zip(&on_ours) {
        ensure!(
            kernels == ours,
            "on the kernel's: {kernels}; on ours: {ours}"
        );
    }
    Ok(())
}

fn main() -> ExitCode {
    let lacking = (!core_is_ours()).then_some("the connector is the kernel's own");
    Suite::new()
        .skip_if(lacking)
        .test("the kernel's sample and its ucon work as they are", sample)
        .test("the kernel's w1 answers W1_LIST_MASTERS", w1)
        .test(
            "the kernel's dm-log-userspace registers its id",
            dm_log_userspace,
        )
        .test(
            "a mirror asks a program for its log by it, and gets the answers",
            dm_log_daemon,
        )
        .test(
            "a thousand ids of a C module are found, each by itself",
            crowd,
        )
        .test(
            "an id that a Rust module has is neither given to a C module nor taken by one",
            taken_id,
        )
        .test(
            "a C module whose callback sleeps is unloaded when that has returned",
            unloaded_while_it_sleeps,
        )
        .test(
            "cn_del_callback() returns when the callback runs nowhere any more",
            unregistered_while_it_sleeps,
        )
        .test(
            "a callback may unregister its own id, and its module waits for it",
            deletes_itself,
        )
        .test(
            "a callback may register its own id again, and nothing is left of that",
            registers_itself_again,
        )
        .test(
            "a callback may do so among many tasks that are in it, too",
            registers_itself_again_in_a_crowd,
        )
        .test(
            "a C module that goes without unregistering is cleaned up after",
            forgets_to_unregister,
        )
        .test("a C module may register an id without a name", nameless)
        .test("messages to C modules are counted", counted)
        .test(
            "a client that asks for nothing new is answered by our connector as by the kernel's, to the byte",
            old_clients,
        )
        .run()
}
