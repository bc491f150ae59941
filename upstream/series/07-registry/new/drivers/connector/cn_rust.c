// SPDX-License-Identifier: GPL-2.0
/*
 * Starts what of the connector is in Rust: rust/kernel/connector.rs.
 */

#define pr_fmt(fmt) "connector: " fmt

#include <linux/init.h>
#include <linux/printk.h>

#include "cn_rust.h"

static int __init cn_rust_init(void)
{
	int err = rust_connector_init();

	/* Whoever registers an id then gets EAGAIN. */
	if (err)
		pr_err("cannot start: %d\n", err);
	return err;
}

/* Before drivers and modules, which may register ids. */
subsys_initcall(cn_rust_init);
