/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the benchmark's client asks of c_bench and of its Rust counterpart, modules/rust_bench.rs,
 * which has the same numbers.
 */
#ifndef RUST_CONNECTOR_BENCH_H
#define RUST_CONNECTOR_BENCH_H

#include <linux/types.h>

/* The echo service: the only id of c_echo and cn_echo. */
#define ECHO_IDX	16
#define ECHO_VAL	1

/* c_bench and rust_bench: the id that takes a struct bench_request, and one that does nothing. */
#define BENCH_IDX	18
#define BENCH_CONTROL	1
#define BENCH_SINK	2
/* The id that BENCH_REGISTER registers and unregisters. */
#define BENCH_GUEST	3

/* With ids=n there are n echo services instead, of this idx, with val from 1 to n. */
#define MANY_IDX	20

/* The group that broadcasts go to. An even one: nobody listens by chance. */
#define BENCH_GROUP	8

/* The payload of every message that is broadcast or sent in a batch. */
#define BENCH_PAYLOAD	32

enum bench_op {
	/* Do nothing. */
	BENCH_NOTHING,
	/* Send @count messages to the group. */
	BENCH_BROADCAST,
	/* Send @count messages to the sender, @per_datagram of them in each datagram. */
	BENCH_BATCH,
	/* Register an id and unregister it, @count times. */
	BENCH_REGISTER,
};

struct bench_request {
	__u32 op;
	__u32 count;
	__u32 per_datagram;
};

#endif
