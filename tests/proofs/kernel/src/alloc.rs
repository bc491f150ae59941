// SPDX-License-Identifier: GPL-2.0

//! Memory. What is freed stays what it was until the interleaving is over.

use std::alloc::Layout;
use std::convert::Infallible;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

use loom::sync::atomic::{Ordering::Acquire, fence};
use pinned_init::{PinInit, pin_init_from_closure};

use crate::error::{Error, Result};
use crate::execution;
use crate::sync::atomic::{Atomic, Relaxed, Release};

pub struct Flags;

pub const GFP_KERNEL: Flags = Flags;

/// There is memory always, for who may wait for it.
#[track_caller]
fn allocate() {
    execution::might_sleep();
    execution::current().count_allocation();
}

/// Drops what is in an allocation, and gives that up.
///
/// # Safety
///
/// It comes from a [`Box`], and nobody else owns it.
unsafe fn free<T>(memory: NonNull<T>) {
    if !execution::is_running() {
        return;
    }
    // SAFETY: By this function's contract.
    unsafe { memory.drop_in_place() };
    execution::current().keep_freed(memory.as_ptr().cast(), Layout::new::<T>());
}

/// As the kernel's type of that name.
pub struct KBox<T>(NonNull<T>);

impl<T> KBox<T> {
    #[track_caller]
    pub fn new(value: T, _: Flags) -> Result<Self> {
        allocate();
        Ok(Self(NonNull::from(Box::leak(Box::new(value)))))
    }

    /// Whoever has the reference may never free it.
    pub fn leak<'a>(this: Self) -> &'a mut T {
        let raw = Self::into_raw(this);
        execution::current().leak(raw.cast());
        // SAFETY: It is valid, and nobody else's.
        unsafe { &mut *raw }
    }

    pub fn into_raw(this: Self) -> *mut T {
        std::mem::ManuallyDrop::new(this).0.as_ptr()
    }

    /// # Safety
    ///
    /// As the kernel's.
    pub unsafe fn from_raw(raw: *mut T) -> Self {
        execution::current().take_over(raw.cast());
        Self(NonNull::new(raw).expect("a box is not at null"))
    }
}

impl<T> Drop for KBox<T> {
    fn drop(&mut self) {
        // SAFETY: It comes from a box, which is ours.
        unsafe { free(self.0) };
    }
}

#[repr(C)]
struct Inner<T> {
    count: Atomic<usize>,
    value: T,
}

/// As the kernel's type of that name.
pub struct Arc<T>(NonNull<Inner<T>>);

// SAFETY: As the kernel's.
unsafe impl<T: Send + Sync> Send for Arc<T> {}
// SAFETY: As the kernel's.
unsafe impl<T: Send + Sync> Sync for Arc<T> {}

impl<T> Arc<T> {
    #[track_caller]
    pub fn new(value: T, flags: Flags) -> Result<Self> {
        let write = |memory: *mut T| {
            // SAFETY: It is to be initialised.
            unsafe { memory.write(value) };
            Ok::<(), Infallible>(())
        };
        // SAFETY: It was initialised then.
        Self::pin_init(unsafe { pin_init_from_closure(write) }, flags)
    }

    #[track_caller]
    pub fn pin_init<E>(init: impl PinInit<T, E>, _: Flags) -> Result<Self>
    where
        Error: From<E>,
    {
        allocate();
        let inner = Box::leak(Box::<Inner<T>>::new_uninit()).as_mut_ptr();
        // SAFETY: The memory is ours, and what it has stays there.
        unsafe {
            (&raw mut (*inner).count).write(Atomic::new(1));
            init.__pinned_init(&raw mut (*inner).value)?;
        }
        Ok(Self(NonNull::new(inner).expect("a box is not at null")))
    }

    pub fn ptr_eq(this: &Self, other: &Self) -> bool {
        this.0 == other.0
    }

    pub fn as_ptr(this: &Self) -> *const T {
        // SAFETY: We have a reference.
        unsafe { &raw const (*this.0.as_ptr()).value }
    }

    pub fn into_raw(this: Self) -> *const T {
        let inner = std::mem::ManuallyDrop::new(this).0;
        // SAFETY: It is valid.
        unsafe { &raw const (*inner.as_ptr()).value }
    }

    /// # Safety
    ///
    /// As the kernel's.
    pub unsafe fn from_raw(value: *const T) -> Self {
        let inner = crate::container_of!(value, Inner<T>, value).cast_mut();
        Self(NonNull::new(inner).expect("an Arc is not at null"))
    }
}

impl<T> Clone for Arc<T> {
    fn clone(&self) -> Self {
        // SAFETY: We have a reference.
        unsafe { self.0.as_ref() }.count.fetch_add(1, Relaxed);
        Self(self.0)
    }
}

impl<T> Deref for Arc<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: We have a reference.
        &unsafe { self.0.as_ref() }.value
    }
}

impl<T> Drop for Arc<T> {
    fn drop(&mut self) {
        if !execution::is_running() {
            return;
        }
        // As `refcount_dec_and_test()`, which takes up what others have released if it was the last.
        //
        // SAFETY: We have a reference.
        if unsafe { self.0.as_ref() }.count.fetch_sub(1, Release) == 1 {
            fence(Acquire);
            // SAFETY: It comes from a box, and was the last reference.
            unsafe { free(self.0) };
        }
    }
}

/// As the kernel's type of that name, which takes its memory from elsewhere.
pub type KVVec<T> = KVec<T>;

/// As the kernel's type of that name.
pub struct KVec<T>(Vec<T>);

impl<T> KVec<T> {
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    #[track_caller]
    pub fn with_capacity(capacity: usize, _: Flags) -> Result<Self> {
        execution::might_sleep();
        Ok(Self(Vec::with_capacity(capacity)))
    }

    /// Makes room for so many, and no more.
    #[track_caller]
    pub fn reserve(&mut self, more: usize, _: Flags) -> Result {
        execution::might_sleep();
        self.0.reserve_exact(more);
        Ok(())
    }

    #[track_caller]
    pub fn push(&mut self, value: T, _: Flags) -> Result {
        execution::might_sleep();
        self.0.push(value);
        Ok(())
    }

    pub fn push_within_capacity(&mut self, value: T) -> Result {
        assert!(self.0.len() < self.0.capacity(), "there is no room");
        self.0.push(value);
        Ok(())
    }

    pub fn remove(&mut self, at: usize) -> Result<T> {
        Ok(self.0.remove(at))
    }

    pub fn retain(&mut self, f: impl FnMut(&T) -> bool) {
        let mut f = f;
        self.0.retain(|value| f(value));
    }
}

impl<T> Default for KVec<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Deref for KVec<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T> DerefMut for KVec<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.0
    }
}

impl<'a, T> IntoIterator for &'a KVec<T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}
