// SPDX-License-Identifier: GPL-2.0

//! `parking_lot` as loom can follow it: its mutex, which is never poisoned.

#![allow(missing_docs)]

pub use loom::sync::MutexGuard;

#[derive(Debug)]
pub struct Mutex<T>(loom::sync::Mutex<T>);

impl<T> Mutex<T> {
    pub fn new(value: T) -> Self {
        Self(loom::sync::Mutex::new(value))
    }

    #[track_caller]
    pub fn lock(&self) -> MutexGuard<'_, T> {
        kernel::trace(|| "lock".to_owned());
        self.0.lock().expect("nobody has panicked")
    }

    pub fn into_inner(self) -> T {
        self.0.into_inner().expect("nobody has panicked")
    }
}
