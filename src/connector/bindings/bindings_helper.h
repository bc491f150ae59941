/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What bindgen reads: the headers of everything that the crate `connector` calls in C and that the
 * kernel's own bindings may not have.
 */

#include <linux/connector.h>
#include <linux/gfp.h>
#include <linux/kprobes.h>
#include <linux/netlink.h>
#include <linux/user_namespace.h>

/* bindgen cannot evaluate the macro. */
const gfp_t RUST_CONST_HELPER___GFP_DIRECT_RECLAIM = __GFP_DIRECT_RECLAIM;
