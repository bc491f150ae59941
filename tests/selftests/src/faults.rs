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
        let etext = symbols()?
            .into_iter()
            .find(|symbol| symbol.name == "_etext");
        let etext = etext.context("no _etext in /proc/kallsyms")?.address;
        faults.require(etext, MODULES_END)?;
        Ok(faults)
    }

    /// Lets calls count that come through the code of this module, which is loaded.
    pub fn in_module(module: &str) -> Result<Self> {
        let faults = Self::new()?;
        let of_module = format!("[{module}]");
        let (code, others): (Vec<_>, Vec<_>) = symbols()?
            .into_iter()
            .partition(|symbol| symbol.is_code && symbol.module == of_module);
        let code = code.iter().map(|symbol| symbol.address);
        let start = code.clone().min();
        let (start, last) = start
            .zip(code.max())
            .with_context(|| format!("no code of {module} in /proc/kallsyms"))?;
        // A module's code and its data are not in one piece: what comes next may be another's.
        let behind = others.iter().map(|symbol| symbol.address);
        let end = behind.filter(|&address| address > last).min();
        faults.require(start, end.unwrap_or(MODULES_END))?;
        Ok(faults)
    }

    fn require(&self, start: u64, end: u64) -> Result<()> {
        self.set("require-start", &format!("{start:#x}"))?;
        self.set("require-end", &format!("{end:#x}"))
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

/// A line of `/proc/kallsyms`.
struct Symbol {
    address: u64,
    is_code: bool,
    name: String,
    /// In brackets; empty for the kernel itself.
    module: String,
}

fn symbols() -> Result<Vec<Symbol>> {
    let text = fs::read_to_string("/proc/kallsyms").context("/proc/kallsyms")?;
    let symbol = |line: &str| -> Option<Symbol> {
        let mut words = line.split_whitespace();
        Some(Symbol {
            address: u64::from_str_radix(words.next()?, 16).ok()?,
            is_code: matches!(words.next()?, "t" | "T" | "w" | "W"),
            name: words.next()?.to_owned(),
            module: words.next().unwrap_or_default().to_owned(),
        })
    };
    Ok(text.lines().filter_map(symbol).collect())
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
