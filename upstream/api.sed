# SPDX-License-Identifier: GPL-2.0
#
# sed -E: the functions for C by their own names, since no file in C stands before them.

s/^(\/\/! What modules in C call), by way of `c_api\.c`\.$/\1./
s/^#\[no_mangle\]$/#[export]/
s/\bcn_rust_(add|del)_callback\b/cn_\1_callback/
s/\bcn_rust_send_mult\b/cn_netlink_send_mult/
s/\bcn_rust_send\b/cn_netlink_send/
