// SPDX-License-Identifier: GPL-2.0

//! Boots the VM and judges what it says; `make run`, `make test`, `make bench` and
//! `make shell` end here. scripts/harness builds what is booted, scripts/guest/init is the other
//! end of the wire.

mod accel;
mod host;
mod junit;
mod klog;
mod line;
mod results;
mod screen;
mod suites;
mod tap;
mod vm;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand};

use accel::Accel;
use results::Results;
use screen::Screen;
use suites::How;
use vm::{Boot, Event, Image};

#[derive(Parser)]
#[command(about)]
struct Cli {
    #[command(subcommand)]
    mode: Mode,
}

#[derive(Args)]
struct Common {
    /// The kernel to boot (bzImage)
    #[arg(long)]
    kernel: PathBuf,
    /// The initramfs to boot it with
    #[arg(long)]
    initrd: PathBuf,
    /// Folder for the logs
    #[arg(long)]
    keep: PathBuf,
    /// Folder for the verdict on KVM
    #[arg(long)]
    verdicts: PathBuf,
}

impl Common {
    fn image(&self) -> Image {
        Image {
            kernel: self.kernel.clone(),
            initrd: self.initrd.clone(),
        }
    }

    fn accel(&self) -> Result<Accel> {
        fs::create_dir_all(&self.keep)
            .with_context(|| format!("cannot make {}", self.keep.display()))?;
        Accel::choose(&self.image(), &self.verdicts, &self.keep)
    }
}

#[derive(Subcommand)]
enum Mode {
    /// The demonstration (scripts/guest/demo.sh)
    Run {
        #[command(flatten)]
        common: Common,
    },
    /// The tests, on the host and in the VM
    Test {
        #[command(flatten)]
        common: Common,
        /// Folder of the test programs that are in the initramfs
        #[arg(long)]
        selftests: PathBuf,
        /// What compiling the examples of the kernel side said, as libtest says it
        #[arg(long)]
        examples: PathBuf,
        /// Only this test program (repeat for more), and no host tests
        #[arg(long)]
        only: Vec<String>,
        #[command(flatten)]
        how: How,
        /// Show everything that programs print
        #[arg(long)]
        verbose: bool,
    },
    /// The measurements (scripts/guest/bench.sh)
    Bench {
        #[command(flatten)]
        common: Common,
        /// What the guest's clock shows
        #[arg(long)]
        clock: Clock,
        /// What scripts/guest/bench.sh is to measure, and how often
        #[arg(long, num_args = 2)]
        what: Vec<String>,
        /// File for what it prints
        #[arg(long)]
        out: PathBuf,
    },
    /// A shell
    Shell {
        #[command(flatten)]
        common: Common,
    },
}

/// What a measurement counts.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Clock {
    /// The guest's instructions
    Instructions,
    /// Time
    Wall,
}

fn main() -> ExitCode {
    let result = match Cli::parse().mode {
        Mode::Run { common } => run(&common),
        Mode::Test {
            common,
            selftests,
            examples,
            only,
            how,
            verbose,
        } => test(&common, &selftests, &examples, &only, &how, verbose),
        Mode::Bench {
            common,
            clock,
            what,
            out,
        } => bench(&common, clock, &what, &out),
        Mode::Shell { common } => shell(&common),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run(common: &Common) -> Result<bool> {
    let screen = Screen::new(false);
    let since = Instant::now();
    let image = common.image();
    let accel = common.accel()?;
    screen.plain(&format!("  accelerator: {}", accel.name()));
    let boot = Boot {
        image: &image,
        accel,
        mode: "run",
        append: if screen.colour() {
            "rc_color=1".to_owned()
        } else {
            String::new()
        },
        keep: &common.keep,
        console: "console.log",
        silence: Duration::from_secs(60),
        limit: Duration::from_secs(300),
    };
    let show = |line: &str| screen.plain(format!("  {line}").trim_end());
    let done = one_program(&screen, &boot, "the demonstration", show)?;
    if done {
        let seconds = since.elapsed().as_secs_f64();
        let praise = format!("Every message came back as it should. ({seconds:.1} s in the VM)");
        screen.verdict(true, &praise);
    }
    Ok(done)
}

fn bench(common: &Common, clock: Clock, what: &[String], out: &Path) -> Result<bool> {
    let screen = Screen::new(false);
    let image = common.image();
    let accel = match clock {
        Clock::Instructions => Accel::Counting,
        Clock::Wall => common.accel()?,
    };
    let boot = Boot {
        image: &image,
        accel,
        mode: "bench",
        append: format!("rc_bench={}", what.join(",")),
        keep: &common.keep,
        console: "console.log",
        silence: Duration::from_secs(120),
        limit: Duration::from_secs(1800),
    };
    let mut printed = format!("machine {}\n", accel.name());
    let collect = |line: &str| {
        printed.push_str(line);
        printed.push('\n');
        match line.strip_prefix("row ") {
            Some(row) => screen.progress(row),
            None if line.is_empty() => {}
            None => screen.detail(line),
        }
    };
    let done = one_program(&screen, &boot, "the measurement", collect)?;
    screen.progress("");
    if done {
        fs::write(out, &printed).with_context(|| format!("cannot write {}", out.display()))?;
    } else {
        let lines: Vec<_> = printed.lines().map(str::to_owned).collect();
        screen.quote(&lines[lines.len().saturating_sub(10)..]);
    }
    Ok(done)
}

/// Boots for one program, hands its lines to `see`, and says what went wrong, if anything did.
fn one_program(
    screen: &Screen,
    boot: &Boot<'_>,
    name: &str,
    mut see: impl FnMut(&str),
) -> Result<bool> {
    let mut status = None;
    let ending = boot.run(|event| match event {
        Event::Line(line) => see(line),
        Event::End(_, code) => status = Some(code),
        Event::Booted | Event::Begin(_) | Event::Tick => {}
    })?;
    let log = fs::read(boot.console_log())?;
    let log = String::from_utf8_lossy(&log);
    let troubles = klog::troubles(&log, 40);
    screen.plain("");
    let why = match (&troubles[..], ending.complaint(), status) {
        ([first, ..], ..) => {
            screen.quote(&suites::tail(first, 40));
            "the kernel is in trouble (see above)".to_owned()
        }
        ([], Some(complaint), _) => {
            screen.quote(&suites::tail(&log, 30));
            complaint
        }
        ([], None, Some(0)) => return Ok(true),
        ([], None, Some(code)) => format!("{name} ended with status {code} (see above)"),
        ([], None, None) => format!("the guest never said how {name} ended"),
    };
    screen.verdict(false, &format!("Failed: {why}"));
    screen.plain(&format!("kernel log: {}", boot.console_log().display()));
    Ok(false)
}

fn test(
    common: &Common,
    selftests: &Path,
    examples: &Path,
    only: &[String],
    how: &How,
    verbose: bool,
) -> Result<bool> {
    let screen = Screen::new(verbose);
    let names = suites::names(selftests, only)?;
    let _ = fs::remove_dir_all(&common.keep);
    fs::create_dir_all(&common.keep)?;
    let mut results = Results::new();
    let all = only.is_empty();
    if all {
        host::run(&common.keep, &mut results, &screen)?;
        host::read(examples, &mut results, &screen)?;
    }
    let image = common.image();
    screen.progress("vm    looking at KVM");
    let vm = suites::Vm {
        image: &image,
        accel: common.accel()?,
        keep: &common.keep,
        screen: &screen,
    };
    suites::run(&vm, &names, how, &mut results)?;
    if all {
        suites::self_check(&vm, &mut results)?;
    }
    results.write(&common.keep)?;
    let total = results.show(&common.keep, &screen);
    Ok(total.failed == 0)
}

fn shell(common: &Common) -> Result<bool> {
    let accel = common.accel()?;
    println!("  accelerator: {}", accel.name());
    let status = vm::qemu(&common.image(), accel, "quiet rc_mode=shell")
        .args(["-serial", "mon:stdio"])
        .status()
        .context("cannot start qemu-system-x86_64")?;
    Ok(status.success())
}
