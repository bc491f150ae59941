// SPDX-License-Identifier: GPL-2.0

//! Files in debugfs, which a kernel may lack: the counters, what services say of themselves, and the
//! list of probes.

use std::fs;

use anyhow::{Context, Result};

use crate::skip;

/// Whether the kernel has debugfs. It is asked itself: where it has, a file that is missing is an error.
pub fn is_there() -> Result<bool> {
    const PATH: &str = "/proc/filesystems";
    let kinds = fs::read_to_string(PATH).context(PATH)?;
    Ok(kinds
        .lines()
        .any(|line| line.split_whitespace().last() == Some("debugfs")))
}

/// Skips the test on a kernel without debugfs. For a test whose claim cannot be seen elsewhere.
pub fn require() -> Result<()> {
    match is_there()? {
        true => Ok(()),
        false => skip("the kernel lacks CONFIG_DEBUG_FS, and what this compares is told there"),
    }
}

/// What a file says; see [`require`].
pub fn read(path: &str) -> Result<String> {
    require()?;
    fs::read_to_string(path).with_context(|| path.to_owned())
}
