// SPDX-License-Identifier: GPL-2.0

//! Which code of the kernel the calling thread has reached, on kernels that keep track of it
//! (`CONFIG_KCOV`). A handler runs inside `sendmsg(2)` and counts as its sender's.

use std::{
    collections::HashSet,
    fs::{File, OpenOptions},
    io::ErrorKind,
    marker::PhantomData,
    mem::size_of,
    num::NonZeroUsize,
    os::fd::AsRawFd,
    ptr::NonNull,
    slice,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

use anyhow::{Context, Result};
use nix::{
    ioctl_write_int_bad, libc, request_code_none, request_code_read,
    sys::mman::{MapFlags, ProtFlags, mmap, munmap},
};

const PATH: &str = "/sys/kernel/debug/kcov";

/// How many places fit into the buffer between two calls of [`Kcov::collect`].
const PLACES: usize = 1 << 18;

// What `linux/kcov.h` defines.
ioctl_write_int_bad!(init_trace, request_code_read!(b'c', 1, size_of::<usize>()));
ioctl_write_int_bad!(enable, request_code_none!(b'c', 100));
const TRACE_PC: libc::c_int = 0;

/// A buffer into which the kernel writes where the thread has come by.
pub struct Kcov {
    file: File,
    buffer: NonNull<AtomicUsize>,
    seen: HashSet<usize>,
    /// It is one thread's.
    _thread: PhantomData<*const ()>,
}

impl Kcov {
    const SIZE: NonZeroUsize = NonZeroUsize::new(PLACES * size_of::<usize>()).unwrap();

    /// Opens it, as only root can; `None` if the kernel has no such thing.
    pub fn open() -> Result<Option<Self>> {
        let file = match OpenOptions::new().read(true).write(true).open(PATH) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).context(PATH),
        };
        let fd = file.as_raw_fd();
        // CAST: It is that small.
        // SAFETY: The argument is a number, and the kernel reads no memory of ours.
        unsafe { init_trace(fd, PLACES as libc::c_int) }.context("KCOV_INIT_TRACE")?;
        // SAFETY: A new mapping, of the size that the buffer was just given.
        let buffer = unsafe {
            mmap(
                None,
                Self::SIZE,
                ProtFlags::PROT_READ | ProtFlags::PROT_WRITE,
                MapFlags::MAP_SHARED,
                &file,
                0,
            )
        }
        .context("mmap")?;
        Ok(Some(Self {
            file,
            buffer: buffer.cast(),
            seen: HashSet::new(),
            _thread: PhantomData,
        }))
    }

    /// Begins with the calling thread, and goes on until that ends.
    pub fn start(&self) -> Result<()> {
        // SAFETY: The argument is a number; the kernel writes to a buffer that it keeps itself.
        unsafe { enable(self.file.as_raw_fd(), TRACE_PC) }.context("KCOV_ENABLE")?;
        Ok(())
    }

    /// Takes what is in the buffer.
    pub fn collect(&mut self) {
        // SAFETY: The mapping has so many words, which are initialised, and lives as long as
        // `self`; the kernel writes to it inside this thread's system calls only.
        let words = unsafe { slice::from_raw_parts(self.buffer.as_ptr(), PLACES) };
        // The first word is how many follow.
        let Some((count, places)) = words.split_first() else {
            return;
        };
        let count = count.swap(0, Relaxed).min(places.len());
        self.seen
            .extend(places[..count].iter().map(|place| place.load(Relaxed)));
    }

    /// How many different places were reached.
    pub fn places(&self) -> usize {
        self.seen.len()
    }
}

impl Drop for Kcov {
    fn drop(&mut self) {
        // SAFETY: Nobody refers to the mapping, which is of this size. The kernel does not need it:
        // it has the buffer itself.
        let _ = unsafe { munmap(self.buffer.cast(), Self::SIZE.get()) };
    }
}
