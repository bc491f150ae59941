// SPDX-License-Identifier: GPL-2.0

//! The test programs in the VM: which there are, how they are run, and how what comes of each is
//! shown as soon as it is known.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::accel::Accel;
use crate::recording::Recording;
use crate::results::{self, Results};
use crate::screen::Screen;
use crate::tap::{Outcome, Report, Test};
use crate::verdict::{self, Judged, tail};
use crate::vm::{Boot, Event, Image};

/// A program's time, in seconds, on a machine several times slower than any that it was tried on. One
/// that needs more is split, or its sizes are.
const SUITE_LIMIT: u32 = 600;
/// A guest that says nothing for longer than a program may run is hung.
const SILENCE: Duration = Duration::from_secs(900);
/// The suite that looks for what all the others left behind.
const LAST: &str = "kmemleak";

/// The names of the programs in the folder.
pub fn programs(folder: &Path) -> Result<Vec<String>> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .with_context(|| format!("cannot read {}", folder.display()))?
        .filter_map(Result::ok)
        // Beside them are modules and tools.
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()))
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort();
    ensure!(
        !names.is_empty(),
        "there is no test program in {}",
        folder.display()
    );
    Ok(names)
}

/// Of these programs all, or the wanted ones.
pub fn chosen(programs: &[String], only: &[String]) -> Result<Vec<String>> {
    if let Some(wanted) = only.iter().find(|wanted| !programs.contains(wanted)) {
        bail!(
            "there is no test program {wanted}; there are: {}",
            programs.join(" ")
        );
    }
    let is_wanted = |name: &&String| only.is_empty() || only.contains(name);
    Ok(programs.iter().filter(is_wanted).cloned().collect())
}

/// Where programs run, and where what they say goes.
#[derive(Debug)]
pub struct Vm<'a> {
    /// What to boot.
    pub image: &'a Image,
    /// How QEMU runs it.
    pub accel: Accel,
    /// Folder for the logs.
    pub keep: &'a Path,
    /// What a person sees.
    pub screen: &'a Screen,
}

/// How to run programs.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct How {
    /// Multiplies every time limit (a kernel full of checkers is slow)
    #[arg(long, default_value_t = 1)]
    patience: u32,
    /// How many times less often to do what programs do very often
    #[arg(long, default_value_t = 1)]
    slowness: u32,
    /// How many seconds all programs in the VM may take together
    #[arg(long, default_value_t = 45 * 60)]
    limit: u64,
    /// What programs begin their random choices with
    #[arg(long)]
    seed: Option<u64>,
}

impl How {
    /// A time limit for this kernel.
    pub fn patience(&self, limit: Duration) -> Duration {
        limit * self.patience
    }

    /// A program's time, in seconds.
    pub fn suite_limit(&self) -> u32 {
        SUITE_LIMIT * self.patience
    }
}

/// Runs these programs in one boot.
pub fn run(vm: &Vm<'_>, names: &[String], how: &How, results: &mut Results) -> Result<()> {
    let Vm {
        image,
        accel,
        keep,
        screen,
    } = *vm;
    let (last, mut order): (Vec<_>, Vec<_>) = names.iter().cloned().partition(|name| name == LAST);
    order.extend(last);
    // SLOWNESS and SEED are the programs' own. The kernel keeps quotes around a value with spaces to itself.
    let append = format!(
        "rc_timeout={} SLOWNESS={}{} rc_only=\"{}\"",
        how.suite_limit(),
        how.slowness,
        how.seed
            .map_or(String::new(), |seed| format!(" SEED={seed}")),
        order.join(" ")
    );
    let boot = Boot {
        image,
        accel,
        mode: "test",
        append,
        suites: &order,
        tap: true,
        keep,
        console: "console.log",
        silence: how.patience(SILENCE),
        limit: how.patience(Duration::from_secs(how.limit)),
        terminal: None,
    };
    let mut judged: BTreeMap<usize, Judged> = BTreeMap::new();
    let mut running: Option<(String, Instant, usize)> = None;
    screen.progress("vm    booting");
    let over = boot.run(|event| match event {
        Event::Begin(name) => running = Some((name.to_owned(), Instant::now(), 0)),
        Event::Line(line) => {
            screen.detail(line);
            if let Some((name, since, passed)) = &mut running {
                *passed += usize::from(line.starts_with("ok "));
                screen.progress(&format!(
                    "vm    {name}: {passed} passed, {} s",
                    since.elapsed().as_secs()
                ));
            }
        }
        Event::End(suite, expected, transcript) => {
            running = None;
            judged.entry(suite).or_insert_with(|| {
                let judged = verdict::suite(expected, transcript, suite);
                show(&judged, Some(keep), results, screen);
                judged
            });
        }
        Event::Booted | Event::Tick => {}
    })?;
    // Whatever did not end, or never began, did not pass.
    for suite in 0..order.len() {
        judged.entry(suite).or_insert_with(|| {
            let judged = verdict::suite(&over.expected, &over.transcript, suite);
            show(&judged, Some(keep), results, screen);
            judged
        });
    }
    let judged: Vec<Judged> = judged.into_values().collect();
    let mut rest = verdict::rest(&over.expected, &over.transcript, over.ending, &judged);
    let (again, rest_again) = verdict::all(&Recording::read(&boot.files())?);
    let differs = judged
        .iter()
        .zip(&again)
        .find(|(live, read)| !same(&live.tests, &read.tests));
    let differs = differs.map(|(live, _)| &live.name[..]);
    let differs = differs.or((!same(&rest, &rest_again)).then_some("the VM itself"));
    if let Some(name) = differs {
        let mut report = Report::default();
        report.fail(format!(
            "what the run left says something else about {name}"
        ));
        rest.append(&mut report.tests);
    }
    show_rest(rest, results, screen);
    Ok(())
}

fn same(live: &[Test], read: &[Test]) -> bool {
    let outcomes = |tests: &[Test]| -> Vec<(String, Outcome)> {
        let tests = tests.iter();
        tests
            .map(|test| (test.name.clone(), test.outcome.clone()))
            .collect()
    };
    outcomes(live) == outcomes(read)
}

/// Shows a program's result, and keeps its output.
pub fn show(judged: &Judged, keep: Option<&Path>, results: &mut Results, screen: &Screen) {
    let failed = |test: &&Test| test.outcome == Outcome::Failed;
    let tests = &judged.tests;
    let any_failed = tests.iter().any(|test| failed(&test));
    let silent = tests.iter().filter(failed).all(|test| test.log.is_empty());
    if let Some(keep) = keep {
        let _ = fs::write(keep.join(format!("{}.tap", judged.name)), &judged.output);
    }
    let suite = results::Suite {
        place: "vm",
        name: judged.name.clone(),
        tests: judged.tests.clone(),
        took: judged.took,
    };
    results.add(suite, screen);
    if any_failed {
        if silent && !judged.output.is_empty() {
            screen.note("the end of what it printed:");
            screen.quote(&tail(&judged.output, 20));
        }
        let log = tail(&judged.log, 30);
        if !log.is_empty() {
            screen.note("the kernel log meanwhile:");
            screen.quote(&log);
        }
    }
}

/// Shows what is no program's fault, if anything is wrong.
pub fn show_rest(tests: Vec<Test>, results: &mut Results, screen: &Screen) {
    if !tests.is_empty() {
        let suite = results::Suite {
            place: "vm",
            name: "the VM itself".to_owned(),
            tests,
            took: None,
        };
        results.add(suite, screen);
    }
}
