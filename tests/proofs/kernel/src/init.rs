// SPDX-License-Identifier: GPL-2.0

//! What C's side has.

use std::cell::UnsafeCell;
use std::mem::MaybeUninit;

/// As the kernel's type of that name.
#[repr(transparent)]
pub struct Opaque<T>(UnsafeCell<MaybeUninit<T>>);

impl<T> Opaque<T> {
    pub const fn uninit() -> Self {
        Self(UnsafeCell::new(MaybeUninit::uninit()))
    }

    pub const fn get(&self) -> *mut T {
        self.0.get().cast()
    }

    pub const fn cast_from(raw: *const T) -> *const Self {
        raw.cast()
    }
}
