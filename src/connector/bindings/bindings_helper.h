/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What bindgen reads: the headers of everything that the crate `connector` calls in C and that the
 * kernel's own bindings may not have.
 */

#include <linux/connector.h>
#include <linux/gfp.h>
#include <linux/kprobes.h>
#include <linux/netlink.h>
#include <linux/proc_fs.h>
#include <linux/skbuff.h>
#include <linux/user_namespace.h>
#include <net/netlink.h>

#include "../queue.h"

/* bindgen cannot evaluate the macro. */
const gfp_t RUST_CONST_HELPER___GFP_DIRECT_RECLAIM = __GFP_DIRECT_RECLAIM;

/* Inline functions, as they are in helpers.c. */
void connector_helper_local_bh_disable(void);
void connector_helper_local_bh_enable(void);
#ifndef CONFIG_MULTIUSER
bool connector_helper_ns_capable(struct user_namespace *ns, int cap);
#endif
int connector_helper_fatal_signal_pending(struct task_struct *p);
bool connector_helper_irqs_disabled(void);
struct sk_buff *connector_helper_skb_get(struct sk_buff *skb);
void connector_helper_skb_orphan(struct sk_buff *skb);
int connector_helper_skb_tailroom(const struct sk_buff *skb);
struct sk_buff *connector_helper_nlmsg_new(size_t payload, gfp_t flags);
void connector_helper_sock_hold(struct sock *sk);
void connector_helper_sock_put(struct sock *sk);
int connector_helper_sock_refcnt(const struct sock *sk);
bool connector_helper_sock_is_dead(const struct sock *sk);
#if defined(CONFIG_KRETPROBES) && defined(CONFIG_HAVE_FUNCTION_ARG_ACCESS_API)
unsigned long connector_helper_regs_get_kernel_argument(struct pt_regs *regs, unsigned int n);
unsigned long connector_helper_regs_return_value(struct pt_regs *regs);
#endif
