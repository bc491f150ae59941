#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# What `make run` shows: a Rust module answers messages of growing size, and
# leaves no trace. Runs in the VM. Exit status 0 only if every step worked.

show() {
	echo
	echo "# $*"
	"$@"
}

fail() {
	echo "demo: $*"
	echo "--- the end of the kernel log"
	dmesg | tail -n 20
	exit 1
}

# Neither is there where the connector is a part of the kernel.
for connector in rust_connector cn ""; do
	[ ! -e "/modules/$connector.ko" ] || break
done
[ ! "$connector" ] || show insmod "/modules/$connector.ko" || fail "insmod $connector.ko failed"
show insmod /modules/cn_echo.ko || fail "insmod cn_echo.ko failed"
show cat /proc/net/connector
grep -q cn_echo /proc/net/connector || fail "cn_echo is not registered"
show cnctl ping 16:1 --sweep 0..8192 -c 24 -i 0 -v || fail "not every message came back as it should"
show rmmod cn_echo || fail "rmmod cn_echo failed"
! grep -q cn_echo /proc/net/connector || fail "cn_echo is still registered"
[ ! "$connector" ] || show rmmod "$connector" || fail "rmmod $connector failed"
