// SPDX-License-Identifier: GPL-2.0

//! One boot of the VM: starts QEMU, follows what the guest says, and ends it when it is silent for
//! too long or over its time.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::Read;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{self, Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use guest::What;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};

use crate::accel::Accel;
use crate::arch::{Arch, Port};
use crate::machine::Machine;
use crate::recording::{Ending, Expected, Files};
use crate::transcript::{Item, Transcript};
use crate::verdict::ended_by;

/// While it boots, a guest may be silent for this long: emulation on a busy host is slow.
const BOOT_SILENCE: Duration = Duration::from_secs(240);
/// A guest that is done resets within this time.
const RESET_LIMIT: Duration = Duration::from_secs(240);
/// How long the streams are not looked at when nothing comes.
const PAUSE: Duration = Duration::from_millis(20);
/// A longer command line the kernel would cut.
const COMMAND_LINE: usize = 2048;

/// What to boot. Both files are held: whoever builds them anew meanwhile does not change this run.
#[derive(Debug)]
pub struct Image {
    /// For what.
    pub arch: Arch,
    /// The program that is such a machine.
    pub qemu: String,
    /// A kernel as QEMU takes it: a bzImage or an Image.
    pub kernel: PathBuf,
    held_kernel: File,
    held_initrd: File,
    /// On what.
    pub machine: Machine,
}

impl Image {
    /// Takes a kernel and the initramfs that scripts/lib/initramfs.sh packs.
    pub fn open(
        (arch, qemu): (Arch, &str),
        kernel: &Path,
        initrd: &Path,
        machine: Machine,
    ) -> Result<Self> {
        let open = |path: &Path| {
            File::open(path).with_context(|| format!("cannot read {}", path.display()))
        };
        Ok(Self {
            arch,
            qemu: qemu.to_owned(),
            kernel: kernel.to_owned(),
            held_kernel: open(kernel)?,
            held_initrd: open(initrd)?,
            machine,
        })
    }
}

/// The path by which another process reads this file, whatever has become of its name.
fn path_of(file: &File) -> String {
    format!("/proc/{}/fd/{}", process::id(), file.as_raw_fd())
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
    /// What the guest is to run.
    pub suites: &'a [String],
    /// Whether that speaks TAP.
    pub tap: bool,
    /// Where the logs go.
    pub keep: &'a Path,
    /// The log's name: with `console.log` go `console.port`, what programs print, `console.records`, the
    /// log with its levels, `console.run`, what was expected, and `console.qemu`, what QEMU itself says.
    pub console: &'a str,
    /// The guest is hung when, once booted, it says nothing in either stream for so long.
    pub silence: Duration,
    /// The guest is killed after so long.
    pub limit: Duration,
    /// The guest's end of a terminal, which it has as ttyS3.
    pub terminal: Option<&'a UnixStream>,
}

/// What happens in the guest.
#[derive(Debug)]
pub enum Event<'a> {
    /// init is there.
    Booted,
    /// A suite starts.
    Begin(&'a str),
    /// The nth suite has ended, and both streams have come to its end.
    End(usize, &'a Expected, &'a Transcript),
    /// A line that was printed.
    Line(&'a str),
    /// Nothing new; a chance to refresh the screen.
    Tick,
}

/// A boot that is over.
#[derive(Debug)]
pub struct Over {
    /// What was expected.
    pub expected: Expected,
    /// What the guest said.
    pub transcript: Transcript,
    /// How it ended.
    pub ending: Ending,
}

impl Over {
    /// The kernel's log.
    pub fn log(&self) -> String {
        let sections = self.transcript.log.sections().iter();
        sections.map(|section| &section.text[..]).collect()
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
pub fn qemu(image: &Image, accel: Accel, append: &str) -> Result<Command> {
    // setpriv: when this program is killed, however, QEMU goes too.
    let mut command = Command::new("setpriv");
    command
        .args(["--pdeathsig", "KILL", "--", &image.qemu])
        .args(["-nodefaults", "-no-user-config", "-display", "none"])
        .args(["-m", "1G", "-no-reboot"])
        .args(image.arch.machine(accel))
        .args(accel.qemu_args())
        .args(image.machine.qemu_args())
        .args(["-kernel", &path_of(&image.held_kernel)])
        .args(["-initrd", &path_of(&image.held_initrd)])
        .arg("-append")
        .arg(command_line(image, accel, append)?);
    Ok(command)
}

/// What any kernel is told. noirqdebug: it is not the kernel's fault if an emulated serial port interrupts more
/// often than its thread runs. printk.devkmsg: no mark may be dropped because there are many. The loglevel and the
/// buffer: no word of the kernel's may be lost. printk.time: somebody's own kernel may have no CONFIG_PRINTK_TIME, and
/// where a boot begins is seen by the time.
const TOLD: &str = "noirqdebug printk.devkmsg=on printk.time=1 loglevel=7 log_buf_len=4M";

fn command_line(image: &Image, accel: Accel, append: &str) -> Result<String> {
    let line = image.machine.command_line(&format!(
        "console={} panic=-1 oops=panic {} {TOLD} {} {append}",
        image.arch.console(),
        image.arch.command_line(),
        accel.command_line(image.arch)
    ));
    ensure!(
        line.len() < COMMAND_LINE,
        "the kernel's command line has {} characters, of which it would leave out all after {COMMAND_LINE}: {line}",
        line.len()
    );
    Ok(line)
}

/// A word that no program prints by accident, and no other boot has.
fn token() -> String {
    format!("{:016x}", RandomState::new().build_hasher().finish())
}

/// A file to which another process writes.
struct Followed(File);

impl Followed {
    fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(Self(file))
    }

    /// What is new.
    fn more(&mut self) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.0.read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

impl Boot<'_> {
    /// The files of this boot.
    pub fn files(&self) -> Files {
        Files::new(self.keep, self.console.trim_end_matches(".log"))
    }

    /// Boots, tells `see` what happens, and returns when QEMU has ended.
    pub fn run(&self, mut see: impl FnMut(Event<'_>)) -> Result<Over> {
        fs::create_dir_all(self.keep)
            .with_context(|| format!("cannot make {}", self.keep.display()))?;
        let files = self.files();
        let expected = Expected {
            token: token(),
            suites: self.suites.to_vec(),
            tap: self.tap,
            records: self.tap,
            options: format!(
                "{}: {}",
                self.accel.name(self.image.arch),
                command_line(
                    self.image,
                    self.accel,
                    &format!("rc_mode={} {}", self.mode, self.append)
                )?
            ),
            cpus: self.image.machine.cpus(),
        };
        files.write_run(&expected, Ending::Unseen)?;
        for path in [&files.log, &files.port, &files.records] {
            File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
        }
        let append = format!(
            "rc_mode={} rc_token={} {}",
            self.mode, expected.token, self.append
        );
        let mut qemu = qemu(self.image, self.accel, &append)?;
        let mut ports = vec![Port::File(&files.port), Port::File(&files.records)];
        if let Some(terminal) = self.terminal {
            // Whoever is started from here on inherits it.
            fcntl(terminal, FcntlArg::F_SETFD(FdFlag::empty()))?;
            ports.push(Port::Socket(terminal.as_raw_fd()));
        }
        qemu.args(self.image.arch.ports(&files.log, &ports));
        let child = qemu
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&files.qemu)?)
            .spawn()
            .with_context(|| format!("cannot start {}", self.image.qemu))?;
        let mut transcript = Transcript::new(&expected.token, true);
        let ending = self.follow(Qemu(child), &files, &expected, &mut transcript, &mut see)?;
        files.write_run(&expected, ending)?;
        Ok(Over {
            expected,
            transcript,
            ending,
        })
    }

    fn follow(
        &self,
        mut child: Qemu,
        files: &Files,
        expected: &Expected,
        transcript: &mut Transcript,
        see: &mut impl FnMut(Event<'_>),
    ) -> Result<Ending> {
        let mut log = Followed::open(&files.log)?;
        let mut port = Followed::open(&files.port)?;
        let mut records = Followed::open(&files.records)?;
        let mut queue = VecDeque::new();
        let start = Instant::now();
        let mut heard = start;
        let mut booted = false;
        let mut done: Option<Instant> = None;
        loop {
            // Before reading: when it has ended, this is the last of it.
            let ended = child.0.try_wait()?;
            let of_log = log.more()?;
            let of_port = port.more()?;
            transcript.records.feed(&records.more()?);
            transcript.log.feed(&of_log);
            queue.extend(transcript.port.feed(&of_port));
            let news = !of_log.is_empty() || !of_port.is_empty();
            if ended.is_some() {
                transcript.log.finish();
                transcript.records.finish();
                queue.extend(transcript.port.finish());
            }
            while let Some(item) = queue.pop_front() {
                match item {
                    // The kernel's log is printed later than programs print. A suite is judged when
                    // that, too, has come to its end.
                    Item::Mark(mark, at) => {
                        let records = !self.tap || transcript.records.has(mark.number);
                        let complete = transcript.log.has(mark.number) && records;
                        if ended.is_none() && mark.what != What::Booted && !complete {
                            queue.push_front(Item::Mark(mark, at));
                            break;
                        }
                        booted |= mark.what == What::Booted;
                        match (&mark.what, ended_by(mark.number)) {
                            (What::Booted, _) => see(Event::Booted),
                            (What::Begin(name), _) => see(Event::Begin(name)),
                            (What::End(..), Some(suite)) if suite < expected.suites.len() => {
                                see(Event::End(suite, expected, transcript));
                            }
                            (What::Done, _) => done = Some(Instant::now()),
                            // Told at the end: it is out of its place.
                            (What::End(..), _) => {}
                        }
                    }
                    Item::Line(line) | Item::Fault(line) => see(Event::Line(&line)),
                    Item::Exited => {}
                }
            }
            if let Some(status) = ended {
                return Ok(ending(status, done.is_some()));
            }
            if news {
                heard = Instant::now();
            }
            let silence = match booted {
                true => self.silence,
                false => self.silence.max(BOOT_SILENCE),
            };
            if done.is_some_and(|since| since.elapsed() > RESET_LIMIT) {
                return Ok(Ending::Stayed(RESET_LIMIT));
            } else if heard.elapsed() > silence {
                return Ok(Ending::Silent(silence));
            } else if start.elapsed() > self.limit {
                return Ok(Ending::TimedOut(self.limit));
            }
            if !news {
                see(Event::Tick);
                thread::sleep(PAUSE);
            }
        }
    }
}

fn ending(status: ExitStatus, done: bool) -> Ending {
    match status.code() {
        Some(0) if done => Ending::Done,
        Some(0) => Ending::Died,
        code => Ending::QemuFailed(code.unwrap_or(-1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_by_whoever_knows_its_descriptor() {
        let file = File::open("/proc/self/exe").expect("we are a file");
        let other = fs::canonicalize(path_of(&file)).expect("it has a path");
        assert_eq!(other, std::env::current_exe().expect("we are a file"));
    }

    #[test]
    fn a_kernel_without_printk_time_is_told_to_say_it() {
        let null = || File::open("/dev/null").expect("it is there");
        let image = Image {
            arch: Arch::X86,
            qemu: String::new(),
            kernel: PathBuf::new(),
            held_kernel: null(),
            held_initrd: null(),
            machine: Machine::default(),
        };
        let line = command_line(&image, Accel::Tcg, "").expect("it is short");
        assert!(line.contains(" printk.time=1 "), "{line}");
    }
}
