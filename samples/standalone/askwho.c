// SPDX-License-Identifier: GPL-2.0
/*
 * Asks cn_whoami who this is, in C: what a program needs is in the kernel's headers alone.
 *
 *     cc -static -O2 -Wall -o askwho_c askwho.c
 */

#include <linux/connector.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>

#define WHOAMI_IDX 30
#define WHOAMI_VAL 1

/* A netlink message, whose payload is a connector message. */
struct request {
	struct nlmsghdr nl;
	struct cn_msg cn;
};

int main(void)
{
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	struct request request = {
		.nl = { .nlmsg_len = sizeof(request), .nlmsg_type = NLMSG_DONE },
		.cn = { .id = { WHOAMI_IDX, WHOAMI_VAL }, .seq = 1 },
	};
	struct timeval patience = { .tv_sec = 5 };
	union {
		struct nlmsghdr nl;
		char bytes[8192];
	} reply;
	struct cn_msg *cn = NLMSG_DATA(&reply.nl);
	ssize_t len;
	int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_CONNECTOR);

	if (fd < 0) {
		perror("askwho_c: no connector in this kernel");
		return 1;
	}
	/* The connector drops what nobody registered, without a word: wait, but not for good. */
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (sendto(fd, &request, sizeof(request), 0, (void *)&kernel, sizeof(kernel)) < 0) {
		perror("askwho_c: cannot send");
		return 1;
	}
	do {
		len = recv(fd, &reply, sizeof(reply), 0);
		if (len < 0) {
			perror("askwho_c: no reply (is cn_whoami loaded?)");
			return 1;
		}
		/* A reply has the request's seq, and its ack plus one. */
	} while (len < (ssize_t)NLMSG_LENGTH(sizeof(*cn)) ||
		 len < (ssize_t)NLMSG_LENGTH(sizeof(*cn) + cn->len) ||
		 cn->seq != request.cn.seq || cn->ack != request.cn.ack + 1);
	printf("%.*s\n", cn->len, (char *)cn->data);
	return 0;
}
