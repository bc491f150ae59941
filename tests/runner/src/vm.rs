// SPDX-License-Identifier: GPL-2.0

//! One boot of the VM: starts QEMU, reads what the guest says, and ends it when it
//! is done, silent for too long, or over its time.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::accel::Accel;

/// While it boots, a guest may be silent for this long: emulation on a busy host is slow.
const BOOT_SILENCE: Duration = Duration::from_secs(60);

/// What to boot.
#[derive(Clone, Debug)]
pub struct Image {
    /// A bzImage.
    pub kernel: PathBuf,
    /// The initramfs that scripts/lib/initramfs.sh packs.
    pub initrd: PathBuf,
}

/// One boot.
#[derive(Debug)]
pub struct Boot<'a> {
    /// What to boot.
    pub image: &'a Image,
    /// How QEMU runs it.
    pub accel: Accel,
    /// What scripts/guest/init shall do.
    pub mode: &'a str,
    /// More words for the kernel command line.
    pub append: String,
    /// Where the logs go.
    pub keep: &'a Path,
    /// The log's name: with `console.log` go `console.records` and `console.qemu`, what QEMU itself says.
    pub console: &'a str,
    /// The guest is hung when, once booted, it says nothing on either port for so long.
    pub silence: Duration,
    /// The guest is killed after so long.
    pub limit: Duration,
}

/// What the guest said on the programs' port.
#[derive(Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// init is there.
    Booted,
    /// A program starts.
    Begin(&'a str),
    /// A program ended, with its exit status.
    End(&'a str, i32),
    /// A line that the running program printed.
    Line(&'a str),
    /// Nothing new; a chance to refresh the screen.
    Tick,
}

/// How a boot ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// init said that it was done; these are the kernel's taint flags.
    Done(u64),
    /// QEMU ended although init had not said so: a panic, a reset.
    Died,
    /// Neither port said anything for this long.
    Silent(Duration),
    /// Still going after this long.
    TimedOut(Duration),
}

impl Ending {
    /// In words, for a failure; `None` if all is well.
    pub fn complaint(&self) -> Option<String> {
        match self {
            Ending::Done(_) => None,
            Ending::Died => Some("the VM ended before its programs did".to_owned()),
            Ending::Silent(time) => {
                Some(format!("the VM hung: not a word for {} s", time.as_secs()))
            }
            Ending::TimedOut(time) => Some(format!(
                "the VM was still running after {} s",
                time.as_secs()
            )),
        }
    }
}

/// QEMU, killed when we stop looking at it.
struct Qemu(Child);

impl Drop for Qemu {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The command that every boot has in common.
pub fn qemu(image: &Image, accel: Accel, append: &str) -> Command {
    // setpriv: when this program is killed, however, QEMU goes too.
    let mut command = Command::new("setpriv");
    command
        .args(["--pdeathsig", "KILL", "--", "qemu-system-x86_64"])
        .args(["-nodefaults", "-no-user-config", "-display", "none"])
        .args(["-m", "1G", "-no-reboot"])
        .args(accel.qemu_args())
        .arg("-kernel")
        .arg(&image.kernel)
        .arg("-initrd")
        .arg(&image.initrd)
        .arg("-append")
        // no_timer_check: on a busy host an emulated timer can miss the moment in which the kernel
        // looks whether it works, and the kernel panics.
        .arg(format!(
            "console=ttyS0 panic=-1 oops=panic no_timer_check {append}"
        ));
    command
}

/// A word that no program prints by accident.
fn token() -> String {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    format!("{:x}{:x}", std::process::id(), now.as_nanos() & 0xffff_ffff)
}

impl Boot<'_> {
    /// The kernel log of this boot.
    pub fn console_log(&self) -> PathBuf {
        self.keep.join(self.console)
    }

    /// The kernel log of this boot as raw records: with the levels, of what was logged while a program
    /// ran, and complete when its end is told.
    pub fn records(&self) -> PathBuf {
        self.console_log().with_extension("records")
    }

    /// Boots, tells `see` what the guest says, and returns how it ended.
    pub fn run(&self, mut see: impl FnMut(Event<'_>)) -> Result<Ending> {
        fs::create_dir_all(self.keep)
            .with_context(|| format!("cannot make {}", self.keep.display()))?;
        let console = self.console_log();
        File::create(&console).with_context(|| format!("cannot write {}", console.display()))?;
        let token = token();
        let append = format!("rc_mode={} rc_token={token} {}", self.mode, self.append);
        let mut child = Qemu(
            qemu(self.image, self.accel, &append)
                .arg("-serial")
                .arg(format!("file:{}", console.display()))
                .args(["-serial", "stdio"])
                .arg("-serial")
                .arg(format!("file:{}", self.records().display()))
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(File::create(console.with_extension("qemu"))?)
                .spawn()
                .context("cannot start qemu-system-x86_64")?,
        );

        let (send, lines) = mpsc::channel::<String>();
        let mut port = BufReader::new(child.0.stdout.take().expect("it is piped"));
        thread::spawn(move || {
            let mut line = Vec::new();
            while port.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
                let text = String::from_utf8_lossy(&line);
                if send
                    .send(text.trim_end_matches(['\r', '\n']).to_owned())
                    .is_err()
                {
                    break;
                }
                line.clear();
            }
        });

        let start = Instant::now();
        let mut heard = start;
        let mut console_size = 0;
        let mut guest = Guest::new(&token);
        let ending = loop {
            match lines.recv_timeout(Duration::from_millis(200)) {
                Ok(line) => {
                    heard = Instant::now();
                    if let Some(tainted) = guest.line(&line, &mut see) {
                        break Ending::Done(tainted);
                    }
                }
                Err(RecvTimeoutError::Timeout) => see(Event::Tick),
                Err(RecvTimeoutError::Disconnected) => break Ending::Died,
            }
            let size = fs::metadata(&console).map_or(0, |meta| meta.len());
            if size != console_size {
                console_size = size;
                heard = Instant::now();
            }
            let silence = if guest.booted {
                self.silence
            } else {
                self.silence.max(BOOT_SILENCE)
            };
            if heard.elapsed() > silence {
                break Ending::Silent(silence);
            }
            if start.elapsed() > self.limit {
                break Ending::TimedOut(self.limit);
            }
        };
        if matches!(ending, Ending::Done(_)) {
            // It resets now; whether it manages to is not what is tested.
            let patience = Instant::now();
            while patience.elapsed() < Duration::from_secs(10)
                && matches!(child.0.try_wait(), Ok(None))
            {
                thread::sleep(Duration::from_millis(20));
            }
        }
        Ok(ending)
    }
}

/// Understands the frame that scripts/guest/init puts around the programs' output.
struct Guest {
    prefix: String,
    booted: bool,
    /// init starts every mark on a new line; an empty line before one is its.
    blank: bool,
}

impl Guest {
    fn new(token: &str) -> Self {
        Self {
            prefix: format!("@{token} "),
            booted: false,
            blank: false,
        }
    }

    /// Takes a line; returns the taint flags once init says that it is done.
    fn line(&mut self, line: &str, see: &mut impl FnMut(Event<'_>)) -> Option<u64> {
        let Some(mark) = line.strip_prefix(&self.prefix) else {
            if std::mem::replace(&mut self.blank, line.is_empty()) {
                see(Event::Line(""));
            }
            if !line.is_empty() {
                see(Event::Line(line));
            }
            return None;
        };
        self.blank = false;
        let mut words = mark.split_whitespace();
        match (words.next(), words.next(), words.next()) {
            (Some("booted"), ..) => {
                self.booted = true;
                see(Event::Booted);
            }
            (Some("begin"), Some(name), _) => see(Event::Begin(name)),
            (Some("end"), Some(name), Some(status)) => {
                see(Event::End(name, status.parse().unwrap_or(-1)));
            }
            (Some("done"), Some(tainted), _) => {
                let flags = tainted.strip_prefix("tainted=").unwrap_or_default();
                return Some(flags.parse().unwrap_or(0));
            }
            _ => see(Event::Line(line)),
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(text: &str) -> (Vec<String>, Option<u64>) {
        let mut guest = Guest::new("t0k");
        let mut seen = Vec::new();
        let mut done = None;
        for line in text.lines() {
            let ended = guest.line(line, &mut |event| seen.push(format!("{event:?}")));
            done = done.or(ended);
        }
        (seen, done)
    }

    #[test]
    fn marks_frame_the_output() {
        let (seen, done) = events(
            "\n@t0k booted\n\n@t0k begin a\nok 1\n\nx\n\n@t0k end a 4\n\n@t0k done tainted=4096\n",
        );
        assert_eq!(
            seen,
            [
                "Booted",
                "Begin(\"a\")",
                "Line(\"ok 1\")",
                "Line(\"\")",
                "Line(\"x\")",
                "End(\"a\", 4)"
            ]
        );
        assert_eq!(done, Some(4096));
    }

    #[test]
    fn a_mark_without_the_token_is_only_output() {
        let (seen, done) = events("@other done tainted=0\n@t0k nonsense\n");
        assert_eq!(
            seen,
            ["Line(\"@other done tainted=0\")", "Line(\"@t0k nonsense\")"]
        );
        assert_eq!(done, None);
    }
}
