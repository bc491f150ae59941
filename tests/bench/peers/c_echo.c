// SPDX-License-Identifier: GPL-2.0
/*
 * The echo service in as little C as the connector takes: what cn_echo is measured against.
 *
 * It leaves out what a module that is to be unloaded safely needs: cn_del_callback() does not wait
 * for a callback that runs.
 */

#include <linux/connector.h>
#include <linux/module.h>

#include "bench.h"

static const struct cb_id id = { ECHO_IDX, ECHO_VAL };

static void c_echo_callback(struct cn_msg *msg, struct netlink_skb_parms *nsp)
{
	msg->ack++;
	cn_netlink_send(msg, nsp->portid, 0, GFP_NOWAIT);
}

static int __init c_echo_init(void)
{
	return cn_add_callback(&id, "c_echo", c_echo_callback);
}

static void __exit c_echo_exit(void)
{
	cn_del_callback(&id);
}

module_init(c_echo_init);
module_exit(c_echo_exit);
MODULE_DESCRIPTION("Benchmark peer: echo on the connector, in C");
MODULE_LICENSE("GPL");
