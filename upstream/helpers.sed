# SPDX-License-Identifier: GPL-2.0
#
# sed -E: our helpers as the kernel's rust/helpers has its own; without those of probes, see rewrite.sed.

/^\/\*$/,/^ \*\/$/c\
/*\
 * What kernel::connector calls that is inline in C.\
 */
/^#include "bindings/,/^$/d
/^#include <net\/sock\.h>$/a\
\
#ifdef CONFIG_NET
s/^(.*[ *])connector_helper_/__rust_helper \1rust_helper_/
$a\
#endif
/^#include <linux\/ptrace\.h>$/d
/^#if defined\(CONFIG_KRETPROBES\)/,/^#endif$/d
