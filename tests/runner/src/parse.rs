// SPDX-License-Identifier: GPL-2.0

//! Judges a run again, from what it left in its folder.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::pick::Picks;
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
pub fn leave(keep: &Path, skips: &str, config: &str) -> Result<()> {
    let cannot = || format!("cannot write to {}", keep.display());
    fs::write(keep.join(SKIPS), skips).with_context(cannot)?;
    fs::write(keep.join(CONFIG), config).with_context(cannot)
}

/// Judges the boots whose files are `NAME.log` and so on: the one in the folder, or those in the folders
/// in it, of the VMs that ran at a time.
pub fn run(folder: &Path, name: &str, screen: &Screen) -> Result<bool> {
    let mut all_well = true;
    for folder in boots(folder, name)? {
        all_well &= one(&folder, name, screen)?;
    }
    Ok(all_well)
}

fn boots(folder: &Path, name: &str) -> Result<Vec<PathBuf>> {
    let is_one = |folder: &PathBuf| Files::new(folder, name).run.exists();
    if is_one(&folder.to_owned()) {
        return Ok(vec![folder.to_owned()]);
    }
    let mut boots: Vec<PathBuf> = fs::read_dir(folder)
        .with_context(|| format!("cannot read {}", folder.display()))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(is_one)
        .collect();
    boots.sort();
    ensure!(
        !boots.is_empty(),
        "{} has no run: neither {name}.run nor a folder with one",
        folder.display()
    );
    Ok(boots)
}

fn one(folder: &Path, name: &str, screen: &Screen) -> Result<bool> {
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
            let skips = fs::read_to_string(folder.join(SKIPS))
                .with_context(|| format!("cannot read {SKIPS} in {}", folder.display()))?;
            Skips::of(&skips, Given::new(&config, recording.expected.cpus))?
        }
        None => Skips::default(),
    };
    let plan = Plan {
        skips,
        picks: Picks::on(&recording.expected.options)?,
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
