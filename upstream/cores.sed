# SPDX-License-Identifier: GPL-2.0
#
# sed -E: which core there is, in words.

/^\/\/! There are two\. Where the kernel has/,/^\/\/! This file chooses the core;/c\
//! There are two, in C (`drivers/connector/connector.c`, of which `cores/c.rs` is a user) and in Rust\
//! (`cores/own.rs`). This file chooses the core; no other file depends on the choice. Both have:
