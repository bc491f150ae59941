#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Our cn.ko in the place of the kernel's: what depmod and modprobe take, whoever asks for the connector,
# and that the kernel's is back when ours is taken away. With kmod's depmod, since busybox's knows nothing
# of updates/. The harness puts both connectors, and the kernel's users of it, into /lib/modules.

echo "TAP version 13"
modules=/lib/modules/$(uname -r)
if [ ! -e "$modules/updates/cn.ko" ] || [ ! -e "$modules/kernel/drivers/connector/cn.ko" ]; then
	echo "1..0 # SKIP there are no two connectors here"
	exit 4
fi
echo "1..5"
failed=0

# result NUMBER NAME: of the command before it.
result() {
	if [ "$status" = 0 ]; then
		echo "ok $1 - $2"
	else
		echo "not ok $1 - $2"
		failed=1
	fi
}

# Ours has counters there.
# shellcheck disable=SC2317 # called by its name
is_ours() {
	[ -d /sys/module/cn ] && [ -d /sys/kernel/debug/rust_connector ]
}

# shellcheck disable=SC2317 # called by its name
is_kernels() {
	[ -d /sys/module/cn ] && [ ! -d /sys/kernel/debug/rust_connector ]
}

nothing_loaded() {
	[ ! -d /sys/module/cn ]
}

# users_on CHECK: the kernel's users load, and work, on the connector that CHECK wants, and both go.
users_on() {
	for user in dm-log-userspace wire; do
		nothing_loaded || return 1
		/usr/sbin/modprobe "$user" && "$1" && grep -Eq "dmlogusr|w1" /proc/net/connector &&
			/usr/sbin/modprobe -r "$user" || return 1
	done
	nothing_loaded
}

# What the kernel calls when a socket of the connector is opened.
socket_loads() {
	nothing_loaded || return 1
	cat >/tmp/modprobe <<-'END'
		#!/bin/sh
		exec /usr/sbin/modprobe "$@"
	END
	chmod +x /tmp/modprobe
	helper=$(cat /proc/sys/kernel/modprobe)
	echo /tmp/modprobe >/proc/sys/kernel/modprobe
	cnctl ping 99:99 -c 1 -W 0.01 >/dev/null 2>&1
	echo "$helper" >/proc/sys/kernel/modprobe
	rm /tmp/modprobe
	"$1" && /usr/sbin/modprobe -r cn && nothing_loaded
}

users_on is_ours
status=$?
result 1 "the kernel's users of the connector, loaded by name, get ours"

socket_loads is_ours
status=$?
result 2 "a socket that is opened loads ours"

/usr/sbin/modprobe rust_connector && is_ours && /usr/sbin/modprobe -r rust_connector && nothing_loaded
status=$?
result 3 "so does its other name, rust_connector"

mv "$modules/updates/cn.ko" /tmp/ && /usr/sbin/depmod
users_on is_kernels && socket_loads is_kernels
status=$?
result 4 "without ours they get the kernel's again, as before"

mv /tmp/cn.ko "$modules/updates/" && /usr/sbin/depmod
users_on is_ours && socket_loads is_ours
status=$?
result 5 "and ours when it is there again"

# What modprobe -r leaves that is still on its way out when it comes to it.
for _ in 1 2 3 4 5 6 7 8 9 10; do
	/usr/sbin/modprobe -qr dm-mod && break
	sleep 1
done

exit "$failed"
