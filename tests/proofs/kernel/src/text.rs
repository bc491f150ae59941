// SPDX-License-Identifier: GPL-2.0

//! Text.

use std::ffi::{CStr, c_char};
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

/// As the kernel's trait of that name.
pub trait CStrExt {
    fn as_char_ptr(&self) -> *const c_char;
}

impl CStrExt for CStr {
    fn as_char_ptr(&self) -> *const c_char {
        self.as_ptr()
    }
}
