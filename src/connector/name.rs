// SPDX-License-Identifier: GPL-2.0

//! The name that an id is registered under.

use kernel::str::{
    BStr,
    CStr, //
};

use crate::bindings;

/// A copy of a name, cut to what the core shows of it.
#[derive(Clone, Copy)]
pub(crate) struct Name {
    bytes: [u8; Self::SIZE],
    len: usize,
}

impl Name {
    /// What the core keeps of a name, less the NUL.
    const SIZE: usize = bindings::CN_CBQ_NAMELEN as usize - 1;

    pub(crate) fn new(name: &CStr) -> Self {
        let mut bytes = [0; Self::SIZE];
        let mut len = 0;
        for (to, from) in bytes.iter_mut().zip(name.to_bytes()) {
            *to = *from;
            len += 1;
        }
        Self { bytes, len }
    }

    /// The name as the kernel's formatting macros take it, which escape what cannot be printed.
    pub(crate) fn as_bstr(&self) -> &BStr {
        BStr::from_bytes(self.bytes.get(..self.len).unwrap_or_default())
    }
}
