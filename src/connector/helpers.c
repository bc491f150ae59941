// SPDX-License-Identifier: GPL-2.0
/*
 * Inline functions of C that the crate `connector` calls and the kernel's own rust/helpers lack.
 * They hold no code of ours. In the kernel those of each header are a file: upstream/helpers.awk.
 */

#include <linux/bottom_half.h>
#include <linux/capability.h>
#include <linux/irqflags.h>
#include <linux/netlink.h>
#include <linux/ptrace.h>
#include <linux/refcount.h>
#include <linux/sched/signal.h>
#include <linux/skbuff.h>
#include <net/netlink.h>
#include <net/sock.h>

#include "bindings/bindings_helper.h"

/* <linux/bottom_half.h> */

void connector_helper_local_bh_disable(void)
{
	local_bh_disable();
}

void connector_helper_local_bh_enable(void)
{
	local_bh_enable();
}

/* <linux/capability.h> */

#ifndef CONFIG_MULTIUSER
bool connector_helper_ns_capable(struct user_namespace *ns, int cap)
{
	return ns_capable(ns, cap);
}
#endif

/* <linux/sched/signal.h> */

int connector_helper_fatal_signal_pending(struct task_struct *p)
{
	return fatal_signal_pending(p);
}

/* <linux/irqflags.h> */

bool connector_helper_irqs_disabled(void)
{
	return irqs_disabled();
}

/* <linux/skbuff.h> */

struct sk_buff *connector_helper_skb_get(struct sk_buff *skb)
{
	return skb_get(skb);
}

void connector_helper_skb_orphan(struct sk_buff *skb)
{
	skb_orphan(skb);
}

int connector_helper_skb_tailroom(const struct sk_buff *skb)
{
	return skb_tailroom(skb);
}

/* <net/netlink.h> */

struct sk_buff *connector_helper_nlmsg_new(size_t payload, gfp_t flags)
{
	return nlmsg_new(payload, flags);
}

/* <net/sock.h> */

void connector_helper_sock_hold(struct sock *sk)
{
	sock_hold(sk);
}

void connector_helper_sock_put(struct sock *sk)
{
	sock_put(sk);
}

int connector_helper_sock_refcnt(const struct sock *sk)
{
	return refcount_read(&sk->sk_refcnt);
}

bool connector_helper_sock_is_dead(const struct sock *sk)
{
	return sock_flag(sk, SOCK_DEAD);
}

/* <linux/ptrace.h> */

#if defined(CONFIG_KRETPROBES) && defined(CONFIG_HAVE_FUNCTION_ARG_ACCESS_API)
unsigned long connector_helper_regs_get_kernel_argument(struct pt_regs *regs,
							unsigned int n)
{
	return regs_get_kernel_argument(regs, n);
}

unsigned long connector_helper_regs_return_value(struct pt_regs *regs)
{
	return regs_return_value(regs);
}
#endif
