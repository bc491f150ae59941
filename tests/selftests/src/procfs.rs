// SPDX-License-Identifier: GPL-2.0

//! What `/proc` says of the connector and of modules.

use std::fs;

use anyhow::{Context, Result};
use connector_wire::CbId;

/// The lines of `/proc/net/connector`, as `NAME IDX:VAL` with one blank.
pub fn registered() -> Result<Vec<String>> {
    let text = fs::read_to_string("/proc/net/connector").context("/proc/net/connector")?;
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

/// Whether a module of this name is loaded, or being loaded or unloaded.
pub fn is_loaded(module: &str) -> Result<bool> {
    let modules = fs::read_to_string("/proc/modules").context("/proc/modules")?;
    Ok(modules
        .lines()
        .any(|line| line.split(' ').next() == Some(module)))
}
