#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# What `make bench` measures, in the VM or, as root, on a real machine: every
# service in Rust beside its peers in C. One service at a time is loaded, since
# the connector core walks a list of all ids. Prints "row BENCH IMPL SIZE N VALUE".
#
# Where the connector is a module, ours is one, too. C then is on the kernel's, and
# "c-on-rust" is C on ours. Where ours is a part of the kernel, "c" is measured in
# another one.
#
# Usage: bench.sh WHAT [PASSES]   WHAT is all, or memory for only that, or c for only the
#                                 kernel's connector and C on it. Every
#                                 other pass takes Rust and C in the other order.
# MODULES= and BENCH= name the folders of the modules and of the benchmark, CNCTL=
# the program.

set -e
: "${MODULES:=/modules}" "${BENCH:=/bench}" "${CNCTL:=/bin/cnctl}"

# load MODULE [PARAMETER...]
load() {
	[ "$1" ] || return 0
	ko=$MODULES/$1.ko
	[ -e "$ko" ] || ko=$BENCH/$1.ko
	shift
	insmod "$ko" "$@"
}

connector=rust_connector kernels="" ours_stays=""
if [ ! -e "$MODULES/rust_connector.ko" ] && [ ! -e "$MODULES/cn.ko" ]; then
	connector=
	[ ! -e /sys/module/cn_rust ] || ours_stays=1
fi
if [ -e "$BENCH/kernel/cn.ko" ]; then
	connector=cn kernels=$BENCH/kernel/cn.ko
fi

# connected COMMAND...: runs the command while the connector that IMPL is on is loaded. Ours is
# loaded anew, since it remembers every id.
connected() {
	case $impl in
	rust | c-on-rust) load "$connector" ;;
	c) [ ! "$kernels" ] || insmod "$kernels" ;;
	esac
	"$@"
	case $impl in
	rust | c-on-rust) [ ! "$connector" ] || rmmod "$connector" ;;
	c) [ ! "$kernels" ] || rmmod cn ;;
	esac
}

client() {
	"$BENCH/client" "$@"
}

# with IMPL MODULE[:PARAMETER] COMMAND...: runs the command while the module is
# loaded.
with() {
	impl=$1 module=${2%:*} parameter=${2#"${2%:*}"}
	shift 2
	connected loaded "$@"
}

loaded() {
	load "$module" ${parameter:+"${parameter#:}"}
	"$@"
	rmmod "$module"
}

echoes() {
	client echo "$impl"
	client noroom "$impl"
	[ "$impl" = c ] || return 0
	# Two clients of one service: always of the same, so that a quicker one does not make a client
	# look worse.
	client client c
	"$BENCH/client-rust"
}

requests() {
	client sink "$impl"
	client broadcast "$impl" 1 8 64
	client batch "$impl" 1 8 64
	client register "$impl"
	[ "$impl" != rust ] || reader listen
}

# What kinds of lines were printed: without their numbers, and without the names
# of kernel threads, which start when they like.
lines() {
	grep -v ' comm ' /tmp/lines | tr -s '0-9 ' '#' | sort -u | md5sum
}

# reader BENCH: cnctl and a program in C print the same messages.
reader() {
	case $1 in
	listen)
		client listen rust "$CNCTL" listen 8 --data none --buffer 16777216 --count
		printed=$(lines)
		client listen c "$BENCH/reader" listen 8
		;;
	proc)
		client proc rust "$CNCTL" proc --no-command --buffer 16777216 --count
		printed=$(lines)
		client proc c "$BENCH/reader" proc
		;;
	named)
		client named rust "$CNCTL" proc --buffer 16777216 --count
		# C says neither who it was nor how long it ran.
		client named c "$BENCH/reader" proc
		return
		;;
	esac
	if [ "$printed" != "$(lines)" ]; then
		echo "$1: C prints something else than cnctl"
		return 1
	fi
}

notifications() {
	client notify "$impl" 0
	load cn_notify
	client notify "$impl" 1 100
	rmmod cn_notify
}

# Every size that kmalloc() knows, and how many of it are allocated. Shrinking
# takes back what the allocator keeps for the next one.
allocated() {
	for cache in /sys/kernel/slab/kmalloc-[0-9]*; do
		echo 1 >"$cache/shrink"
		read -r objects _ <"$cache/objects"
		read -r size <"$cache/slab_size"
		echo "$size $objects"
	done
}

# memory IMPL MODULE: what a registration takes, in bytes: of which sizes there
# are 6144 more when there are 6144 more ids.
memory() {
	with "$1" "$2:ids=2048" allocated >/tmp/few
	with "$1" "$2:ids=8192" allocated >/tmp/many
	sum=0
	while read -r size few && read -r size many <&3; do
		sum=$((sum + size * ((many - few + 3072) / 6144)))
	done </tmp/few 3</tmp/many
	echo "row memory $1 0 1 $sum"
}

# connector IMPL ECHO-MODULE BENCH-MODULE
connector() {
	with "$1" "$2" echoes
	with "$1" "$3" requests
	for n in 1 10 100; do
		with "$1" "$3:ids=$n" client ids "$1" $n
	done
	with "$1" "$3:ids=1000" client -r 7 ids "$1" 1000 # these take long
	[ "$1" != rust ] || with "$1" "$3" notifications
}

# events IMPL: those of the connector that is built in.
events() {
	[ "$kernels" ] || client events "$1"
}

others() {
	client syscalls c
	# Process events are of a connector that is built in.
	[ "$kernels" ] || reader proc
	[ "$kernels" ] || reader named
	client echo unix
	with genl genl_echo client echo genl
	with chardev chardev_echo client echo chardev
}

# Some kernels prepare memory when it is first used, which would be charged to
# whoever is measured first.
[ "$1" = memory ] || with c c_echo client echo c >/dev/null

pass=0
while [ "$1" != memory ] && [ "$pass" -lt "${2:-1}" ]; do
	echo "pass $pass"
	if [ "$1" = c ]; then
		connector c c_echo c_bench
		events c
		pass=$((pass + 1))
		continue
	fi
	if [ "$ours_stays" ]; then
		connector rust cn_echo rust_bench
		connector c-on-rust c_echo c_bench
		events rust
	elif [ $((pass % 2)) = 0 ]; then
		connector rust cn_echo rust_bench
		connector c c_echo c_bench
	else
		connector c c_echo c_bench
		connector rust cn_echo rust_bench
	fi
	[ ! "$kernels" ] || connector c-on-rust c_echo c_bench
	others
	pass=$((pass + 1))
done
if [ -e /sys/kernel/slab/kmalloc-96/shrink ]; then
	[ "$1" = c ] || memory rust rust_bench
	[ "$ours_stays" ] || memory c c_bench
fi
