/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What c_api.rs makes for c_api.c to call: the functions of include/linux/connector.h, by other names.
 */
#ifndef CONNECTOR_C_API_H
#define CONNECTOR_C_API_H

#include <linux/connector.h>
#include <linux/netlink.h>

int cn_rust_add_callback(const struct cb_id *id, const char *name,
			 void (*callback)(struct cn_msg *,
					  struct netlink_skb_parms *));
void cn_rust_del_callback(const struct cb_id *id);
int cn_rust_send(struct cn_msg *msg, u32 portid, u32 group, gfp_t gfp_mask);
int cn_rust_send_mult(struct cn_msg *msg, u16 len, u32 portid, u32 group,
		      gfp_t gfp_mask, netlink_filter_fn filter,
		      void *filter_data);

#endif
