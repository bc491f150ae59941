// SPDX-License-Identifier: GPL-2.0

//! Text.

use std::fmt;

/// As the kernel's type of that name.
#[repr(transparent)]
pub struct BStr([u8]);

impl BStr {
    pub const fn from_bytes(bytes: &[u8]) -> &Self {
        // SAFETY: It is nothing but the bytes.
        unsafe { &*(bytes as *const [u8] as *const Self) }
    }
}

impl fmt::Display for BStr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        String::from_utf8_lossy(&self.0).fmt(f)
    }
}
