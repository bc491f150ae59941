// SPDX-License-Identifier: GPL-2.0

//! The crate `connector` on a kernel that has it as a part of itself: other names for what is there, so
//! that a module is the same source on either. There is no code in it.

pub use kernel::connector::*;
