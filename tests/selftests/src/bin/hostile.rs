// SPDX-License-Identifier: GPL-2.0

//! A million datagrams by which no honest program would speak, to every id that the project
//! registers: by root, by an ordinary user, and from another network namespace.
//!
//! What the core delivers of them is known, since its rules are few ([`addressee`]): for every id
//! it must be so many as the counters say, and the handlers must have answered each. The two ids
//! that do what a message says, `ct_send` and the strings of `ct_puppet`, are left out: hours of
//! work are what one may ask of them. `cn_test` logs each message, so that it gets few.
//!
//! What is sent depends on a number that is printed; `SEED=` takes it. A kernel full of checkers gets
//! fewer, see [`selftests::times`].

use std::{
    cell::RefCell,
    collections::BTreeMap,
    env::Args,
    fmt, fs,
    io::{ErrorKind, IoSlice},
    os::fd::AsRawFd,
    process::ExitCode,
    thread,
};

use anyhow::{Context, Result, anyhow, bail, ensure};
use connector_wire::{Messages, netlink};
use fastrand::Rng;
use nix::{
    errno::Errno,
    sched::{CloneFlags, unshare},
    sys::socket::{MsgFlags, MultiHeaders, NetlinkAddr, sendmmsg},
};
use selftests::{
    CbId, Client, ECHO, Header, Kcov, Module, NlHeader, Stats, Suite,
    ack::{Ack, NLMSG_ERROR},
    core_is_ours, debugfs, hurry,
    notify::{NOTIFY, NotifyStats, ask},
    procfs::{has_namespaces, registered_by_modules},
    puppet::PUPPET,
    seed, steps, times,
};

/// How many datagrams there are from those who reach anybody.
const DATAGRAMS: u32 = 1_000_000;
/// So many go with one system call.
const BATCH: usize = 64;

const LOGGER: CbId = CbId {
    idx: 14,
    val: 0x456,
};
const W1: CbId = CbId { idx: 3, val: 1 };
const WAITER: CbId = CbId { idx: 30, val: 1 };
const OPENER: CbId = CbId { idx: 30, val: 2 };
const SENDER: CbId = CbId { idx: 30, val: 5 };
const REPLIER: CbId = CbId { idx: 30, val: 6 };

/// Who is sent to; the first ones more often.
const TARGETS: [CbId; 8] = [ECHO, ECHO, NOTIFY, SENDER, REPLIER, WAITER, OPENER, PUPPET];
/// Those that answer every message once.
const ANSWERING: [CbId; 4] = [ECHO, NOTIFY, SENDER, WAITER];

/// By which id a datagram that consists of these bytes is received, if by any: what `cn_rx_skb()`
/// and `cn_call_callback()` look at, written anew.
fn addressee(bytes: &[u8]) -> Option<CbId> {
    let word = |at: usize| {
        let bytes = bytes.get(at..at + 4)?;
        Some(u32::from_ne_bytes(bytes.try_into().ok()?))
    };
    let len = usize::try_from(word(0)?).ok()?;
    let behind_header = len.checked_sub(NlHeader::SIZE)?;
    if behind_header < Header::SIZE || len > bytes.len() || behind_header > 16384 {
        return None;
    }
    // The last word is `len` and `flags`.
    let data: [u8; 2] = bytes.get(32..34)?.try_into().ok()?;
    if behind_header < Header::SIZE + usize::from(u16::from_ne_bytes(data)) {
        return None;
    }
    Some(CbId {
        idx: word(16)?,
        val: word(20)?,
    })
}

/// By which ids a datagram is received. Our own core looks at what follows the first message, too, as
/// `netlink_rcv_skb()` does, until it comes to something that is no netlink message.
fn addressees(mut bytes: &[u8]) -> Vec<CbId> {
    let mut all = Vec::new();
    loop {
        all.extend(addressee(bytes));
        let len = NlHeader::parse(bytes).map_or(0, |header| header.len as usize);
        if !core_is_ours() || len < NlHeader::SIZE || len > bytes.len() {
            return all;
        }
        bytes = &bytes[len.next_multiple_of(4).min(bytes.len())..];
    }
}

/// Makes datagrams.
struct Generator(Rng);

impl Generator {
    fn one_in(&mut self, n: u32) -> bool {
        self.0.u32(..n) == 0
    }

    fn id(&mut self) -> CbId {
        match self.0.u32(..2048) {
            0 => LOGGER,
            1..64 => CbId {
                idx: self.0.u32(..),
                val: self.0.u32(..),
            },
            64..128 => CbId {
                idx: 30,
                // Neither 7 nor 9.
                val: self.0.u32(10..20),
            },
            _ => TARGETS[self.0.usize(..TARGETS.len())],
        }
    }

    /// A length that is right, a little wrong, or very wrong.
    fn length(&mut self, right: usize) -> usize {
        match self.0.u32(..16) {
            0 => right + 1,
            1 => right.saturating_sub(1),
            2 => 0,
            3 => self.0.u32(..).try_into().unwrap_or(usize::MAX),
            4 => self.0.usize(..128),
            _ => right,
        }
    }

    fn data(&mut self, to: CbId, bytes: &mut Vec<u8>) {
        let start = bytes.len();
        if to == NOTIFY && self.one_in(2) {
            // Nearly a request.
            let (idx, val) = (self.0.u32(..3), self.0.u32(..3));
            let len = self.length(8 * (idx + val) as usize);
            // CAST: Wrong numbers are wanted.
            for word in [idx, val, self.0.u32(..34), len as u32] {
                bytes.extend(word.to_ne_bytes());
            }
            for _ in 0..2 * (idx + val) {
                let shift = self.0.u32(..32);
                bytes.extend((self.0.u32(..) >> shift).to_ne_bytes());
            }
            return;
        }
        if to == REPLIER {
            // How, and how much: not hours of it.
            bytes.extend(self.0.u32(..8).to_ne_bytes());
            bytes.extend(self.0.u32(..8).to_ne_bytes());
        }
        let len = match self.0.u32(..256) {
            0 => self.0.usize(16300..16420),
            1..8 => self.0.usize(..4096),
            8..40 => 0,
            _ => self.0.usize(..64),
        };
        bytes.resize(bytes.len() + len, 0x55);
        let end = bytes.len().min(start + 8 + 64);
        let random = (start + 8).min(end);
        self.0.fill(&mut bytes[random..end]);
    }

    fn message(&mut self, bytes: &mut Vec<u8>) {
        let start = bytes.len();
        let to = self.id();
        bytes.resize(start + NlHeader::SIZE + Header::SIZE, 0);
        self.data(to, bytes);
        let size = bytes.len() - start;
        let header = Header {
            id: to,
            seq: self.0.u32(..),
            ack: self.0.u32(..),
            // CAST: Wrong numbers are wanted.
            len: self.length(size - NlHeader::SIZE - Header::SIZE) as u16,
            flags: self.0.u16(..),
        };
        let netlink = NlHeader {
            // CAST: As above.
            len: self.length(size) as u32,
            kind: match self.one_in(2) {
                true => netlink::DONE,
                false => self.0.u16(..),
            },
            flags: self.0.u16(..),
            seq: self.0.u32(..),
            ..NlHeader::default()
        };
        bytes[start..][..NlHeader::SIZE].copy_from_slice(&netlink.to_bytes());
        bytes[start + NlHeader::SIZE..][..Header::SIZE].copy_from_slice(&header.to_bytes());
    }

    /// Makes a datagram.
    fn datagram(&mut self, bytes: &mut Vec<u8>) {
        bytes.clear();
        self.message(bytes);
        while self.one_in(8) && bytes.len() < 8192 {
            self.message(bytes);
        }
        if self.one_in(8) {
            let headers = bytes.len().min(NlHeader::SIZE + Header::SIZE);
            for _ in 0..self.0.usize(1..4) {
                let at = self.0.usize(..headers);
                bytes[at] = self.0.u8(..);
            }
        }
        if self.one_in(16) {
            bytes.truncate(self.0.usize(..bytes.len()));
        }
        // What was changed could ask for hours of work; or ask the kernel's 1-wire, which answers with GFP_KERNEL
        // and waits for room: in the receive buffer of this very task, for good, if that is full.
        let takes_for_ever = |id: &CbId| *id == W1 || id.idx == 30 && [7, 9].contains(&id.val);
        if addressees(bytes).iter().any(takes_for_ever) {
            bytes[0..4].fill(0);
        }
    }
}

/// Who sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    Root,
    User,
    Elsewhere,
}

impl Who {
    const ALL: [Self; 3] = [Self::Root, Self::User, Self::Elsewhere];

    fn become_it(self) -> Result<()> {
        match self {
            Self::Root => Ok(()),
            Self::User => steps::become_user(1000, 1000),
            Self::Elsewhere => Ok(unshare(CloneFlags::CLONE_NEWNET)?),
        }
    }

    fn share(self, datagrams: u64) -> u64 {
        match self {
            Self::Root | Self::User => datagrams / 2,
            Self::Elsewhere => datagrams / 20,
        }
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// How many datagrams each id must have received.
type Expected = BTreeMap<CbId, u64>;

/// Sends these datagrams; the refused ones are the exception, and are not expected anywhere.
fn send(client: &Client, who: Who, batch: &[Vec<u8>], expected: &mut Expected) -> Result<()> {
    let mut at = 0;
    while at < batch.len() {
        // Three parts, two of them empty at times.
        let slices: Vec<_> = batch[at..]
            .iter()
            .map(|bytes| {
                let cut = usize::from(bytes.get(8).copied().unwrap_or(0)).min(bytes.len());
                let (front, back) = bytes.split_at(cut);
                [IoSlice::new(front), IoSlice::new(&[]), IoSlice::new(back)]
            })
            .collect();
        let mut headers = MultiHeaders::<NetlinkAddr>::preallocate(slices.len(), None);
        let to = [None; BATCH];
        let sent = sendmmsg(
            client.as_raw_fd(),
            &mut headers,
            &slices,
            &to[..slices.len()],
            [],
            MsgFlags::empty(),
        );
        let sent = match sent {
            Ok(sent) => sent.count(),
            Err(Errno::ECONNREFUSED) if who == Who::Elsewhere => 0,
            // An empty one.
            Err(Errno::ENODATA) => 0,
            Err(error) => return Err(error).context("sendmmsg"),
        };
        ensure!(
            sent == 0 || who != Who::Elsewhere,
            "sending from another network namespace succeeds"
        );
        for bytes in &batch[at..at + sent] {
            for id in addressees(bytes) {
                *expected.entry(id).or_default() += 1;
            }
        }
        // The one that was refused is passed over.
        at += sent.max(1);
    }
    Ok(())
}

/// Reads all that is there, whose lengths have to be right.
fn drain(client: &Client) -> Result<()> {
    loop {
        match client.recv_raw() {
            Ok(bytes) => {
                if NlHeader::parse(&bytes).is_some_and(|header| header.kind == NLMSG_ERROR) {
                    Ack::parse(&bytes)?;
                    continue;
                }
                let (_, payload) = netlink::parse(&bytes)?;
                for message in Messages::new(payload) {
                    message?;
                }
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            // Replies were dropped, as they should be.
            Err(error) if error.raw_os_error() == Some(Errno::ENOBUFS as i32) => {}
            Err(error) => return Err(error).context("recv"),
        }
    }
}

/// Sends so many datagrams, sometimes reads the replies, and often goes away without.
fn storm(who: Who, seed: u64, count: u64, mut kcov: Option<&mut Kcov>) -> Result<Expected> {
    let mut generator = Generator(Rng::with_seed(seed));
    let mut expected = Expected::new();
    let mut batch = vec![Vec::new(); BATCH];
    let mut client = Client::open()?;
    for _ in 0..count.div_ceil(BATCH as u64) {
        for bytes in &mut batch {
            generator.datagram(bytes);
        }
        send(&client, who, &batch, &mut expected)?;
        if let Some(kcov) = &mut kcov {
            kcov.collect();
        }
        if generator.one_in(4) {
            drain(&client)?;
        }
        if generator.one_in(16) {
            client = Client::open()?;
        }
    }
    Ok(expected)
}

/// The steps of a process: `WHO SEED COUNT`. Prints how much of the kernel it reached and then what
/// is expected, a line an id.
fn take(mut steps: Args) -> Result<()> {
    let mut next = || steps.next().context("a step is missing");
    let name = next()?;
    let who = Who::ALL.into_iter().find(|who| who.to_string() == name);
    let who = who.context("an odd step")?;
    let (seed, count) = (next()?.parse()?, next()?.parse()?);
    let mut kcov = Kcov::open()?;
    who.become_it()?;
    if let Some(kcov) = &kcov {
        kcov.start()?;
    }
    let expected = storm(who, seed, count, kcov.as_mut())?;
    match kcov {
        Some(kcov) => println!("{} places of the kernel reached (KCOV)", kcov.places()),
        None => println!("coverage unknown: this kernel has no KCOV"),
    }
    for (CbId { idx, val }, count) in expected {
        println!("{idx} {val} {count}");
    }
    Ok(())
}

fn parse(printed: &str) -> Result<Expected> {
    let line = |line: &str| -> Result<(CbId, u64)> {
        let numbers: Vec<&str> = line.split(' ').collect();
        let [idx, val, count] = numbers[..] else {
            bail!("an odd line: {line}");
        };
        let (idx, val) = (idx.parse()?, val.parse()?);
        Ok((CbId { idx, val }, count.parse()?))
    };
    printed.lines().map(line).collect()
}

/// Has all of them send at the same time.
fn all_at_once(seed: u64, datagrams: u64) -> Result<Expected> {
    let mut total = Expected::new();
    thread::scope(|scope| {
        let processes = Who::ALL.map(|who| {
            scope.spawn(move || {
                let count = who.share(datagrams);
                let seed = seed.wrapping_add(who as u64);
                let printed = steps::process(&format!("{who} {seed} {count}"))?;
                let (coverage, expected) = printed.split_once('\n').context("no line")?;
                println!("# {who}: {coverage}");
                parse(expected)
            })
        });
        for process in processes {
            let expected = process.join().map_err(|_| anyhow!("a thread panicked"))??;
            for (id, count) in expected {
                *total.entry(id).or_default() += count;
            }
        }
        anyhow::Ok(())
    })?;
    Ok(total)
}

/// The modules. Unloaded from the last one to the first.
struct Loaded {
    _users: Vec<Module>,
    _connector: Module,
}

impl Loaded {
    fn new() -> Result<Self> {
        let connector = Module::load("rust_connector", "")?;
        let users = [
            "cn_echo",
            "cn_notify",
            "cn_test",
            "ct_gate",
            "ct_puppet",
            "ct_reply",
            "ct_sender",
        ];
        Ok(Self {
            _users: users
                .map(|name| Module::load(name, ""))
                .into_iter()
                .collect::<Result<_>>()?,
            _connector: connector,
        })
    }
}

/// The sockets of the connector that exist, but for the kernel's own: and that one's memory.
fn sockets() -> Result<Vec<String>> {
    let text = fs::read_to_string("/proc/net/netlink").context("/proc/net/netlink")?;
    let mut sockets = Vec::new();
    for line in text.lines().skip(1) {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [_, protocol, portid, _, receive, send, ..] = fields[..] else {
            bail!("an odd line in /proc/net/netlink: {line}");
        };
        if protocol == "11" && (portid, receive, send) != ("0", "0", "0") {
            sockets.push(line.to_owned());
        }
    }
    Ok(sockets)
}

fn counters(expected: &Expected) -> Result<()> {
    let stats = |id| -> Result<Stats> { Stats::of(id) };
    for id in TARGETS.into_iter().chain([LOGGER]) {
        let (stats, expected) = (stats(id)?, expected.get(&id).copied().unwrap_or(0));
        ensure!(
            stats.received == expected && stats.running == 0,
            "{id} should have received {expected}, and says {stats:?}"
        );
        ensure!(expected > 0, "nothing got to {id}: this tests nothing");
    }
    for id in ANSWERING {
        let stats = stats(id)?;
        ensure!(
            stats.replied + stats.dropped() == stats.received,
            "{id} did not answer every message: {stats:?}"
        );
    }
    let echo = Stats::of(ECHO)?;
    println!("# {ECHO}: {echo:?}");
    ensure!(echo.full > 0 && echo.replied > 0, "not every way was taken");
    let (stats, notify) = (Stats::of(NOTIFY)?, NotifyStats::read()?);
    ensure!(
        notify.accepted > 0 && notify.accepted + notify.refused == stats.received,
        "the requests do not add up: {notify:?} {stats:?}"
    );
    Ok(())
}

fn answers() -> Result<()> {
    let client = Client::open()?;
    for len in [0, 1, 4096, 16300] {
        client.expect_echo(&Client::header(ECHO, len, 7), &vec![0xa5; len as usize])?;
    }
    client.ask(&Client::header(SENDER, 1, 1), b"")?;
    client.ask(&Client::header(WAITER, 2, 2), b"")?;
    for id in [OPENER, PUPPET, LOGGER] {
        // They answer nothing.
        let received = || match debugfs::is_there()? {
            true => Stats::of(id).map(|stats| stats.received),
            false => Ok(0),
        };
        let before = received()?;
        client.send(&Client::header(id, 3, 3), b"")?;
        ensure!(
            received()? == before + u64::from(debugfs::is_there()?),
            "{id} gets nothing"
        );
    }
    // Nobody holds this one: `ENOENT`, and no request changes.
    let request = [1, 0, 0, 8, 77, 1].map(u32::to_ne_bytes).concat();
    let answer = ask(&client, &request)?;
    ensure!(answer == Err(Errno::ENOENT), "cn_notify says {answer:?}");
    client.expect_nothing()
}

fn main() -> ExitCode {
    if let Some(ended) = steps::taken_by(take) {
        return ended;
    }
    let storm = RefCell::new(None);
    let after = |check: fn(&Expected) -> Result<()>| {
        let storm = storm.borrow();
        let (_, expected): &(Loaded, Expected) = storm.as_ref().context("there was no storm")?;
        check(expected)
    };
    Suite::new()
        .skip_if((!has_namespaces("net")).then_some("the kernel lacks CONFIG_NET_NS"))
        .in_sequence()
        .test("a million hostile datagrams are taken", || {
            let seed = seed()?;
            let datagrams = u64::from(times(DATAGRAMS));
            println!("# {datagrams} datagrams");
            let _hurry = hurry()?;
            let loaded = Loaded::new()?;
            storm.replace(Some((loaded, all_at_once(seed, datagrams)?)));
            Ok(())
        })
        .test(
            "every id received what the core's rules say, and answered each",
            || after(counters),
        )
        .test("every id still answers", || after(|_| answers()))
        .test("no socket is left, and no memory of one", || {
            after(|_| {
                let left = sockets()?;
                ensure!(left.is_empty(), "{left:#?}");
                Ok(())
            })
        })
        .test("all modules can be unloaded", || {
            drop(storm.take().context("there was no storm")?);
            let left = registered_by_modules()?;
            ensure!(left.is_empty(), "{left:?}");
            Ok(())
        })
        .run()
}
