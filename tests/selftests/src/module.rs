// SPDX-License-Identifier: GPL-2.0

//! Loading and unloading modules.

use std::{
    env,
    ffi::CString,
    fs::File,
    path::PathBuf,
    sync::{
        LazyLock,
        mpsc::{self, Receiver},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use nix::{
    errno::Errno,
    kmod::{DeleteModuleFlags, ModuleInitFlags, delete_module, finit_module},
    unistd::{Pid, gettid},
};

use crate::program::beside;

/// A module that is loaded, and unloaded when this is dropped.
///
/// Modules that depend on each other are unloaded in the right order if they are declared in the
/// order in which they are loaded.
#[derive(Debug)]
#[must_use]
pub struct Module {
    name: String,
}

impl Module {
    /// Loads a module: `insmod modules/NAME.ko PARAMETERS`. The name may begin with a folder.
    pub fn load(name: &str, parameters: &str) -> Result<Self> {
        Self::try_load(name, parameters)?.with_context(|| format!("insmod {name}.ko {parameters}"))
    }

    /// [`Self::load`] for a module that not every kernel has.
    pub fn load_if_there_is(name: &str, parameters: &str) -> Result<Option<Self>> {
        match file_of(name).exists() {
            true => Self::load(name, parameters).map(Some),
            false => Ok(None),
        }
    }

    /// [`Self::load`] for a module that the kernel may refuse.
    pub fn try_load(name: &str, parameters: &str) -> Result<Result<Self, Errno>> {
        let name = as_it_is_here(name);
        let path = file_of(&name);
        let file = File::open(&path).with_context(|| format!("cannot open {}", path.display()))?;
        let parameters = CString::new(parameters)?;
        let loaded = finit_module(&file, &parameters, ModuleInitFlags::empty());
        let name = name.trim_end_matches(".ko");
        let name = name.rsplit_once('/').map_or(name, |(_, name)| name);
        Ok(loaded.map(|()| Self {
            // As the kernel calls it.
            name: name.replace('-', "_"),
        }))
    }

    /// Loads `rust_connector` and a module on top of it, which come in this order: bound to two
    /// names by one `let`, the second one is unloaded first. In one variable, the first one would be.
    pub fn load_with_connector(name: &str, parameters: &str) -> Result<(Self, Self)> {
        let connector = Self::load("rust_connector", "")?;
        Ok((connector, Self::load(name, parameters)?))
    }

    /// Loads the connector where there is none without it: there no socket can be opened before.
    pub fn load_core() -> Result<Option<Self>> {
        match core_is_ours() {
            true => Self::load("rust_connector", "").map(Some),
            false => Ok(None),
        }
    }

    /// Unloads the module as `rmmod` does, and returns when it is gone.
    pub fn unload(self) -> Result<()> {
        let name = self.name.clone();
        self.try_unload()
            .map_err(|(_, errno)| errno)
            .with_context(|| format!("rmmod {name}"))
    }

    /// [`Self::unload`] for a module that may be in use.
    pub fn try_unload(self) -> Result<(), (Self, Errno)> {
        match delete(&self.name) {
            Ok(()) => {
                std::mem::forget(self);
                Ok(())
            }
            Err(errno) => Err((self, errno)),
        }
    }
}

/// Whether the connector itself is ours, `cn.ko`, and not the kernel's, with `rust_connector.ko` on it.
pub fn core_is_ours() -> bool {
    static IS_OURS: LazyLock<bool> = LazyLock::new(|| file_of(CN).exists());
    *IS_OURS
}

const CN: &str = "cn";

/// The connector's module has another name where it is the core itself.
fn as_it_is_here(name: &str) -> String {
    match name.strip_suffix("rust_connector") {
        Some(folder) if core_is_ours() => format!("{folder}{CN}"),
        _ => name.to_owned(),
    }
}

fn file_of(name: &str) -> PathBuf {
    let folder = env::var_os("MODULES").map_or_else(|| beside("modules"), PathBuf::from);
    folder.join(format!("{}.ko", name.trim_end_matches(".ko")))
}

fn delete(name: &str) -> Result<(), Errno> {
    let name = CString::new(name).map_err(|_| Errno::EINVAL)?;
    delete_module(&name, DeleteModuleFlags::O_NONBLOCK)
}

impl Drop for Module {
    fn drop(&mut self) {
        // A socket keeps our own connector, and whoever has it may be just about to close it.
        let deadline = Instant::now() + crate::PATIENCE;
        while let Err(errno) = delete(&self.name) {
            if errno != Errno::EWOULDBLOCK || self.name != CN || Instant::now() > deadline {
                println!("# rmmod {}: {errno}", self.name);
                break;
            }
            thread::sleep(Duration::from_millis(1));
        }
    }
}

/// An unloading that is going on in a thread of its own.
#[derive(Debug)]
pub struct Unloading {
    thread: Pid,
    result: Receiver<Result<()>>,
}

/// Unloads a module in a thread of its own.
///
/// The thread is not joined: if the kernel never lets go of it, the test fails all the same.
pub fn unload_in_background(module: Module) -> Result<Unloading> {
    let (send_thread, thread) = mpsc::channel();
    let (send, result) = mpsc::channel();
    thread::spawn(move || {
        let _ = send_thread.send(gettid());
        let _ = send.send(module.unload());
    });
    Ok(Unloading {
        thread: thread.recv()?,
        result,
    })
}

impl Unloading {
    /// Whether it is over; an error if it failed.
    pub fn is_over(&mut self) -> Result<bool> {
        match self.result.try_recv() {
            Ok(result) => result.map(|()| true),
            Err(mpsc::TryRecvError::Empty) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether the thread sleeps in the kernel and cannot be interrupted: it waits for a handler.
    pub fn is_waiting(&self) -> Result<bool> {
        let stat = std::fs::read_to_string(format!("/proc/self/task/{}/stat", self.thread))?;
        // The name, in parentheses, may hold anything.
        let (_, fields) = stat.rsplit_once(") ").context("an odd stat line")?;
        Ok(fields.starts_with('D'))
    }

    /// Waits until the module is gone.
    pub fn wait(self) -> Result<()> {
        self.result
            .recv_timeout(crate::PATIENCE)
            .context("rmmod does not return")?
    }
}
