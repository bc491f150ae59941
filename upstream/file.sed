# SPDX-License-Identifier: GPL-2.0
#
# sed -E: a part of the kernel needs nobody to keep it loaded.

/^\/\/! Read-only files in debugfs that keep/,/^$/c\
//! Read-only files in debugfs.\n
