// SPDX-License-Identifier: GPL-2.0

//! `/proc/net/connector`: the registered ids, in the order in which they came, in the format of the
//! kernel's own core.

use core::ptr;

use kernel::{
    prelude::*,
    seq_file::SeqFile,
    seq_print, //
};

use crate::{
    bindings,
    registry, //
};

#[cfg(CONFIG_PROC_FS)]
const NAME: &kernel::str::CStr = c"connector";

/// The file, as long as this exists; null if there is none.
pub(super) struct File(*mut bindings::proc_dir_entry);

// SAFETY: The pointer is only handed to procfs, which has locks of its own.
unsafe impl Send for File {}
// SAFETY: As above.
unsafe impl Sync for File {}

impl File {
    /// Makes the file. That there is none is no error, as in C.
    pub(super) fn new() -> Self {
        #[cfg(CONFIG_PROC_FS)]
        // SAFETY: The initial namespace's folder is there forever. `show` may be called until the file
        // is removed, which is when this is dropped.
        let file = unsafe {
            bindings::proc_create_single_data(
                NAME.as_char_ptr(),
                0o444,
                bindings::init_net.proc_net,
                Some(show),
                ptr::null_mut(),
            )
        };
        #[cfg(not(CONFIG_PROC_FS))]
        let file = ptr::null_mut();
        Self(file)
    }
}

impl Drop for File {
    fn drop(&mut self) {
        #[cfg(CONFIG_PROC_FS)]
        // SAFETY: This is what procfs returned, or null, of which it makes nothing. Waits for who reads
        // the file.
        unsafe {
            bindings::proc_remove(self.0)
        };
        #[cfg(not(CONFIG_PROC_FS))]
        let _ = self.0;
    }
}

/// Writes what the file contains.
///
/// # Safety
///
/// `seq` must be valid, and used by nobody else meanwhile.
#[cfg_attr(not(CONFIG_PROC_FS), expect(dead_code))]
unsafe extern "C" fn show(seq: *mut bindings::seq_file, _: *mut c_void) -> c_int {
    let Ok(list) = registry::list() else {
        return ENOMEM.to_errno();
    };
    // SAFETY: By this function's contract.
    let file = unsafe { SeqFile::from_raw(seq) };
    seq_print!(file, "{:<15} {}\n", "Name", "ID");
    for (service, ..) in &list.registered {
        let name: &[u8] = service.name();
        // As it is, whatever bytes those are.
        //
        // SAFETY: By this function's contract, and the name has that many bytes.
        unsafe { bindings::seq_write(seq, name.as_ptr().cast(), name.len()) };
        let id = service.id();
        let blanks = 15_usize.saturating_sub(name.len());
        seq_print!(file, "{:blanks$} {}:{}\n", "", id.idx, id.val);
    }
    0
}
