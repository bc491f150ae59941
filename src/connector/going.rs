// SPDX-License-Identifier: GPL-2.0

//! Which modules are going: nothing may be registered any more whose code lies in one of them.
//!
//! Whoever registers something asks here while it holds the lock of the list that it adds to, and adds to
//! it under the same lock. So when a module is known to go, what is found on such a list, under its
//! lock, is all that there will ever be of that module's.
//!
//! It is not the kernel's own state of a module that counts, `MODULE_STATE_GOING`: a module is in that
//! state while its exit function runs, which may register and unregister as it likes.

use core::ptr;

use kernel::{
    prelude::*,
    sync::global_lock, //
};

use crate::text::{
    self,
    Module, //
};

global_lock! {
    /// Taken with the locks of others held. Nobody's code runs under it, and nobody waits.
    unsafe(uninit) static GOING: Mutex<Modules> = Modules { first: ptr::null_mut() };
}

/// The list.
///
/// # Invariants
///
/// `first`, and each module's `next`, is null or a [`Going`] that is on the list, which exists for so long,
/// as does its module, and is used by nobody who does not hold the lock.
struct Modules {
    first: *mut Going,
}

// SAFETY: What is pointed to is used under the lock alone.
unsafe impl Send for Modules {}

struct Going {
    module: *const Module,
    next: *mut Going,
}

impl Modules {
    /// Whether an address lies in one of them.
    fn have(&self, address: usize) -> bool {
        let mut next = self.first.cast_const();
        // SAFETY: By the invariants; the lock is held, or there is no `self`.
        while let Some(going) = unsafe { next.as_ref() } {
            // SAFETY: As above.
            if text::is_in(unsafe { &*going.module }, address) {
                return true;
            }
            next = going.next;
        }
        false
    }

    fn remove(&mut self, going: *mut Going) {
        let mut link = &raw mut self.first;
        // SAFETY: By the invariants; and `going` is on the list, so that no link before it is null.
        unsafe {
            while *link != going {
                link = &raw mut (**link).next;
            }
            *link = (*going).next;
        }
    }
}

/// Makes this file usable.
///
/// # Safety
///
/// Must be called once, before anything else in this file.
pub(crate) unsafe fn init() {
    // SAFETY: By this function's contract.
    unsafe { GOING.init() };
}

/// Calls `f`, during which `module` is going. May sleep.
pub(crate) fn during(module: &Module, f: impl FnOnce()) {
    let mut going = Going {
        module,
        next: ptr::null_mut(),
    };
    let going = &raw mut going;
    {
        let mut modules = GOING.lock();
        // SAFETY: It is not on the list yet, so that nobody else uses it.
        unsafe { (*going).next = modules.first };
        // INVARIANT: It is on the list until this returns.
        modules.first = going;
    }
    f();
    GOING.lock().remove(going);
}

/// Whether any of these addresses lies in a module that is going. May sleep.
///
/// As long as a lock is held that was taken before this was called, and that is also taken after
/// [`during`] began by who looks what that module has, the answer "no" stays true for that look.
pub(crate) fn is_any_of(addresses: impl IntoIterator<Item = usize>) -> bool {
    let modules = GOING.lock();
    addresses.into_iter().any(|address| modules.have(address))
}
