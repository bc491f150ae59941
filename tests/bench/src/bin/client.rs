// SPDX-License-Identifier: GPL-2.0

//! The Rust client that is measured: an echo round trip of 32 bytes, through `netlink-connector`.
//! Prints a row as `peers/client.c` does, which says how the figures come about.

use std::{
    io::Write,
    os::unix::net::UnixStream,
    time::{Duration, Instant},
};

use netlink_connector::{CbId, Connector, Result};

/// `cn_echo`'s id.
const ECHO: CbId = CbId { idx: 16, val: 1 };
const SIZE: usize = 32;
const ROUNDS: usize = 31;
const CHUNK: u32 = 64;
const LIMIT: Duration = Duration::from_secs(1);

fn chunk(connector: &Connector, data: &[u8]) -> Result<Duration> {
    let start = Instant::now();
    for _ in 0..CHUNK {
        connector.request(&connector.header(ECHO), data, LIMIT)?;
    }
    Ok(start.elapsed())
}

/// What reading the clock costs.
fn overhead() -> Duration {
    let start = Instant::now();
    start.elapsed()
}

fn main() -> anyhow::Result<()> {
    let data: Vec<u8> = (0..SIZE as u8).map(|i| i.wrapping_mul(7)).collect();
    // The first socket has the process's id for a port; all others have random ones.
    let first = Connector::open()?;
    let reply = first.request(&first.header(ECHO), &data, LIMIT)?;
    assert_eq!(reply.data, data, "the payload came back as another one");

    let (mut holder, _reader) = UnixStream::pair()?;
    let mut times = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        holder.write_all(&data)?;
        let connector = Connector::open()?;
        chunk(&connector, &data)?;
        times.push(chunk(&connector, &data)?);
    }
    times.sort();
    let chunk = times[ROUNDS / 4].saturating_sub(overhead());
    let each = chunk.as_nanos() as f64 / f64::from(CHUNK);
    println!("row client rust {SIZE} 1 {each:.2}");
    Ok(())
}
