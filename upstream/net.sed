# SPDX-License-Identifier: GPL-2.0
#
# sed -E: what the kernel crate has for everybody.

s/\bpub\(in crate\)/pub/
