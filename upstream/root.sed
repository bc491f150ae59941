# SPDX-License-Identifier: GPL-2.0
#
# sed -E, after rewrite.sed: the root of the crate `connector` as the module `kernel::connector`.

# What it is.
s/^\/\/! The Linux kernel connector for Rust modules\.$/\/\/! The kernel connector./
/^\/\/! messages\. A module registers/,/^\/\/! that builds on it does not know/c\
//! messages. A module registers a [`CbId`]; userspace sends messages to that id; the module\
//! answers the sender, or broadcasts to a multicast [`Group`]. Modules need no `unsafe` for it. The\
//! core is the one in C, or the one in Rust (`CONFIG_CONNECTOR_RUST`): a module that builds on this\
//! does not know which of the two.
/^\/\/! With a `module!` macro on top this is/,/^\/\/! module in a tree of its own\.$/c\
//! With a `module!` macro on top it can be built.\
//! `samples/rust/rust_connector.rs` is a module that broadcasts.
/^\/\/! In C, `cn_del_callback\(\)` returns while/,/^\/\/! takes the code away from under it/c\
//! Three things keep a module's code there while it is called:
/^\/\/! 3\. The only function that the C core calls/,/^\/\/!    it cannot go while a socket/c\
//! 3. The only functions that a core calls are the kernel's own, which does not go.

# What is net's is there for everybody.
/^#\[cfg\(CONFIG_CONNECTOR_RUST\)\]$/{
	N
	/\nmod net \{$/{
		N
		N
		d
	}
}

# In the crate that has the macro, clippy looks at what it makes.
s/^use crate::bindings;/#![expect(clippy::upper_case_acronyms, reason = "global_lock! names a type like its static")]\n\n&/

# A part of the kernel is started by an initcall, and never ends.
/^\/\/ Without TASKS_RCU nothing tells/,$c\
/// Starts the connector, as far as it is in Rust. Returns 0, or an errno.\
///\
/// # Safety\
///\
/// Must be called once, by `drivers/connector/cn_rust.c`, before there are drivers and modules.\
#[export]\
unsafe extern "C" fn rust_connector_init() -> kernel::ffi::c_int {\
    // SAFETY: By this function's contract. It is in no module.\
    let parts = unsafe { Parts::new() };\
    match KBox::pin_init(parts, GFP_KERNEL) {\
        Ok(parts) => {\
            // They stay for good: the connector does not end, and no `Drop` of a part of it runs.\
            core::mem::forget(parts);\
            0\
        }\
        Err(error) => error.to_errno(),\
    }\
}

# Only the core in Rust asks where it is.
s/^mod home;$/#[cfg(CONFIG_CONNECTOR_RUST)]\n&/
