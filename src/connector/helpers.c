// SPDX-License-Identifier: GPL-2.0
/*
 * Inline functions of C that the crate `connector` calls and the kernel's own rust/helpers lack.
 * They hold no code of ours but connector_helper_netlink_queue(), which looks into a struct sock.
 */

#include <linux/bottom_half.h>
#include <linux/filter.h>
#include <linux/irqflags.h>
#include <linux/net.h>
#include <linux/netlink.h>
#include <linux/ptrace.h>
#include <linux/sched/signal.h>
#include <linux/skbuff.h>
#include <net/netlink.h>
#include <net/sock.h>

#include "bindings/bindings_helper.h"

void connector_helper_local_bh_disable(void)
{
	local_bh_disable();
}

void connector_helper_local_bh_enable(void)
{
	local_bh_enable();
}

bool connector_helper_fatal_signal_pending(void)
{
	return fatal_signal_pending(current);
}

bool connector_helper_irqs_disabled(void)
{
	return irqs_disabled();
}

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

struct sk_buff *connector_helper_nlmsg_new(size_t payload, gfp_t flags)
{
	return nlmsg_new(payload, flags);
}

/*
 * Queues an skb for a socket of netlink's, if that is what netlink_unicast() would do with it; see
 * unicast.rs. Otherwise nothing has happened.
 */
bool connector_helper_netlink_queue(struct sock *sk, struct sk_buff *skb)
{
	unsigned int rmem;

	/*
	 * A socket that has lost a message gets no other one before it has read all, and only
	 * netlink knows whether it has. And its filter sees an skb once.
	 */
	if (sk_drops_read(sk) || rcu_access_pointer(sk->sk_filter) || sk_filter(sk, skb))
		return false;
	if (READ_ONCE(sk->sk_state) == NETLINK_CONNECTED) {
		struct sockaddr_nl peer;

		/* The kernel's port is 0. */
		if (kernel_getpeername(sk->sk_socket, (struct sockaddr *)&peer) < 0 ||
		    peer.nl_pid)
			return false;
	}
	/* As netlink_attachskb(): a socket that is empty has room for whatever comes. */
	rmem = atomic_add_return(skb->truesize, &sk->sk_rmem_alloc);
	if (rmem != skb->truesize && rmem > READ_ONCE(sk->sk_rcvbuf)) {
		atomic_sub(skb->truesize, &sk->sk_rmem_alloc);
		return false;
	}
	skb_orphan(skb);
	skb->sk = sk;
	skb->destructor = sock_rfree;
	skb_queue_tail(&sk->sk_receive_queue, skb);
	sk->sk_data_ready(sk);
	return true;
}

void connector_helper_sock_hold(struct sock *sk)
{
	sock_hold(sk);
}

void connector_helper_sock_put(struct sock *sk)
{
	sock_put(sk);
}

bool connector_helper_sock_is_dead(const struct sock *sk)
{
	return sock_flag(sk, SOCK_DEAD);
}

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
