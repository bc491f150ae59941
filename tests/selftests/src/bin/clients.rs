// SPDX-License-Identifier: GPL-2.0

//! Many clients at once: each gets its own replies, all of them, in order.

use std::{process::ExitCode, sync::Barrier, thread};

use anyhow::{Context, Result, anyhow, ensure};
use selftests::{Client, ECHO, Module, Stats, Suite, debugfs, pattern, times};

const CLIENTS: u32 = 8;
const MESSAGES: u32 = 10_000;
/// How many requests a client has under way. As many replies fit into a receive buffer.
const WINDOW: u32 = 16;

/// What a client sends as its message number `n`: nothing that another one sends, and up to 63
/// bytes more than the two numbers.
fn data(client: u32, n: u32) -> Vec<u8> {
    let rest = pattern((client << 16) | n, n as usize % 64);
    [&client.to_ne_bytes()[..], &n.to_ne_bytes(), &rest].concat()
}

fn exchange(number: u32, messages: u32, start: &Barrier) -> Result<()> {
    let client = Client::open()?;
    // All clients use the same numbers, so that a reply to another one would pass for an own one.
    let header = |n| Client::header(ECHO, n, n.wrapping_mul(77));
    start.wait();
    for n in 0..messages + WINDOW {
        if n < messages {
            client.send(&header(n), &data(number, n))?;
        }
        let Some(oldest) = n.checked_sub(WINDOW) else {
            continue;
        };
        let reply = client
            .recv_now()
            .with_context(|| format!("client {number}, message {oldest}"))?;
        ensure!(
            reply.header.is_reply_to(&header(oldest)) && reply.data == data(number, oldest),
            "client {number} should have had the reply to message {oldest}, and got {reply:?}"
        );
    }
    client.expect_nothing()
}

fn eight_clients() -> Result<()> {
    let (_connector, _echo) = Module::load_with_connector("cn_echo", "")?;
    let messages = times(MESSAGES);
    let start = Barrier::new(CLIENTS as usize);
    thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| {
                scope.spawn({
                    let start = &start;
                    move || exchange(number, messages, start)
                })
            })
            .collect();
        clients
            .into_iter()
            .try_for_each(|client| client.join().map_err(|_| anyhow!("a client panicked"))?)
    })?;
    if !debugfs::is_there()? {
        return Ok(());
    }
    let expected = u64::from(CLIENTS * messages);
    let stats = Stats::of(ECHO)?;
    ensure!(
        (
            stats.received,
            stats.replied,
            stats.dropped(),
            stats.running
        ) == (expected, expected, 0, 0),
        "the counters say {stats:?}"
    );
    Ok(())
}

fn shared_socket() -> Result<()> {
    let (_connector, _echo) = Module::load_with_connector("cn_echo", "")?;
    let client = Client::open()?;
    let total = 4 * 25;
    thread::scope(|scope| {
        for number in 0..4 {
            let client = &client;
            scope.spawn(move || {
                (0..25).try_for_each(|n| {
                    client.send(&Client::header(ECHO, number, n), &data(number, n))
                })
            });
        }
    });
    let mut next = [0; 4];
    for _ in 0..total {
        let reply = client.recv_now()?;
        let number = reply.header.seq;
        let n = next
            .get_mut(number as usize)
            .with_context(|| format!("nobody sent {reply:?}"))?;
        ensure!(
            reply.header.ack == *n + 1 && reply.data == data(number, *n),
            "thread {number} should have had the reply to message {n}, and got {reply:?}"
        );
        *n += 1;
    }
    client.expect_nothing()
}

fn main() -> ExitCode {
    Suite::new()
        .test(
            "8 clients at once get all replies to 10000 messages each, in order, and nothing else",
            eight_clients,
        )
        .test(
            "4 threads that send through one socket get all replies, each thread's in order",
            shared_socket,
        )
        .run()
}
