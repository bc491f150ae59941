// SPDX-License-Identifier: GPL-2.0

//! Whose code something is.
//!
//! A service, or an observer, belongs to the module that the functions lie in which are called for
//! it. They were made for the user's type when the user's module was compiled, and so nobody has to
//! be asked, and nobody can say something wrong.
//!
//! What such a value has inside is not looked at. If one module hands a closure or a function
//! pointer to another, which keeps it in a handler, then the handler is the other one's, and the
//! first has to be asked back before it goes: as everywhere in the kernel, where `'static` holds
//! only as long as the module does.

use core::ptr::NonNull;

use kernel::types::Opaque;

use crate::bindings;

/// A module.
///
/// C counterpart: `struct module`. C goes on writing to it: its state, its count of references.
///
/// # Invariants
///
/// It is a module's, which has its memory, and nobody changes what says where that is.
#[repr(transparent)]
pub(crate) struct Module(Opaque<bindings::module>);

impl Module {
    /// # Safety
    ///
    /// `module` must point to one that stays loaded during `'a`, and of which the loader does not change meanwhile
    /// where its memory is. It does until the module was initialised.
    pub(crate) unsafe fn from_raw<'a>(module: NonNull<bindings::module>) -> &'a Self {
        // SAFETY: By this function's contract. `Self` is transparent. INVARIANT: Nobody changes that.
        unsafe { module.cast().as_ref() }
    }
}

/// Whether an address lies in the memory of `module`.
pub(crate) fn is_in(module: &Module, address: usize) -> bool {
    // SAFETY: By the type's invariants this is there, and nobody writes to it.
    let memory = unsafe { &(*module.0.get()).mem };
    memory
        .iter()
        .any(|part| address.wrapping_sub(part.base.addr()) < part.size as usize)
}
