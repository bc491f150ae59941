# SPDX-License-Identifier: GPL-2.0
#
# sed -E: a module of the kernel crate has one world to be compiled for.

/^\/\/! One source for both sides: kbuild compiles/,/^\/\/! the kernel's API:/c\
//! It knows layouts, bounds and the seq/ack rules, and nothing of sockets: it performs no I/O, does\
//! not allocate and contains no `unsafe`.

# Who may join what: the core in C is one that was mended, see fixes/.
/^\/\/\/ Joining an even group takes/,/^\/\/\/ an even `idx`/c\
/// Everybody can join group 1, process events; any other takes `CAP_NET_ADMIN`. On the core in Rust a\
/// service may open more.
/^    \/\/\/ Whether a process without `CAP_NET_ADMIN` can join/,/^    \}$/d
