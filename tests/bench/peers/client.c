// SPDX-License-Identifier: GPL-2.0
/*
 * The client that measures: plain system calls on one thread, the same ones for every peer.
 *
 * What is measured is a step, such as one message sent and its reply received. Steps are timed in
 * chunks, and every chunk as often as there are rounds, so that a timer interrupt spoils one
 * round of one chunk. A figure is the mean over the chunks of their lower quartiles over the
 * rounds, less what reading the clock costs: whatever disturbs a round adds to it. In a VM that counts instructions the clock's nanoseconds are
 * instructions.
 *
 * Two things of chance need care. Where one of the slab allocator's per-CPU arrays happens to be
 * just empty or just full before a step, every step swaps it for another, there and back, which
 * is some 90 instructions. So every round begins with some more messages held in a queue, which
 * moves the arrays on. And where a socket's port falls into the same hash bucket as another, every
 * look-up takes some instructions more. So every round has a socket of another port.
 *
 * A figure is a line "row BENCH IMPL SIZE N VALUE".
 */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <float.h>
#include <math.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <linux/cn_proc.h>
#include <linux/connector.h>
#include <linux/genetlink.h>
#include <linux/netlink.h>

#include "bench.h"
#include "genl_echo.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* Steps per chunk where nothing speaks for another number. */
#define CHUNK 64

#define SPACE 70000

static const unsigned int sizes[] = { 0, 32, 256, 1024, 4096, 8000, 16000 };

static unsigned int rounds = 31;
static const char *impl = "c";

__attribute__((noreturn, format(printf, 1, 2)))
static void die(const char *format, ...)
{
	int error = errno;
	va_list args;

	va_start(args, format);
	fputs("client: ", stderr);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, " (%s)\n", strerror(error));
	exit(1);
}

static void row(const char *bench, unsigned int size, unsigned int n, double value)
{
	printf("row %s %s %u %u %.2f\n", bench, impl, size, n, value);
	fflush(stdout);
}

/* --- measuring --- */

struct work {
	/* Begins a round: replaces the socket. May be NULL. */
	void (*begin)(void);
	/* Does the step number @i. */
	void (*step)(void *with, unsigned int i);
	/* Cleans up after a chunk; not measured. May be NULL. */
	void (*tidy)(void *with);
	void *with;
	unsigned int chunks;
	unsigned int per_chunk;
};

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC_RAW, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}

static int compare(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static double lower_quartile(double *values, unsigned int n)
{
	qsort(values, n, sizeof(*values), compare);
	return values[n / 4];
}

static double time_chunk(const struct work *work, unsigned int chunk)
{
	unsigned int i, first = chunk * work->per_chunk;
	double start, end;

	start = now();
	for (i = first; i < first + work->per_chunk; i++)
		work->step(work->with, i);
	end = now();
	if (work->tidy)
		work->tidy(work->with);
	return end - start;
}

static void no_step(void *with, unsigned int i)
{
	(void)with;
	(void)i;
}

/* What a chunk costs in which the steps do nothing. */
static double overhead(unsigned int per_chunk)
{
	const struct work nothing = { .step = no_step, .chunks = 1, .per_chunk = per_chunk };
	double times[32];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(times); i++)
		times[i] = time_chunk(&nothing, 0);
	return lower_quartile(times, ARRAY_SIZE(times));
}

/* A socket whose messages stay in its queue. */
static int open_holder(void)
{
	struct sockaddr_nl any = { .nl_family = AF_NETLINK };
	socklen_t len = sizeof(any);
	int fd = socket(AF_NETLINK, SOCK_DGRAM, NETLINK_USERSOCK);
	int room = 64 << 20;

	/* Connected to itself. */
	if (fd < 0 || bind(fd, (struct sockaddr *)&any, sizeof(any)) ||
	    getsockname(fd, (struct sockaddr *)&any, &len) ||
	    connect(fd, (struct sockaddr *)&any, sizeof(any)) ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)) ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room)))
		die("cannot open a socket to hold messages");
	return fd;
}

static void hold(int holder, size_t size)
{
	static unsigned char message[SPACE];

	/* Netlink does not send empty messages. */
	if (!size)
		size = 1;
	if (send(holder, message, size, 0) != (ssize_t)size)
		die("cannot hold %zu bytes", size);
}

/* The cost of a step that sends messages of about @size bytes. */
static double measure(const struct work *work, size_t size)
{
	/* One for each of the smaller sizes that are allocated on the way. */
	static const size_t others[] = { 1, 600, 1500, 3500 };
	double *times, sum = 0;
	unsigned int chunk, round, i;
	int holder = open_holder();

	times = calloc((size_t)work->chunks * rounds, sizeof(*times));
	if (!times)
		die("no memory");

	/* Warm up: what is allocated or computed on first use. */
	for (chunk = 0; chunk < work->chunks; chunk++)
		time_chunk(work, chunk);

	for (round = 0; round < rounds; round++) {
		hold(holder, size);
		for (i = 0; i < ARRAY_SIZE(others); i++)
			hold(holder, others[i]);
		if (work->begin) {
			work->begin();
			time_chunk(work, 0);
		}
		for (chunk = 0; chunk < work->chunks; chunk++)
			times[chunk * rounds + round] = time_chunk(work, chunk);
	}
	close(holder);

	for (chunk = 0; chunk < work->chunks; chunk++)
		sum += lower_quartile(&times[chunk * rounds], rounds);
	free(times);
	return (sum / work->chunks - overhead(work->per_chunk)) / work->per_chunk;
}

/* --- a channel: something that returns what is sent --- */

struct channel {
	int out, in;
	bool is_socket;
	/* Of a netlink socket. */
	int protocol;
	/* Gives the request its number. May be NULL. */
	void (*number)(struct channel *channel, unsigned int number);
	/* Whether the reply is the right one. */
	bool (*is_reply)(const struct channel *channel);
	/* Where the payload lies, in both directions. */
	size_t head;
	size_t request_len;
	ssize_t reply_len;
	_Alignas(8) unsigned char request[SPACE];
	_Alignas(8) unsigned char reply[SPACE];
};

static struct channel channel;

static void send_request(struct channel *channel, unsigned int number)
{
	ssize_t sent;

	if (channel->number)
		channel->number(channel, number);
	if (channel->is_socket)
		sent = send(channel->out, channel->request, channel->request_len, 0);
	else
		sent = write(channel->out, channel->request, channel->request_len);
	if (sent != (ssize_t)channel->request_len)
		die("cannot send %zu bytes", channel->request_len);
}

static void receive(struct channel *channel)
{
	if (channel->is_socket)
		channel->reply_len = recv(channel->in, channel->reply, SPACE, MSG_DONTWAIT);
	else
		channel->reply_len = read(channel->in, channel->reply, SPACE);
	if (channel->reply_len < 0)
		die("nothing came");
}

static void exchange(void *with, unsigned int i)
{
	struct channel *channel = with;

	send_request(channel, i);
	receive(channel);
	if (!channel->is_reply(channel))
		die("step %u: this is not the reply", i);
}

static void only_send(void *with, unsigned int i)
{
	send_request(with, i);
}

static void fill(unsigned char *data, unsigned int size)
{
	unsigned int i;

	for (i = 0; i < size; i++)
		data[i] = i * 7;
}

/* A netlink socket, with a port that no other had. */
static int netlink_socket(int protocol)
{
	static unsigned int port = 100000;
	struct sockaddr_nl own = { .nl_family = AF_NETLINK, .nl_pid = ++port };
	int fd = socket(AF_NETLINK, SOCK_DGRAM, protocol);

	if (fd < 0 || bind(fd, (struct sockaddr *)&own, sizeof(own)))
		die("cannot open a netlink socket");
	return fd;
}

static void netlink_open(struct channel *channel, int protocol)
{
	channel->in = channel->out = netlink_socket(protocol);
	channel->is_socket = true;
	channel->protocol = protocol;
}

/* To begin a round with. */
static void reopen(void)
{
	if (!channel.protocol)
		return;
	close(channel.in);
	netlink_open(&channel, channel.protocol);
}

/* One exchange to see that the payload comes back, then the measurement. */
static double measure_exchange(unsigned int payload)
{
	const struct work work = {
		.begin = reopen, .step = exchange, .with = &channel,
		.chunks = 1, .per_chunk = CHUNK,
	};

	exchange(&channel, 0);
	if (memcmp(channel.request + channel.head, channel.reply + channel.head, payload))
		die("the payload of %u bytes came back as another one", payload);
	return measure(&work, channel.request_len);
}

/* --- the connector --- */

static struct cn_msg *cn_of(unsigned char *datagram)
{
	return NLMSG_DATA((struct nlmsghdr *)datagram);
}

static void cn_number(struct channel *channel, unsigned int number)
{
	struct cn_msg *msg = cn_of(channel->request);

	msg->seq = number;
	msg->ack = 1000 + number;
}

static bool cn_is_reply(const struct channel *channel)
{
	const struct cn_msg *request = cn_of((unsigned char *)channel->request);
	const struct cn_msg *reply = cn_of((unsigned char *)channel->reply);

	return channel->reply_len == (ssize_t)channel->request_len &&
	       reply->seq == request->seq && reply->ack == request->ack + 1;
}

static int cn_listener(unsigned int group)
{
	int fd = netlink_socket(NETLINK_CONNECTOR);

	if (setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)))
		die("cannot join group %u", group);
	return fd;
}

static void cn_address(struct channel *channel, unsigned int idx, unsigned int val,
		       const void *payload, unsigned int size)
{
	struct nlmsghdr *nlh = (struct nlmsghdr *)channel->request;
	struct cn_msg *msg = cn_of(channel->request);

	channel->head = NLMSG_HDRLEN + sizeof(*msg);
	channel->request_len = channel->head + size;
	*nlh = (struct nlmsghdr){
		.nlmsg_len = channel->request_len,
		.nlmsg_type = NLMSG_DONE,
	};
	*msg = (struct cn_msg){ .id = { idx, val }, .len = size };
	if (payload)
		memcpy(msg->data, payload, size);
	else
		fill(msg->data, size);
}

static void cn_open(struct channel *channel)
{
	netlink_open(channel, NETLINK_CONNECTOR);
	channel->number = cn_number;
	channel->is_reply = cn_is_reply;
}

static void cn_request(struct channel *channel, unsigned int op, unsigned int count,
		       unsigned int per_datagram)
{
	const struct bench_request request = {
		.op = op, .count = count, .per_datagram = per_datagram,
	};

	cn_address(channel, BENCH_IDX, BENCH_CONTROL, &request, sizeof(request));
}

/* --- generic netlink --- */

static void genl_number(struct channel *channel, unsigned int number)
{
	((struct nlmsghdr *)channel->request)->nlmsg_seq = number;
}

static bool genl_is_reply(const struct channel *channel)
{
	const struct nlmsghdr *request = (const struct nlmsghdr *)channel->request;
	const struct nlmsghdr *reply = (const struct nlmsghdr *)channel->reply;

	return channel->reply_len == (ssize_t)channel->request_len &&
	       reply->nlmsg_seq == request->nlmsg_seq && reply->nlmsg_type == request->nlmsg_type;
}

/* A command with one attribute. */
static void genl_message(struct channel *channel, unsigned int family, unsigned int cmd,
			 unsigned int attr, const void *payload, unsigned int size)
{
	struct nlmsghdr *nlh = (struct nlmsghdr *)channel->request;
	struct genlmsghdr *genl = NLMSG_DATA(nlh);
	struct nlattr *nla = (struct nlattr *)((char *)genl + GENL_HDRLEN);

	channel->head = NLMSG_HDRLEN + GENL_HDRLEN + NLA_HDRLEN;
	channel->request_len = channel->head + NLA_ALIGN(size);
	*nlh = (struct nlmsghdr){
		.nlmsg_len = channel->request_len,
		.nlmsg_type = family,
		.nlmsg_flags = NLM_F_REQUEST,
	};
	*genl = (struct genlmsghdr){ .cmd = cmd, .version = 1 };
	*nla = (struct nlattr){ .nla_len = NLA_HDRLEN + size, .nla_type = attr };
	if (payload)
		memcpy(channel->request + channel->head, payload, size);
	else
		fill(channel->request + channel->head, size);
}

static unsigned int genl_family(struct channel *channel)
{
	const struct nlmsghdr *nlh = (const struct nlmsghdr *)channel->reply;
	size_t at = NLMSG_HDRLEN + GENL_HDRLEN;

	genl_message(channel, GENL_ID_CTRL, CTRL_CMD_GETFAMILY, CTRL_ATTR_FAMILY_NAME,
		     GENL_ECHO_NAME, sizeof(GENL_ECHO_NAME));
	send_request(channel, 0);
	receive(channel);
	while (nlh->nlmsg_type == GENL_ID_CTRL && at + NLA_HDRLEN <= (size_t)channel->reply_len) {
		const struct nlattr *nla = (const struct nlattr *)&channel->reply[at];

		if (nla->nla_type == CTRL_ATTR_FAMILY_ID)
			return *(const __u16 *)(nla + 1);
		if (nla->nla_len < NLA_HDRLEN)
			break;
		at += NLA_ALIGN(nla->nla_len);
	}
	errno = ENOENT;
	die("no generic netlink family " GENL_ECHO_NAME);
}

static unsigned int genl_open(struct channel *channel)
{
	netlink_open(channel, NETLINK_GENERIC);
	channel->number = genl_number;
	channel->is_reply = genl_is_reply;
	return genl_family(channel);
}

/* --- what has no header --- */

static bool bytes_is_reply(const struct channel *channel)
{
	return channel->reply_len == (ssize_t)channel->request_len;
}

static void bytes_message(struct channel *channel, unsigned int size)
{
	channel->request_len = size;
	fill(channel->request, size);
}

static void chardev_open(struct channel *channel)
{
	channel->out = channel->in = open("/dev/chardev_echo", O_RDWR);
	if (channel->in < 0)
		die("cannot open /dev/chardev_echo");
	channel->is_reply = bytes_is_reply;
}

static void unix_open(struct channel *channel)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_DGRAM, 0, pair))
		die("cannot make a pair of sockets");
	channel->out = pair[0];
	channel->in = pair[1];
	channel->is_socket = true;
	channel->is_reply = bytes_is_reply;
}

/* --- the benches --- */

/* An echo round trip, over what IMPL is. */
static void bench_echo(void)
{
	unsigned int family = 0, i;
	bool genl = !strcmp(impl, "genl"), bytes = true;

	if (genl) {
		family = genl_open(&channel);
	} else if (!strcmp(impl, "chardev")) {
		chardev_open(&channel);
	} else if (!strcmp(impl, "unix")) {
		unix_open(&channel);
	} else {
		cn_open(&channel);
		bytes = false;
	}
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		if (genl)
			genl_message(&channel, family, GENL_ECHO_CMD, GENL_ECHO_A_DATA, NULL,
				     sizes[i]);
		else if (bytes)
			bytes_message(&channel, sizes[i]);
		else
			cn_address(&channel, ECHO_IDX, ECHO_VAL, NULL, sizes[i]);
		row("echo", sizes[i], 1, measure_exchange(sizes[i]));
	}
}

/* The same echo as a user of a client library would have it: 32 bytes. */
static void bench_client(void)
{
	cn_open(&channel);
	cn_address(&channel, ECHO_IDX, ECHO_VAL, NULL, 32);
	row("client", 32, 1, measure_exchange(32));
}

/* A message that the service ignores: sending and dispatching, no reply. */
static void bench_sink(void)
{
	const struct work work = {
		.begin = reopen, .step = only_send, .with = &channel,
		.chunks = 1, .per_chunk = CHUNK,
	};

	cn_open(&channel);
	cn_address(&channel, BENCH_IDX, BENCH_SINK, NULL, 32);
	row("sink", 32, 1, measure(&work, channel.request_len));
}

static unsigned int many;

static void exchange_many(void *with, unsigned int i)
{
	cn_of(channel.request)->id.val = 1 + i % many;
	exchange(with, i);
}

/* An echo round trip with n ids registered: the mean over all of them. */
static void bench_ids(unsigned int n)
{
	struct work work = { .begin = reopen, .step = exchange_many, .with = &channel };

	many = n;
	work.per_chunk = n < CHUNK ? CHUNK / n * n : 10;
	work.chunks = n < CHUNK ? 1 : n / work.per_chunk;
	cn_open(&channel);
	cn_address(&channel, MANY_IDX, 1, NULL, 32);
	row("ids", 32, n, measure(&work, channel.request_len));
}

/* What the kernel does @count times at one request, each: the request itself is taken off. */
static double measure_op(unsigned int op, unsigned int count, void (*tidy)(void *))
{
	struct work work = {
		.begin = reopen, .step = only_send, .with = &channel,
		.chunks = 1, .per_chunk = 4,
	};
	double with, without;

	cn_request(&channel, BENCH_NOTHING, 0, 0);
	without = measure(&work, channel.request_len);
	cn_request(&channel, op, count, 0);
	work.tidy = tidy;
	with = measure(&work, channel.request_len);
	return (with - without) / count;
}

#define BROADCASTS 8U

static int listeners[64];
static unsigned int n_listeners;

static void drain_listeners(void *with)
{
	unsigned int i, got;

	(void)with;
	for (i = 0; i < n_listeners; i++) {
		for (got = 0; recv(listeners[i], channel.reply, SPACE, MSG_DONTWAIT) > 0; got++)
			;
		if (got != 4 * BROADCASTS)
			die("listener %u got %u messages", i, got);
	}
}

/* A broadcast to n listeners, in the kernel alone. */
static void bench_broadcast(unsigned int n)
{
	cn_open(&channel);
	for (n_listeners = 0; n_listeners < n; n_listeners++)
		listeners[n_listeners] = cn_listener(BENCH_GROUP);
	row("broadcast", BENCH_PAYLOAD, n,
	    measure_op(BENCH_BROADCAST, BROADCASTS, drain_listeners));
	while (n_listeners)
		close(listeners[--n_listeners]);
}

#define MESSAGES 64U

static unsigned int per_datagram;

static void collect(void *with, unsigned int i)
{
	unsigned int got;

	send_request(with, i);
	for (got = 0; got < MESSAGES; got += per_datagram) {
		receive(with);
		if (channel.reply_len != (ssize_t)(NLMSG_HDRLEN + per_datagram *
						   (sizeof(struct cn_msg) + BENCH_PAYLOAD)))
			die("a datagram of %zd bytes", channel.reply_len);
	}
}

/* 64 messages from the kernel, n in a datagram: the cost of one, from making to receiving it. */
static void bench_batch(unsigned int n)
{
	struct work work = {
		.begin = reopen, .step = only_send, .with = &channel,
		.chunks = 1, .per_chunk = 4,
	};
	double with, without;

	per_datagram = n;
	cn_open(&channel);
	cn_request(&channel, BENCH_NOTHING, 0, 0);
	without = measure(&work, channel.request_len);
	cn_request(&channel, BENCH_BATCH, MESSAGES, n);
	work.step = collect;
	with = measure(&work, channel.request_len);
	row("batch", BENCH_PAYLOAD, n, (with - without) / MESSAGES);
}

/* Registering an id and unregistering it. */
static void bench_register(void)
{
	cn_open(&channel);
	row("register", 0, 1, measure_op(BENCH_REGISTER, 16, NULL));
}

/* --- cn_notify: no header of today has its formats, see src/wire/notify.rs --- */

struct notify_request {
	__u32 idx_ranges, val_ranges, group, len;
	struct {
		__u32 first, range;
	} idx, val;
};

static struct channel notify;

/* Asks for notifications about one id. */
static void notify_about(__u32 idx, __u32 val)
{
	const struct notify_request request = {
		.idx_ranges = 1,
		.val_ranges = 1,
		.group = BENCH_GROUP,
		.len = sizeof(request.idx) + sizeof(request.val),
		.idx = { idx, 1 },
		.val = { val, 1 },
	};

	const struct cn_msg *answer = cn_of(notify.reply);
	__s32 error;

	cn_address(&notify, -1, -1, &request, sizeof(request));
	send_request(&notify, 0);
	receive(&notify);
	/* The answer is the number of an error. */
	memcpy(&error, answer->data, sizeof(error));
	if (answer->len != sizeof(error) || error)
		die("cn_notify refuses: %d", error);
}

/* One notification for each of the two changes. */
#define CHANGES 2

static void notify_step(void *with, unsigned int i)
{
	unsigned int got;

	send_request(with, i);
	for (got = 0; got < CHANGES; got++)
		if (recv(notify.in, notify.reply, SPACE, 0) <= 0)
			die("no notification");
}

/*
 * Registering or unregistering an id, with n requests stored of which one asks for that id: until
 * the notification was received. With n = 0 nobody watches.
 */
static void bench_notify(unsigned int n)
{
	const struct sched_param first = { .sched_priority = 1 };
	struct work work = {
		.begin = reopen, .step = only_send, .with = &channel,
		.chunks = 1, .per_chunk = 8,
	};
	double with, without;
	unsigned int i;

	cn_open(&channel);
	if (!n) {
		row("notify", 0, n, measure_op(BENCH_REGISTER, 16, NULL) / CHANGES);
		return;
	}
	cn_open(&notify);
	notify.in = notify.out = cn_listener(BENCH_GROUP);
	for (i = 1; i <= n; i++)
		notify_about(BENCH_IDX, BENCH_GUEST + i % n);

	/* A worker announces. It runs when this thread waits, and as long: no other order. */
	if (sched_setscheduler(0, SCHED_FIFO, &first))
		die("cannot have a real-time priority");
	cn_request(&channel, BENCH_NOTHING, 0, 0);
	without = measure(&work, channel.request_len);
	cn_request(&channel, BENCH_REGISTER, 1, 0);
	work.step = notify_step;
	with = measure(&work, channel.request_len);
	row("notify", 0, n, (with - without) / CHANGES);
}

/* --- programs that print what comes, a line each --- */

#define LINES "/tmp/lines"

/* Starts a program whose last argument is how many lines to print, and waits until it listens. */
static pid_t start_reader(char **command, unsigned int group, unsigned int count)
{
	char *argv[16] = { NULL }, number[16];
	unsigned int i, mask = 0;
	char line[256];
	FILE *sockets;
	pid_t pid;

	snprintf(number, sizeof(number), "%u", count);
	for (i = 0; command[i] && i < ARRAY_SIZE(argv) - 2; i++)
		argv[i] = command[i];
	argv[i] = number;

	pid = fork();
	if (pid < 0)
		die("cannot fork");
	if (!pid) {
		int fd = open(LINES, O_WRONLY | O_CREAT | O_TRUNC, 0600);

		if (fd < 0 || dup2(fd, STDOUT_FILENO) < 0)
			die("cannot write " LINES);
		execv(argv[0], argv);
		die("cannot execute %s", argv[0]);
	}
	while (!(mask & 1U << (group - 1))) {
		usleep(10000);
		if (waitpid(pid, NULL, WNOHANG))
			die("%s ended before it listened", argv[0]);
		sockets = fopen("/proc/net/netlink", "r");
		if (!sockets)
			die("cannot read /proc/net/netlink");
		while (fgets(line, sizeof(line), sockets)) {
			unsigned int protocol, groups;

			if (sscanf(line, "%*s %u %*u %x", &protocol, &groups) == 2 &&
			    protocol == NETLINK_CONNECTOR)
				mask |= groups;
		}
		fclose(sockets);
	}
	/* What it does between joining and waiting for the first message is not measured. */
	usleep(100000);
	return pid;
}

static void send_broadcasts(unsigned int count)
{
	cn_request(&channel, BENCH_BROADCAST, count, 0);
	send_request(&channel, 0);
}

/* Processes that end at once: two events each. */
static void make_processes(unsigned int count)
{
	for (; count; count -= 2) {
		pid_t pid = fork();

		if (!pid)
			_exit(0);
		if (pid < 0 || waitpid(pid, NULL, 0) != pid)
			die("cannot make a process");
	}
}

/* How long a program takes to print @count messages that are in its queue, and to end. */
static double time_reader(char **command, unsigned int group, void (*make)(unsigned int count),
			  unsigned int count)
{
	pid_t pid = start_reader(command, group, count);
	double start, end;
	int status;

	if (kill(pid, SIGSTOP) || waitpid(pid, &status, WUNTRACED) != pid || !WIFSTOPPED(status))
		die("cannot stop %s", command[0]);
	make(count);
	start = now();
	if (kill(pid, SIGCONT) || waitpid(pid, &status, 0) != pid)
		die("cannot continue %s", command[0]);
	end = now();
	if (status)
		die("%s failed: %#x", command[0], status);
	return end - start;
}

/*
 * What a line costs: many lines less few lines, so that starting and ending costs nothing. Of some
 * runs the least: the kernel's own work, which comes in between as it likes, only adds.
 */
static void bench_reader(const char *bench, char **command, unsigned int group,
			 void (*make)(unsigned int count))
{
	const unsigned int few = 512, many = 2560;
	double few_take = DBL_MAX, many_take = DBL_MAX;
	unsigned int i;

	for (i = 0; i < 9; i++) {
		few_take = fmin(few_take, time_reader(command, group, make, few));
		many_take = fmin(many_take, time_reader(command, group, make, many));
	}
	row(bench, 0, 1, (many_take - few_take) / (many - few));
}

/* A broadcast, received and printed. */
static void bench_listen(char **command)
{
	cn_open(&channel);
	bench_reader("listen", command, BENCH_GROUP, send_broadcasts);
}

/* A process event, received and printed. */
static void bench_proc(char **command)
{
	bench_reader("proc", command, CN_IDX_PROC, make_processes);
}

/* The same by a program that says who it was. */
static void bench_named(char **command)
{
	bench_reader("named", command, CN_IDX_PROC, make_processes);
}

/* --- process events --- */

static int watcher;

/* Listens to process events. */
static void open_watcher(void)
{
	const __u32 listen = PROC_CN_MCAST_LISTEN;
	int room = 64 << 20;

	watcher = cn_listener(CN_IDX_PROC);
	if (setsockopt(watcher, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)))
		die("cannot make the buffer large");
	cn_address(&channel, CN_IDX_PROC, CN_VAL_PROC, &listen, sizeof(listen));
	if (send(watcher, channel.request, channel.request_len, 0) < 0)
		die("cannot listen to process events");
}

/* Waits for an event that is about the process; what came before it is passed over. */
static void await_event(unsigned int what, pid_t pid)
{
	const struct proc_event *event = (const void *)cn_of(channel.reply)->data;

	do {
		if (recv(watcher, channel.reply, SPACE, 0) < 0)
			die("no event");
	} while (event->what != what ||
		 (what == PROC_EVENT_EXIT ? event->event_data.exit.process_pid :
		  event->event_data.comm.process_pid) != pid);
}

/* Its memory is its parent's: a copy would be most of the cost, and not always the same. */
static void process_step(void *with, unsigned int i)
{
	pid_t pid = vfork();

	(void)with;
	(void)i;
	if (!pid)
		_exit(0);
	if (pid < 0 || waitpid(pid, NULL, 0) != pid)
		die("cannot make a process");
	await_event(PROC_EVENT_EXIT, pid);
}

static void rename_step(void *with, unsigned int i)
{
	(void)i;
	prctl(PR_SET_NAME, "bench");
	await_event(PROC_EVENT_COMM, *(const pid_t *)with);
}

/* A process from fork() to its last event received, and an event of one that goes on. */
static void bench_events(void)
{
	pid_t pid = getpid();
	struct work work = { .step = process_step, .chunks = 1, .per_chunk = 8 };

	open_watcher();
	row("process", 0, 1, measure(&work, 256));
	work = (struct work){ .step = rename_step, .with = &pid, .chunks = 1, .per_chunk = CHUNK };
	row("event", 0, 1, measure(&work, 256));
	close(watcher);
}

/* --- the rest --- */

static void reopen_small(void)
{
	int small = 1;

	reopen();
	if (setsockopt(channel.in, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)))
		die("cannot make the buffer small");
}

/* A message whose reply finds no room: the client has not read, and its buffer is full. */
static void bench_noroom(void)
{
	/* The first chunk of a round, which is not timed, fills the buffer. */
	const struct work work = {
		.begin = reopen_small, .step = only_send, .with = &channel,
		.chunks = 1, .per_chunk = CHUNK,
	};

	cn_open(&channel);
	cn_address(&channel, ECHO_IDX, ECHO_VAL, NULL, 32);
	row("noroom", 32, 1, measure(&work, channel.request_len));
	while (recv(channel.in, channel.reply, SPACE, MSG_DONTWAIT) > 0)
		;
	if (errno != ENOBUFS)
		die("nothing was lost");
}

static void two_syscalls(void *with, unsigned int i)
{
	(void)with;
	(void)i;
	syscall(SYS_getppid);
	syscall(SYS_getppid);
}

/* What two system calls cost that do next to nothing. */
static void bench_syscalls(void)
{
	const struct work work = { .step = two_syscalls, .chunks = 1, .per_chunk = CHUNK };

	row("syscalls", 0, 2, measure(&work, channel.request_len));
}

static const struct {
	const char *name;
	void (*plain)(void);
	void (*with_n)(unsigned int n);
	void (*with_command)(char **command);
} benches[] = {
	{ "echo", .plain = bench_echo },
	{ "client", .plain = bench_client },
	{ "sink", .plain = bench_sink },
	{ "ids", .with_n = bench_ids },
	{ "broadcast", .with_n = bench_broadcast },
	{ "batch", .with_n = bench_batch },
	{ "register", .plain = bench_register },
	{ "notify", .with_n = bench_notify },
	{ "noroom", .plain = bench_noroom },
	{ "listen", .with_command = bench_listen },
	{ "proc", .with_command = bench_proc },
	{ "named", .with_command = bench_named },
	{ "events", .plain = bench_events },
	{ "syscalls", .plain = bench_syscalls },
};

int main(int argc, char **argv)
{
	unsigned int i;
	int arg;

	if (argc > 2 && !strcmp(argv[1], "-r")) {
		rounds = strtoul(argv[2], NULL, 10) ?: 1;
		argv += 2;
		argc -= 2;
	}
	for (i = 0; argc > 2 && i < ARRAY_SIZE(benches); i++) {
		if (strcmp(argv[1], benches[i].name))
			continue;
		impl = argv[2];
		if (benches[i].plain)
			benches[i].plain();
		if (benches[i].with_command && argc > 3)
			benches[i].with_command(argv + 3);
		for (arg = 3; benches[i].with_n && arg < argc; arg++)
			benches[i].with_n(strtoul(argv[arg], NULL, 10));
		return 0;
	}
	fprintf(stderr, "usage: client [-r rounds] bench impl [n...|command...]\n");
	return 2;
}
