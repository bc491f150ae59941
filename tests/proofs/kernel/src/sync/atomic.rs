// SPDX-License-Identifier: GPL-2.0

//! As the kernel's module of that name.

use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::{self as Of, AcqRel};

use loom::sync::atomic::fence;

use crate::execution::{self, Placed, Word};

pub struct Relaxed;
pub struct Acquire;
pub struct Release;
/// Taken as acquire and release, with a fence of that kind on both sides, and no more: nothing here
/// relies on more.
pub struct Full;

/// An ordering.
pub trait Ordering {
    const OF: Of;

    /// What comes before and after the operation.
    fn fence() {}
}

/// One that a load may have.
pub trait AcquireOrRelaxed: Ordering {}

/// One that a store may have.
pub trait ReleaseOrRelaxed: Ordering {}

impl Ordering for Relaxed {
    const OF: Of = Of::Relaxed;
}

impl Ordering for Acquire {
    const OF: Of = Of::Acquire;
}

impl Ordering for Release {
    const OF: Of = Of::Release;
}

impl Ordering for Full {
    const OF: Of = AcqRel;

    fn fence() {
        fence(AcqRel);
    }
}

impl AcquireOrRelaxed for Relaxed {}
impl AcquireOrRelaxed for Acquire {}
impl ReleaseOrRelaxed for Relaxed {}
impl ReleaseOrRelaxed for Release {}

/// What an atomic can have.
pub trait Value: Copy {
    fn to_bits(self) -> u64;
    fn from_bits(bits: u64) -> Self;
}

macro_rules! impl_value {
    ($($number:ty)*) => {$(
        impl Value for $number {
            fn to_bits(self) -> u64 {
                self as u64
            }

            fn from_bits(bits: u64) -> Self {
                bits as $number
            }
        }
    )*};
}

impl_value!(i32 i64 u32 u64 usize);

impl Value for bool {
    fn to_bits(self) -> u64 {
        self.into()
    }

    fn from_bits(bits: u64) -> Self {
        bits != 0
    }
}

impl<T> Value for *const T {
    fn to_bits(self) -> u64 {
        self.expose_provenance() as u64
    }

    fn from_bits(bits: u64) -> Self {
        std::ptr::with_exposed_provenance(bits as usize)
    }
}

impl<T> Value for *mut T {
    fn to_bits(self) -> u64 {
        self.cast_const().to_bits()
    }

    fn from_bits(bits: u64) -> Self {
        <*const T>::from_bits(bits).cast_mut()
    }
}

/// An atomic, by way of one of loom's, which starts at 0: what it has is the difference to the first
/// value.
pub struct Atomic<T: Value> {
    first: T,
    word: Placed,
    is_freed: AtomicBool,
}

// SAFETY: As the kernel's: what it has is only a number here.
unsafe impl<T: Value> Send for Atomic<T> {}
// SAFETY: As above.
unsafe impl<T: Value> Sync for Atomic<T> {}

impl<T: Value> Atomic<T> {
    pub const fn new(first: T) -> Self {
        Self {
            first,
            word: Placed::new(),
            is_freed: AtomicBool::new(false),
        }
    }

    fn encode(&self, value: T) -> u64 {
        value.to_bits().wrapping_sub(self.first.to_bits())
    }

    fn decode(&self, bits: u64) -> T {
        T::from_bits(bits.wrapping_add(self.first.to_bits()))
    }

    /// Does something with loom's atomic, and sees to it that this one is not freed before or
    /// meanwhile.
    fn with<R>(&self, f: impl FnOnce(&Word) -> R) -> R {
        let execution = execution::current();
        let word = execution.word(&self.word);
        self.check();
        word.memory.with(|_| ());
        let result = f(word);
        self.check();
        result
    }

    /// Notes what was done, and what was found or put there.
    #[track_caller]
    fn trace(&self, what: &str, value: T) -> T {
        execution::trace(|| format!("{what} {:#x}", value.to_bits()));
        value
    }

    fn check(&self) {
        assert!(
            !self.is_freed.load(Of::Relaxed),
            "an atomic is used after it was freed"
        );
    }

    fn with_fences<O: Ordering, R>(&self, f: impl FnOnce(&Word) -> R) -> R {
        O::fence();
        let result = self.with(f);
        O::fence();
        result
    }

    #[track_caller]
    pub fn load<O: AcquireOrRelaxed>(&self, _: O) -> T {
        let value = self.decode(self.with(|word| word.load(|value| value.load(O::OF))));
        self.trace("load", value)
    }

    #[track_caller]
    pub fn store<O: ReleaseOrRelaxed>(&self, value: T, _: O) {
        self.with(|word| word.modify(|word| word.store(self.encode(value), O::OF)));
        self.trace("store", value);
    }

    #[track_caller]
    pub fn add(&self, value: T, _: Relaxed) {
        self.fetch_add(value, Relaxed);
    }

    #[track_caller]
    pub fn fetch_add<O: Ordering>(&self, value: T, _: O) -> T {
        let value = value.to_bits();
        let old = self.with_fences::<O, _>(|word| word.modify(|word| word.fetch_add(value, O::OF)));
        self.trace("add to", self.decode(old))
    }

    #[track_caller]
    pub fn fetch_sub<O: Ordering>(&self, value: T, _: O) -> T {
        let value = value.to_bits();
        let old = self.with_fences::<O, _>(|word| word.modify(|word| word.fetch_sub(value, O::OF)));
        self.trace("subtract from", self.decode(old))
    }

    #[track_caller]
    pub fn xchg<O: Ordering>(&self, value: T, _: O) -> T {
        let value = self.encode(value);
        let old = self.with_fences::<O, _>(|word| word.modify(|word| word.swap(value, O::OF)));
        self.trace("exchange", self.decode(old))
    }

    #[track_caller]
    // With the orderings that somebody needs: the kernel's has none where it fails.
    pub fn cmpxchg<O: AcquireOrRelaxed>(&self, old: T, new: T, _: O) -> Result<T, T> {
        let (old, new) = (self.encode(old), self.encode(new));
        let found = self
            .with(|word| word.modify(|word| word.compare_exchange(old, new, O::OF, Of::Relaxed)));
        match found {
            Ok(bits) => Ok(self.trace("compare, and exchange", self.decode(bits))),
            Err(bits) => Err(self.trace("compare, and leave", self.decode(bits))),
        }
    }

    pub fn as_ptr(&self) -> Pointer<'_, T> {
        Pointer(self)
    }
}

/// Where an atomic lies. There is nothing to do with it but what the shipped files do, so that loom can
/// follow.
pub struct Pointer<'a, T: Value>(&'a Atomic<T>);

impl<T: Value> Pointer<'_, T> {
    /// One load, without an ordering.
    ///
    /// # Safety
    ///
    /// As the kernel's.
    #[track_caller]
    pub unsafe fn read_volatile(self) -> T {
        self.0.load(Relaxed)
    }
}

impl<T: Value> Drop for Atomic<T> {
    fn drop(&mut self) {
        self.is_freed.store(true, Of::Relaxed);
        if !execution::is_running() {
            return;
        }
        // Fails if somebody has not certainly used it before this.
        if let Some(word) = execution::current().word_if_used(&self.word) {
            word.memory.with_mut(|_| ());
        }
    }
}
