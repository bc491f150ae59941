# SPDX-License-Identifier: GPL-2.0
#
# sed -E: which core there is, in words.

/^\/\/! There are two\. Where the kernel has/,/^\/\/! Which one it is, is decided here/c\
//! There are two, in C (`drivers/connector/connector.c`, of which `cores/c.rs` is a user) and in Rust\
//! (`cores/own.rs`). Which one it is, is decided here, and nobody else knows. Both have:
