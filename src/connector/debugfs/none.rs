// SPDX-License-Identifier: GPL-2.0

//! No files, on a kernel without debugfs.

use kernel::{
    fmt,
    str::CStr, //
};

/// What would write what a file contains.
pub(super) type Show = fn(&mut fmt::Formatter<'_>) -> fmt::Result;

/// Nothing.
pub(crate) struct Files;

impl Files {
    pub(super) fn new(_name: &'static CStr, _files: [(&'static CStr, &'static Show); 2]) -> Self {
        Self
    }
}
