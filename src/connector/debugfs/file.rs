// SPDX-License-Identifier: GPL-2.0

//! Read-only files in debugfs that keep this module loaded while they are open.
//!
//! The files that the kernel crate makes have no owner: a module can be unloaded while one of them
//! is open, and closing it then calls into memory that is gone.

use core::ptr;

use kernel::{
    fmt,
    prelude::*,
    seq_file::SeqFile,
    seq_print,
    str::CStr, //
};

use crate::{
    bindings,
    home, //
};

/// Writes what a file contains. May sleep.
pub(super) type Show = fn(&mut fmt::Formatter<'_>) -> fmt::Result;

/// A directory and the files in it. They exist as long as this does.
pub(crate) struct Files(*mut bindings::dentry);

// SAFETY: The pointer is only handed to debugfs, which has locks of its own.
unsafe impl Send for Files {}
// SAFETY: As above.
unsafe impl Sync for Files {}

impl Files {
    /// Makes a directory with these files.
    ///
    /// Nothing is done about errors, as debugfs wants it.
    pub(super) fn new(name: &'static CStr, files: [(&'static CStr, &'static Show); 2]) -> Self {
        // SAFETY: The name is a C string.
        let dir = unsafe { bindings::debugfs_create_dir(name.as_char_ptr(), ptr::null_mut()) };
        for (name, show) in files {
            // SAFETY: `dir` is what debugfs returned, be it an error. The operations live as long
            // as this module, which they keep while the file is open; so does `show`, which is
            // what they take the file's data for.
            unsafe {
                bindings::debugfs_create_file_full(
                    name.as_char_ptr(),
                    0o444,
                    dir,
                    ptr::from_ref(show).cast_mut().cast(),
                    ptr::null(),
                    &OPERATIONS.0,
                )
            };
        }
        Self(dir)
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        // SAFETY: This is what debugfs returned for the directory, or an error.
        unsafe { bindings::debugfs_remove(self.0) };
    }
}

struct Operations(bindings::file_operations);

// SAFETY: Never written to; what is pointed to is used by the kernel alone.
unsafe impl Sync for Operations {}

static OPERATIONS: Operations = Operations(bindings::file_operations {
    owner: home::OWNER,
    open: Some(open),
    read: Some(bindings::seq_read),
    llseek: Some(bindings::seq_lseek),
    release: Some(bindings::single_release),
    ..pin_init::zeroed()
});

/// # Safety
///
/// Must only be called to open one of [`Files`].
unsafe extern "C" fn open(inode: *mut bindings::inode, file: *mut bindings::file) -> c_int {
    // SAFETY: `file` is being opened, and `inode` is its. Its data is what `show` takes.
    unsafe { bindings::single_open(file, Some(show), (*inode).i_private) }
}

/// # Safety
///
/// `seq` must be valid, and used by nobody else meanwhile; its data must point to a [`Show`].
unsafe extern "C" fn show(seq: *mut bindings::seq_file, _: *mut c_void) -> c_int {
    // SAFETY: By this function's contract.
    let show = unsafe { *(*seq).private.cast::<Show>() };
    // SAFETY: As above.
    let seq = unsafe { SeqFile::from_raw(seq) };
    seq_print!(seq, "{}", Shown(show));
    0
}

/// What a function shows, as something that can be printed.
struct Shown(Show);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (self.0)(f)
    }
}
