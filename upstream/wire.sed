# SPDX-License-Identifier: GPL-2.0
#
# sed -E: a module of the kernel crate has one world to be compiled for.

/^\/\/! One source for both sides: kbuild compiles/,/^\/\/! the kernel's API:/c\
//! It knows layouts, bounds and the seq/ack rules, and nothing of sockets: it performs no I/O, does\
//! not allocate and contains no `unsafe`.
