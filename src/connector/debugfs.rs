// SPDX-License-Identifier: GPL-2.0

//! `rust_connector/stats` in debugfs: the counters.
//!
//! A line for every registered id, a line for all that ever were, and how many messages came for an
//! id that had just gone. Reading it keeps registering and unregistering waiting, but no message.

use kernel::{
    fmt,
    prelude::*, //
};

use crate::{
    dispatch,
    registry,
    stats::Snapshot, //
};

pub(crate) use self::file::Files;

/// The file, made by hand: those that the kernel crate makes have no owner, so that a module can be
/// unloaded while one is open. Closing it then calls into memory that is gone.
#[cfg(CONFIG_DEBUG_FS)]
mod file {
    use core::ptr;

    use kernel::{
        fmt,
        prelude::*,
        seq_file::SeqFile,
        seq_print, //
    };

    use crate::bindings;

    /// The directory and what is in it. They exist as long as this does.
    pub(crate) struct Files(*mut bindings::dentry);

    // SAFETY: The pointer is only handed to debugfs, which has locks of its own.
    unsafe impl Send for Files {}
    // SAFETY: As above.
    unsafe impl Sync for Files {}

    impl Files {
        pub(crate) fn new() -> Self {
            // Nothing is done about errors, as debugfs wants it: it knows them when it sees them.
            //
            // SAFETY: The names are C strings; the operations live as long as this module, which
            // they keep while the file is open. The file has no data.
            unsafe {
                let dir =
                    bindings::debugfs_create_dir(c"rust_connector".as_char_ptr(), ptr::null_mut());
                bindings::debugfs_create_file_full(
                    c"stats".as_char_ptr(),
                    0o444,
                    dir,
                    ptr::null_mut(),
                    ptr::null(),
                    &OPERATIONS.0,
                );
                Self(dir)
            }
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

    extern "C" {
        // A `module`, of which only the address is used here.
        static __this_module: u8;
    }

    static OPERATIONS: Operations = Operations(bindings::file_operations {
        owner: (&raw const __this_module).cast_mut().cast(),
        open: Some(open),
        read: Some(bindings::seq_read),
        llseek: Some(bindings::seq_lseek),
        release: Some(bindings::single_release),
        ..pin_init::zeroed()
    });

    /// # Safety
    ///
    /// Must only be called to open the file.
    unsafe extern "C" fn open(_: *mut bindings::inode, file: *mut bindings::file) -> c_int {
        // SAFETY: `file` is being opened; `show` takes no data.
        unsafe { bindings::single_open(file, Some(show), ptr::null_mut()) }
    }

    /// # Safety
    ///
    /// `seq` must be valid, and used by nobody else meanwhile.
    unsafe extern "C" fn show(seq: *mut bindings::seq_file, _: *mut c_void) -> c_int {
        // SAFETY: By this function's contract.
        let seq = unsafe { SeqFile::from_raw(seq) };
        seq_print!(seq, "{}", Stats);
        0
    }

    struct Stats;

    impl fmt::Display for Stats {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            super::show(f)
        }
    }
}

#[cfg(not(CONFIG_DEBUG_FS))]
mod file {
    /// Nothing.
    pub(crate) struct Files;

    impl Files {
        pub(crate) fn new() -> Self {
            let _ = super::show;
            Self
        }
    }
}

const HEADING: &str =
    "id received replied dropped_full dropped_gone dropped_nomem dropped_other running name\n";

/// Writes one line, in columns that `awk` can take apart. The name comes last: it may have blanks.
fn show_line(
    f: &mut fmt::Formatter<'_>,
    id: impl fmt::Display,
    counted: &Snapshot,
    running: i64,
    name: impl fmt::Display,
) -> fmt::Result {
    let Snapshot {
        received,
        replied,
        dropped,
    } = counted;
    f.write_fmt(fmt!(
        "{id} {received} {replied} {} {} {} {} {running} {name}\n",
        dropped.full,
        dropped.gone,
        dropped.no_memory,
        dropped.other
    ))
}

fn show(f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str(HEADING)?;
    let mut total = Snapshot::default();
    let mut total_running = 0;
    registry::for_each(|id, counted, registered| {
        total += counted;
        let Some((name, running)) = registered else {
            return Ok(());
        };
        total_running += running;
        show_line(f, id, &counted, running, name)
    })?;
    show_line(f, "total", &total, total_running, "-")?;
    f.write_fmt(fmt!("unclaimed {}\n", dispatch::unclaimed()))
}
