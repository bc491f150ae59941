// SPDX-License-Identifier: GPL-2.0

//! What lies in the memory of a module that goes.

use crate::bindings;

/// Whether `address` lies in the memory of `module`.
pub(crate) fn holds(module: &bindings::module, address: usize) -> bool {
    module
        .mem
        .iter()
        .any(|memory| address.wrapping_sub(memory.base.addr()) < memory.size as usize)
}
