// SPDX-License-Identifier: GPL-2.0
/*
 * ct_peer: a module in C with an id on the connector, for tests that need one beside those in Rust.
 *
 * It registers idx:val while it is loaded, and echoes. Writing "IDX:VAL TIMES" to its parameter
 * `blink` registers and unregisters that id as often, as fast as can be; an id that is taken fails.
 * With `contend`, it is tried until the id is free, and with `alternate` by two tasks in turn. Writing "IDX:VAL" to `forget` unregisters an id,
 * whether somebody has it or not; with `miss`, this is done where no other probe is hit.
 *
 * It must not be unloaded while a message is handled: cn_del_callback() does not wait for that.
 */

#include <linux/connector.h>
#include <linux/kernel.h>
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/sched/signal.h>

static unsigned int idx = 40;
module_param(idx, uint, 0444);
MODULE_PARM_DESC(idx, "the id's idx");

static unsigned int val = 1;
module_param(val, uint, 0444);
MODULE_PARM_DESC(val, "the id's val");

static bool seen = IS_ENABLED(CONFIG_KRETPROBES) && IS_ENABLED(CONFIG_HAVE_FUNCTION_ARG_ACCESS_API);
module_param(seen, bool, 0444);
MODULE_PARM_DESC(seen, "whether the kernel has probes, by which others see its ids come and go");

static void ct_peer_echo(struct cn_msg *msg, struct netlink_skb_parms *nsp)
{
	msg->ack++;
	cn_netlink_send(msg, nsp->portid, 0, GFP_NOWAIT);
}

enum ct_peer_manner { BLINK, CONTEND, ALTERNATE };

/* Whose turn it was last. */
static struct task_struct *ct_peer_last;

static int ct_peer_come_and_go(const char *text, enum ct_peer_manner manner)
{
	struct cb_id id;
	unsigned int times;
	int ret = 0;

	if (sscanf(text, "%u:%u %u", &id.idx, &id.val, &times) != 3)
		return -EINVAL;

	/* Several tasks may do this at once. */
	kernel_param_unlock(THIS_MODULE);

	while (times) {
		if (manner == ALTERNATE && READ_ONCE(ct_peer_last) == current) {
			ret = signal_pending(current) ? -EINTR : 0;
			if (ret)
				break;
			cond_resched();
			continue;
		}
		ret = cn_add_callback(&id, "ct_peer", ct_peer_echo);
		if (!ret) {
			WRITE_ONCE(ct_peer_last, current);
			cn_del_callback(&id);
			times--;
		} else if (ret != -EINVAL || manner == BLINK) {
			break;
		}
		cond_resched();
	}

	kernel_param_lock(THIS_MODULE);

	return ret;
}

static int ct_peer_blink(const char *text, const struct kernel_param *kp)
{
	return ct_peer_come_and_go(text, BLINK);
}

static const struct kernel_param_ops ct_peer_blink_ops = {
	.set = ct_peer_blink,
};

module_param_cb(blink, &ct_peer_blink_ops, NULL, 0200);
MODULE_PARM_DESC(blink, "IDX:VAL TIMES, an id to register and unregister so many times");

static int ct_peer_contend(const char *text, const struct kernel_param *kp)
{
	return ct_peer_come_and_go(text, CONTEND);
}

static const struct kernel_param_ops ct_peer_contend_ops = {
	.set = ct_peer_contend,
};

module_param_cb(contend, &ct_peer_contend_ops, NULL, 0200);
MODULE_PARM_DESC(contend, "IDX:VAL TIMES, the same for an id that others want, too");

static int ct_peer_alternate(const char *text, const struct kernel_param *kp)
{
	return ct_peer_come_and_go(text, ALTERNATE);
}

static const struct kernel_param_ops ct_peer_alternate_ops = {
	.set = ct_peer_alternate,
};

module_param_cb(alternate, &ct_peer_alternate_ops, NULL, 0200);
MODULE_PARM_DESC(alternate, "IDX:VAL TIMES, the same for two tasks that take turns");

static int ct_peer_forget(const char *text, const struct kernel_param *kp)
{
	struct cb_id id;

	if (sscanf(text, "%u:%u", &id.idx, &id.val) != 2)
		return -EINVAL;
	cn_del_callback(&id);

	return 0;
}

static const struct kernel_param_ops ct_peer_forget_ops = {
	.set = ct_peer_forget,
};

module_param_cb(forget, &ct_peer_forget_ops, NULL, 0200);
MODULE_PARM_DESC(forget, "IDX:VAL, an id to unregister");

/* Elsewhere, as on arm64, it is in an exception, with interrupts off, that a probe's handler runs. */
#ifdef CONFIG_KRETPROBE_ON_RETHOOK
static struct cb_id ct_peer_missed;

/* Probed below. */
static noinline int ct_peer_probed(void)
{
	barrier();
	return 0;
}

/* The handler of a probe: whatever is probed in here is not hit, but counted as missed. */
static int ct_peer_in_probe(struct kretprobe_instance *instance, struct pt_regs *regs)
{
	cn_del_callback(&ct_peer_missed);
	return 0;
}

static struct kretprobe ct_peer_kretprobe = {
	.kp.addr = (kprobe_opcode_t *)ct_peer_probed,
	.handler = ct_peer_in_probe,
};

static int ct_peer_miss(const char *text, const struct kernel_param *kp)
{
	int ret;

	if (sscanf(text, "%u:%u", &ct_peer_missed.idx, &ct_peer_missed.val) != 2)
		return -EINVAL;

	ret = register_kretprobe(&ct_peer_kretprobe);
	if (ret)
		return ret;
	ct_peer_probed();
	unregister_kretprobe(&ct_peer_kretprobe);

	/* The kernel wants it as new. */
	ct_peer_kretprobe.kp.addr = (kprobe_opcode_t *)ct_peer_probed;
	ct_peer_kretprobe.kp.flags = 0;

	return 0;
}

static const struct kernel_param_ops ct_peer_miss_ops = {
	.set = ct_peer_miss,
};

module_param_cb(miss, &ct_peer_miss_ops, NULL, 0200);
MODULE_PARM_DESC(miss, "IDX:VAL, an id to unregister in the handler of a probe");
#endif

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
