// SPDX-License-Identifier: GPL-2.0

//! A reply has its request's `seq`, and its `ack` plus one.

use std::process::ExitCode;

use anyhow::{Result, ensure};
use selftests::{Client, ECHO, Header, Module, Suite};

/// The ends of the range, and where a signed number would turn.
const EDGES: [u32; 4] = [0, 1, 0x7fff_ffff, u32::MAX];

fn ack_is_counted_up(ack: u32, expected: u32) -> Result<()> {
    let (_connector, _echo) = Module::load_with_connector("cn_echo", "")?;
    let client = Client::open()?;
    for seq in EDGES {
        client.send(&Client::header(ECHO, seq, ack), b"data")?;
        let reply = client.recv_now()?.header;
        ensure!(
            (reply.seq, reply.ack) == (seq, expected),
            "{seq:#x}, {ack:#x} was answered with {:#x}, {:#x}",
            reply.seq,
            reply.ack
        );
    }
    Ok(())
}

fn netlink_header() -> Result<()> {
    let (_connector, _echo) = Module::load_with_connector("cn_echo", "")?;
    let client = Client::open()?;
    for seq in EDGES {
        client.send(&Client::header(ECHO, seq, 5), b"data")?;
        let reply = client.recv()?.netlink;
        ensure!(
            (reply.kind, reply.flags, reply.seq, reply.portid) == (3, 0, seq, 0),
            "to seq {seq:#x} came {reply:?}"
        );
    }
    Ok(())
}

fn id_and_flags() -> Result<()> {
    let (_connector, _echo) = Module::load_with_connector("cn_echo", "")?;
    let client = Client::open()?;
    for flags in [0, 1, 0x8000, u16::MAX] {
        let request = Header {
            flags,
            ..Client::header(ECHO, 7, 7)
        };
        client.send(&request, b"data")?;
        let reply = client.recv_now()?.header;
        ensure!(
            (reply.id, reply.flags) == (ECHO, flags),
            "to flags {flags:#x} came {reply:?}"
        );
    }
    Ok(())
}

fn same_seq_other_ack() -> Result<()> {
    let (_connector, _echo) = Module::load_with_connector("cn_echo", "")?;
    let client = Client::open()?;
    let requests: Vec<Header> = (0..16)
        .map(|n| Client::header(ECHO, n / 4, u32::MAX - 1 + n % 4))
        .collect();
    for request in &requests {
        client.send(request, b"")?;
    }
    for request in &requests {
        let reply = client.recv_now()?.header;
        ensure!(
            reply.is_reply_to(request),
            "{request:?} was answered with {reply:?}"
        );
    }
    client.expect_nothing()
}

fn main() -> ExitCode {
    let mut suite = Suite::new();
    // Spelled out: to compute it here would be to repeat the code under test.
    for (ack, expected) in [(0, 1), (1, 2), (0x7fff_ffff, 0x8000_0000), (u32::MAX, 0)] {
        suite = suite.test(
            format!("ack {ack:#x} is answered with {expected:#x}, and seq comes back, at 0, 1, 0x7fffffff, 0xffffffff"),
            move || ack_is_counted_up(ack, expected),
        );
    }
    suite
        .test(
            "the netlink header of a reply has type DONE, port 0 and the seq",
            netlink_header,
        )
        .test(
            "a reply has the id and the flags of its request",
            id_and_flags,
        )
        .test(
            "messages that share a seq are answered each by its own ack, in order",
            same_seq_other_ack,
        )
        .run()
}
