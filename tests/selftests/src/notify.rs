// SPDX-License-Identifier: GPL-2.0

//! Requests to `cn_notify`, and the notifications that come of them.
//!
//! Both are put together and taken apart here by the format's description and not by
//! `connector-wire`, which the module itself is made of.

use std::{
    collections::BTreeMap,
    fmt, fs,
    sync::{Mutex, OnceLock, PoisonError},
};

use anyhow::{Context, Result, bail, ensure};
use connector_wire::CbId;
use nix::{
    errno::Errno,
    sched::{CpuSet, sched_getaffinity, sched_setaffinity},
    sys::socket::{setsockopt, sockopt},
    unistd::Pid,
};

use crate::{Client, Module, Received, Setting, core_is_ours, debugfs, skip};

/// The id of `cn_notify`.
pub const NOTIFY: CbId = CbId {
    idx: u32::MAX,
    val: u32::MAX,
};

/// The kernel's process events, which go to group 1 while anybody wants them, and after that if a
/// program that wanted them was killed.
pub const PROCESS_EVENTS: CbId = CbId { idx: 1, val: 1 };

/// The first of a range's numbers, and how many there are.
pub type Range = (u32, u32);

/// Every number; one range cannot say it.
pub const EVERY: [Range; 2] = [(0, u32::MAX), (u32::MAX, 1)];

/// Ids to ask for: those with an `idx` in one of the first ranges and a `val` in one of the second.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ids {
    /// Ranges of `idx`.
    pub idx: Vec<Range>,
    /// Ranges of `val`.
    pub val: Vec<Range>,
}

impl Ids {
    /// Ids in these ranges.
    pub fn new(idx: &[Range], val: &[Range]) -> Self {
        Self {
            idx: idx.to_vec(),
            val: val.to_vec(),
        }
    }

    /// Every id.
    pub fn every() -> Self {
        Self::new(&EVERY, &EVERY)
    }

    /// One id.
    pub fn one(id: CbId) -> Self {
        Self::new(&[(id.idx, 1)], &[(id.val, 1)])
    }

    /// A number of ids that differ from those of every other number.
    pub fn numbered(number: u32) -> Self {
        Self::new(&[(1000, 1)], &[(number, 1)])
    }

    /// Whether they have this one.
    pub fn contain(&self, id: CbId) -> bool {
        let contains = |ranges: &[Range], number: u32| {
            ranges.iter().any(|&(first, range)| {
                let (first, number) = (u64::from(first), u64::from(number));
                first <= number && number < first + u64::from(range)
            })
        };
        contains(&self.idx, id.idx) && contains(&self.val, id.val)
    }

    /// The data of a request for notifications to `group`, or to take it back if that is 0.
    pub fn request(&self, group: u32) -> Vec<u8> {
        let ranges = self.idx.iter().chain(&self.val);
        let words: Vec<_> = ranges.flat_map(|&(first, range)| [first, range]).collect();
        // CAST: There are not that many.
        let header = [
            self.idx.len() as u32,
            self.val.len() as u32,
            group,
            4 * words.len() as u32,
        ];
        let words = header.into_iter().chain(words);
        words.flat_map(u32::to_ne_bytes).collect()
    }
}

/// A request was carried out, or why it was not.
pub type Answer = Result<(), Errno>;

/// Sends `cn_notify` a request; its answer must follow the rule for replies, and be there at once.
pub fn ask(client: &Client, data: &[u8]) -> Result<Answer> {
    // Numbers that wrap and numbers that do not.
    let header = Client::header(NOTIFY, client.portid(), u32::MAX);
    answer(&client.ask(&header, data)?)
}

/// What an answer says.
pub fn answer(reply: &Received) -> Result<Answer> {
    let number: [u8; 4] = reply.data[..]
        .try_into()
        .with_context(|| format!("an answer that is no i32: {reply:?}"))?;
    match i32::from_ne_bytes(number) {
        0 => Ok(Ok(())),
        error @ ..0 => Ok(Err(Errno::from_raw(-error))),
        other => bail!("an answer that is no error: {other}"),
    }
}

/// Sends a request that must be carried out.
pub fn expect_done(client: &Client, ids: &Ids, group: u32) -> Result<()> {
    expect_answer(client, &ids.request(group), Ok(()))
}

/// Sends a request that must be answered like this.
pub fn expect_answer(client: &Client, data: &[u8], expected: Answer) -> Result<()> {
    let got = ask(client, data)?;
    ensure!(
        got == expected,
        "the answer should be {expected:?}, and is {got:?}, to {}",
        words(data)
    );
    Ok(())
}

/// The words that a request begins with, and its size.
fn words(data: &[u8]) -> String {
    let words = data
        .chunks_exact(4)
        .filter_map(|bytes| bytes.try_into().ok())
        .map(u32::from_ne_bytes);
    let words: Vec<_> = words.take(12).collect();
    format!("{} bytes that begin with {words:?}", data.len())
}

/// That an id came (`+`) or went (`-`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// It was registered.
    Came(CbId),
    /// It was unregistered.
    Went(CbId),
}

impl Change {
    /// The id that came or went.
    pub fn id(self) -> CbId {
        match self {
            Self::Came(id) | Self::Went(id) => id,
        }
    }
}

impl fmt::Debug for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Came(id) => write!(f, "+{id}"),
            Self::Went(id) => write!(f, "-{id}"),
        }
    }
}

/// A socket in a group, and what was announced there. The kernel's own process events, with which
/// group 1 is shared, are passed over.
pub struct Listener {
    client: Client,
    next_seq: Option<u32>,
}

impl Listener {
    /// Joins a group to which notifications of one request go; their `seq` must have no gap.
    pub fn new(group: u32) -> Result<Self> {
        let client = Client::open_in(group)?;
        // Nobody reads while hundreds of notifications come.
        setsockopt(&client, sockopt::RcvBufForce, &(64 << 20))?;
        Ok(Self {
            client,
            next_seq: None,
        })
    }

    /// Its socket.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// What came, without waiting: `cn_notify` announces what was complete when a request comes
    /// before it answers. A gap is an error.
    pub fn changes(&mut self) -> Result<Vec<Change>> {
        let (changes, missing) = self.changes_and_gaps()?;
        ensure!(missing == 0, "seq says that {missing} changes are missing");
        Ok(changes)
    }

    /// What came, and how many are missing by their `seq`.
    pub fn changes_and_gaps(&mut self) -> Result<(Vec<Change>, u32)> {
        let (mut changes, mut missing) = (Vec::new(), 0);
        while let Some(datagram) = self.client.try_recv()? {
            let netlink = datagram.netlink;
            let message = datagram.single()?;
            ensure!(netlink.seq == message.header.seq, "{netlink:?} {message:?}");
            let Some(change) = change(&message)? else {
                continue;
            };
            changes.push(change);
            let seq = message.header.seq;
            let gap = self.next_seq.map_or(0, |next| seq.wrapping_sub(next));
            ensure!(gap < 1 << 31, "{seq} came after {:?}", self.next_seq);
            missing += gap;
            self.next_seq = Some(seq.wrapping_add(1));
        }
        Ok((changes, missing))
    }

    /// Fails unless exactly this came, without waiting.
    pub fn expect(&mut self, expected: &[Change]) -> Result<()> {
        let changes = self.changes()?;
        if changes == expected {
            return Ok(());
        }
        let same = changes.iter().zip(expected).take_while(|(a, b)| a == b);
        let at = same.count();
        let around = |all: &[Change]| format!("{:?}", &all[at..all.len().min(at + 8)]);
        bail!(
            "{} changes were announced and {} made; from number {at} on, {} should be {}",
            changes.len(),
            expected.len(),
            around(&changes),
            around(expected)
        );
    }

    /// Waits for a change.
    pub fn wait(&mut self) -> Result<Change> {
        loop {
            if let Some(change) = change(&self.client.recv()?.single()?)? {
                return Ok(change);
            }
        }
    }
}

/// What a notification says; nothing if it is a process event.
fn change(message: &Received) -> Result<Option<Change>> {
    let header = message.header;
    match (header.ack, header.len, header.flags, message.data.len()) {
        _ if header.id == PROCESS_EVENTS => Ok(None),
        (0, 0, 0, 0) => Ok(Some(Change::Came(header.id))),
        (1, 0, 0, 0) => Ok(Some(Change::Went(header.id))),
        _ => bail!("this is no notification: {message:?}"),
    }
}

/// What `cn_notify` says in `rust_connector/services` in debugfs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NotifyStats {
    /// Requests that are stored.
    pub stored: u64,
    /// Requests that were carried out.
    pub accepted: u64,
    /// Requests that were not.
    pub refused: u64,
    /// Notifications that somebody got.
    pub announced: u64,
    /// Notifications that nobody got.
    pub unheard: u64,
    /// Changes that could not be announced.
    pub lost: u64,
    /// How often the ids of C modules ceased to be seen.
    pub unseen: u64,
}

impl NotifyStats {
    /// Reads it.
    pub fn read() -> Result<Self> {
        const PATH: &str = "/sys/kernel/debug/rust_connector/services";
        let text = debugfs::read(PATH)?;
        let lines = text.lines().filter_map(|line| line.split_once(' '));
        let values: BTreeMap<_, _> = lines.collect();
        let value = |name: &str| -> Result<u64> {
            let value = values.get(name);
            let value = value.with_context(|| format!("no `{name}` in {PATH}:\n{text}"))?;
            value.parse().with_context(|| format!("{name} {value}"))
        };
        Ok(Self {
            stored: value("stored")?,
            accepted: value("accepted")?,
            refused: value("refused")?,
            announced: value("announced")?,
            unheard: value("unheard")?,
            lost: value("lost")?,
            unseen: value("unseen")?,
        })
    }
}

/// Skips the test on a kernel without probes, or without the files by which they are seen and switched.
pub fn require_probes() -> Result<()> {
    debugfs::require()?;
    match probes_are_listed()? {
        true => Ok(()),
        false => skip("the kernel lacks CONFIG_KPROBES"),
    }
}

/// Whether the kernel says what is probed.
pub fn probes_are_listed() -> Result<bool> {
    fs::exists(PROBES).context(PROBES)
}

const PROBES: &str = "/sys/kernel/debug/kprobes/list";

/// Which of the core's functions are probed: none where the kernel does not say.
pub fn probed() -> Result<Vec<String>> {
    if !probes_are_listed()? {
        return Ok(Vec::new());
    }
    let list = fs::read_to_string(PROBES).context(PROBES)?;
    // The address, the kind, then the function and the offset.
    let functions = list.lines().filter_map(|line| {
        let place = line.split_whitespace().nth(2)?;
        let function = place.split('+').next()?;
        ["cn_add_callback", "cn_del_callback"]
            .contains(&function)
            .then(|| function.to_owned())
    });
    let mut functions: Vec<_> = functions.collect();
    functions.sort();
    Ok(functions)
}

/// Whether the ids of C modules are seen to come and go, as `ct_peer`, one of them, says: the kernel's
/// own connector is probed for that.
pub fn peers_are_seen() -> Result<bool> {
    const PATH: &str = "/sys/module/ct_peer/parameters/seen";
    static SEEN: OnceLock<bool> = OnceLock::new();
    if core_is_ours() {
        return Ok(true);
    }
    if let Some(seen) = SEEN.get() {
        return Ok(*seen);
    }
    let _peer = match fs::exists(PATH)? {
        true => None,
        false => Some(Module::load("ct_peer", "")?),
    };
    let seen = fs::read_to_string(PATH).context(PATH)?.trim() == "Y";
    Ok(*SEEN.get_or_init(|| seen))
}

/// Skips the test on a kernel where the ids of C modules are not seen to come and go.
pub fn require_peers() -> Result<()> {
    match peers_are_seen()? {
        true => Ok(()),
        false => {
            skip("the kernel lacks CONFIG_KPROBES, without which the ids of C modules are not seen")
        }
    }
}

/// Has a module register and unregister an id so many times: `ct_peer`, which is in C, or, where that
/// would not be seen, `ct_churn`, which is in Rust.
pub fn blink(id: CbId, times: u32) -> Result<()> {
    if !peers_are_seen()? {
        // It is loaded once at a time.
        static CHURN: Mutex<()> = Mutex::new(());
        let _one = CHURN.lock().unwrap_or_else(PoisonError::into_inner);
        let parameters = format!("idx={} val={} rounds={times}", id.idx, id.val);
        return Module::load("ct_churn", &parameters)?.unload();
    }
    fs::write(
        "/sys/module/ct_peer/parameters/blink",
        format!("{id} {times}"),
    )
    .with_context(|| format!("ct_peer registers {id} {times} times"))
}

/// While this exists, this thread and those that it starts run on one CPU, if the machine is
/// emulated.
///
/// QEMU before 8.1 emulates several CPUs by several threads, one of which may translate an
/// instruction while another overwrites it, and go on using what it was. A probe is then not hit, or
/// hit after it was removed, which the kernel rightly calls an oops. So whoever arms probes and
/// whoever runs into them share a CPU there. The kernel must not replace breakpoints by jumps, which
/// it does later and on any CPU.
pub struct OneCpu {
    before: Option<CpuSet>,
    _optimization: Option<Setting>,
}

impl OneCpu {
    /// Begins now.
    pub fn if_emulated() -> Result<Self> {
        if !fs::read_to_string("/proc/cpuinfo")?.contains("QEMU TCG CPU") {
            return Ok(Self {
                before: None,
                _optimization: None,
            });
        }
        let this_thread = Pid::from_raw(0);
        let cpus = sched_getaffinity(this_thread)?;
        let optimization =
            Setting::change_if_there_is("/proc/sys/debug/kprobes-optimization", "0")?;
        let mut one = CpuSet::new();
        one.set(0)?;
        sched_setaffinity(this_thread, &one)?;
        Ok(Self {
            before: Some(cpus),
            _optimization: optimization,
        })
    }
}

impl Drop for OneCpu {
    fn drop(&mut self) {
        if let Some(cpus) = &self.before {
            let _ = sched_setaffinity(Pid::from_raw(0), cpus);
        }
    }
}
