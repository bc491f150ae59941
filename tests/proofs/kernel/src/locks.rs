// SPDX-License-Identifier: GPL-2.0

//! What a task waits for.

use std::convert::Infallible;
use std::mem::transmute;
use std::ops::{Deref, DerefMut};
use std::rc::Rc;

use loom::cell::UnsafeCell;
use loom::sync::{Condvar, Mutex as LoomMutex, MutexGuard};
use pinned_init::{PinInit, pin_init_from_closure};

use crate::execution::{self, Placed};

/// As the kernel's type of that name.
pub struct Completion {
    done: LoomMutex<bool>,
    changed: Condvar,
    /// What it lies in.
    memory: UnsafeCell<()>,
}

impl Completion {
    pub fn new() -> impl PinInit<Self> {
        let init = |memory: *mut Self| {
            let new = Self {
                done: LoomMutex::new(false),
                changed: Condvar::new(),
                memory: UnsafeCell::new(()),
            };
            // SAFETY: It is to be initialised.
            unsafe { memory.write(new) };
            Ok::<(), Infallible>(())
        };
        // SAFETY: It was initialised then.
        unsafe { pin_init_from_closure(init) }
    }

    /// Comes once: the slot's rule, not the kernel's.
    #[track_caller]
    pub fn complete_all(&self) {
        execution::trace(|| "complete".to_owned());
        self.memory.with(|_| ());
        let mut done = self.done.lock().expect("nobody has panicked");
        assert!(!*done, "it was completed twice");
        *done = true;
        self.changed.notify_all();
    }

    #[track_caller]
    pub fn wait_for_completion(&self) {
        execution::might_sleep();
        execution::trace(|| "wait for completion".to_owned());
        self.memory.with(|_| ());
        let mut done = self.done.lock().expect("nobody has panicked");
        while !*done {
            done = self.changed.wait(done).expect("nobody has panicked");
        }
    }
}

impl Drop for Completion {
    fn drop(&mut self) {
        if execution::is_running() {
            self.memory.with_mut(|_| ());
        }
    }
}

/// As the kernel's type of that name.
pub struct Mutex<T>(LoomMutex<T>);

impl<T> Mutex<T> {
    pub fn new(value: T) -> impl PinInit<Self> {
        let init = |memory: *mut Self| {
            // SAFETY: It is to be initialised.
            unsafe { memory.write(Self(LoomMutex::new(value))) };
            Ok::<(), Infallible>(())
        };
        // SAFETY: It was initialised then.
        unsafe { pin_init_from_closure(init) }
    }

    #[track_caller]
    pub fn lock(&self) -> MutexGuard<'_, T> {
        execution::might_sleep();
        execution::trace(|| "lock".to_owned());
        self.0.lock().expect("nobody has panicked")
    }
}

/// As the kernel's macro of that name.
#[macro_export]
macro_rules! new_mutex {
    ($value:expr) => {
        $crate::sync::Mutex::new($value)
    };
}

/// As the kernel's type of that name.
pub struct LockClassKey;

/// As the kernel's macro of that name.
#[macro_export]
macro_rules! static_lock_class {
    () => {
        ::core::pin::Pin::static_ref(&$crate::sync::LockClassKey)
    };
}

/// A lock that is static.
pub struct GlobalLock<T: 'static> {
    make: fn() -> T,
    may_sleep: bool,
    placed: Placed,
}

impl<T: 'static> GlobalLock<T> {
    pub const fn new(make: fn() -> T, may_sleep: bool) -> Self {
        Self {
            make,
            may_sleep,
            placed: Placed::new(),
        }
    }

    /// Makes it usable, in this interleaving.
    ///
    /// # Safety
    ///
    /// As the kernel's.
    pub unsafe fn init(&self) {
        let lock = Rc::new(LoomMutex::new((self.make)()));
        execution::current().add_lock(&self.placed, lock);
    }

    #[track_caller]
    pub fn lock(&self) -> Guard<T> {
        if self.may_sleep {
            execution::might_sleep();
        }
        execution::trace(|| "lock".to_owned());
        let lock = execution::current()
            .lock(&self.placed)
            .downcast::<LoomMutex<T>>()
            .expect("it was made by init()");
        let guard = lock.lock().expect("nobody has panicked");
        // SAFETY: Only the lifetime changes; the guard has a reference to the lock, which it drops
        // later.
        let guard = unsafe { transmute::<MutexGuard<'_, T>, MutexGuard<'static, T>>(guard) };
        Guard { guard, _lock: lock }
    }
}

/// Unlocks it when dropped.
pub struct Guard<T: 'static> {
    guard: MutexGuard<'static, T>,
    // Dropped after the guard.
    _lock: Rc<LoomMutex<T>>,
}

impl<T> Deref for Guard<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.guard
    }
}

impl<T> DerefMut for Guard<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.guard
    }
}

/// As the kernel's macro of that name.
#[macro_export]
macro_rules! global_lock {
    ($(#[$attribute:meta])* unsafe(uninit) static $name:ident: Mutex<$inner:ty> = $value:expr;) => {
        $(#[$attribute])*
        static $name: $crate::sync::GlobalLock<$inner> =
            $crate::sync::GlobalLock::new(|| $value, true);
    };
    ($(#[$attribute:meta])* unsafe(uninit) static $name:ident: SpinLock<$inner:ty> = $value:expr;) => {
        $(#[$attribute])*
        static $name: $crate::sync::GlobalLock<$inner> =
            $crate::sync::GlobalLock::new(|| $value, false);
    };
}
