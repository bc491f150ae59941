// SPDX-License-Identifier: GPL-2.0

//! Every allocation fails once: the first of an operation, then the second, until none is left to
//! fail. The result is an error and the state from before, or success in spite of it; the kernel's
//! own checks (KASAN, kmemleak) are the other half of the verdict.
//!
//! Only allocations count that are made through our modules' code: what a system call needs before
//! it comes there is not ours to test.

use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use nix::errno::Errno;
use selftests::{
    CbId, Client, Datagram, ECHO, Module, Stats, Suite, core_is_module,
    faults::Faults,
    notify::{Change, Ids, Listener, NOTIFY, NotifyStats, answer, blink, expect_done, probed},
    pattern, procfs, wait_for,
};

const REPLY: CbId = CbId { idx: 30, val: 6 };
const SEND: CbId = CbId { idx: 30, val: 7 };
const GROUP: u32 = 8;

/// What is registered but for the kernel's own, in order.
fn registered() -> Result<Vec<String>> {
    let mut ids = procfs::registered_by_modules()?;
    ids.sort();
    Ok(ids)
}

/// Loads a module while each of its allocations fails. It is not loaded then, and nothing of it is
/// registered; or it is, with all that it has.
fn loading(module: &'static str, ids: &[&str]) -> Result<()> {
    let faults = Faults::in_modules()?;
    let _connector = match module {
        "rust_connector" => None,
        _ => Some(Module::load("rust_connector", "")?),
    };
    let mut refused = 0;
    faults.each(&format!("insmod {module}"), |n| {
        let (loaded, failed) = faults.nth(n, || Module::try_load(module, ""))?;
        let expected = match &loaded.as_ref().map_err(ToString::to_string) {
            Ok(Ok(_)) => ids,
            Ok(Err(Errno::ENOMEM)) if failed => &[],
            // Netlink does not say why there is no socket for our own connector.
            Ok(Err(Errno::EIO)) if failed && core_is_module() && module == "rust_connector" => &[],
            other => bail!("{other:?}"),
        };
        refused += u32::from(expected.len() < ids.len());
        let registered = registered()?;
        ensure!(
            registered == expected,
            "{registered:?} are registered, and should be {expected:?}"
        );
        drop(loaded);
        ensure!(self::registered()?.is_empty() && !procfs::is_loaded(module)?);
        Ok(failed)
    })?;
    ensure!(
        refused > 0 || ids.is_empty(),
        "no failure kept {module} from being loaded"
    );
    Ok(())
}

fn unloading() -> Result<()> {
    let faults = Faults::in_modules()?;
    let (connector, echo) = Module::load_with_connector("cn_echo", "")?;
    let notify = Module::load("cn_notify", "")?;
    expect_done(&Client::open()?, &Ids::every(), GROUP)?;
    for (name, module) in [
        ("cn_notify", notify),
        ("cn_echo", echo),
        ("rust_connector", connector),
    ] {
        let (unloaded, failed) = faults.nth(1, || module.unload())?;
        unloaded?;
        ensure!(!failed, "rmmod {name} allocated memory");
    }
    Ok(())
}

/// What the counters of an id have become more by.
fn since(before: &Stats, id: CbId) -> Result<Stats> {
    let now = Stats::of(id)?;
    Ok(Stats {
        received: now.received - before.received,
        replied: now.replied - before.replied,
        full: now.full - before.full,
        gone: now.gone - before.gone,
        no_memory: now.no_memory - before.no_memory,
        other: now.other - before.other,
        running: now.running,
    })
}

/// Everything that a client has received.
fn all_of(client: &Client) -> Result<Vec<Datagram>> {
    std::iter::from_fn(|| client.try_recv().transpose()).collect()
}

fn echo() -> Result<()> {
    let faults = Faults::in_modules()?;
    let (_connector, _echo) = Module::load_with_connector("cn_echo", "")?;
    let client = Client::open()?;
    for len in [0, 32, 300, 5000, 16_000] {
        let data = pattern(0, len);
        let request = Client::header(ECHO, 1, u32::MAX);
        let before = Stats::of(ECHO)?;
        let (sent, failed) = faults.nth(1, || client.send(&request, &data))?;
        sent?;
        ensure!(!failed, "an echo of {len} bytes allocated something");
        let stats = since(&before, ECHO)?;
        ensure!(
            stats.received == 1 && stats.replied == 1 && stats.running == 0,
            "the counters say {stats:?}"
        );
        let reply = client.recv_now()?;
        ensure!(reply.header.is_reply_to(&request) && reply.data == data);
    }
    Ok(())
}

/// Every way of ct_reply, with a number and how many replies it makes.
fn replies() -> Result<()> {
    let faults = Faults::in_modules()?;
    let (_connector, _reply) = Module::load_with_connector("ct_reply", "")?;
    let client = Client::open()?;
    let request = Client::header(REPLY, 7, 0);
    for (way, n, what) in [
        (0u32, 3u32, "its own data, three times"),
        (1, 100, "a beginning of its data"),
        (2, 100, "an end of its data"),
        (3, 200, "data on the stack"),
        (4, 30, "few data that were allocated"),
        (4, 20_000, "many data that were allocated"),
    ] {
        let mut data = [way.to_ne_bytes(), n.to_ne_bytes()].concat();
        data.extend(pattern(way, 192));
        faults.each(&format!("a reply of {what}"), |nth| {
            let before = Stats::of(REPLY)?;
            let (sent, failed) = faults.nth(nth, || client.send(&request, &data))?;
            sent?;
            let stats = since(&before, REPLY)?;
            let mut replies = all_of(&client)?;
            ensure!(
                stats.received == 1
                    && stats.replied == replies.len() as u64
                    && stats.dropped() == stats.no_memory
                    && stats.no_memory <= 1
                    && (failed || stats.no_memory == 0),
                "{} replies came, and the counters say {stats:?}",
                replies.len()
            );
            // The last one says what the handler got: an error, and whether its message was left
            // alone. It may be the one that is missing.
            if let Some(verdict) = replies.pop().map(Datagram::single).transpose()? {
                ensure!(verdict.header.is_reply_to(&request));
                if let Ok([0 | -12, untouched]) = numbers(&verdict.data) {
                    ensure!(untouched == 1, "the message was another one afterwards");
                } else {
                    ensure!(failed, "the handler said {verdict:?}");
                }
            }
            Ok(failed)
        })?;
    }
    Ok(())
}

/// Two numbers.
fn numbers(data: &[u8]) -> Result<[i32; 2]> {
    let data: [u8; 8] = data.try_into().context("no two numbers")?;
    let (first, second) = data.split_at(4);
    Ok([
        i32::from_ne_bytes(first.try_into()?),
        i32::from_ne_bytes(second.try_into()?),
    ])
}

/// An order to `ct_send`; see there.
#[derive(Clone, Copy)]
struct Order {
    what: u32,
    context: u32,
    to: u32,
    port: u32,
    len: u32,
    count: u32,
}

impl Order {
    fn data(self) -> Vec<u8> {
        let Self {
            what,
            context,
            to,
            port,
            len,
            count,
        } = self;
        [what, context, to, port, GROUP, len, count, SEND.val]
            .map(u32::to_ne_bytes)
            .concat()
    }
}

/// Sends to `listener` in every way; `context` is that of `ct_send`. What it got is the whole
/// message, or nothing.
fn sending(context: u32, mut once: impl FnMut(&Order, &str, &Sending) -> Result<()>) -> Result<()> {
    let (_connector, _send) = Module::load_with_connector("ct_send", "")?;
    let sending = Sending {
        orders: Client::open()?,
        // Also the group of the id itself.
        port: Client::open_in(SEND.idx)?,
        group: Client::open_in(GROUP)?,
    };
    // Who is remembered gets what goes through a filter.
    let remember = Order {
        what: 3,
        context: 0,
        to: 0,
        port: 0,
        len: 0,
        count: 0,
    };
    sending
        .group
        .ask(&Client::header(SEND, 0, 0), &remember.data())?;
    for (to, to_what) in [
        (0, "the id's own group"),
        (1, "a port"),
        (2, "a group"),
        (3, "a port and a group"),
    ] {
        for (what, len, count, kind) in [
            (0, 10, 1, "a message"),
            (0, 5000, 1, "a large message"),
            (1, 50, 20, "a batch"),
            (2, 10, 1, "a message through a filter"),
        ] {
            // A filter goes with a group alone.
            if what == 2 && to != 2 {
                continue;
            }
            let order = Order {
                what,
                context,
                to,
                port: sending.port.portid(),
                len,
                count,
            };
            once(&order, &format!("{kind} to {to_what}"), &sending)?;
        }
    }
    Ok(())
}

struct Sending {
    orders: Client,
    port: Client,
    group: Client,
}

impl Sending {
    fn give(&self, order: &Order) -> Result<()> {
        self.orders
            .send(&Client::header(SEND, 4711, 0), &order.data())
    }

    /// Fails unless whoever got something got all of it, and `everything` says whether anything may
    /// be missing.
    fn check(&self, order: &Order, everything: bool) -> Result<()> {
        let answer = match &all_of(&self.orders)?[..] {
            [] => None,
            [answer] => Some(numbers(&answer.clone().single()?.data)?[0]),
            more => bail!("{} answers", more.len()),
        };
        ensure!(
            matches!(answer, Some(0)) || !everything,
            "the answer is {answer:?}"
        );
        ensure!(
            answer.is_none_or(|errno| [
                0,
                -(Errno::ENOMEM as i32),
                -(Errno::ENOBUFS as i32),
                -(Errno::ESRCH as i32)
            ]
            .contains(&errno)),
            "the answer is {answer:?}"
        );
        for (client, expected) in [
            (&self.port, [1, 1, 0, 1][order.to as usize]),
            (&self.group, [0, 0, 1, 1][order.to as usize]),
        ] {
            let got = all_of(client)?;
            ensure!(
                got.len() == expected || (!everything && got.len() < expected),
                "{} datagrams came, and should be {expected}; the answer is {answer:?}",
                got.len()
            );
            for datagram in got {
                ensure!(datagram.messages.len() == order.count as usize);
                for message in datagram.messages {
                    let data: Vec<u8> = (0..order.len).map(|at| (at * 7) as u8).collect();
                    ensure!(message.data == data, "half a message came");
                }
            }
        }
        Ok(())
    }
}

fn sending_from_handler(context: u32) -> Result<()> {
    let faults = Faults::in_modules()?;
    sending(context, |order, what, sending| {
        faults.each(what, |n| {
            let (given, failed) = faults.nth(n, || sending.give(order))?;
            given?;
            sending.check(order, !failed)?;
            Ok(failed)
        })?;
        Ok(())
    })
}

fn sending_from_softirq() -> Result<()> {
    let faults = Faults::in_modules()?;
    sending(2, |order, what, sending| {
        faults.each(what, |n| {
            let failed = faults.nth_anywhere(n, || {
                sending.give(order)?;
                sending.check(order, false)
            })?;
            sending.give(order)?;
            sending.check(order, true)?;
            Ok(failed)
        })?;
        Ok(())
    })
}

fn requests() -> Result<()> {
    let faults = Faults::in_modules()?;
    /// One of a module in C.
    const BLINK: CbId = CbId { idx: 5, val: 5 };
    let (_connector, _notify) = Module::load_with_connector("cn_notify", "")?;
    let _peer = Module::load("ct_peer", "")?;
    let client = Client::open()?;
    let ranges: Vec<_> = (0..16).map(|number| (number, 1)).collect();
    let ids = Ids::new(&ranges, &ranges);
    let ask = |n, data: &[u8]| -> Result<(Option<Result<(), Errno>>, bool)> {
        let request = Client::header(NOTIFY, n, 0);
        let (sent, failed) = faults.nth(n, || client.send(&request, data))?;
        sent?;
        let answer = client
            .try_recv()?
            .map(|reply| answer(&reply.single()?))
            .transpose()?;
        Ok((answer, failed))
    };
    let taken_back = || -> Result<()> {
        ensure!(
            NotifyStats::read()?.stored == 0 && probed()?.is_empty(),
            "a request is stored, or the core is probed"
        );
        Ok(())
    };
    // That it could not be seen from the beginning is no reason not to see it later.
    let sees_c_modules = || {
        let mut listener = Listener::new(GROUP)?;
        wait_for("ids of C modules are told of", || {
            blink(BLINK, 1)?;
            expect_done(&client, &ids, GROUP)?;
            let (changes, _) = listener.changes_and_gaps()?;
            Ok(changes.contains(&Change::Came(BLINK)).then_some(()))
        })
    };
    faults.each("a request", |n| {
        let (answer, failed) = ask(n, &ids.request(GROUP))?;
        let stored = NotifyStats::read()?.stored;
        match answer {
            Some(Err(Errno::ENOMEM)) if failed => {
                ensure!(stored == 0, "refused, and stored all the same");
            }
            Some(Ok(())) => {
                ensure!(stored == 1, "answered, and not stored");
                sees_c_modules()?;
            }
            // The answer itself found no memory.
            None if failed => {}
            other => bail!("the answer is {other:?}"),
        }
        if stored == 1 {
            expect_done(&client, &ids, 0)?;
        }
        taken_back()?;
        Ok(failed)
    })?;
    faults.each("taking a request back", |n| {
        expect_done(&client, &ids, GROUP)?;
        let (answer, failed) = ask(n, &ids.request(0))?;
        match answer {
            Some(Ok(())) => {}
            None if failed => {}
            other => bail!("the answer is {other:?}"),
        }
        taken_back()?;
        Ok(failed)
    })?;
    Ok(())
}

/// Announcements are made by a worker. One that finds no memory is a gap in `seq`.
fn announcements() -> Result<()> {
    const BLINK: CbId = CbId { idx: 41, val: 7 };
    let (_connector, _notify) = Module::load_with_connector("cn_notify", "")?;
    let _peer = Module::load("ct_peer", "")?;
    let client = Client::open()?;
    let mut listener = Listener::new(GROUP)?;
    expect_done(&client, &Ids::one(BLINK), GROUP)?;
    // A gap is seen by what came before it.
    let expected = [Change::Came(BLINK), Change::Went(BLINK)];
    blink(BLINK, 1)?;
    expect_done(&client, &Ids::one(BLINK), GROUP)?;
    listener.expect(&expected)?;
    let faults = Faults::in_module("cn_notify")?;
    let (mut came, mut missing) = (2, 0);
    faults.each("two announcements", |n| {
        faults.nth_anywhere(n, || {
            blink(BLINK, 1)?;
            // A barrier, whose own answer may be what fails.
            client.send(
                &Client::header(NOTIFY, n, 0),
                &Ids::one(BLINK).request(GROUP),
            )?;
            all_of(&client)?;
            let (changes, gap) = listener.changes_and_gaps()?;
            ensure!(
                changes.iter().all(|change| expected.contains(change)),
                "{changes:?}"
            );
            came += changes.len() as u64;
            missing += u64::from(gap);
            Ok(())
        })
    })?;
    drop(faults);
    // What is missing at the end shows with the next one.
    blink(BLINK, 1)?;
    expect_done(&client, &Ids::one(BLINK), GROUP)?;
    let (changes, gap) = listener.changes_and_gaps()?;
    ensure!(changes == expected, "{changes:?}");
    came += 2;
    missing += u64::from(gap);
    let stats = NotifyStats::read()?;
    ensure!(
        (stats.announced, stats.unheard, stats.lost) == (came, missing, 0) && missing > 0,
        "{came} came, {missing} are missing, and the counters say {stats:?}"
    );
    expect_done(&client, &Ids::one(BLINK), 0)
}

fn counters() -> Result<()> {
    let faults = Faults::in_modules()?;
    let (_connector, _echo) = Module::load_with_connector("cn_echo", "")?;
    let (_, failed) = faults.nth(1, || Stats::of(ECHO))?;
    // The file's buffer is debugfs's, which is not a module.
    ensure!(!failed || Stats::of(ECHO).is_ok());
    Stats::of(ECHO).map(drop)
}

fn main() -> ExitCode {
    let mut suite = Suite::new().skip_if(Faults::lacking());
    for (module, ids) in [
        ("rust_connector", &[][..]),
        ("cn_echo", &["cn_echo 16:1"]),
        ("cn_notify", &["cn_notify 4294967295:4294967295"]),
        ("cn_test", &["cn_test 14:1110", "cn_test 14:1111"]),
        ("ct_gate", &["ct_gate opener 30:2", "ct_gate waiter 30:1"]),
    ] {
        suite = suite.test(
            format!("{module} is loaded with all its ids, or with none, whatever allocation fails"),
            move || loading(module, ids),
        );
    }
    suite
        .test("unloading takes no memory", unloading)
        .test(
            "an echo, which comes back in the request's own memory, takes none",
            echo,
        )
        .test(
            "every other kind of reply comes whole, or is counted as dropped for want of memory",
            replies,
        )
        .test("what a handler sends arrives whole, or is an error", || {
            sending_from_handler(0)
        })
        .test("so it is with GFP_ATOMIC", || sending_from_handler(1))
        .test("so it is from softirq", sending_from_softirq)
        .test(
            "a request to cn_notify is stored, or refused and gone",
            requests,
        )
        .test(
            "an announcement that found no memory is a gap in seq, and counted",
            announcements,
        )
        .test("reading the counters is an error at worst", counters)
        .run()
}
