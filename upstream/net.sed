# SPDX-License-Identifier: GPL-2.0
#
# sed -E: what the kernel crate has for everybody.

s/\bpub\(in crate\)/pub/

# What is a part of the kernel is in no module.
s/\bcrate::home::OWNER\b/ptr::null_mut()/
