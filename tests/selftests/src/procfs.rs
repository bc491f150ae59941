// SPDX-License-Identifier: GPL-2.0

//! What `/proc` says of the connector and of modules.

use std::{fs, io::ErrorKind, path::Path};

use anyhow::{Context, Result};
use connector_wire::{CbId, netlink};

use crate::{core_is_module, no_process_events, skip};

/// The lines of `/proc/net/connector`, as `NAME IDX:VAL` with one blank.
pub fn registered() -> Result<Vec<String>> {
    let text = match fs::read_to_string("/proc/net/connector") {
        // Nobody is, where there is no connector.
        Err(error) if core_is_module() && error.kind() == ErrorKind::NotFound => return Ok(vec![]),
        text => text.context("/proc/net/connector")?,
    };
    let lines = text.lines().skip(1);
    Ok(lines
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect())
}

/// The same without what is built into the kernel, here or elsewhere.
pub fn registered_by_modules() -> Result<Vec<String>> {
    let mut lines = registered()?;
    lines.retain(|line| !is_of_kernel(line));
    Ok(lines)
}

/// Whether this line is about what is built into the kernel, here or elsewhere.
pub fn is_of_kernel(line: &str) -> bool {
    ["cn_proc 1:1", "w1 3:1", "dmlogusr 7:1"].contains(&line)
}

/// Whether somebody has this id.
pub fn is_registered(id: CbId) -> Result<bool> {
    let id = format!(" {id}");
    Ok(registered()?.iter().any(|line| line.ends_with(&id)))
}

/// Skips the test on a kernel that tells nobody of processes.
pub fn require_process_events() -> Result<()> {
    no_process_events().map_or(Ok(()), skip)
}

/// Whether there can be more than one namespace of this kind: `net`, `user` or `pid`.
pub fn has_namespaces(kind: &str) -> bool {
    Path::new("/proc/self/ns").join(kind).exists()
}

/// Skips the test on a kernel without namespaces of this kind.
pub fn require_namespaces(kind: &str) -> Result<()> {
    match has_namespaces(kind) {
        true => Ok(()),
        false => skip(format!(
            "the kernel lacks CONFIG_{}_NS",
            kind.to_uppercase()
        )),
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
    of_socket(portid, "Drops")
}

/// How much memory what the socket with this port has not read takes, in bytes.
pub fn receive_memory(portid: u32) -> Result<u64> {
    of_socket(portid, "Rmem")
}

fn of_socket(portid: u32, what: &str) -> Result<u64> {
    let sockets = of_sockets(what)?;
    let socket = sockets.iter().find(|(port, _)| *port == portid);
    let (_, value) = socket.with_context(|| format!("no port {portid} in /proc/net/netlink"))?;
    Ok(*value)
}

/// The ports of the connector's sockets, and how many messages were dropped because each had no room.
pub fn all_drops() -> Result<Vec<(u32, u64)>> {
    of_sockets("Drops")
}

/// The ports of the connector's sockets, with a column of `/proc/net/netlink`.
fn of_sockets(what: &str) -> Result<Vec<(u32, u64)>> {
    let sockets = fs::read_to_string("/proc/net/netlink").context("/proc/net/netlink")?;
    let mut lines = sockets.lines().map(str::split_whitespace);
    let heading: Vec<_> = lines
        .next()
        .context("an empty /proc/net/netlink")?
        .collect();
    let column = |name: &str| {
        let at = heading.iter().position(|&column| column == name);
        at.with_context(|| format!("no {name} in /proc/net/netlink"))
    };
    let (protocol, port, what) = (column("Eth")?, column("Pid")?, column(what)?);
    let connector = netlink::PROTOCOL.to_string();
    lines
        .map(Iterator::collect::<Vec<_>>)
        .filter(|line| line.get(protocol) == Some(&&*connector))
        .map(|line| {
            let value = line.get(what).context("a line is too short")?;
            Ok((line[port].parse()?, value.parse()?))
        })
        .collect()
}
