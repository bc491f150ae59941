# SPDX-License-Identifier: GPL-2.0
#
# sed -E: the functions for C, where nothing else has them.

s/^ \* The four functions of .*/ * The four functions of include\/linux\/connector.h, for C. The work is done in\n * rust\/kernel\/connector\/cores\/own\/c_api.rs./
s/^ \* What c_api\.rs makes for .*/ * What rust\/kernel\/connector\/cores\/own\/c_api.rs makes for cn_rust_api.c to call./
s/c_api\.h/cn_rust_api.h/
s/c_api\.c/cn_rust_api.c/
s/CONNECTOR_C_API_H/CN_RUST_API_H/
# Versions are the kernel's own here.
/^ \*$/,/^ \* drivers\/connector\/connector\.c does/d
/^\/\* Whoever wants the connector in Rust/d
/^MODULE_ALIAS/d
/^EXPORT_SYMBOL_GPL\(cn_netlink_send\);$/{
	N
	s/\n$//
}
/^#include <linux\/(compiler|kernel|list|moduleparam|slab|mutex|proc_fs|spinlock)\.h>$/d
s/^#include <linux\/module\.h>$/#include <linux\/export.h>/
