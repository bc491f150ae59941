// SPDX-License-Identifier: GPL-2.0

//! How many objects the kernel has allocated, to see what is never given back.
//!
//! kmemleak finds each such object, but only on a kernel that is made for it, and only what nobody
//! refers to any more.

use std::{
    cell::RefCell,
    fs::{self, File, OpenOptions},
    os::unix::fs::FileExt,
    path::Path,
};

use anyhow::{Context, Result, ensure};

use crate::{skip, wait_for};

/// The objects of one size.
#[derive(Debug)]
struct Cache {
    name: String,
    shrink: File,
    objects: File,
}

impl Cache {
    fn open(folder: &Path, name: String) -> Result<Self> {
        Ok(Self {
            name,
            shrink: writable(&folder.join("shrink"))?,
            objects: File::open(folder.join("objects"))?,
        })
    }

    /// How many there are now.
    fn count(&self) -> Result<u64> {
        // Takes back what the allocator keeps for the next one.
        self.shrink.write_all_at(b"1", 0)?;
        let mut text = [0; 64];
        let len = self.objects.read_at(&mut text, 0)?;
        let text = std::str::from_utf8(&text[..len])?;
        Ok(text.split_whitespace().next().unwrap_or_default().parse()?)
    }
}

/// How many objects there were of each size that modules and sockets allocate.
///
/// The files that tell are opened once. Each opening takes an object, which is given back a grace
/// period later: who opens them again and again counts his own.
#[derive(Debug)]
pub struct Objects {
    drop_caches: File,
    before: Vec<(Cache, u64)>,
}

impl Objects {
    /// So many come and go by themselves.
    const FLUCTUATION: u64 = 20;

    /// Counts them. Skips the test on a kernel that does not.
    pub fn count() -> Result<Self> {
        let mut before = Vec::new();
        if !fs::exists("/sys/kernel/slab/kmalloc-1k/objects")? {
            return skip("the kernel lacks CONFIG_SLUB_DEBUG, without which it counts no objects");
        }
        for folder in fs::read_dir("/sys/kernel/slab").context("/sys/kernel/slab")? {
            let folder = folder?;
            let name = folder.file_name().to_string_lossy().into_owned();
            if ["kmalloc-", "skbuff_"]
                .iter()
                .any(|kind| name.starts_with(kind))
            {
                before.push((Cache::open(&folder.path(), name)?, 0));
            }
        }
        ensure!(!before.is_empty(), "no cache in /sys/kernel/slab");
        let drop_caches = writable(Path::new("/proc/sys/vm/drop_caches"))?;
        drop_caches.write_all_at(b"2", 0)?;
        for (cache, count) in &mut before {
            *count = cache.count()?;
        }
        Ok(Self {
            drop_caches,
            before,
        })
    }

    /// Does something so many times, and fails if it leaves an object each time.
    pub fn expect_none_left(times: u64, f: impl Fn() -> Result<()>) -> Result<()> {
        // What it does is seen to work, whether that is counted or not.
        let before = Self::count();
        (0..times).try_for_each(|_| f())?;
        before?.expect_no_more(times)
    }

    /// Fails if something was done so many times since, and each time left an object: unless fewer
    /// than half as many are there in addition, of every size, or than `FLUCTUATION`.
    pub fn expect_no_more(&self, times: u64) -> Result<()> {
        let limit = (times / 2).max(Self::FLUCTUATION);
        let most = RefCell::new(String::new());
        let settled = wait_for("memory is given back", || {
            // Has given back what waits for that.
            self.drop_caches.write_all_at(b"2", 0)?;
            let mut more = Vec::new();
            for (cache, before) in &self.before {
                more.push((cache.count()?.saturating_sub(*before), &cache.name));
            }
            let (more, name) = more.into_iter().max().context("no cache")?;
            *most.borrow_mut() = format!("{more} objects more in {name} than before");
            Ok((more < limit).then_some(()))
        });
        let most = most.into_inner();
        println!("# {most}");
        settled.context(most)
    }
}

fn writable(path: &Path) -> Result<File> {
    let file = OpenOptions::new().write(true).open(path);
    file.with_context(|| path.display().to_string())
}
