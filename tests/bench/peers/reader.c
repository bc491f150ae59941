// SPDX-License-Identifier: GPL-2.0
/*
 * The least that a program in C can do to print broadcasts and process events as `cnctl listen
 * --data none` and `cnctl proc --no-command` do: receives one after the other, and prints a line for
 * each. It checks nothing and misses losses.
 *
 * usage: reader listen GROUP COUNT
 *        reader proc COUNT
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include <linux/cn_proc.h>
#include <linux/connector.h>
#include <linux/netlink.h>

#ifndef SOL_NETLINK
#define SOL_NETLINK 270
#endif

static _Alignas(8) unsigned char buffer[65536];

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static int open_socket(unsigned int group)
{
	struct sockaddr_nl own = { .nl_family = AF_NETLINK };
	int fd = socket(AF_NETLINK, SOCK_DGRAM, NETLINK_CONNECTOR);
	int room = 16 << 20;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)) ||
	    bind(fd, (struct sockaddr *)&own, sizeof(own)) ||
	    setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)))
		die("reader: cannot open a socket");
	return fd;
}

/* What was printed is shown before waiting. */
static const struct cn_msg *receive(int fd)
{
	ssize_t len = recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT);

	if (len < 0 && errno == EAGAIN) {
		fflush(stdout);
		len = recv(fd, buffer, sizeof(buffer), 0);
	}
	if (len < 0)
		die("reader: cannot receive");
	return NLMSG_DATA((struct nlmsghdr *)buffer);
}

static void print_broadcast(const struct cn_msg *msg, unsigned int group)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	printf("[%5lld.%06ld] group %-2u %u:%u seq=%u ack=%u len=%u\n", (long long)t.tv_sec,
	       t.tv_nsec / 1000, group, msg->id.idx, msg->id.val, msg->seq, msg->ack, msg->len);
}

static void print_event(const struct proc_event *event)
{
	unsigned long long ns = event->timestamp_ns;
	unsigned long long s = ns / 1000000000, us = ns / 1000 % 1000000;

	switch (event->what) {
	case PROC_EVENT_FORK:
		printf("[%5llu.%06llu] %7d %-8s by %d\n", s, us,
		       event->event_data.fork.child_tgid, "fork",
		       event->event_data.fork.parent_tgid);
		break;
	case PROC_EVENT_EXIT:
		printf("[%5llu.%06llu] %7d %-8s %u\n", s, us,
		       event->event_data.exit.process_tgid, "exit",
		       event->event_data.exit.exit_code >> 8);
		break;
	default:
		break;
	}
}

static void subscribe(int fd)
{
	const enum proc_cn_mcast_op op = PROC_CN_MCAST_LISTEN;
	_Alignas(8) unsigned char request[NLMSG_LENGTH(sizeof(struct cn_msg) + sizeof(op))];
	struct cn_msg *msg = NLMSG_DATA((struct nlmsghdr *)request);

	*(struct nlmsghdr *)request = (struct nlmsghdr){
		.nlmsg_len = sizeof(request),
		.nlmsg_type = NLMSG_DONE,
	};
	*msg = (struct cn_msg){
		.id = { CN_IDX_PROC, CN_VAL_PROC },
		.len = sizeof(op),
	};
	memcpy(msg->data, &op, sizeof(op));
	if (send(fd, request, sizeof(request), 0) != sizeof(request))
		die("reader: cannot subscribe");
	/* The confirmation. */
	receive(fd);
}

int main(int argc, char **argv)
{
	unsigned int i, group, count;
	int fd;

	if (argc == 4 && !strcmp(argv[1], "listen")) {
		group = strtoul(argv[2], NULL, 10);
		count = strtoul(argv[3], NULL, 10);
		fd = open_socket(group);
		for (i = 0; i < count; i++)
			print_broadcast(receive(fd), group);
		return 0;
	}
	if (argc == 3 && !strcmp(argv[1], "proc")) {
		count = strtoul(argv[2], NULL, 10);
		fd = open_socket(CN_IDX_PROC);
		subscribe(fd);
		printf("%14s %7s %-8s %s\n", "TIME", "PID", "WHAT", "INFO");
		for (i = 0; i < count; i++)
			print_event((const struct proc_event *)receive(fd)->data);
		return 0;
	}
	fprintf(stderr, "usage: reader listen GROUP COUNT | reader proc COUNT\n");
	return 2;
}
