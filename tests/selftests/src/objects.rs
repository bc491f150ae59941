// SPDX-License-Identifier: GPL-2.0

//! How many objects the kernel has allocated, to see what is never given back.
//!
//! kmemleak finds each such object, but only on a kernel that is made for it, and only what nobody
//! refers to any more.

use std::{cell::RefCell, collections::BTreeMap, fs};

use anyhow::{Context, Result, ensure};

use crate::wait_for;

/// How many objects there were of each size that modules and sockets allocate.
#[derive(Debug)]
pub struct Objects(BTreeMap<String, u64>);

impl Objects {
    /// So many come and go by themselves.
    const FLUCTUATION: u64 = 20;

    /// Counts them.
    pub fn count() -> Result<Self> {
        // Has given back what waits for that, such as what our own looking here takes.
        fs::write("/proc/sys/vm/drop_caches", "2").context("drop_caches")?;
        let mut objects = BTreeMap::new();
        for cache in fs::read_dir("/sys/kernel/slab").context("/sys/kernel/slab")? {
            let cache = cache?;
            let name = cache.file_name().to_string_lossy().into_owned();
            if !["kmalloc-", "skbuff_"]
                .iter()
                .any(|kind| name.starts_with(kind))
            {
                continue;
            }
            // Takes back what the allocator keeps for the next one.
            fs::write(cache.path().join("shrink"), "1")?;
            let text = fs::read_to_string(cache.path().join("objects"))?;
            let count = text.split_whitespace().next().unwrap_or_default();
            objects.insert(name, count.parse()?);
        }
        ensure!(!objects.is_empty(), "no cache in /sys/kernel/slab");
        Ok(Self(objects))
    }

    /// Does something so many times, and fails if it leaves an object each time.
    ///
    /// What leaks does so always. What else the kernel happens to allocate meanwhile does not: two
    /// times out of two it has to be too much.
    pub fn expect_none_left(times: u64, f: impl Fn() -> Result<()>) -> Result<()> {
        let once = || {
            let before = Self::count()?;
            (0..times).try_for_each(|_| f())?;
            before.expect_no_more(times)
        };
        once().or_else(|_| once())
    }

    /// Fails if something was done so many times since, and each time left an object: unless fewer
    /// than half as many are there in addition, of every size, or than [`Self::FLUCTUATION`].
    pub fn expect_no_more(&self, times: u64) -> Result<()> {
        let limit = (times / 2).max(Self::FLUCTUATION);
        let most = RefCell::new(String::new());
        let settled = wait_for("memory is given back", || {
            let now = Self::count()?;
            let more = now.0.iter().map(|(name, now)| {
                let before = self.0.get(name).copied().unwrap_or(0);
                (now.saturating_sub(before), name)
            });
            let (more, name) = more.max().context("no cache")?;
            *most.borrow_mut() = format!("{more} objects more in {name} than before");
            Ok((more < limit).then_some(()))
        });
        let most = most.into_inner();
        println!("# {most}");
        settled.context(most)
    }
}
