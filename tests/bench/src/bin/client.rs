// SPDX-License-Identifier: GPL-2.0

//! The Rust client that is measured: an echo round trip of 32 bytes, through `connector-client`.
//! Prints a row as `peers/client.c` does, which says how the figures come about.

use std::time::{Duration, Instant};

use connector_client::{CbId, Connector, Result};

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

fn main() -> Result<()> {
    let connector = Connector::open()?;
    let data: Vec<u8> = (0..SIZE as u8).map(|i| i.wrapping_mul(7)).collect();
    let reply = connector.request(&connector.header(ECHO), &data, LIMIT)?;
    assert_eq!(reply.data, data, "the payload came back as another one");

    chunk(&connector, &data)?;
    let mut times = Vec::with_capacity(ROUNDS);
    // Messages that wait move the allocator on, from round to round.
    let mut held = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        held.push(holding(&data)?);
        times.push(chunk(&connector, &data)?);
    }
    times.sort();
    let each = times[ROUNDS / 2].as_nanos() as f64 / f64::from(CHUNK);
    println!("row client rust {SIZE} 1 {each:.2}");
    Ok(())
}

/// A socket in whose queue a message waits.
fn holding(data: &[u8]) -> Result<Connector> {
    let connector = Connector::open()?;
    connector.send(&connector.header(ECHO), data)?;
    Ok(connector)
}
