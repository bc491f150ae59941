// SPDX-License-Identifier: GPL-2.0

//! `make shell`: a shell in the VM at the terminal that this program has, or a script of the user's.
//! Either way the kernel's log is judged as everywhere else.
//!
//! The shell has a serial port of its own, of which this is the other end. What is typed is handed
//! over once the shell is there: a serial port that nobody has set up yet loses what comes.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::klog;
use crate::recording::Ending;
use crate::screen::Screen;
use crate::suites::Vm;
use crate::vm::{Boot, Event, Over};
use crate::{Common, went_well};

/// What the VM can be booted for here.
pub const SHELL: &str = "shell";
const SCRIPT: &str = "script";

/// Who has a shell, or runs a script of their own, has time.
const LIMIT: Duration = Duration::from_secs(7 * 24 * 3600);
/// A kernel that is stuck says so within this time; the guest is told with `rc_timeout`.
const STUCK: u32 = 600;
/// Ctrl-A X ends the VM: QEMU's own key.
const ESCAPE: u8 = 1;
/// How much of the kernel log is shown for one trouble.
const TROUBLE_LINES: usize = 40;
/// Ctrl-D: there is no more.
const END: u8 = 4;

/// Where somebody types, and looks.
#[derive(Debug)]
pub struct Terminal {
    pub input: File,
    pub output: File,
}

impl Terminal {
    /// That of this program.
    fn ours() -> Result<Self> {
        Ok(Self {
            input: io::stdin().as_fd().try_clone_to_owned()?.into(),
            output: io::stdout().as_fd().try_clone_to_owned()?.into(),
        })
    }

    fn stty(&self, args: &[&str]) -> Option<String> {
        let input = self.input.try_clone().ok()?;
        let output = Command::new("stty").args(args).stdin(input).output().ok()?;
        let said = String::from_utf8(output.stdout).ok()?;
        output.status.success().then_some(said)
    }

    /// Its size, for the kernel's command line.
    fn size(&self) -> String {
        let size = self.stty(&["size"]).unwrap_or_default();
        match size.split_once(' ') {
            // Who has a terminal without a size has one whose size nobody knows.
            Some((rows, columns)) if rows != "0" => {
                format!(" rc_rows={rows} rc_columns={}", columns.trim())
            }
            _ => String::new(),
        }
    }
}

/// How the VM was left.
#[derive(Debug)]
pub struct Session {
    pub over: Over,
    /// By Ctrl-A X.
    quit: bool,
    /// The kernel's.
    log: PathBuf,
}

/// Boots, and returns whether all went well: the script, and the kernel.
pub fn run(common: &Common, script: bool) -> Result<bool> {
    let screen = Screen::new(false);
    let image = common.image()?;
    let _lock = common.lock(&screen)?;
    let accel = common.accel()?;
    screen.plain(&format!("  accelerator: {}", accel.name(common.arch)));
    let vm = Vm {
        image: &image,
        accel,
        keep: &common.keep,
        screen: &screen,
    };
    let name = if script { SCRIPT } else { SHELL };
    let Session { over, quit, log } = session(&vm, name, "console.log", LIMIT, &Terminal::ours()?)?;
    if quit && over.ending == Ending::Died {
        // The shell did not end, and nobody expects it to.
        let troubles = klog::troubles(&over.log(), TROUBLE_LINES);
        for trouble in &troubles {
            screen.plain(trouble);
        }
        return Ok(troubles.is_empty());
    }
    Ok(went_well(&screen, &log, &over, name))
}

/// Boots for [`SHELL`] or [`SCRIPT`], at a terminal.
pub fn session(
    vm: &Vm<'_>,
    name: &str,
    console: &str,
    limit: Duration,
    terminal: &Terminal,
) -> Result<Session> {
    let (ours, guests) = UnixStream::pair().context("socketpair")?;
    let mut append = format!("rc_timeout={STUCK}");
    if name == SHELL {
        append.push_str(&terminal.size());
    }
    let boot = Boot {
        image: vm.image,
        accel: vm.accel,
        mode: name,
        append,
        suites: &[name.to_owned()],
        tap: false,
        keep: vm.keep,
        console,
        silence: limit,
        limit,
        terminal: Some(&guests),
    };
    let quit = Arc::new(AtomicBool::new(false));
    let shown = thread::spawn({
        let (mut from, to) = (ours.try_clone()?, terminal.output.try_clone()?);
        move || show(&mut from, to)
    });
    let mut raw = None;
    let result = boot.run(|event| match event {
        Event::Line(line) => vm.screen.plain(line),
        Event::Begin(_) if name == SHELL => {
            raw = Some(Raw::set(terminal));
            if let (Ok(from), Ok(to)) = (terminal.input.try_clone(), ours.try_clone()) {
                let quit = quit.clone();
                // Not waited for: it may be reading when all is over.
                thread::spawn(move || hand_over(from, to, &quit));
            }
        }
        _ => {}
    });
    let _ = ours.shutdown(Shutdown::Both);
    let _ = shown.join();
    drop(raw);
    Ok(Session {
        over: result?,
        quit: quit.load(Ordering::Relaxed),
        log: boot.files().log,
    })
}

/// Shows what the guest writes to its terminal.
fn show(from: &mut UnixStream, mut to: File) {
    let mut bytes = [0; 4096];
    while let Ok(len @ 1..) = from.read(&mut bytes) {
        let _ = to.write_all(&bytes[..len]);
    }
}

/// Hands over what is typed, and its end. Notes whether that ends the VM.
fn hand_over(mut from: File, mut to: UnixStream, quit: &AtomicBool) {
    let mut bytes = [0; 4096];
    let mut escaped = false;
    while let Ok(len @ 1..) = from.read(&mut bytes) {
        for &byte in &bytes[..len] {
            if escaped && byte.eq_ignore_ascii_case(&b'x') {
                quit.store(true, Ordering::Relaxed);
            }
            escaped = byte == ESCAPE && !escaped;
        }
        if to.write_all(&bytes[..len]).is_err() {
            return;
        }
    }
    let _ = to.write_all(&[END]);
}

/// The terminal as the guest's needs it: each byte at once, and none with a meaning here. Dropped, it
/// is as before.
struct Raw<'a> {
    terminal: &'a Terminal,
    before: Option<String>,
}

impl<'a> Raw<'a> {
    fn set(terminal: &'a Terminal) -> Self {
        let before = terminal.stty(&["-g"]);
        terminal.stty(&["raw", "-echo"]);
        Self { terminal, before }
    }
}

impl Drop for Raw<'_> {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            self.terminal.stty(&[before.trim()]);
        }
    }
}
