// SPDX-License-Identifier: GPL-2.0

//! Boots the VM and judges what it says; `make run`, `make test` and `make shell`
//! end here. scripts/harness builds what is booted, scripts/guest/init is the other
//! end of the wire.

mod accel;
mod host;
mod klog;
mod screen;
mod suites;
mod tap;
mod vm;

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand};

use accel::Accel;
use screen::Screen;
use tap::Count;
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
        /// Only this test program (repeat for more), and no host tests
        #[arg(long)]
        only: Vec<String>,
        /// Multiplies every time limit (a kernel full of checkers is slow)
        #[arg(long, default_value_t = 1)]
        patience: u32,
        /// Show everything that programs print
        #[arg(long)]
        verbose: bool,
    },
    /// A shell
    Shell {
        #[command(flatten)]
        common: Common,
    },
}

fn main() -> ExitCode {
    let result = match Cli::parse().mode {
        Mode::Run { common } => run(&common),
        Mode::Test {
            common,
            selftests,
            only,
            patience,
            verbose,
        } => test(&common, &selftests, &only, patience, verbose),
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
    let mut status = None;
    let ending = boot.run(|event| match event {
        Event::Line(line) => screen.plain(format!("  {line}").trim_end()),
        Event::End(_, code) => status = Some(code),
        Event::Booted | Event::Begin(_) | Event::Tick => {}
    })?;
    let log = fs::read(boot.console_log())?;
    let log = String::from_utf8_lossy(&log);
    let troubles = klog::troubles(&log, 40);
    let seconds = since.elapsed().as_secs_f64();
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
        ([], None, Some(0)) => {
            screen.verdict(
                true,
                &format!("Every message came back as it should. ({seconds:.1} s in the VM)"),
            );
            return Ok(true);
        }
        ([], None, Some(code)) => format!("the demonstration ended with status {code} (see above)"),
        ([], None, None) => "the guest never said how the demonstration ended".to_owned(),
    };
    screen.verdict(false, &format!("Failed: {why}"));
    screen.plain(&format!("kernel log: {}", boot.console_log().display()));
    Ok(false)
}

fn test(
    common: &Common,
    selftests: &std::path::Path,
    only: &[String],
    patience: u32,
    verbose: bool,
) -> Result<bool> {
    let mut screen = Screen::new(verbose);
    let names = suites::names(selftests, only)?;
    let _ = fs::remove_dir_all(&common.keep);
    fs::create_dir_all(&common.keep)?;
    let mut total = Count::default();
    if only.is_empty() {
        total.add(host::run(&common.keep, &mut screen)?);
    }
    let image = common.image();
    screen.progress("vm    looking at KVM");
    let accel = common.accel()?;
    if names.is_empty() {
        total.failed += 1;
        screen.test(
            "failed",
            &format!("no test program in {}", selftests.display()),
        );
    } else {
        let all = only.is_empty();
        total.add(suites::run(
            &image,
            accel,
            &common.keep,
            &names,
            all,
            patience,
            &screen,
        )?);
    }
    if only.is_empty() {
        total.add(suites::self_check(&image, accel, &common.keep, &screen)?);
    }
    screen.plain("");
    screen.verdict(total.failed == 0, &total.to_string());
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
