// SPDX-License-Identifier: GPL-2.0

//! Runs suites one after the other, each between two marks, in a session and within a time of its
//! own.

use std::fs;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use guest::{What, mark};
use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::left::World;
use crate::marks::Marks;

/// How long the end of a program is looked away from.
const PAUSE: Duration = Duration::from_millis(5);
/// What is already on its way out when a suite ends may take this long: a process that was sent a
/// signal, a socket whose last holder is gone.
const GRACE: Duration = Duration::from_secs(10);
/// What a shell says of a program that was killed.
const KILLED: i32 = 137;

/// Runs these programs.
pub fn run(marks: &mut Marks, names: &[String], limit: Duration) -> Result<()> {
    be_parent_of_orphans()?;
    let mut world = World::look(GRACE);
    for name in names {
        let program = format!("/selftests/{name}");
        one(marks, &mut world, name, &[&program], limit)?;
    }
    marks.write(What::Done)?;
    marks.drain()
}

/// Whoever loses its parent becomes our child, and not init's: so that what suites leave is known
/// from what init runs.
pub fn be_parent_of_orphans() -> Result<()> {
    prctl::set_child_subreaper(true).context("PR_SET_CHILD_SUBREAPER")
}

/// Runs one suite from mark to mark, and takes away what it leaves.
pub fn one(
    marks: &mut Marks,
    world: &mut World,
    name: &str,
    command: &[&str],
    limit: Duration,
) -> Result<()> {
    marks.write(What::Begin(name.to_owned()))?;
    // setsid(1) does not fork here: it is no leader of a process group.
    let started = Command::new("setsid")
        .args(command)
        .current_dir("/tmp")
        .stdin(Stdio::null())
        .stdout(marks.port()?)
        .stderr(marks.port()?)
        .spawn();
    let status = match started {
        Ok(child) => wait(Pid::from_raw(child.id().try_into()?), limit)?,
        Err(error) => {
            marks.fault(&format!("it could not be started: {error}"))?;
            Some(127)
        }
    };
    if status.is_none() {
        // Who waits for what is what one wants to know of a suite that hangs.
        let _ = fs::write("/proc/sysrq-trigger", "w");
        marks.fault(&format!("its time was up, after {} s", limit.as_secs()))?;
    }
    marks.fault(mark::EXITED)?;
    for left in world.restore(status.is_some()) {
        marks.fault(&left)?;
    }
    marks.write(What::End(name.to_owned(), status.unwrap_or(KILLED)))
}

/// Waits for a child, and meanwhile for the orphans that have become ours. `None` if its time is up.
fn wait(child: Pid, limit: Duration) -> Result<Option<i32>> {
    let since = Instant::now();
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(pid, status)) if pid == child => return Ok(Some(status)),
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid == child => {
                return Ok(Some(128 + signal as i32));
            }
            Ok(WaitStatus::StillAlive) => {
                if since.elapsed() > limit {
                    return Ok(None);
                }
                thread::sleep(PAUSE);
            }
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error).context("waiting for a suite"),
        }
    }
}
