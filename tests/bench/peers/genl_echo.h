/* SPDX-License-Identifier: GPL-2.0 */
/* What genl_echo and the benchmark's client agree on. */
#ifndef RUST_CONNECTOR_GENL_ECHO_H
#define RUST_CONNECTOR_GENL_ECHO_H

#define GENL_ECHO_NAME	"bench_echo"

enum {
	GENL_ECHO_CMD = 1,
};

enum {
	GENL_ECHO_A_UNSPEC,
	GENL_ECHO_A_DATA,
};

#endif
