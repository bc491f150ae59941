// SPDX-License-Identifier: GPL-2.0

//! What `/proc` says of the connector and of modules.

use std::{fs, io::ErrorKind};

use anyhow::{Context, Result};
use connector_wire::{CbId, netlink};

use crate::{core_is_ours, notify::PROCESS_EVENTS, skip};

/// The lines of `/proc/net/connector`, as `NAME IDX:VAL` with one blank.
pub fn registered() -> Result<Vec<String>> {
    let text = match fs::read_to_string("/proc/net/connector") {
        // Nobody is, where there is no connector.
        Err(error) if core_is_ours() && error.kind() == ErrorKind::NotFound => return Ok(vec![]),
        text => text.context("/proc/net/connector")?,
    };
    let lines = text.lines().skip(1);
    Ok(lines
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect())
}

/// Whether somebody has this id.
pub fn is_registered(id: CbId) -> Result<bool> {
    let id = format!(" {id}");
    Ok(registered()?.iter().any(|line| line.ends_with(&id)))
}

/// Skips the test on a kernel that tells nobody of processes.
pub fn require_process_events() -> Result<()> {
    if core_is_ours() {
        return skip("process events are of the kernel's own connector alone");
    }
    match is_registered(PROCESS_EVENTS)? {
        true => Ok(()),
        false => skip("the kernel lacks CONFIG_PROC_EVENTS"),
    }
}

/// Whether a module of this name is loaded, or being loaded or unloaded.
pub fn is_loaded(module: &str) -> Result<bool> {
    let modules = fs::read_to_string("/proc/modules").context("/proc/modules")?;
    Ok(modules
        .lines()
        .any(|line| line.split(' ').next() == Some(module)))
}

/// How many messages the kernel has dropped because the socket with this port had no room.
pub fn drops(portid: u32) -> Result<u64> {
    let sockets = all_drops()?;
    let socket = sockets.iter().find(|(port, _)| *port == portid);
    let (_, drops) = socket.with_context(|| format!("no port {portid} in /proc/net/netlink"))?;
    Ok(*drops)
}

/// The ports of the connector's sockets, and how many messages were dropped because each had no room.
pub fn all_drops() -> Result<Vec<(u32, u64)>> {
    let sockets = fs::read_to_string("/proc/net/netlink").context("/proc/net/netlink")?;
    let mut lines = sockets.lines().map(str::split_whitespace);
    let heading: Vec<_> = lines
        .next()
        .context("an empty /proc/net/netlink")?
        .collect();
    let column = |name| heading.iter().position(|&column| column == name);
    let (protocol, port) = (column("Eth"), column("Pid"));
    let (protocol, port) = (protocol.context("no Eth")?, port.context("no Pid")?);
    let drops = column("Drops").context("no Drops")?;
    let connector = netlink::PROTOCOL.to_string();
    lines
        .map(Iterator::collect::<Vec<_>>)
        .filter(|line| line.get(protocol) == Some(&&*connector))
        .map(|line| {
            let drops = line.get(drops).context("a line without Drops")?;
            Ok((line[port].parse()?, drops.parse()?))
        })
        .collect()
}
