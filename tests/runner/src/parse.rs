// SPDX-License-Identifier: GPL-2.0

//! Judges a run again, from what it left in its folder.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::recording::{Files, Recording};
use crate::results::{Plan, Results};
use crate::screen::Screen;
use crate::skips::{Given, Skips};
use crate::{suites, verdict};

/// What a run leaves of what it knew before: the tests that may be skipped, and the kernel's
/// configuration.
const SKIPS: &str = "skips.tsv";
const CONFIG: &str = "kernel.config";

/// Leaves it there.
pub fn leave(keep: &Path, skips: &Path, config: &str) -> Result<()> {
    let cannot = || format!("cannot write to {}", keep.display());
    fs::copy(skips, keep.join(SKIPS)).with_context(cannot)?;
    fs::write(keep.join(CONFIG), config).with_context(cannot)
}

/// Judges the boot whose files are `NAME.log` and so on.
pub fn run(folder: &Path, name: &str, screen: &Screen) -> Result<bool> {
    let recording = Recording::read(&Files::new(folder, name))?;
    // Of several runs in one, each has a folder in that of all.
    let found = [Some(folder), folder.parent()]
        .into_iter()
        .flatten()
        .find(|folder| folder.join(SKIPS).exists());
    let skips = match found {
        Some(folder) => {
            let config = fs::read_to_string(folder.join(CONFIG))
                .with_context(|| format!("cannot read {CONFIG} in {}", folder.display()))?;
            Skips::read(
                &folder.join(SKIPS),
                Given::new(&config, recording.expected.cpus),
            )?
        }
        None => Skips::default(),
    };
    let plan = Plan {
        skips,
        ..Plan::default()
    };
    let mut results = Results::of(plan, None);
    screen.note(&recording.expected.options);
    let (judged, rest) = verdict::all(&recording);
    for suite in &judged {
        suites::show(suite, None, &mut results, screen);
    }
    suites::show_rest(rest, &mut results, screen);
    let total = results.show(folder, screen);
    Ok(total.failed == 0)
}
