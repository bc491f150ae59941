// SPDX-License-Identifier: GPL-2.0
/*
 * The four functions of include/linux/connector.h, for modules in C: c_api.rs does the work.
 *
 * Modules that were built against the kernel's own cn.ko shall load on ours. Where symbols have
 * versions, those are made of the functions' types as the compiler describes them, with the names of
 * their parameters and with all that is known of the structures meant: so this file includes what
 * drivers/connector/connector.c does, and its parameters are called as they are there.
 */

#include <linux/compiler.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/list.h>
#include <linux/skbuff.h>
#include <net/netlink.h>
#include <linux/moduleparam.h>
#include <linux/connector.h>
#include <linux/slab.h>
#include <linux/mutex.h>
#include <linux/proc_fs.h>
#include <linux/spinlock.h>

#include <net/sock.h>

#include "c_api.h"

int cn_add_callback(const struct cb_id *id, const char *name,
		    void (*callback)(struct cn_msg *,
				     struct netlink_skb_parms *))
{
	return cn_rust_add_callback(id, name, callback);
}
EXPORT_SYMBOL_GPL(cn_add_callback);

void cn_del_callback(const struct cb_id *id)
{
	cn_rust_del_callback(id);
}
EXPORT_SYMBOL_GPL(cn_del_callback);

int cn_netlink_send_mult(struct cn_msg *msg, u16 len, u32 portid, u32 __group,
			 gfp_t gfp_mask, netlink_filter_fn filter,
			 void *filter_data)
{
	return cn_rust_send_mult(msg, len, portid, __group, gfp_mask, filter,
				 filter_data);
}
EXPORT_SYMBOL_GPL(cn_netlink_send_mult);

int cn_netlink_send(struct cn_msg *msg, u32 portid, u32 __group,
		    gfp_t gfp_mask)
{
	return cn_rust_send(msg, portid, __group, gfp_mask);
}
EXPORT_SYMBOL_GPL(cn_netlink_send);

/* Whoever wants the connector in Rust finds it here, too; and so does who opens a socket of it. */
MODULE_ALIAS("rust_connector");
MODULE_ALIAS_NET_PF_PROTO(PF_NETLINK, NETLINK_CONNECTOR);
