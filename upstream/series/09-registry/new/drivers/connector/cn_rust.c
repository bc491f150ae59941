// SPDX-License-Identifier: GPL-2.0
/*
 * Starts what of the connector is in Rust: rust/kernel/connector.rs.
 */

#include <linux/init.h>
#include <linux/panic.h>

#include "cn_rust.h"

static int __init cn_rust_init(void)
{
	int err = rust_connector_init();

	/* As for netlink itself: no memory for some hundred bytes, at boot. */
	if (err)
		panic("connector: cannot start: %d\n", err);
	return 0;
}

/* Before drivers and modules, which may register ids. */
subsys_initcall(cn_rust_init);
