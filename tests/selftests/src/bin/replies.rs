// SPDX-License-Identifier: GPL-2.0

//! Replies of every length and make: the message's own data, others, none; once and many times.

use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use nix::errno::Errno;
use selftests::{CbId, Client, Header, MAX_DATA_SIZE, Module, Stats, Suite, debugfs, pattern};

const REPLY: CbId = CbId { idx: 30, val: 6 };

// The ways of ct_reply.
const OWN: u32 = 0;
const BEGINNING: u32 = 1;
const END: u32 = 2;
const STACK: u32 = 3;
const ALLOCATED: u32 = 4;
const GROWING: u32 = 5;

struct Test {
    client: Client,
    _reply: Module,
    _connector: Module,
}

/// What came of a request.
struct Outcome {
    sent: Vec<u8>,
    replies: Vec<Vec<u8>>,
    error: Option<Errno>,
}

impl Test {
    fn begin() -> Result<Self> {
        let (connector, reply) = Module::load_with_connector("ct_reply", "")?;
        Ok(Self {
            client: Client::open()?,
            _reply: reply,
            _connector: connector,
        })
    }

    /// Sends a message of `len` bytes that asks for replies; checks what all replies have in
    /// common, and that the message was as it was after them.
    fn ask(&self, way: u32, n: u32, len: usize) -> Result<Outcome> {
        // Another number each time, some of them even.
        // CAST: A length is that small.
        let seq = n.wrapping_add(len as u32);
        let request = Header {
            flags: 0x1234,
            ..Client::header(REPLY, seq, u32::MAX)
        };
        let mut sent = [way.to_ne_bytes(), n.to_ne_bytes()].concat();
        sent.extend(pattern(n, len - sent.len()));
        self.client.send(&request, &sent)?;
        let mut replies = Vec::new();
        while let Some(datagram) = self.client.try_recv()? {
            let netlink = datagram.netlink;
            let reply = datagram.single()?;
            ensure!(
                reply.header == request.reply(reply.header.len) && netlink.seq == request.seq,
                "reply {} has the header {:?}",
                replies.len(),
                reply.header
            );
            replies.push(reply.data);
        }
        let verdict = replies.pop().context("no reply")?;
        let numbers: Vec<i32> = verdict
            .chunks_exact(4)
            .map(|bytes| i32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
            .collect();
        let [errno, untouched] = numbers[..] else {
            anyhow::bail!("the verdict is {verdict:?}");
        };
        ensure!(
            untouched == 1,
            "the message was another one after the reply"
        );
        Ok(Outcome {
            sent,
            replies,
            error: (errno != 0).then(|| Errno::from_raw(-errno)),
        })
    }
}

/// What ct_reply sends where the data are not the message's own.
fn made(len: u32) -> Vec<u8> {
    (0..len).map(|at| (at * 7) as u8).collect()
}

fn own_data() -> Result<()> {
    let test = Test::begin()?;
    for len in [8, 9, 127, 128, 129, 4096, MAX_DATA_SIZE] {
        let outcome = test.ask(OWN, 1, len)?;
        ensure!(outcome.error.is_none(), "{:?}", outcome.error);
        ensure!(outcome.replies == [outcome.sent], "{len} bytes");
    }
    Ok(())
}

fn own_data_many_times() -> Result<()> {
    let test = Test::begin()?;
    let outcome = test.ask(OWN, 50, 100)?;
    ensure!(outcome.error.is_none(), "{:?}", outcome.error);
    ensure!(outcome.replies == vec![outcome.sent; 50]);
    Ok(())
}

fn beginnings() -> Result<()> {
    let test = Test::begin()?;
    for n in [0, 1, 7, 99, 100] {
        let outcome = test.ask(BEGINNING, n, 100)?;
        ensure!(outcome.error.is_none(), "{:?}", outcome.error);
        ensure!(
            outcome.replies == [&outcome.sent[..n as usize]],
            "{n} of 100 bytes"
        );
    }
    Ok(())
}

fn ends() -> Result<()> {
    let test = Test::begin()?;
    for len in [100, 4096, MAX_DATA_SIZE] {
        for n in [0, 1, len - 1, len] {
            let outcome = test.ask(END, n as u32, len)?;
            ensure!(outcome.error.is_none(), "{:?}", outcome.error);
            ensure!(
                outcome.replies == [&outcome.sent[n..]],
                "all but {n} of {len} bytes"
            );
        }
    }
    Ok(())
}

fn growing() -> Result<()> {
    let test = Test::begin()?;
    let outcome = test.ask(GROWING, 60, 60)?;
    ensure!(outcome.error.is_none(), "{:?}", outcome.error);
    ensure!(
        outcome.replies.len() == 61,
        "{} replies",
        outcome.replies.len()
    );
    for (len, reply) in outcome.replies.iter().enumerate() {
        ensure!(*reply == outcome.sent[..len], "the reply of {len} bytes");
    }
    Ok(())
}

/// Replies of other data: shorter than the request of 20 bytes, as long, and longer; around the
/// size up to which the crate puts a message together on the stack.
fn other_data() -> Result<()> {
    let test = Test::begin()?;
    for way in [STACK, ALLOCATED] {
        for n in [0, 1, 19, 20, 21, 107, 108, 109, 128, 256] {
            let outcome = test.ask(way, n, 20)?;
            ensure!(outcome.error.is_none(), "{:?}", outcome.error);
            ensure!(outcome.replies == [made(n)], "{n} bytes, way {way}");
        }
    }
    Ok(())
}

fn largest() -> Result<()> {
    let test = Test::begin()?;
    for n in [4096, 16364, 16365, 65535] {
        let outcome = test.ask(ALLOCATED, n, 20)?;
        ensure!(outcome.error.is_none(), "{n} bytes: {:?}", outcome.error);
        ensure!(outcome.replies == [made(n)], "{n} bytes");
    }
    Ok(())
}

fn too_large() -> Result<()> {
    let test = Test::begin()?;
    for n in [65536, 65537, 1 << 20] {
        let outcome = test.ask(ALLOCATED, n, 20)?;
        ensure!(
            outcome.replies.is_empty() && outcome.error == Some(Errno::EMSGSIZE),
            "{n} bytes: {:?}, {} replies",
            outcome.error,
            outcome.replies.len()
        );
    }
    Ok(())
}

fn too_large_is_counted() -> Result<()> {
    debugfs::require()?;
    let test = Test::begin()?;
    for n in [65536, 65537, 1 << 20] {
        test.ask(ALLOCATED, n, 20)?;
    }
    let stats = Stats::of(REPLY)?;
    ensure!(
        (stats.received, stats.replied, stats.other, stats.dropped()) == (3, 3, 3, 3),
        "the counters say {stats:?}"
    );
    Ok(())
}

fn main() -> ExitCode {
    Suite::new()
        .test(
            "a reply of the message's own data has all of them",
            own_data,
        )
        .test("it can be sent 50 times over", own_data_many_times)
        .test(
            "a reply can be any beginning of the message's data",
            beginnings,
        )
        .test("a reply can be any end of the message's data", ends)
        .test(
            "replies of all beginnings, one after the other, leave the message as it was",
            growing,
        )
        .test(
            "a reply of other data may be empty, shorter than the message, as long, or longer",
            other_data,
        )
        .test(
            "a reply may be larger than any message, up to 65535 bytes",
            largest,
        )
        .test(
            "a reply of more than 65535 bytes is EMSGSIZE, and sends nothing",
            too_large,
        )
        .test("it is counted as dropped", too_large_is_counted)
        .run()
}
