// SPDX-License-Identifier: GPL-2.0
/*
 * Everything but a plain echo that is measured on the connector: many ids, broadcasts, batches,
 * registering. The counterpart of modules/rust_bench.rs, call for call.
 */

#include <linux/connector.h>
#include <linux/module.h>
#include <linux/slab.h>

#include "bench.h"

static unsigned int ids;
module_param(ids, uint, 0444);
MODULE_PARM_DESC(ids, "register this many echo services instead of the ids for requests");

static const struct cb_id control_id = { BENCH_IDX, BENCH_CONTROL };
static const struct cb_id sink_id = { BENCH_IDX, BENCH_SINK };
static const struct cb_id guest_id = { BENCH_IDX, BENCH_GUEST };

static void sink_callback(struct cn_msg *msg, struct netlink_skb_parms *nsp)
{
}

static void echo_callback(struct cn_msg *msg, struct netlink_skb_parms *nsp)
{
	msg->ack++;
	cn_netlink_send(msg, nsp->portid, 0, GFP_NOWAIT);
}

/* The largest batch that still has a length of 16 bits. */
#define BATCH_MAX	(U16_MAX / (sizeof(struct cn_msg) + BENCH_PAYLOAD))

struct bench_msg {
	struct cn_msg head;
	u8 payload[BENCH_PAYLOAD];
};

static void broadcast(const struct bench_request *req)
{
	struct bench_msg msg = {
		.head.id = control_id,
		.head.len = BENCH_PAYLOAD,
	};
	u32 i;

	for (i = 0; i < req->count; i++) {
		msg.head.seq = i;
		cn_netlink_send(&msg.head, 0, BENCH_GROUP, GFP_KERNEL);
	}
}

static void batch(const struct bench_request *req, u32 portid)
{
	u32 n = clamp_t(u32, req->per_datagram, 1, BATCH_MAX);
	struct bench_msg *msgs;
	u32 sent, i;

	msgs = kcalloc(n, sizeof(*msgs), GFP_KERNEL);
	if (!msgs)
		return;

	for (sent = 0; sent < req->count; sent += n) {
		for (i = 0; i < n; i++) {
			msgs[i].head = (struct cn_msg) {
				.id = control_id,
				.seq = sent + i,
				.len = BENCH_PAYLOAD,
			};
			memset(msgs[i].payload, 0, BENCH_PAYLOAD);
		}
		cn_netlink_send_mult(&msgs->head, n * sizeof(*msgs) - sizeof(struct cn_msg), portid,
				     0, GFP_NOWAIT, NULL, NULL);
	}
	kfree(msgs);
}

static void register_guest(const struct bench_request *req)
{
	u32 i;

	for (i = 0; i < req->count; i++) {
		if (!cn_add_callback(&guest_id, "guest", sink_callback))
			cn_del_callback(&guest_id);
	}
}

static void control_callback(struct cn_msg *msg, struct netlink_skb_parms *nsp)
{
	struct bench_request req;

	if (msg->len != sizeof(req))
		return;
	memcpy(&req, msg->data, sizeof(req));

	switch (req.op) {
	case BENCH_BROADCAST:
		broadcast(&req);
		break;
	case BENCH_BATCH:
		batch(&req, nsp->portid);
		break;
	case BENCH_REGISTER:
		register_guest(&req);
		break;
	}
}

static void del_many(u32 n)
{
	for (; n; n--)
		cn_del_callback(&(struct cb_id){ MANY_IDX, n });
}

static int add_many(void)
{
	u32 val;
	int err;

	for (val = 1; val <= ids; val++) {
		err = cn_add_callback(&(struct cb_id){ MANY_IDX, val }, "many", echo_callback);
		if (err) {
			del_many(val - 1);
			return err;
		}
	}
	return 0;
}

static int __init c_bench_init(void)
{
	int err;

	if (ids)
		return add_many();

	err = cn_add_callback(&control_id, "control", control_callback);
	if (err)
		return err;
	err = cn_add_callback(&sink_id, "sink", sink_callback);
	if (err)
		cn_del_callback(&control_id);
	return err;
}

static void __exit c_bench_exit(void)
{
	if (ids) {
		del_many(ids);
		return;
	}
	cn_del_callback(&sink_id);
	cn_del_callback(&control_id);
}

module_init(c_bench_init);
module_exit(c_bench_exit);
MODULE_DESCRIPTION("Benchmark peer: the connector in C");
MODULE_LICENSE("GPL");
