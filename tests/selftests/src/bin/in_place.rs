// SPDX-License-Identifier: GPL-2.0

//! Replies that need no memory because they are what the request lay in: to the byte what a reply
//! with memory of its own would be, whatever came with the request, and seen by nobody else.

use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use selftests::{Client, ECHO, Module, NlHeader, Suite, core_is_ours, datagram, pattern, times};

/// The datagram that a reply is.
fn reply_to(seq: u32, data: &[u8]) -> Vec<u8> {
    let request = Client::header(ECHO, seq, 5);
    // CAST: A test's data is never that long.
    let mut reply = datagram(&request.reply(data.len() as u16), data);
    let padded = reply.len().next_multiple_of(4);
    reply.resize(padded, 0);
    reply
}

/// The bytes that came, which are a reply, and nothing behind that but its padding.
fn expect_reply(client: &Client, seq: u32, data: &[u8], what: &str) -> Result<()> {
    expect_bytes(client, &reply_to(seq, data), what)?;
    client.expect_nothing()
}

fn expect_bytes(client: &Client, expected: &[u8], what: &str) -> Result<()> {
    let came = client.recv_raw().with_context(|| what.to_owned())?;
    let (header, _) = came
        .split_first_chunk::<{ NlHeader::SIZE }>()
        .context("less than a netlink header")?;
    ensure!(
        came == expected,
        "{what}: {} bytes came, and should be {}: the header is {header:02x?}, the end {:02x?}",
        came.len(),
        expected.len(),
        &came[came.len().saturating_sub(8)..]
    );
    Ok(())
}

fn exact() -> Result<()> {
    let (_connector, _echo) = Module::load_with_connector("cn_echo", "")?;
    let client = Client::open()?;
    let lengths = (0..64).chain([127, 128, 129, 1023, 4095, 4096, 8000, 15999, 16000]);
    for (seq, len) in (0..).zip(lengths) {
        let data = pattern(seq, len);
        let request = datagram(&Client::header(ECHO, seq, 5), &data);
        client.send_raw(&request)?;
        expect_reply(&client, seq, &data, &format!("{len} bytes"))?;
        // What a sender pads with is none of the reply.
        let mut padded = request.clone();
        padded.resize(request.len().next_multiple_of(4), 0xff);
        client.send_raw(&padded)?;
        expect_reply(&client, seq, &data, &format!("{len} bytes, padded"))?;
    }
    Ok(())
}

fn trailing() -> Result<()> {
    let (_connector, _echo) = Module::load_with_connector("cn_echo", "")?;
    let client = Client::open()?;
    for (seq, len) in (0..).zip([0, 1, 2, 3, 4, 5, 100, 1000, 4000]) {
        let data = pattern(seq, len);
        let request = datagram(&Client::header(ECHO, seq, 5), &data);
        for trailing in (1..=9).chain([100, 4096]) {
            let mut more = request.clone();
            more.resize(request.len() + trailing, 0xff);
            client.send_raw(&more)?;
            expect_reply(
                &client,
                seq,
                &data,
                &format!("{len} bytes and {trailing} more"),
            )?;
        }
        // The kernel's own core takes the first netlink message of a datagram only.
        let mut two = request.clone();
        two.resize(request.len().next_multiple_of(4), 0);
        two.extend(datagram(&Client::header(ECHO, seq + 1, 9), b"the second"));
        client.send_raw(&two)?;
        let what = format!("{len} bytes and a message");
        if core_is_ours() {
            // Both are answered.
            expect_bytes(&client, &reply_to(seq, &data), &what)?;
            ensure!(client.recv_now()?.data == b"the second", "{what}");
            client.expect_nothing()?;
        } else {
            expect_reply(&client, seq, &data, &what)?;
        }
    }
    Ok(())
}

/// Who has joined a group that a message goes to as well gets a clone of what the reply is made
/// from. Netlink copies it only if there is much room behind the message, so that all lengths are
/// tried.
fn bystanders() -> Result<()> {
    const GROUP: u32 = 31;
    let (_connector, _echo) = Module::load_with_connector("cn_echo", "")?;
    let client = Client::open()?;
    let bystanders = [Client::open_in(GROUP)?, Client::open_in(GROUP)?];
    for round in 0..times(8) {
        for len in (0..4096).step_by(8 + round as usize) {
            // CAST: Small.
            let seq = len as u32;
            let data = pattern(seq, len);
            let request = datagram(&Client::header(ECHO, seq, 5), &data);
            client.send_raw_to_groups(&request, 1 << (GROUP - 1))?;
            for bystander in &bystanders {
                let seen = bystander.recv_raw().context("a bystander got nothing")?;
                ensure!(
                    seen == request,
                    "a bystander saw another message of {len} bytes than was sent: {:02x?}, not {:02x?}",
                    &seen[..seen.len().min(36)],
                    &request[..36]
                );
                bystander.expect_nothing()?;
            }
            expect_reply(
                &client,
                seq,
                &data,
                &format!("{len} bytes, with bystanders"),
            )?;
        }
    }
    Ok(())
}

fn main() -> ExitCode {
    Suite::new()
        .test(
            "a reply is exactly its message and zeroes up to the next four bytes",
            exact,
        )
        .test(
            "it has nothing of what came behind its request, be it bytes or another message",
            trailing,
        )
        .test(
            "who gets the request as well, in a group, gets it as it was sent",
            bystanders,
        )
        .run()
}
