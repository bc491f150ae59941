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

use crate::bindings;

/// Whether an address lies in the memory of `module`.
pub(crate) fn is_in(module: &bindings::module, address: usize) -> bool {
    module
        .mem
        .iter()
        .any(|memory| address.wrapping_sub(memory.base.addr()) < memory.size as usize)
}
