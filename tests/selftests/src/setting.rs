// SPDX-License-Identifier: GPL-2.0

//! The kernel's settings, which are files.

use std::{fs, path::Path};

use anyhow::{Context, Result};

/// A setting that is changed, and what it was before when this is dropped.
#[derive(Debug)]
#[must_use]
pub struct Setting {
    path: &'static str,
    before: String,
}

impl Setting {
    /// Changes a setting.
    pub fn change(path: &'static str, value: &str) -> Result<Self> {
        let before = fs::read_to_string(path).context(path)?;
        fs::write(path, value).with_context(|| format!("{value} into {path}"))?;
        Ok(Self { path, before })
    }

    /// [`Self::change`] for a setting that not every kernel has.
    pub fn change_if_there_is(path: &'static str, value: &str) -> Result<Option<Self>> {
        match Path::new(path).exists() {
            true => Self::change(path, value).map(Some),
            false => Ok(None),
        }
    }
}

/// Has grace periods end as soon as they can, as long as this is held: most of what loading, unloading
/// and probing take is to wait for one. And has probes stay what they are at first, breakpoints: to make
/// jumps of them takes such a period of all tasks, for which everybody waits who probes.
///
/// For what is done very often, and is not about how long that takes.
pub fn hurry() -> Result<[Option<Setting>; 2]> {
    Ok([
        // On one CPU such a period may be over at once, and there is nothing to set.
        Setting::change_if_there_is("/sys/kernel/rcu_expedited", "1")?,
        Setting::change_if_there_is("/proc/sys/debug/kprobes-optimization", "0")?,
    ])
}

impl Drop for Setting {
    fn drop(&mut self) {
        if let Err(error) = fs::write(self.path, self.before.trim()) {
            println!("# {}: {error}", self.path);
        }
    }
}
