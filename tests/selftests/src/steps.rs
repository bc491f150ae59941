// SPDX-License-Identifier: GPL-2.0

//! Clients without privilege: a test program that starts itself once more, with the steps to take
//! as arguments. A process that gives up its privileges does not get them back.

use std::{
    env, fs,
    process::{Command, ExitCode},
};

use anyhow::{Context, Result, ensure};
use nix::{
    sched::{CloneFlags, unshare},
    sys::prctl::set_dumpable,
    unistd::{Gid, Uid, setresgid, setresuid},
};

/// Has a process of this program take these steps, words with a blank between them, one after the other;
/// returns what it prints.
pub fn process(steps: &str) -> Result<String> {
    let output = Command::new("/proc/self/exe")
        .args(steps.split(' '))
        .output()
        .context("starting a client")?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "the client `{steps}`: {errors}");
    Ok(String::from_utf8(output.stdout)?)
}

/// Takes the steps, if this process was started by [`process`], and returns how that ended.
pub fn taken_by(take: impl FnOnce(env::Args) -> Result<()>) -> Option<ExitCode> {
    let mut steps = env::args();
    steps.next();
    if steps.len() == 0 {
        return None;
    }
    Some(match take(steps) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    })
}

/// Becomes an ordinary user, for good.
pub fn become_user(uid: u32, gid: u32) -> Result<()> {
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    setresgid(gid, gid, gid)?;
    setresuid(uid, uid, uid)?;
    // A process that changed its ids does not own its files in /proc otherwise.
    set_dumpable(true)?;
    Ok(())
}

/// Becomes root of a user namespace of its own.
pub fn be_root_in_user_namespace() -> Result<()> {
    let (uid, gid) = (Uid::current(), Gid::current());
    unshare(CloneFlags::CLONE_NEWUSER)?;
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("0 {uid} 1"))?;
    fs::write("/proc/self/gid_map", format!("0 {gid} 1"))?;
    ensure!(Uid::effective().is_root(), "not root in the namespace");
    Ok(())
}
