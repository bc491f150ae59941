// SPDX-License-Identifier: GPL-2.0

//! Read-only files in debugfs.

use kernel::{
    debugfs::{
        Dir,
        File,
        Writer, //
    },
    fmt,
    prelude::*,
    str::CStr, //
};

/// Writes what a file contains. May sleep.
pub(super) type Show = fn(&mut fmt::Formatter<'_>) -> fmt::Result;

/// A directory and the files in it. They exist as long as this does.
#[pin_data]
pub(in crate::connector) struct Files {
    #[pin]
    first: File<Shown>,
    #[pin]
    second: File<Shown>,
}

impl Files {
    /// Makes a directory with these files.
    ///
    /// Nothing is done about errors, as debugfs wants it.
    pub(super) fn new(
        name: &'static CStr,
        files: [(&'static CStr, &'static Show); 2],
    ) -> impl PinInit<Self> {
        let dir = Dir::new(name);
        let [first, second] = files;
        pin_init!(Self {
            first <- dir.read_only_file(first.0, Shown(first.1)),
            second <- dir.read_only_file(second.0, Shown(second.1)),
        })
    }
}

/// What a function shows.
struct Shown(&'static Show);

impl Writer for Shown {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (self.0)(f)
    }
}
