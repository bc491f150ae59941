// SPDX-License-Identifier: GPL-2.0
/*
 * Putting an skb into the receive queue of a socket that is known; see unicast.rs. It looks into a
 * struct sock, which bindgen's view of that is no good for. In the kernel's tree netlink has a function
 * for it, see upstream/.
 */

#include <linux/filter.h>
#include <linux/net.h>
#include <linux/netlink.h>
#include <linux/skbuff.h>
#include <net/sock.h>

#include "queue.h"

/*
 * Queues an skb for a socket of netlink's, if netlink_unicast() would do no more than that; see unicast.rs.
 * Otherwise the skb is as it was, but a security module may have been asked about it, and netlink asks again.
 *
 * netlink_overrun() marks a socket before it counts what was lost, and the count wraps. So what loses a
 * message on another CPU at this moment, or has lost 2^32, may go unnoticed here: then the skb is queued
 * where netlink would have dropped it. The receiver is told of the loss (ENOBUFS) all the same.
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
