// SPDX-License-Identifier: GPL-2.0

//! `cn_echo` returns every message as it is, at every size that the core lets through.

use std::process::ExitCode;

use anyhow::{Result, ensure};
use selftests::{Client, ECHO, Header, MAX_DATA_SIZE, Module, NlHeader, Suite, datagram, pattern};

fn header(seq: u32) -> Header {
    Client::header(ECHO, seq, 0)
}

fn comes_back(size: usize) -> Result<()> {
    let (_connector, _echo) = Module::load_with_connector("cn_echo", "")?;
    let client = Client::open()?;
    for seq in 0..3 {
        client.expect_echo(&header(seq), &pattern(seq, size))?;
    }
    Ok(())
}

fn every_small_size_comes_back() -> Result<()> {
    let (_connector, _echo) = Module::load_with_connector("cn_echo", "")?;
    let client = Client::open()?;
    for size in 0..=256 {
        client.expect_echo(&header(size), &pattern(size, size as usize))?;
    }
    Ok(())
}

fn too_large_is_dropped() -> Result<()> {
    let (_connector, _echo) = Module::load_with_connector("cn_echo", "")?;
    let client = Client::open()?;
    client.send(&header(1), &pattern(1, MAX_DATA_SIZE + 1))?;
    client.expect_nothing()?;
    client.expect_echo(&header(2), b"still there")
}

fn any_bytes_come_back() -> Result<()> {
    let (_connector, _echo) = Module::load_with_connector("cn_echo", "")?;
    let client = Client::open()?;
    let all: Vec<u8> = (0..=u8::MAX).collect();
    client.expect_echo(&header(1), &all)?;
    client.expect_echo(&header(2), &[0; 64])?;
    client.expect_echo(&header(3), b"%s%n%p no NUL at the end")
}

/// A datagram whose message announces `len` bytes of data.
fn announcing(len: u16, data: &[u8]) -> Vec<u8> {
    let mut bytes = datagram(&header(1), data);
    let at = NlHeader::SIZE + 16;
    bytes[at..at + 2].copy_from_slice(&len.to_ne_bytes());
    bytes
}

fn fewer_than_follow() -> Result<()> {
    let (_connector, _echo) = Module::load_with_connector("cn_echo", "")?;
    let client = Client::open()?;
    let data = pattern(1, 100);
    for len in [0, 1, 99] {
        client.send_raw(&announcing(len, &data))?;
        let reply = client.recv_now()?;
        ensure!(
            reply.header == header(1).reply(len) && reply.data == data[..len.into()],
            "{len} of 100 bytes were announced, {reply:?} came back"
        );
    }
    client.expect_nothing()
}

fn more_than_follow() -> Result<()> {
    let (_connector, _echo) = Module::load_with_connector("cn_echo", "")?;
    let client = Client::open()?;
    for len in [101, 104, 16364, u16::MAX] {
        client.send_raw(&announcing(len, &pattern(1, 100)))?;
        client.expect_nothing()?;
    }
    client.expect_echo(&header(2), b"still there")
}

fn main() -> ExitCode {
    assert_eq!(MAX_DATA_SIZE, 16364);
    let mut suite = Suite::new();
    for size in [0, 1, 19, 20, 4096, MAX_DATA_SIZE] {
        suite = suite.test(format!("a message of size {size} comes back"), move || {
            comes_back(size)
        });
    }
    suite
        .test(
            "messages of every size up to 256 bytes come back",
            every_small_size_comes_back,
        )
        .test(
            "a message of size 16365 is dropped without an error, and the next one answered",
            too_large_is_dropped,
        )
        .test("data are bytes, whatever their values", any_bytes_come_back)
        .test(
            "a message that announces fewer bytes than follow has those and no others",
            fewer_than_follow,
        )
        .test(
            "a message that announces more bytes than follow is dropped, and the next one answered",
            more_than_follow,
        )
        .run()
}
