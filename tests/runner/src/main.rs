// SPDX-License-Identifier: GPL-2.0

//! Boots the VM and judges what it says; `make run`, `make test`, `make bench` and
//! `make shell` end here. scripts/harness builds what is booted, scripts/guest/init is the other
//! end of the wire.

mod accel;
mod arch;
mod host;
mod junit;
mod klog;
mod line;
mod link;
mod list;
mod lock;
mod machine;
mod parse;
mod pick;
mod recording;
mod results;
mod screen;
mod self_check;
mod shell;
mod skips;
mod split;
mod suites;
mod summary;
mod tap;
mod ticks;
mod total;
mod transcript;
mod verdict;
mod vm;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::{Args, Parser, Subcommand};

use accel::Accel;
use arch::Arch;
use lock::Lock;
use machine::Machine;
use pick::Picks;
use results::{Plan, Results};
use screen::Screen;
use skips::{Given, Skips};
use split::{Lanes, Times};
use suites::How;
use summary::Summary;
use total::Step;
use vm::{Boot, Event, Image, Over};

#[derive(Parser)]
#[command(about)]
struct Cli {
    #[command(subcommand)]
    mode: Mode,
}

#[derive(Args)]
struct Common {
    /// What the kernel is for
    #[arg(long)]
    arch: Arch,
    /// The QEMU that boots it
    #[arg(long)]
    qemu: String,
    /// The kernel to boot (a bzImage, or an Image)
    #[arg(long)]
    kernel: PathBuf,
    /// The initramfs to boot it with
    #[arg(long)]
    initrd: PathBuf,
    /// Folder for the logs
    #[arg(long)]
    keep: PathBuf,
    /// An inherited descriptor with the lock on what is built
    #[arg(long)]
    release: Option<i32>,
    /// Folder for the verdict on KVM
    #[arg(long)]
    verdicts: PathBuf,
    #[command(flatten)]
    machine: Machine,
}

impl Common {
    /// What to boot. Whatever was built is taken now: others may build from here on, while we wait
    /// or run.
    fn image(&self) -> Result<Image> {
        let image = self.image_on(self.machine.clone());
        if let Some(fd) = self.release {
            lock::release(fd)?;
        }
        image
    }

    fn image_on(&self, machine: Machine) -> Result<Image> {
        Image::open((self.arch, &self.qemu), &self.kernel, &self.initrd, machine)
    }

    /// The folder for the logs, for us alone.
    fn lock(&self, screen: &Screen) -> Result<Lock> {
        Lock::take(&self.keep, |waits| screen.note(waits))
    }

    fn accel(&self) -> Result<Accel> {
        fs::create_dir_all(&self.keep)
            .with_context(|| format!("cannot make {}", self.keep.display()))?;
        // What KVM is good for has nothing to do with the user's wishes.
        let image = self.image_on(Machine::default())?;
        Accel::choose(&image, &self.verdicts, &self.keep)
    }
}

/// What `make test` asks for.
#[derive(Args)]
struct Asked {
    /// Folder of the test programs that are in the initramfs
    #[arg(long)]
    selftests: PathBuf,
    /// What compiling the examples of the kernel side said, as libtest says it
    #[arg(long)]
    examples: PathBuf,
    /// The tests that are skipped where something is lacking (tests/skips.tsv)
    #[arg(long)]
    skips: PathBuf,
    /// The kernel's configuration
    #[arg(long)]
    config: PathBuf,
    /// What tells the kernel from others
    #[arg(long)]
    kernel_id: String,
    /// What kind of kernel it is
    #[arg(long)]
    flavor: String,
    /// Only this test program, as `name`, or tests of it, as `name:test*` (repeat for more); and no
    /// host tests
    #[arg(long)]
    only: Vec<String>,
    /// How many VMs to run at a time, if all tests are to run [default: what the host is good for]
    #[arg(long)]
    vms: Option<usize>,
    /// File that has how long suites took
    #[arg(long)]
    times: Option<PathBuf>,
    /// Link to make to the folder for the logs
    #[arg(long)]
    link: Option<PathBuf>,
    /// Only what failed by this summary.json
    #[arg(long, conflicts_with = "only")]
    rerun: Option<PathBuf>,
    /// How often
    #[arg(long, default_value_t = 1)]
    repeat: u32,
}

/// What of it runs.
struct Wanted {
    picks: Picks,
    host: bool,
    /// The check of the runner itself.
    check: bool,
    vm: bool,
}

impl Asked {
    fn wanted(&self, programs: &[String], screen: &Screen) -> Result<Wanted> {
        let Some(file) = &self.rerun else {
            let picks = Picks::of(&self.only)?;
            return Ok(Wanted {
                host: picks.is_empty(),
                check: picks.is_empty(),
                vm: true,
                picks,
            });
        };
        let last = Summary::read(file)?;
        ensure!(
            last.run.kernel == self.kernel_id,
            "the last run was on {}, and this is {}: RERUN=failed takes the same KERNEL=, FLAVOR= and KDIR=",
            last.run.kernel,
            self.kernel_id
        );
        ensure!(
            last.count.failed > 0,
            "nothing failed in the last run: {}",
            last.count
        );
        if !last.complete {
            screen.note("the last run was broken off; what it did not come to is left out");
        }
        let picks = Picks::failed_in(&last, programs);
        Ok(Wanted {
            host: last.failed().any(|(suite, _)| suite.place == "host"),
            check: last
                .failed()
                .any(|(suite, _)| suite.name == self_check::NAME),
            vm: !picks.is_empty(),
            picks,
        })
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
        #[command(flatten)]
        asked: Box<Asked>,
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
    /// The CPU on which instructions are counted
    Cpu {
        /// What it is
        #[arg(long)]
        arch: Arch,
    },
    /// What test programs there are
    List {
        /// Folder of the test programs
        #[arg(long)]
        selftests: PathBuf,
        /// Folder of their sources
        #[arg(long)]
        sources: PathBuf,
    },
    /// What failed by a summary.json, a line a test
    Failures {
        /// The summary.json
        file: PathBuf,
    },
    /// One result of several steps
    Total {
        /// Folder that has what each step left, in a folder of its name
        folder: PathBuf,
        /// Each step: step:NAME:STATUS:SECONDS, or tests:NAME:STATUS:SECONDS if it ran tests
        steps: Vec<Step>,
    },
    /// Only the check that the runner finds made-up troubles, each many times
    Verdict {
        #[command(flatten)]
        common: Common,
        #[command(flatten)]
        how: How,
        /// How many times
        #[arg(long, default_value_t = 50)]
        rounds: usize,
    },
    /// Judge a run again, from what it left
    Parse {
        /// The folder where it was kept
        folder: PathBuf,
        /// Which of its boots: that of NAME.log
        #[arg(long, default_value = "console")]
        name: String,
    },
    /// A shell, at this terminal
    Shell {
        #[command(flatten)]
        common: Common,
        /// No shell but the script that is in the initramfs
        #[arg(long)]
        script: bool,
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
            asked,
            how,
            verbose,
        } => test(&common, &asked, &how, verbose),
        Mode::Verdict {
            common,
            how,
            rounds,
        } => check_verdict(&common, &how, rounds),
        Mode::Parse { folder, name } => parse::run(&folder, &name, &Screen::new(false)),
        Mode::Cpu { arch } => cpu(arch),
        Mode::List { selftests, sources } => list(&selftests, &sources),
        Mode::Failures { file } => failures(&file),
        Mode::Total { folder, steps } => total::show(&folder, &steps, &Screen::new(false)),
        Mode::Bench {
            common,
            clock,
            what,
            out,
        } => bench(&common, clock, &what, &out),
        Mode::Shell { common, script } => shell::run(&common, script),
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
    let image = common.image()?;
    let _lock = common.lock(&screen)?;
    let accel = common.accel()?;
    screen.plain(&format!("  accelerator: {}", accel.name(common.arch)));
    let boot = Boot {
        image: &image,
        accel,
        mode: "run",
        append: if screen.colour() {
            "rc_color=1".to_owned()
        } else {
            String::new()
        },
        suites: &["demo".to_owned()],
        tap: false,
        keep: &common.keep,
        console: "console.log",
        silence: common.machine.patience(Duration::from_secs(60)),
        limit: common.machine.patience(Duration::from_secs(300)),
        terminal: None,
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
    let image = common.image()?;
    let _lock = common.lock(&screen)?;
    let accel = match clock {
        Clock::Instructions => Accel::Counting,
        Clock::Wall => common.accel()?,
    };
    let boot = Boot {
        image: &image,
        accel,
        mode: "bench",
        append: format!("rc_bench={}", what.join(",")),
        suites: &["bench".to_owned()],
        tap: false,
        keep: &common.keep,
        console: "console.log",
        // Of another architecture, on a busy host, one figure takes minutes.
        silence: Duration::from_secs(600),
        limit: Duration::from_secs(7200),
        terminal: None,
    };
    let mut printed = format!("machine {}\n", accel.name(common.arch));
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
    let over = boot.run(|event| {
        if let Event::Line(line) = event {
            see(line);
        }
    })?;
    Ok(went_well(screen, &boot.files().log, &over, name))
}

/// Judges a boot for one program.
fn went_well(screen: &Screen, log: &Path, over: &Over, name: &str) -> bool {
    let judged = verdict::suite(&over.expected, &over.transcript, 0);
    let rest = verdict::rest(
        &over.expected,
        &over.transcript,
        over.ending,
        std::slice::from_ref(&judged),
    );
    screen.plain("");
    let Some(first) = judged.tests.iter().chain(&rest).next() else {
        return true;
    };
    match first.log.is_empty() {
        true => screen.quote(&verdict::tail(&over.log(), 30)),
        false => screen.quote(&first.log),
    }
    let about = match judged.tests.is_empty() {
        true => "the VM itself",
        false => name,
    };
    screen.verdict(
        false,
        &format!("Failed: {about}: {} (see above)", first.name),
    );
    screen.plain(&format!("kernel log: {}", log.display()));
    false
}

fn test(common: &Common, asked: &Asked, how: &How, verbose: bool) -> Result<bool> {
    let screen = Screen::new(verbose);
    let programs = suites::programs(&asked.selftests)?;
    let text = |path: &Path| {
        fs::read(path)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .with_context(|| format!("cannot read {}", path.display()))
    };
    let examples = text(&asked.examples)?;
    let config = text(&asked.config)?;
    let skipped = text(&asked.skips)?;
    let mut image = common.image()?;
    let _lock = common.lock(&screen)?;
    // The folder of the last run, which this may read, may be that of this one.
    let Wanted {
        picks,
        host,
        check,
        vm,
    } = asked.wanted(&programs, &screen)?;
    let names = suites::chosen(&programs, &picks.suites())?;
    let skips = Skips::of(&skipped, Given::new(&config, common.machine.cpus()))
        .with_context(|| asked.skips.display().to_string())?;
    if let Some(tests) = picks.to_command_line() {
        image.machine.append(&tests);
    }
    let mut times = asked.times.as_deref().map_or(Times::default(), Times::read);
    let _ = fs::remove_dir_all(&common.keep);
    fs::create_dir_all(&common.keep)?;
    if let Some(link) = &asked.link {
        link::make(&common.keep, link)?;
    }
    let leave = |keep: &Path| parse::leave(keep, &skipped, &config);
    leave(&common.keep)?;
    let all = host && vm && picks.is_empty();
    let gone = skips
        .suites()
        .find(|suite| all && !names.iter().any(|name| name == suite));
    ensure!(
        gone.is_none(),
        "tests/skips.tsv: there is no test program {}",
        gone.unwrap_or_default()
    );
    let plan = Plan {
        kernel: asked.kernel_id.clone(),
        flavor: asked.flavor.clone(),
        skips,
        picks,
    };
    let mut results = Results::of(plan, Some(&common.keep));
    screen.progress("vm    looking at KVM");
    let accel = common.accel()?;
    let usual = suites::Vm {
        image: &image,
        accel,
        keep: &common.keep,
        screen: &screen,
    };
    if all {
        let host = |part: &mut Results| -> Result<()> {
            host::run(&common.keep, part, &screen)?;
            host::read(&examples, part, &screen);
            Ok(())
        };
        let good = match verbose {
            // Nobody could tell whose lines are whose.
            true => 1,
            false => split::vms(accel, cpus_of_host(), common.machine.cpus() as usize),
        };
        let lanes = Lanes {
            vms: asked.vms.unwrap_or(good),
            later: asked.vms.is_none() && good > 1,
        };
        split::run(&usual, &names, (lanes, &times), how, leave, host, &results)?;
    } else {
        if host {
            host::run(&common.keep, &mut results, &screen)?;
            host::read(&examples, &mut results, &screen);
        }
        if check {
            self_check::run(&usual, how, 1, &mut results)?;
        }
        for iteration in (1..=asked.repeat).filter(|_| vm) {
            let mut keep = common.keep.clone();
            if asked.repeat > 1 {
                results.iterate(iteration);
                keep.push(format!("run-{iteration}"));
            }
            let vm = suites::Vm {
                keep: &keep,
                ..usual
            };
            suites::run(&vm, &names, how, &mut results)?;
        }
    }
    let summary = results.finish()?;
    // Of a part of the suites, alone in a VM, they are others.
    if let Some(file) = asked.times.as_ref().filter(|_| all) {
        times.learn(&summary);
        let written = times.write(file);
        written.with_context(|| format!("cannot write {}", file.display()))?;
    }
    let total = results.show(&common.keep, &screen);
    Ok(total.failed == 0)
}

fn cpus_of_host() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

fn check_verdict(common: &Common, how: &How, rounds: usize) -> Result<bool> {
    let screen = Screen::new(false);
    let image = common.image()?;
    let _lock = common.lock(&screen)?;
    let vm = suites::Vm {
        image: &image,
        accel: common.accel()?,
        keep: &common.keep,
        screen: &screen,
    };
    let mut results = Results::of(Plan::default(), None);
    self_check::only_inject(&vm, how, rounds, &mut results)?;
    let total = results.show(&common.keep, &screen);
    Ok(total.failed == 0)
}

fn cpu(arch: Arch) -> Result<bool> {
    println!("{}", arch.cpu(Accel::Counting));
    Ok(true)
}

fn list(selftests: &Path, sources: &Path) -> Result<bool> {
    let names = suites::programs(selftests)?;
    list::show(selftests, &names, sources, &Screen::new(false))?;
    Ok(true)
}

fn failures(file: &Path) -> Result<bool> {
    let summary = Summary::read(file)?;
    for (suite, case) in summary.failed() {
        println!("{}: {}", suite.full_name(), case.name);
    }
    Ok(true)
}
