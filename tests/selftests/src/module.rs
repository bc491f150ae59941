// SPDX-License-Identifier: GPL-2.0

//! Loading and unloading modules.

use std::{
    env,
    ffi::CString,
    fs::{self, File},
    path::{Path, PathBuf},
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
    sys::utsname::uname,
    unistd::{Pid, gettid},
};

use crate::{Stats, notify::PROCESS_EVENTS, procfs, program::beside, skip};

/// A module that is loaded, and unloaded when this is dropped.
///
/// Modules that depend on each other are unloaded in the right order if they are declared in the
/// order in which they are loaded.
#[derive(Debug)]
#[must_use]
pub struct Module {
    /// As the kernel calls it; none if it is a part of the kernel, which stays.
    name: Option<String>,
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
        if name == CONNECTOR && connector_is_built_in() {
            for parameter in parameters.split_whitespace() {
                if !is_booted_with(parameter)? {
                    return skip(format!(
                        "the connector is a part of the kernel: boot with cn_rust.{parameter}"
                    ));
                }
            }
            Stats::count_from_now()?;
            return Ok(Ok(Self { name: None }));
        }
        let name = as_it_is_here(name);
        let path = file_of(&name);
        let file = File::open(&path).with_context(|| format!("cannot open {}", path.display()))?;
        let parameters = CString::new(parameters)?;
        let loaded = finit_module(&file, &parameters, ModuleInitFlags::empty());
        let name = name.trim_end_matches(".ko");
        let name = name.rsplit_once('/').map_or(name, |(_, name)| name);
        Ok(loaded.map(|()| Self {
            name: Some(name.replace('-', "_")),
        }))
    }

    /// Loads a module of the kernel's own, which `make modules_install` of the kernel installed, or has the
    /// one that is built in, which stays. The test is skipped if the kernel has neither.
    pub fn load_kernels(path: &str) -> Result<Self> {
        let release = uname()?.release().to_string_lossy().into_owned();
        let folder = format!("/lib/modules/{release}");
        let built_in = fs::read_to_string(format!("{folder}/modules.builtin")).unwrap_or_default();
        let path = format!("kernel/{path}");
        if built_in.lines().any(|line| line == path) {
            return Ok(Self { name: None });
        }
        let path = format!("{folder}/{path}");
        if !fs::exists(&path)? {
            return skip(format!("there is no {path}"));
        }
        Self::load(&path, "")
    }

    /// Whether it is a part of the kernel, and stays.
    pub fn is_built_in(&self) -> bool {
        self.name.is_none()
    }

    /// Loads `rust_connector` and a module on top of it, which come in this order: bound to two
    /// names by one `let`, the second one is unloaded first. In one variable, the first one would be.
    pub fn load_with_connector(name: &str, parameters: &str) -> Result<(Self, Self)> {
        let connector = Self::load(CONNECTOR, "")?;
        Ok((connector, Self::load(name, parameters)?))
    }

    /// Loads the connector where there is none without it: there no socket can be opened before.
    pub fn load_core() -> Result<Option<Self>> {
        match core_is_module() {
            true => Self::load(CONNECTOR, "").map(Some),
            false => Ok(None),
        }
    }

    /// Unloads the module as `rmmod` does, and returns when it is gone.
    pub fn unload(self) -> Result<()> {
        let name = self.name.clone();
        self.try_unload()
            .map_err(|(_, errno)| errno)
            .with_context(|| format!("rmmod {}", name.unwrap_or_default()))
    }

    /// [`Self::unload`] for a module that may be in use.
    pub fn try_unload(self) -> Result<(), (Self, Errno)> {
        match self.name.as_deref().map_or(Ok(()), delete) {
            Ok(()) => {
                std::mem::forget(self);
                Ok(())
            }
            Err(errno) => Err((self, errno)),
        }
    }
}

/// Whether the connector itself is ours, `cn.ko` or a part of the kernel, and not the one in C, with
/// `rust_connector.ko` on it.
pub fn core_is_ours() -> bool {
    core_is_module() || Path::new("/sys/module/cn_rust/parameters/groups").exists()
}

/// Whether the connector itself is ours and a module, `cn.ko`: without it no socket can be opened, and an
/// open one keeps it.
pub fn core_is_module() -> bool {
    static IS_MODULE: LazyLock<bool> = LazyLock::new(|| file_of(CN).exists());
    *IS_MODULE
}

/// Whether what modules build on is a part of the kernel, and no module that could be loaded.
pub fn connector_is_built_in() -> bool {
    !core_is_module() && !file_of(CONNECTOR).exists()
}

/// Whether the connector that is a part of the kernel has this parameter, as in `groups=16384`.
fn is_booted_with(parameter: &str) -> Result<bool> {
    let (name, value) = parameter.split_once('=').context("NAME=VALUE")?;
    let has = fs::read_to_string(format!("/sys/module/cn_rust/parameters/{name}"));
    Ok(has.unwrap_or_default().trim_end() == value)
}

/// Skips the test where the connector cannot be unloaded.
pub fn require_unloadable() -> Result<()> {
    match connector_is_built_in() {
        true => skip("the connector is a part of the kernel, which stays"),
        false => Ok(()),
    }
}

/// Why there is nothing to test where the kernel tells of no processes.
pub fn no_process_events() -> Option<&'static str> {
    match procfs::is_registered(PROCESS_EVENTS) {
        _ if core_is_module() => {
            Some("process events are of a connector that is a part of the kernel")
        }
        Ok(false) => Some("the kernel lacks CONFIG_PROC_EVENTS"),
        // What is in the way fails the test.
        _ => None,
    }
}

const CONNECTOR: &str = "rust_connector";
const CN: &str = "cn";

/// The connector's module has another name where it is the core itself.
fn as_it_is_here(name: &str) -> String {
    match name.strip_suffix(CONNECTOR) {
        Some(folder) if core_is_module() => format!("{folder}{CN}"),
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
        let Some(name) = &self.name else { return };
        let deadline = Instant::now() + crate::PATIENCE;
        while let Err(errno) = delete(name) {
            if errno != Errno::EWOULDBLOCK || name != CN || Instant::now() > deadline {
                println!("# rmmod {name}: {errno}");
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
