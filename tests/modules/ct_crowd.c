// SPDX-License-Identifier: GPL-2.0
/*
 * ct_crowd: registers a thousand ids with the C core, which does nothing for them.
 *
 * The core finds an id by walking a list under a lock. With the crowd in front, most of a sender's
 * time passes there.
 */

#include <linux/connector.h>
#include <linux/module.h>

static unsigned int count = 1000;
module_param(count, uint, 0444);
MODULE_PARM_DESC(count, "how many ids to register (default: 1000)");

#define IDX 0x6372

static void ignore(struct cn_msg *msg, struct netlink_skb_parms *nsp)
{
}

static void remove(unsigned int n)
{
	while (n--) {
		struct cb_id id = { .idx = IDX, .val = n };

		cn_del_callback(&id);
	}
}

static int __init crowd_init(void)
{
	unsigned int n;
	int ret;

	for (n = 0; n < count; n++) {
		struct cb_id id = { .idx = IDX, .val = n };

		ret = cn_add_callback(&id, "ct_crowd", ignore);
		if (ret) {
			remove(n);
			return ret;
		}
	}
	return 0;
}

static void __exit crowd_exit(void)
{
	remove(count);
}

module_init(crowd_init);
module_exit(crowd_exit);

MODULE_AUTHOR("The rust_connector authors");
MODULE_DESCRIPTION("Test: many ids of a C module");
MODULE_LICENSE("GPL");
