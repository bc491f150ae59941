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

impl Drop for Setting {
    fn drop(&mut self) {
        if let Err(error) = fs::write(self.path, self.before.trim()) {
            println!("# {}: {error}", self.path);
        }
    }
}
