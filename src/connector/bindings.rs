// SPDX-License-Identifier: GPL-2.0

//! The C side as bindgen sees it.
//!
//! Generated in the kernel's build directory from `bindings/bindings_helper.h`, with the flags
//! that the kernel itself was built with. Only what is named in `Kbuild` is generated; every type
//! that those items mention comes from the kernel's own bindings.

#![allow(
    clippy::all,
    clippy::ptr_as_ptr,
    clippy::ref_as_ptr,
    clippy::undocumented_unsafe_blocks,
    dead_code,
    improper_ctypes,
    missing_docs,
    non_camel_case_types,
    non_upper_case_globals,
    non_snake_case,
    unreachable_pub,
    unused_imports,
    unsafe_op_in_unsafe_fn
)]

pub(crate) use kernel::bindings::*;

include!(env!("CONNECTOR_BINDINGS"));

#[cfg(not(CONFIG_MULTIUSER))]
pub(crate) use self::connector_helper_ns_capable as ns_capable;
