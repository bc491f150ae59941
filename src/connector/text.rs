// SPDX-License-Identifier: GPL-2.0

//! Whose code something is.
//!
//! A service, or an observer, belongs to the module that the functions lie in which are called for
//! it. They were made for the user's type when the user's module was compiled, and so nobody has to
//! be asked, and nobody can say something wrong.

use crate::bindings;

/// Whether an address lies in the memory of `module`.
pub(crate) fn is_in(module: &bindings::module, address: usize) -> bool {
    module
        .mem
        .iter()
        .any(|memory| address.wrapping_sub(memory.base.addr()) < memory.size as usize)
}
