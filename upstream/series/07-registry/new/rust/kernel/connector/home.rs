// SPDX-License-Identifier: GPL-2.0

//! What depends on where the connector lives: it is a part of the kernel, which does not go.

use core::ptr;

use crate::bindings;

/// The module, for whoever keeps it loaded: none.
pub(in crate::connector) const OWNER: *mut bindings::module = ptr::null_mut();
