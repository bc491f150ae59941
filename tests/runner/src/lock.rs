// SPDX-License-Identifier: GPL-2.0

//! One run at a time in a folder for logs: a later one would delete what the earlier one reads.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{self, Command};

use anyhow::{Context, Result, anyhow, ensure};
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

fn beside(keep: &Path) -> PathBuf {
    let mut name = keep.as_os_str().to_owned();
    name.push(".lock");
    PathBuf::from(name)
}

/// Gives up the lock of a descriptor that was inherited.
pub fn release(fd: i32) -> Result<()> {
    // flock(1) and not flock(2), which takes a descriptor that somebody here owns.
    let status = Command::new("flock").args(["-u", &fd.to_string()]).status();
    ensure!(
        status.context("cannot start flock")?.success(),
        "descriptor {fd} has no lock to give up"
    );
    Ok(())
}

/// The folder is ours while this exists; the kernel gives it back if we are killed.
#[derive(Debug)]
pub struct Lock {
    _file: Flock<File>,
}

impl Lock {
    /// Takes the folder. If another run has it, tells `wait` which one, and waits for its end.
    pub fn take(keep: &Path, wait: impl FnOnce(&str)) -> Result<Self> {
        // Beside the folder, which is deleted.
        let path = beside(keep);
        let cannot = || format!("cannot lock {}", path.display());
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).with_context(cannot)?;
        }
        let file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(&path)
            .with_context(cannot)?;
        let mut file = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(file) => file,
            Err((file, Errno::EWOULDBLOCK)) => {
                let whose = fs::read_to_string(&path).unwrap_or_default();
                let whose = match whose.trim() {
                    "" => "another run".to_owned(),
                    pid => format!("process {pid}"),
                };
                wait(&format!(
                    "waiting for {whose}, which writes to {}",
                    keep.display()
                ));
                Flock::lock(file, FlockArg::LockExclusive)
                    .map_err(|(_, error)| anyhow!(error))
                    .with_context(cannot)?
            }
            Err((_, error)) => return Err(error).with_context(cannot),
        };
        file.set_len(0).with_context(cannot)?;
        writeln!(file, "{}", process::id()).with_context(cannot)?;
        Ok(Self { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::thread;

    #[test]
    fn the_second_waits_for_the_first_and_says_so() {
        let keep = std::env::temp_dir().join(format!("runner-lock-{}", process::id()));
        let first = Lock::take(&keep, |_| panic!("nobody is there")).expect("it is free");
        let (tell, told) = mpsc::channel();
        let second = thread::spawn({
            let keep = keep.clone();
            move || {
                let said = tell.clone();
                let lock = Lock::take(&keep, move |text| said.send(text.to_owned()).unwrap());
                tell.send("got it".to_owned()).unwrap();
                lock.map(drop)
            }
        });
        let text = told.recv().expect("it says that it waits");
        assert!(
            text.contains(&format!("process {}", process::id())),
            "{text}"
        );
        assert!(
            told.try_recv().is_err(),
            "it went on, though the first is there"
        );
        drop(first);
        assert_eq!(told.recv().expect("it goes on"), "got it");
        second.join().expect("it ended").expect("it is free");
        fs::remove_file(beside(&keep)).expect("it was there");
    }
}
