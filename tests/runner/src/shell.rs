// SPDX-License-Identifier: GPL-2.0

//! `make shell`: a shell in the VM at the terminal that this program has, or a script of the user's.
//! Either way the kernel's log is judged as everywhere else.
//!
//! The shell has a serial port of its own, of which this is the other end. What is typed is handed
//! over once the shell is there: a serial port that nobody has set up yet loses what comes.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::klog;
use crate::recording::Ending;
use crate::screen::Screen;
use crate::vm::{Boot, Event};
use crate::{Common, went_well};

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

/// Boots, and returns whether all went well: the script, and the kernel.
pub fn run(common: &Common, script: bool) -> Result<bool> {
    let screen = Screen::new(false);
    let image = common.image()?;
    let _lock = common.lock(&screen)?;
    let accel = common.accel()?;
    screen.plain(&format!("  accelerator: {}", accel.name()));
    let (ours, guests) = UnixStream::pair().context("socketpair")?;
    let name = if script { "script" } else { "shell" };
    let mut append = format!("rc_timeout={STUCK}");
    if !script {
        append.push_str(&size());
    }
    let boot = Boot {
        image: &image,
        accel,
        mode: name,
        append,
        suites: &[name.to_owned()],
        tap: false,
        keep: &common.keep,
        console: "console.log",
        silence: LIMIT,
        limit: LIMIT,
        terminal: Some(&guests),
    };
    let quit = Arc::new(AtomicBool::new(false));
    let shown = thread::spawn({
        let mut from = ours.try_clone()?;
        move || show(&mut from)
    });
    let mut raw = None;
    let result = boot.run(|event| match event {
        Event::Line(line) => screen.plain(line),
        Event::Begin(_) if !script => {
            raw = Some(Raw::set());
            if let Ok(to) = ours.try_clone() {
                let quit = quit.clone();
                // Not waited for: it may be reading when all is over.
                thread::spawn(move || hand_over(to, &quit));
            }
        }
        _ => {}
    });
    let _ = ours.shutdown(Shutdown::Both);
    let _ = shown.join();
    drop(raw);
    let over = result?;
    if quit.load(Ordering::Relaxed) && over.ending == Ending::Died {
        // The shell did not end, and nobody expects it to.
        let troubles = klog::troubles(&over.log(), TROUBLE_LINES);
        for trouble in &troubles {
            screen.plain(trouble);
        }
        return Ok(troubles.is_empty());
    }
    Ok(went_well(&screen, &boot, &over, name))
}

/// Shows what the guest writes to its terminal.
fn show(from: &mut UnixStream) {
    let mut bytes = [0; 4096];
    while let Ok(len @ 1..) = from.read(&mut bytes) {
        let mut out = io::stdout().lock();
        let _ = out.write_all(&bytes[..len]);
        let _ = out.flush();
    }
}

/// Hands over what is typed, and its end. Notes whether that ends the VM.
fn hand_over(mut to: UnixStream, quit: &AtomicBool) {
    let mut bytes = [0; 4096];
    let mut escaped = false;
    while let Ok(len @ 1..) = io::stdin().lock().read(&mut bytes) {
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
struct Raw(Option<String>);

impl Raw {
    fn set() -> Self {
        let before = stty(&["-g"]);
        stty(&["raw", "-echo"]);
        Self(before)
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            stty(&[before.trim()]);
        }
    }
}

/// The size of the terminal, for the kernel's command line.
fn size() -> String {
    let size = stty(&["size"]).unwrap_or_default();
    match size.split_once(' ') {
        Some((rows, columns)) => format!(" rc_rows={rows} rc_columns={}", columns.trim()),
        None => String::new(),
    }
}

fn stty(args: &[&str]) -> Option<String> {
    let mut stty = Command::new("stty");
    let output = stty.args(args).stdin(Stdio::inherit()).output().ok()?;
    let said = String::from_utf8(output.stdout).ok()?;
    output.status.success().then_some(said)
}
