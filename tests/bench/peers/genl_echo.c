// SPDX-License-Identifier: GPL-2.0
/*
 * A generic netlink family that returns the payload it is sent: what one would write today where
 * a kernel module and a program are to exchange messages.
 */

#include <linux/module.h>
#include <net/genetlink.h>

#include "genl_echo.h"

static struct genl_family family;

static const struct nla_policy policy[] = {
	[GENL_ECHO_A_DATA] = { .type = NLA_BINARY },
};

static int genl_echo_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct nlattr *data = info->attrs[GENL_ECHO_A_DATA];
	struct sk_buff *reply;
	void *head;

	if (!data)
		return -EINVAL;

	reply = genlmsg_new(nla_total_size(nla_len(data)), GFP_KERNEL);
	if (!reply)
		return -ENOMEM;
	head = genlmsg_put_reply(reply, info, &family, 0, GENL_ECHO_CMD);
	if (!head || nla_put(reply, GENL_ECHO_A_DATA, nla_len(data), nla_data(data))) {
		nlmsg_free(reply);
		return -EMSGSIZE;
	}
	genlmsg_end(reply, head);
	return genlmsg_reply(reply, info);
}

static const struct genl_small_ops ops[] = {
	{
		.cmd = GENL_ECHO_CMD,
		.doit = genl_echo_doit,
	},
};

static struct genl_family family __ro_after_init = {
	.name = GENL_ECHO_NAME,
	.version = 1,
	.maxattr = ARRAY_SIZE(policy) - 1,
	.policy = policy,
	.small_ops = ops,
	.n_small_ops = ARRAY_SIZE(ops),
	.resv_start_op = GENL_ECHO_CMD + 1,
	/* As connector callbacks do, run without genetlink's global mutex. */
	.parallel_ops = true,
	.module = THIS_MODULE,
};

static int __init genl_echo_init(void)
{
	return genl_register_family(&family);
}

static void __exit genl_echo_exit(void)
{
	genl_unregister_family(&family);
}

module_init(genl_echo_init);
module_exit(genl_echo_exit);
MODULE_DESCRIPTION("Benchmark peer: echo on generic netlink");
MODULE_LICENSE("GPL");
