/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What queue.c makes for unicast.rs.
 */
#ifndef CONNECTOR_QUEUE_H
#define CONNECTOR_QUEUE_H

#include <linux/types.h>

struct sk_buff;
struct sock;

bool connector_helper_netlink_queue(struct sock *sk, struct sk_buff *skb);

#endif
