// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Asks the echo service and prints what it answers. Load `cn_echo` first.

use std::time::Duration;

use netlink_connector::{CbId, Connector, Result};

fn main() -> Result<()> {
    let connector = Connector::open()?;
    let request = connector.header(CbId { idx: 16, val: 1 });
    let reply = connector.request(&request, b"hello", Duration::from_secs(1))?;
    println!("asked:    seq {} ack {}", request.seq, request.ack);
    println!(
        "answered: seq {} ack {} with {:?}",
        reply.header.seq,
        reply.header.ack,
        String::from_utf8_lossy(&reply.data)
    );
    Ok(())
}
