# SPDX-License-Identifier: GPL-2.0
#
# sed -E: a part of the kernel does not go.

/^\/\/! # Who can be in here when the module goes$/,/^$/c\
//! The core is there from its initcall on, and stays.\n
s/^\/\/! The core of our own: /\/\/! The core in Rust: /
s/^\/\/! - `c_api\.rs`, `c_api\.c`: /\/\/! - `c_api.rs`: /
s/\bcn_rust_(add|del)_callback as cn_/cn_/
