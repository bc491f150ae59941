// SPDX-License-Identifier: GPL-2.0
/*
 * ct_peer: a module in C with an id on the connector, for tests that need one beside those in Rust.
 *
 * It registers idx:val while it is loaded, and echoes. Writing "IDX:VAL TIMES" to its parameter
 * `blink` registers and unregisters that id as often, as fast as can be; an id that is taken fails.
 *
 * It must not be unloaded while a message is handled: cn_del_callback() does not wait for that.
 */

#include <linux/connector.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/sched.h>

static unsigned int idx = 40;
module_param(idx, uint, 0444);
MODULE_PARM_DESC(idx, "the id's idx");

static unsigned int val = 1;
module_param(val, uint, 0444);
MODULE_PARM_DESC(val, "the id's val");

static void ct_peer_echo(struct cn_msg *msg, struct netlink_skb_parms *nsp)
{
	msg->ack++;
	cn_netlink_send(msg, nsp->portid, 0, GFP_NOWAIT);
}

static int ct_peer_blink(const char *text, const struct kernel_param *kp)
{
	struct cb_id id;
	unsigned int times;
	int ret = 0;

	if (sscanf(text, "%u:%u %u", &id.idx, &id.val, &times) != 3)
		return -EINVAL;

	/* Several tasks may do this at once, for different ids. */
	kernel_param_unlock(THIS_MODULE);

	while (times--) {
		ret = cn_add_callback(&id, "ct_peer", ct_peer_echo);
		if (ret)
			break;
		cn_del_callback(&id);
		cond_resched();
	}

	kernel_param_lock(THIS_MODULE);

	return ret;
}

static const struct kernel_param_ops ct_peer_blink_ops = {
	.set = ct_peer_blink,
};

module_param_cb(blink, &ct_peer_blink_ops, NULL, 0200);
MODULE_PARM_DESC(blink, "IDX:VAL TIMES, an id to register and unregister so many times");

static int __init ct_peer_init(void)
{
	const struct cb_id id = { idx, val };

	return cn_add_callback(&id, "ct_peer", ct_peer_echo);
}

static void __exit ct_peer_exit(void)
{
	const struct cb_id id = { idx, val };

	cn_del_callback(&id);
}

module_init(ct_peer_init);
module_exit(ct_peer_exit);
MODULE_AUTHOR("The rust_connector authors");
MODULE_DESCRIPTION("Test: an id of a module in C");
MODULE_LICENSE("GPL");
