# SPDX-License-Identifier: GPL-2.0
#
# sed -E: the module's name; there is a cn_test.ko in the kernel.

s/^\/\/! `cn_test`: the counterpart of the kernel's C sample, `samples\/connector\/cn_test\.c`\./\/\/! Rust connector sample, the counterpart of `samples\/connector\/cn_test.c`./
s/`ucon` listens/`samples\/connector\/ucon.c` listens/
s/, as does the C sample's own `ucon`//
s/\bCnTest\b/RustConnector/g
s/name: "cn_test"/name: "rust_connector"/
s/c"cn_test"/c"rust_connector"/
s/authors: .*/authors: ["Your Name"],/
s/description: .*/description: "Rust connector sample",/
