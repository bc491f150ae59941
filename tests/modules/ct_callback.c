// SPDX-License-Identifier: GPL-2.0
/*
 * ct_callback: a module in C whose callback does what the kernel's own core does not survive.
 *
 * It registers idx:val while it is loaded, and answers each message with ack + 1 and no data. What the
 * first byte of the data says, it does before that: 's' sleeps for 300 ms; 'd' unregisters the id of the
 * callback itself and sleeps; 'r' unregisters it and registers it again; 'w' waits for the first 'o'. 'b'
 * sends the answer to all who listen to the id's own group, 'p' to the port whose number follows. Writing to its parameter `unregister` does that,
 * and fails with EBUSY if the callback runs when cn_del_callback() has returned. With leave=1 it goes without
 * unregistering anything.
 */

#include <linux/atomic.h>
#include <linux/completion.h>
#include <linux/connector.h>
#include <linux/delay.h>
#include <linux/module.h>

static unsigned int idx = 50;
module_param(idx, uint, 0444);
MODULE_PARM_DESC(idx, "the id's idx");

static unsigned int val = 1;
module_param(val, uint, 0444);
MODULE_PARM_DESC(val, "the id's val");

static bool leave;
module_param(leave, bool, 0444);
MODULE_PARM_DESC(leave, "do not unregister the id on exit");

static bool nameless;
module_param(nameless, bool, 0444);
MODULE_PARM_DESC(nameless, "register without a name");

/* How many tasks are in the callback. */
static atomic_t inside = ATOMIC_INIT(0);

static DECLARE_COMPLETION(opened);

static void ct_callback(struct cn_msg *msg, struct netlink_skb_parms *nsp)
{
	struct cb_id id = msg->id;
	struct cn_msg reply = { .id = id, .seq = msg->seq, .ack = msg->ack + 1 };
	u32 portid = nsp->portid;

	atomic_inc(&inside);
	switch (msg->len ? msg->data[0] : 0) {
	case 's':
		msleep(300);
		break;
	case 'd':
		cn_del_callback(&id);
		msleep(300);
		break;
	case 'r':
		cn_del_callback(&id);
		reply.flags = -cn_add_callback(&id, "ct_callback", ct_callback);
		break;
	case 'w':
		wait_for_completion(&opened);
		break;
	case 'o':
		complete_all(&opened);
		break;
	case 'b':
		portid = 0;
		break;
	case 'p':
		if (msg->len == 1 + sizeof(portid))
			memcpy(&portid, msg->data + 1, sizeof(portid));
		break;
	}
	cn_netlink_send(&reply, portid, 0, GFP_KERNEL);
	atomic_dec(&inside);
}

static int ct_callback_unregister(const char *text, const struct kernel_param *kp)
{
	const struct cb_id id = { idx, val };

	cn_del_callback(&id);
	return atomic_read(&inside) ? -EBUSY : 0;
}

static const struct kernel_param_ops ct_callback_unregister_ops = {
	.set = ct_callback_unregister,
};

module_param_cb(unregister, &ct_callback_unregister_ops, NULL, 0200);
MODULE_PARM_DESC(unregister, "unregisters the id");

static int __init ct_callback_init(void)
{
	const struct cb_id id = { idx, val };

	return cn_add_callback(&id, nameless ? NULL : "ct_callback", ct_callback);
}

static void __exit ct_callback_exit(void)
{
	const struct cb_id id = { idx, val };

	if (!leave)
		cn_del_callback(&id);
}

module_init(ct_callback_init);
module_exit(ct_callback_exit);
MODULE_AUTHOR("The rust_connector authors");
MODULE_DESCRIPTION("Test: what a callback in C may do");
MODULE_LICENSE("GPL");
