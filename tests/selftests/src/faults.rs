// SPDX-License-Identifier: GPL-2.0

//! Allocations that fail on purpose, on a kernel with `CONFIG_FAILSLAB` and
//! `CONFIG_FAIL_PAGE_ALLOC` (see Documentation/fault-injection in the kernel's tree).
//!
//! The kernel counts the allocations of a task and lets the nth fail. Of the calls that lead to
//! them it looks at the stack: only those that come through some module's code count.

use std::{
    fs::{self, File, OpenOptions},
    os::unix::fs::FileExt,
    path::Path,
};

use anyhow::{Context, Result, ensure};

const DEBUGFS: &str = "/sys/kernel/debug";

/// Both kinds: small objects, and whole pages.
const KINDS: [&str; 2] = ["failslab", "fail_page_alloc"];

/// Behind the last address that a module can have: the fixed mappings begin there.
const MODULES_END: u64 = 0xffff_ffff_ff00_0000;

/// As far as the kernel looks at a stack.
const DEPTH: &str = "32";

/// More allocations than anything here makes. What is not over then never will be.
const MOST: u32 = 2000;

/// Makes allocations fail while it exists.
pub struct Faults(());

impl Faults {
    /// Lets calls count that come through any module.
    pub fn in_modules() -> Result<Self> {
        let faults = Self::new()?;
        // Modules lie behind the kernel's own code.
        let etext = fs::read_to_string("/proc/kallsyms")?
            .lines()
            .find_map(|line| {
                line.strip_suffix(" _etext")?
                    .split(' ')
                    .next()
                    .map(str::to_owned)
            })
            .context("no _etext in /proc/kallsyms")?;
        faults.set("require-start", &format!("0x{etext}"))?;
        faults.set("require-end", &format!("{MODULES_END:#x}"))?;
        Ok(faults)
    }

    /// Lets calls count that come through the code of this module, which is loaded.
    pub fn in_module(module: &str) -> Result<Self> {
        let faults = Self::new()?;
        let section = |name: &str| -> Result<u64> {
            let path = format!("/sys/module/{module}/sections/{name}");
            let text = fs::read_to_string(&path).context(path)?;
            Ok(u64::from_str_radix(
                text.trim().trim_start_matches("0x"),
                16,
            )?)
        };
        let start = section(".text")?;
        let size = fs::read_to_string(format!("/sys/module/{module}/coresize"))?;
        let end = start + size.trim().parse::<u64>()?;
        faults.set("require-start", &format!("{start:#x}"))?;
        faults.set("require-end", &format!("{end:#x}"))?;
        Ok(faults)
    }

    /// Why there can be no failures on this kernel, if it is so.
    pub fn lacking() -> Option<&'static str> {
        let is_there = |kind| Path::new(DEBUGFS).join(kind).join("require-start").exists();
        let lacking = "the kernel lacks CONFIG_FAILSLAB, CONFIG_FAIL_PAGE_ALLOC or \
                       CONFIG_FAULT_INJECTION_STACKTRACE_FILTER";
        (!KINDS.into_iter().all(is_there)).then_some(lacking)
    }

    fn new() -> Result<Self> {
        let faults = Self(());
        faults.set("probability", "0")?;
        faults.set("times", "-1")?;
        faults.set("verbose", "0")?;
        faults.set("stacktrace-depth", DEPTH)?;
        // Those that may wait for memory count, too, and those of a single page.
        faults.set("ignore-gfp-wait", "N")?;
        faults.set_of("fail_page_alloc", "min-order", "0")?;
        Ok(faults)
    }

    fn set(&self, name: &str, value: &str) -> Result<()> {
        KINDS
            .into_iter()
            .try_for_each(|kind| self.set_of(kind, name, value))
    }

    fn set_of(&self, kind: &str, name: &str, value: &str) -> Result<()> {
        let path = Path::new(DEBUGFS).join(kind).join(name);
        fs::write(&path, value).with_context(|| format!("{} = {value}", path.display()))
    }

    /// Runs `f` while this thread's nth allocation fails; returns whether it came to that.
    pub fn nth<T>(&self, n: u32, f: impl FnOnce() -> T) -> Result<(T, bool)> {
        let counter = OpenOptions::new()
            .read(true)
            .write(true)
            .open("/proc/thread-self/fail-nth")
            .context("/proc/thread-self/fail-nth")?;
        write_number(&counter, n)?;
        let returned = f();
        let left = read_number(&counter)?;
        write_number(&counter, 0)?;
        Ok((returned, left == 0))
    }

    /// Calls `f` with 1, 2, 3 and so on, until it says that there was no such allocation to fail.
    /// Returns how many there were, which must be some.
    pub fn each(&self, what: &str, mut f: impl FnMut(u32) -> Result<bool>) -> Result<u32> {
        for n in 1..MOST {
            let failed = f(n).with_context(|| format!("{what}, with allocation {n} failing"))?;
            if !failed {
                ensure!(n > 1, "{what} allocated nothing");
                println!("# {what}: each of {} allocations failed once", n - 1);
                return Ok(n - 1);
            }
        }
        anyhow::bail!("{what} goes on allocating after {MOST} allocations")
    }

    /// Runs `f` while one small allocation, the nth from now on, fails in whatever task or
    /// interrupt makes it; returns whether it came to that.
    ///
    /// The kernel fails those whose number is a multiple of `n`, and counts from when it booted.
    /// So `f` runs more than once: until one has failed, and once more.
    pub fn nth_anywhere(&self, n: u32, mut f: impl FnMut() -> Result<()>) -> Result<bool> {
        for _ in 0..=n {
            if self.one_anywhere(n, &mut f)? {
                return self.one_anywhere(n, f);
            }
        }
        Ok(false)
    }

    fn one_anywhere(&self, n: u32, f: impl FnOnce() -> Result<()>) -> Result<bool> {
        const KIND: &str = "failslab";
        self.set_of(KIND, "interval", &n.to_string())?;
        self.set_of(KIND, "times", "1")?;
        self.set_of(KIND, "probability", "100")?;
        let returned = f();
        self.set_of(KIND, "probability", "0")?;
        let times = fs::read_to_string(Path::new(DEBUGFS).join(KIND).join("times"))?;
        returned?;
        Ok(times.trim() == "0")
    }
}

impl Drop for Faults {
    fn drop(&mut self) {
        let _ = self.set("probability", "0");
        let _ = self.set("require-start", "0");
        let _ = self.set("require-end", &u64::MAX.to_string());
    }
}

fn write_number(file: &File, number: u32) -> Result<()> {
    file.write_all_at(number.to_string().as_bytes(), 0)
        .context("writing fail-nth")
}

fn read_number(file: &File) -> Result<u32> {
    let mut text = [0; 16];
    let len = file.read_at(&mut text, 0).context("reading fail-nth")?;
    let text = String::from_utf8_lossy(&text[..len]);
    Ok(text.trim().parse()?)
}
