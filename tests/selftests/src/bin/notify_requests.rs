// SPDX-License-Identifier: GPL-2.0

//! Requests to `cn_notify`: what they ask for, how they are answered, and which are refused.

use std::{
    env,
    process::ExitCode,
    thread,
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result, anyhow, bail, ensure};
use netlink_sys::{
    Socket, SocketAddr,
    protocols::{NETLINK_CONNECTOR, NETLINK_ROUTE},
};
use nix::{
    errno::Errno,
    sched::{CloneFlags, unshare},
};
use selftests::{
    CbId, Client, Module, Suite, core_is_ours, debugfs,
    notify::{
        Answer, Change, EVERY, Ids, Listener, NOTIFY, NotifyStats, PROCESS_EVENTS, Range, answer,
        ask, blink, expect_answer, expect_done, probed, probes_are_listed, require_probes,
    },
    procfs, steps, times,
};

const MAX_REQUESTS: u32 = 128;
const MAX_RANGES: u32 = 64;
const MAX_HOLDERS: u32 = 64;

/// The highest group that can be joined.
const MAX_GROUP: u32 = 32;

/// An id that comes and goes.
const ID: CbId = CbId { idx: 41, val: 7 };

/// The modules, loaded and unloaded in the right order, and a socket for requests.
struct Setup {
    client: Client,
    _peer: Module,
    _notify: Module,
    _connector: Module,
}

impl Setup {
    fn new() -> Result<Self> {
        let connector = Module::load("rust_connector", "")?;
        let notify = Module::load("cn_notify", "")?;
        let peer = Module::load("ct_peer", "")?;
        Ok(Self {
            client: Client::open()?,
            _peer: peer,
            _notify: notify,
            _connector: connector,
        })
    }

    /// Where the kernel has debugfs, so many are stored. What is claimed has to show otherwise as well, or
    /// its test [requires](debugfs::require) that.
    fn expect_stored(&self, expected: u64) -> Result<()> {
        if !debugfs::is_there()? {
            return Ok(());
        }
        let stored = NotifyStats::read()?.stored;
        ensure!(stored == expected, "{stored} requests are stored");
        Ok(())
    }

    /// A request that changes nothing; all that was complete is announced before it is answered.
    fn barrier(&self) -> Result<()> {
        expect_answer(
            &self.client,
            &Ids::numbered(u32::MAX - 1).request(0),
            Err(Errno::ENOENT),
        )
    }
}

fn answers() -> Result<()> {
    let setup = Setup::new()?;
    let client = &setup.client;
    for (seq, ack) in [(0, 0), (7, 41), (u32::MAX, u32::MAX), (1, u32::MAX - 1)] {
        for (group, expected) in [(2, Ok(())), (0, Ok(())), (0, Err(Errno::ENOENT))] {
            let header = Client::header(NOTIFY, seq, ack);
            let reply = client.ask(&header, &Ids::one(ID).request(group))?;
            let answer = answer(&reply)?;
            ensure!(answer == expected, "group {group}: {answer:?}");
        }
    }
    client.expect_nothing()
}

/// What a range has, where it begins, where it ends, and what is next to it.
fn edges() -> Result<()> {
    const MAX: u32 = u32::MAX;
    let setup = Setup::new()?;
    let ranges: [&[Range]; 13] = [
        &[(0, 1)],
        &[(MAX, 1)],
        &[(5, 3)],
        &[(0, MAX)],
        &[(1, MAX)],
        &EVERY,
        &[(MAX - 1, 2)],
        &[(0, 0)],
        &[(5, 0)],
        &[(MAX, 0)],
        &[],
        &[(0, 1), (6, 2), (MAX - 1, 1)],
        // A range and a number of it once more: still one notification.
        &[(4, 4), (5, 1)],
    ];
    let mut listeners = Vec::new();
    for (group, ranges) in (1..).zip(ranges) {
        let of_idx = Ids::new(ranges, &EVERY);
        expect_done(&setup.client, &of_idx, group)?;
        listeners.push((of_idx, Listener::new(group)?));
        let of_val = Ids::new(&EVERY, ranges);
        expect_done(&setup.client, &of_val, group + 16)?;
        listeners.push((of_val, Listener::new(group + 16)?));
    }
    let numbers = [0, 1, 4, 5, 6, 7, 8, MAX - 2, MAX - 1, MAX];
    for number in numbers {
        for id in [
            CbId {
                idx: number,
                val: 6,
            },
            CbId {
                idx: 6,
                val: number,
            },
            CbId {
                idx: number,
                val: number,
            },
        ] {
            if id == NOTIFY || id == PROCESS_EVENTS {
                continue;
            }
            blink(id, 1)?;
            setup.barrier()?;
            for (ids, listener) in &mut listeners {
                let both = [Change::Came(id), Change::Went(id)];
                let expected = if ids.contain(id) { &both[..] } else { &[] };
                let of = format!("{ids:?}");
                listener.expect(expected).context(of)?;
            }
        }
    }
    Ok(())
}

fn wrapping() -> Result<()> {
    let setup = Setup::new()?;
    for range in [(2, u32::MAX), (u32::MAX, 2), (u32::MAX, u32::MAX)] {
        for ids in [
            Ids::new(&[range], &EVERY),
            Ids::new(&EVERY, &[range]),
            Ids::new(&[EVERY[0], EVERY[1], range], &[]),
        ] {
            expect_answer(&setup.client, &ids.request(2), Err(Errno::EINVAL))?;
            expect_answer(&setup.client, &ids.request(0), Err(Errno::EINVAL))?;
        }
    }
    setup.expect_stored(0)
}

fn once_per_request() -> Result<()> {
    let setup = Setup::new()?;
    let client = &setup.client;
    // Two of them match and go to one group, one to another; one to a group that nobody is in, and one
    // does not match.
    let narrow = Ids::one(ID);
    let wide = Ids::new(&[(40, 2)], &EVERY);
    let other = Ids::one(CbId { idx: 42, val: 7 });
    for (ids, group) in [
        (&narrow, 2),
        (&wide, 2),
        (&narrow, 4),
        (&narrow, 6),
        (&other, 4),
    ] {
        expect_done(client, ids, group)?;
    }
    setup.expect_stored(5)?;
    let (two, four) = (Client::open_in(2)?, Client::open_in(4)?);
    let counted = || match debugfs::is_there()? {
        true => NotifyStats::read().map(Some),
        false => Ok(None),
    };
    let before = counted()?;
    blink(ID, 3)?;
    setup.barrier()?;
    let mut expected = Vec::new();
    for seq in (0..6).step_by(2) {
        expected.extend([(seq, 0); 2]);
        expected.extend([(seq + 1, 1); 2]);
    }
    expect_seqs_and_acks(&two, &expected)?;
    expected.dedup();
    expect_seqs_and_acks(&four, &expected)?;
    let (Some(before), Some(after)) = (before, counted()?) else {
        return Ok(());
    };
    let (announced, unheard) = (
        after.announced - before.announced,
        after.unheard - before.unheard,
    );
    ensure!(
        (announced, unheard) == (18, 6),
        "{announced} notifications are counted, and {unheard} that nobody heard"
    );
    Ok(())
}

/// Fails unless exactly these notifications about [`ID`] came.
fn expect_seqs_and_acks(client: &Client, expected: &[(u32, u32)]) -> Result<()> {
    let mut came = Vec::new();
    while let Some(datagram) = client.try_recv()? {
        let message = datagram.single()?;
        ensure!(message.header.id == ID, "{message:?}");
        came.push((message.header.seq, message.header.ack));
    }
    ensure!(came == expected, "{came:?} came, and should {expected:?}");
    Ok(())
}

fn same_again() -> Result<()> {
    let setup = Setup::new()?;
    let ids = Ids::one(ID);
    let second = Client::open()?;
    for client in [&setup.client, &setup.client, &second] {
        expect_done(client, &ids, 2)?;
        setup.expect_stored(1)?;
    }
    // However often it asks, a socket is one of those who hold it.
    for _ in 0..MAX_HOLDERS {
        expect_done(&second, &ids, 2)?;
    }
    let mut listener = Listener::new(2)?;
    blink(ID, 1)?;
    setup.barrier()?;
    listener.expect(&[Change::Came(ID), Change::Went(ID)])?;

    // It is there until both have taken it back.
    expect_done(&setup.client, &ids, 0)?;
    setup.expect_stored(1)?;
    blink(ID, 1)?;
    setup.barrier()?;
    listener.expect(&[Change::Came(ID), Change::Went(ID)])?;
    expect_done(&second, &ids, 0)?;
    setup.expect_stored(0)?;
    blink(ID, 1)?;
    listener.expect(&[])?;
    expect_answer(&second, &ids.request(0), Err(Errno::ENOENT))
}

fn by_others() -> Result<()> {
    let setup = Setup::new()?;
    let ids = Ids::one(ID);
    let stranger = Client::open()?;
    expect_done(&setup.client, &ids, 2)?;
    expect_answer(&stranger, &ids.request(0), Err(Errno::ENOENT))?;
    setup.expect_stored(1)?;
    // Nor can it, if it asks for something else.
    expect_done(&stranger, &Ids::numbered(1), 2)?;
    expect_answer(&stranger, &ids.request(0), Err(Errno::ENOENT))?;
    setup.expect_stored(2)?;
    expect_done(&setup.client, &ids, 0)?;
    setup.expect_stored(1)
}

fn closing() -> Result<()> {
    debugfs::require()?;
    let setup = Setup::new()?;
    let (first, second) = (Client::open()?, Client::open()?);
    for number in 0..3 {
        expect_done(&first, &Ids::numbered(number), 2)?;
    }
    expect_done(&second, &Ids::numbered(2), 2)?;
    setup.expect_stored(3)?;
    // As many who are killed as hold a request at most, and some more.
    for _ in 0..MAX_HOLDERS + 6 {
        expect_done(&Client::open()?, &Ids::numbered(2), 2)?;
    }
    setup.expect_stored(3)?;
    // One that holds nothing takes nothing away.
    drop(Client::open()?);
    setup.expect_stored(3)?;
    drop(first);
    setup.expect_stored(1)?;
    expect_probed(&PROBED)?;
    drop(second);
    setup.expect_stored(0)?;
    expect_probed(&[])
}

/// Opens a socket of a protocol that has this port, and closes it.
fn close_with_port(protocol: isize, portid: u32) -> Result<()> {
    let mut socket = Socket::new(protocol)?;
    socket
        .bind(&SocketAddr::new(portid, 0))
        .context("binding another socket to the same port")
}

fn closing_elsewhere() -> Result<()> {
    procfs::require_namespaces("net")?;
    let setup = Setup::new()?;
    let portid = setup.client.portid();
    expect_done(&setup.client, &Ids::one(ID), 2)?;
    close_with_port(NETLINK_ROUTE, portid)?;
    setup.expect_stored(1)?;
    let in_other_namespace = thread::spawn(move || -> Result<()> {
        unshare(CloneFlags::CLONE_NEWNET).context("unshare")?;
        close_with_port(NETLINK_CONNECTOR, portid)
    });
    in_other_namespace
        .join()
        .map_err(|_| anyhow!("a thread panicked"))??;
    setup.expect_stored(1)?;
    // Who holds it can take it back.
    expect_done(&setup.client, &Ids::one(ID), 0)
}

/// Netlink frees the port of a socket that is being closed before it tells of that.
fn taking_over_a_port() -> Result<()> {
    debugfs::require()?;
    let setup = Setup::new()?;
    let ids = Ids::one(ID);
    // There is always one, so that the watch need not end and begin each time.
    expect_done(&setup.client, &Ids::numbered(1), 2)?;
    let mut holder = Client::open()?;
    expect_done(&holder, &ids, 2)?;
    for _ in 0..times(1000) {
        let portid = holder.portid();
        let before = holder;
        holder = thread::scope(|scope| {
            let next = scope.spawn(|| -> Result<Client> {
                let next = Client::open_at(portid)?;
                expect_done(&next, &ids, 2)?;
                Ok(next)
            });
            drop(before);
            next.join().map_err(|_| anyhow!("a thread panicked"))?
        })?;
        setup.expect_stored(2)?;
    }
    drop(holder);
    setup.expect_stored(1)
}

fn only_ones_own() -> Result<()> {
    let setup = Setup::new()?;
    let ids = Ids::one(ID);
    let second = Client::open()?;
    let (mut two, mut four) = (Listener::new(2)?, Listener::new(4)?);
    expect_done(&setup.client, &ids, 2)?;
    expect_done(&second, &ids, 4)?;
    setup.expect_stored(2)?;
    expect_done(&setup.client, &ids, 0)?;
    setup.expect_stored(1)?;
    blink(ID, 1)?;
    setup.barrier()?;
    two.expect(&[])?;
    four.expect(&[Change::Came(ID), Change::Went(ID)])
}

fn unknown() -> Result<()> {
    let setup = Setup::new()?;
    let stored = Ids::new(&[(1, 2), (5, 6)], &[(3, 4)]);
    expect_answer(&setup.client, &stored.request(0), Err(Errno::ENOENT))?;
    expect_done(&setup.client, &stored, 2)?;
    for other in [
        Ids::new(&[], &[]),
        Ids::new(&[(1, 2)], &[(3, 4)]),
        Ids::new(&[(1, 2), (5, 6)], &[]),
        Ids::new(&[(1, 2), (5, 6)], &[(3, 4), (3, 4)]),
        // As many ranges in all, and the same bytes.
        Ids::new(&[(1, 2)], &[(5, 6), (3, 4)]),
        Ids::new(&[(1, 2), (5, 6), (3, 4)], &[]),
        Ids::new(&[(1, 2), (5, 6)], &[(3, 5)]),
        Ids::new(&[(1, 2), (5, 6)], &[(4, 4)]),
    ] {
        expect_answer(&setup.client, &other.request(0), Err(Errno::ENOENT))?;
        setup.expect_stored(1)?;
    }
    expect_done(&setup.client, &stored, 0)
}

fn too_many() -> Result<()> {
    let setup = Setup::new()?;
    let client = &setup.client;
    for number in 0..MAX_REQUESTS {
        expect_done(client, &Ids::numbered(number), 2)?;
    }
    setup.expect_stored(MAX_REQUESTS.into())?;
    let one_more = Ids::numbered(MAX_REQUESTS).request(2);
    expect_answer(client, &one_more, Err(Errno::ENOSPC))?;
    let other_group = Ids::numbered(0).request(4);
    expect_answer(client, &other_group, Err(Errno::ENOSPC))?;
    // No more than there are already.
    expect_done(client, &Ids::numbered(5), 2)?;
    setup.expect_stored(MAX_REQUESTS.into())?;

    // All of them are still what they were.
    let listener = Client::open_in(2)?;
    for number in [0, 5, MAX_REQUESTS - 1, MAX_REQUESTS] {
        let id = CbId {
            idx: 1000,
            val: number,
        };
        blink(id, 1)?;
        setup.barrier()?;
        let mut came = 0;
        while listener.try_recv()?.is_some() {
            came += 1;
        }
        let expected = if number < MAX_REQUESTS { 2 } else { 0 };
        ensure!(came == expected, "{came} notifications for {id}");
    }

    expect_done(client, &Ids::numbered(5), 0)?;
    expect_answer(client, &one_more, Ok(()))?;
    expect_answer(client, &other_group, Err(Errno::ENOSPC))?;
    for number in (0..=MAX_REQUESTS).filter(|&number| number != 5) {
        expect_done(client, &Ids::numbered(number), 0)?;
    }
    setup.expect_stored(0)
}

/// A request for so many ranges of `idx` and of `val`, which differ.
fn of_many_ranges(idx: u32, val: u32) -> Ids {
    let ranges = |first: u32, count: u32| (0..count).map(|at| (first + 2 * at, 1)).collect();
    Ids {
        idx: ranges(100, idx),
        val: ranges(10_000, val),
    }
}

fn too_large() -> Result<()> {
    let setup = Setup::new()?;
    let client = &setup.client;
    for (idx, val) in [(65, 0), (0, 65), (64, 1), (33, 32), (2000, 43)] {
        let ids = of_many_ranges(idx, val);
        expect_answer(client, &ids.request(2), Err(Errno::E2BIG))?;
        setup.expect_stored(0)?;
        let probed = probed()?;
        ensure!(probed.is_empty(), "{probed:?} are probed");
    }
    let largest = of_many_ranges(MAX_RANGES - 1, 1);
    expect_done(client, &largest, 2)?;
    let mut listener = Listener::new(2)?;
    // In the last range, and in none.
    let last = CbId {
        idx: 100 + 2 * (MAX_RANGES - 2),
        val: 10_000,
    };
    blink(last, 1)?;
    blink(
        CbId {
            idx: last.idx + 1,
            ..last
        },
        1,
    )?;
    setup.barrier()?;
    listener.expect(&[Change::Came(last), Change::Went(last)])?;
    expect_answer(
        client,
        &of_many_ranges(MAX_RANGES, 1).request(2),
        Err(Errno::E2BIG),
    )?;
    setup.expect_stored(1)?;
    expect_done(client, &largest, 0)
}

fn too_many_holders() -> Result<()> {
    let setup = Setup::new()?;
    let ids = Ids::one(ID);
    let holders = (0..MAX_HOLDERS)
        .map(|_| Client::open())
        .collect::<Result<Vec<_>>>()?;
    for holder in &holders {
        expect_done(holder, &ids, 2)?;
    }
    setup.expect_stored(1)?;
    expect_answer(&setup.client, &ids.request(2), Err(Errno::ENOSPC))?;
    for (at, holder) in holders.iter().enumerate() {
        setup.expect_stored(1)?;
        if at == 1 {
            expect_answer(&setup.client, &ids.request(2), Ok(()))?;
        }
        expect_done(holder, &ids, 0)?;
    }
    setup.expect_stored(1)?;
    expect_done(&setup.client, &ids, 0)?;
    setup.expect_stored(0)
}

/// Numbers that look random, and are the same for the same seed (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        // CAST: The upper half, and less than `limit`.
        ((self.0 >> 32) % u64::from(limit)) as u32
    }

    fn one_of<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u32) as usize]
    }

    fn range(&mut self) -> Range {
        let number = |random: &mut Self| match random.below(4) {
            0 => random.below(8),
            1 => u32::MAX - random.below(8),
            2 => 1 << random.below(32),
            _ => random.below(u32::MAX),
        };
        let first = number(self);
        match self.below(8) {
            0 => (first, number(self)),
            // One that just fits.
            _ => (first, self.below(64).min(u32::MAX - first)),
        }
    }

    /// A request, which may be right, or wrong in one way or several.
    fn request(&mut self) -> Vec<u8> {
        let count = |random: &mut Self| match random.below(16) {
            0 => 30 + random.below(40),
            _ => random.below(4),
        };
        let mut ids = Ids::default();
        match self.below(3) {
            // One that is likely to come again.
            0 => ids = Ids::numbered(self.below(4)),
            _ => {
                ids.idx = (0..count(self)).map(|_| self.range()).collect();
                ids.val = (0..count(self)).map(|_| self.range()).collect();
            }
        }
        let group = match self.below(8) {
            0..3 => 0,
            3 => self.one_of(&[33, 64, 1 << 31, u32::MAX]),
            _ => 2 * (1 + self.below(16)),
        };
        let mut data = ids.request(group);
        let wrong = match self.below(3) {
            0 => 0,
            1 => 1,
            _ => self.below(4),
        };
        for _ in 0..wrong {
            self.spoil(&mut data);
        }
        data
    }

    fn spoil(&mut self, data: &mut Vec<u8>) {
        match self.below(6) {
            0 => data.truncate(self.below(data.len() as u32 + 1) as usize),
            1 => data.extend((0..self.below(32)).map(|at| at as u8)),
            2 => {
                if let Some(byte) = data.len().checked_sub(1) {
                    data[self.below(byte as u32 + 1) as usize] ^= 1 << self.below(8);
                }
            }
            // A count or the length, of which some times 8 are what they were, in 32 bits.
            _ if data.len() >= 16 => {
                let at = self.one_of(&[0, 4, 12]);
                let word = data[at..at + 4].try_into().map_or(0, u32::from_ne_bytes);
                let word = match self.below(4) {
                    0 => word.wrapping_add(0x2000_0000),
                    1 => word.wrapping_add(1),
                    2 => word.wrapping_sub(1),
                    _ => self.one_of(&[0, 1, 8, 0x1fff_ffff, 0x8000_0000, u32::MAX]),
                };
                data[at..at + 4].copy_from_slice(&word.to_ne_bytes());
            }
            _ => {}
        }
    }
}

/// What has to be stored, and the answers that follow from it.
#[derive(Default)]
struct Model {
    stored: Vec<(Ids, u32)>,
}

impl Model {
    fn answer(&mut self, data: &[u8]) -> Answer {
        let (ids, group) = Self::read(data).ok_or(Errno::EINVAL)?;
        if group == 0 {
            let before = self.stored.len();
            self.stored.retain(|(stored, _)| *stored != ids);
            return match self.stored.len() < before {
                true => Ok(()),
                false => Err(Errno::ENOENT),
            };
        }
        if self.stored.contains(&(ids.clone(), group)) {
            return Ok(());
        }
        if self.stored.len() == MAX_REQUESTS as usize {
            return Err(Errno::ENOSPC);
        }
        if ids.idx.len() + ids.val.len() > MAX_RANGES as usize {
            return Err(Errno::E2BIG);
        }
        self.stored.push((ids, group));
        Ok(())
    }

    /// The ids and the group that a well-formed request names.
    fn read(data: &[u8]) -> Option<(Ids, u32)> {
        let words = data
            .chunks_exact(4)
            .map(|bytes| bytes.try_into().map(u32::from_ne_bytes));
        let words = words.collect::<Result<Vec<_>, _>>().ok()?;
        let &[idx, val, group, len, ref words @ ..] = &words[..] else {
            return None;
        };
        let fits = (u64::from(idx) + u64::from(val)) * 8 == data.len() as u64 - 16
            && u64::from(len) == data.len() as u64 - 16
            && group <= MAX_GROUP;
        let ranges: Vec<Range> = words.chunks_exact(2).map(|two| (two[0], two[1])).collect();
        let wraps = |&(first, range): &Range| u64::from(first) + u64::from(range) > 1 << 32;
        if !fits || ranges.iter().any(wraps) {
            return None;
        }
        let (idx, val) = ranges.split_at(idx as usize);
        Some((Ids::new(idx, val), group))
    }
}

fn generated() -> Result<()> {
    const REQUESTS: u32 = 1500;
    let setup = Setup::new()?;
    let seed = match env::var("SEED") {
        Ok(seed) => seed.parse().context("SEED")?,
        Err(_) => SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos() as u64,
    };
    println!("# SEED={seed}");
    let mut random = Random(seed | 1);
    let mut model = Model::default();
    let mut refused = [0; 2];
    for number in 0..REQUESTS {
        let data = random.request();
        let expected = model.answer(&data);
        match expected {
            Ok(()) => {}
            Err(Errno::EINVAL) => refused[0] += 1,
            Err(_) => refused[1] += 1,
        }
        let of = format!("request {number} of seed {seed}");
        expect_answer(&setup.client, &data, expected).context(of)?;
        setup
            .expect_stored(model.stored.len() as u64)
            .with_context(|| format!("after request {number} of seed {seed}"))?;
    }
    let [malformed, others] = refused;
    println!("# {malformed} of {REQUESTS} were malformed, {others} refused for another reason");
    ensure!(malformed > REQUESTS / 4, "only {malformed} were malformed");
    if debugfs::is_there()? {
        let stats = NotifyStats::read()?;
        let expected = (u64::from(REQUESTS - malformed - others), malformed + others);
        ensure!(
            (stats.accepted, stats.refused) == (expected.0, expected.1.into()),
            "{stats:?}, not {expected:?}"
        );
    }
    // What is left can be taken back.
    for (ids, _) in std::mem::take(&mut model.stored) {
        let _ = ask(&setup.client, &ids.request(0))?;
    }
    setup.expect_stored(0)
}

/// The client's side of the next tests: takes these steps, and then must not get anything done.
fn unprivileged(steps: impl Iterator<Item = String>) -> Result<()> {
    let mut client = Client::open()?;
    for step in steps {
        match step.as_str() {
            "become-user" => steps::become_user(1000, 1000)?,
            "be-root-in-user-namespace" => steps::be_root_in_user_namespace()?,
            "open" => client = Client::open()?,
            step => bail!("what is `{step}`?"),
        }
    }
    let stored = Ids::one(ID);
    for data in [
        stored.request(2),
        stored.request(3),
        stored.request(0),
        Ids::every().request(1),
        Ids::numbered(1).request(0),
        stored.request(33),
        Vec::new(),
        vec![0; 16],
    ] {
        expect_answer(&client, &data, Err(Errno::EPERM))?;
    }
    Ok(())
}

fn refused_to(steps: &str) -> Result<()> {
    let setup = Setup::new()?;
    // With nothing stored, and with what they would like to take back.
    for stored in 0..2 {
        if stored == 1 {
            expect_done(&setup.client, &Ids::one(ID), 2)?;
        }
        if !debugfs::is_there()? {
            steps::process(steps)?;
            continue;
        }
        let before = NotifyStats::read()?;
        steps::process(steps)?;
        let after = NotifyStats::read()?;
        ensure!(
            after
                == NotifyStats {
                    refused: before.refused + 8,
                    ..before
                },
            "{before:?} became {after:?}"
        );
        ensure!(after.stored == stored, "{after:?}");
        if stored == 0 {
            expect_probed(&[])?;
        }
    }
    Ok(())
}

const PROBED: [&str; 2] = ["cn_add_callback", "cn_del_callback"];

/// Our own connector tells of all ids without a probe.
fn expect_probed(expected: &[&str]) -> Result<()> {
    if !probes_are_listed()? {
        return Ok(());
    }
    let probed = probed()?;
    let expected = if core_is_ours() { &[] } else { expected };
    ensure!(
        probed == expected,
        "{probed:?} are probed, not {expected:?}"
    );
    Ok(())
}

fn probes() -> Result<()> {
    require_probes()?;
    let setup = Setup::new()?;
    let client = &setup.client;
    let (one, two) = (Ids::numbered(1), Ids::numbered(2));
    expect_probed(&[])?;
    for _ in 0..5 {
        expect_done(client, &one, 2)?;
        expect_probed(&PROBED)?;
        expect_done(client, &two, 2)?;
        expect_probed(&PROBED)?;
        expect_done(client, &one, 0)?;
        expect_probed(&PROBED)?;
        expect_answer(client, &one.request(0), Err(Errno::ENOENT))?;
        expect_probed(&PROBED)?;
        expect_done(client, &two, 0)?;
        expect_probed(&[])?;
    }
    for (data, error) in [
        (two.request(0), Errno::ENOENT),
        (of_many_ranges(65, 0).request(2), Errno::E2BIG),
        (two.request(33), Errno::EINVAL),
        (Vec::new(), Errno::EINVAL),
    ] {
        expect_answer(client, &data, Err(error))?;
        expect_probed(&[])?;
    }
    expect_done(client, &one, 2)?;
    drop(setup);
    expect_probed(&[])
}

fn groups() -> Result<()> {
    let setup = Setup::new()?;
    let ids = Ids::one(ID);
    let mut listeners = Vec::new();
    for group in 1..=MAX_GROUP {
        expect_done(&setup.client, &ids, group)?;
        listeners.push(Listener::new(group)?);
    }
    setup.expect_stored(MAX_GROUP.into())?;
    for group in [33, 34, 64, 1 << 16, u32::MAX] {
        expect_answer(&setup.client, &ids.request(group), Err(Errno::EINVAL))?;
    }
    blink(ID, 1)?;
    setup.barrier()?;
    for listener in &mut listeners {
        listener.expect(&[Change::Came(ID), Change::Went(ID)])?;
    }
    // Of all groups at once.
    expect_done(&setup.client, &ids, 0)?;
    setup.expect_stored(0)
}

fn main() -> ExitCode {
    if let Some(ended) = steps::taken_by(unprivileged) {
        return ended;
    }
    Suite::new()
        .test(
            "a request is answered with its seq, its ack + 1 and 0 or a negative error number",
            answers,
        )
        .test(
            "a range has its first number and its last and none beside them; an empty one has none",
            edges,
        )
        .test("a range that wraps is refused", wrapping)
        .test(
            "a change is announced once for each request that matches, with a seq of its own",
            once_per_request,
        )
        .test(
            "the same ranges and group twice are one request, until all who asked have taken it back",
            same_again,
        )
        .test(
            "each of the 32 groups can be asked for, no other, and group 0 takes all of them back",
            groups,
        )
        .test(
            "a request cannot be taken back by a socket that never asked for it",
            by_others,
        )
        .test(
            "what a socket asked for ends when it is closed, and 70 that are closed fill no table",
            closing,
        )
        .test(
            "it does not when a socket of another protocol or network namespace is closed that has the same port",
            closing_elsewhere,
        )
        .test(
            "whoever takes over the port of a socket that is being closed holds its own request",
            taking_over_a_port,
        )
        .test(
            "taking one's request back leaves that of another for the same ranges and another group",
            only_ones_own,
        )
        .test(
            "only exactly the same ranges take a request back, others are unknown",
            unknown,
        )
        .test(
            "the 129th request is refused with ENOSPC and changes nothing",
            too_many,
        )
        .test(
            "a request of more than 64 ranges is refused with E2BIG and changes nothing",
            too_large,
        )
        .test(
            "a request has 64 holders, and one more when one of them took it back",
            too_many_holders,
        )
        .test(
            "1500 generated requests are answered as the description says, and change nothing if refused",
            generated,
        )
        .test("an ordinary user is refused with EPERM", || {
            refused_to("become-user open")
        })
        .test("so is one with a socket that root opened", || {
            refused_to("become-user")
        })
        .test("so is root of a user namespace that a user made", || {
            procfs::require_namespaces("user")?;
            refused_to("become-user be-root-in-user-namespace open")
        })
        .test("so is root of a user namespace that root made", || {
            procfs::require_namespaces("user")?;
            refused_to("be-root-in-user-namespace open")
        })
        .test(
            "the core is probed while a request is stored, and not otherwise",
            probes,
        )
        .run()
}
