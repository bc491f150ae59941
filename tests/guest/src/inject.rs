// SPDX-License-Identifier: GPL-2.0

//! Suites in which all goes wrong that can, though each says that it passed: the runner must blame
//! every one.

use std::fs::{self, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use guest::What;
use guest::injection::{self, Injection, Place};
use nix::kmod::{ModuleInitFlags, finit_module};
use nix::libc;
use nix::mount::{MsFlags, mount};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;

use crate::left::World;
use crate::marks::Marks;
use crate::suite;

/// No suite here takes long, but the machine may be slow.
const LIMIT: Duration = Duration::from_secs(600);
/// What is left on purpose is not about to go.
const GRACE: Duration = Duration::from_secs(2);
/// That of the suite whose time is to be up.
const SHORT: Duration = Duration::from_millis(200);

/// Runs them all.
pub fn run(marks: &mut Marks, rounds: usize) -> Result<()> {
    suite::be_parent_of_orphans()?;
    let mut world = World::look(GRACE);
    for name in injection::suites(rounds) {
        let limit = if name == "left:time" { SHORT } else { LIMIT };
        let command = ["/bin/guest", "injected", &name];
        suite::one(marks, &mut world, &name, &command, limit)?;
        if let Ok(injection) = name.parse::<Injection>() {
            if injection.place == Place::Between {
                write(marks, &injection)?;
            }
        }
    }
    let all_at = |marks: &mut Marks, place| {
        Injection::all(rounds)
            .filter(|injection| injection.place == place)
            .try_for_each(|injection| write(marks, &injection))
    };
    all_at(marks, Place::Last)?;
    marks.write(What::Done)?;
    all_at(marks, Place::Late)?;
    marks.drain()
}

fn write(marks: &mut Marks, injection: &Injection) -> Result<()> {
    injection.text().try_for_each(|line| marks.say(&line))
}

/// Is one of them.
pub fn be(name: &str) -> Result<()> {
    let planned = if name == "left:result" { 2 } else { 1 };
    println!("TAP version 13\n1..{planned}");
    match name.split_once(':') {
        Some(("good", _)) => println!("ok 1 nothing is wrong here"),
        Some(("thread", _)) => {
            thread::spawn(|| {
                loop {
                    thread::sleep(LIMIT);
                }
            });
            // SAFETY: It ends this thread, which has no more to do, and nobody has a reference to what is on
            // its stack.
            unsafe { libc::syscall(libc::SYS_exit, 0) };
        }
        Some(("left", what)) => {
            leave(what).with_context(|| format!("cannot leave a {what}"))?;
            println!("ok 1 left a {what}");
        }
        // The child of the suite below.
        Some(("write", name)) => {
            pin(1)?;
            say(&injection(name)?)?;
        }
        _ => make(name, &injection(name)?)?,
    }
    Ok(())
}

fn injection(name: &str) -> Result<Injection> {
    name.parse()
        .map_err(|_| anyhow::anyhow!("there is no injection {name}"))
}

fn make(name: &str, injection: &Injection) -> Result<()> {
    match injection.place {
        Place::During => {
            say(injection)?;
            println!("ok 1 the trouble was long ago");
        }
        Place::End => {
            println!("ok 1 the trouble comes now");
            say(injection)?;
        }
        Place::Busy => {
            for _ in 0..2 * thread::available_parallelism()?.get() {
                thread::spawn(|| {
                    loop {
                        std::hint::spin_loop();
                    }
                });
            }
            println!("ok 1 the trouble comes now");
            say(injection)?;
        }
        Place::OtherCpu => {
            pin(0)?;
            println!("ok 1 the trouble comes from elsewhere");
            let status = Command::new("/bin/guest")
                .args(["injected", &format!("write:{name}")])
                .stdout(Stdio::null())
                .status()?;
            if !status.success() {
                bail!("the process on the other CPU failed");
            }
        }
        Place::Between | Place::Last | Place::Late => println!("ok 1 it is not me"),
    }
    Ok(())
}

fn say(injection: &Injection) -> Result<()> {
    let mut log = OpenOptions::new().write(true).open("/dev/kmsg")?;
    for line in injection.text() {
        log.write_all(format!("{line}\n").as_bytes())?;
    }
    Ok(())
}

/// Runs on this CPU only; on a machine with fewer, wherever.
fn pin(cpu: usize) -> Result<()> {
    let mut set = CpuSet::new();
    set.set(cpu % thread::available_parallelism()?.get())?;
    Ok(sched_setaffinity(Pid::from_raw(0), &set)?)
}

fn leave(what: &str) -> Result<()> {
    match what {
        // In a session of its own, where no signal to ours reaches it.
        "process" => drop(
            Command::new("setsid")
                .args(["sleep", "100000"])
                .stdout(Stdio::null())
                .spawn()?,
        ),
        "module" => {
            // The connector, or one that needs none to be loaded.
            let file = ["rust_connector", "cn", "cn_echo"]
                .iter()
                .find_map(|name| fs::File::open(format!("/modules/{name}.ko")).ok())
                .context("no connector in /modules, nor cn_echo")?;
            finit_module(&file, c"", ModuleInitFlags::empty())?;
        }
        "mount" => mount(
            Some("left"),
            "/dev/shm",
            Some("tmpfs"),
            MsFlags::empty(),
            None::<&str>,
        )?,
        "setting" => fs::write("/proc/sys/kernel/hostname", "left")?,
        "file" => fs::write("/tmp/left", "")?,
        "program" => fs::write("/selftests/left", "")?,
        // Its first thread ends, and another goes on.
        "thread" => drop(
            Command::new("setsid")
                .args(["/bin/guest", "injected", "thread:"])
                .stdout(Stdio::null())
                .spawn()?,
        ),
        // Whom the kernel starts is nobody's child: here, to look for a file system.
        "helper" => {
            let (modprobe, script) = ("/proc/sys/kernel/modprobe", "/tmp/modprobe");
            let before = fs::read_to_string(modprobe)?;
            fs::write(script, "#!/bin/sh\nsleep 100000 &\nexit 1\n")?;
            fs::set_permissions(script, Permissions::from_mode(0o755))?;
            fs::write(modprobe, script)?;
            let none = None::<&str>;
            let _ = mount(none, "/tmp", Some("left"), MsFlags::empty(), none);
            fs::write(modprobe, before.trim_end())?;
            fs::remove_file(script)?;
        }
        // What its child says comes too late, but fits.
        "result" => {
            Command::new("sh")
                .args(["-c", "usleep 300000; echo ok 2 late"])
                .spawn()?;
        }
        "time" => loop {
            thread::sleep(LIMIT);
        },
        _ => bail!("there is no such thing to leave"),
    }
    Ok(())
}
