#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Our cn.ko in the place of the kernel's: what depmod and modprobe take, whoever asks for the connector,
# and that the kernel's is back when ours is taken away. With kmod's depmod, since busybox's knows nothing
# of updates/. The harness puts both connectors, and the kernel's users of it, into /lib/modules.
#
# shellcheck disable=SC2317 # `check` calls them by their names

. "$(dirname "$0")/tap.sh"

modules=/lib/modules/$(uname -r)
for module in updates/cn.ko kernel/drivers/connector/cn.ko; do
	[ -e "$modules/$module" ] || skip_all "there are no two connectors here"
done

# Ours has counters there.
is_ours() {
	[ -d /sys/module/cn ] && [ -d /sys/kernel/debug/rust_connector ]
}

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

other_name() {
	/usr/sbin/modprobe rust_connector && is_ours && /usr/sbin/modprobe -r rust_connector && nothing_loaded
}

without_ours() {
	mv "$modules/updates/cn.ko" /tmp/ && /usr/sbin/depmod
	users_on is_kernels && socket_loads is_kernels
}

with_ours() {
	mv /tmp/cn.ko "$modules/updates/" && /usr/sbin/depmod
	users_on is_ours && socket_loads is_ours
}

plan 5
check "the kernel's users of the connector, loaded by name, get ours" users_on is_ours
check "a socket that is opened loads ours" socket_loads is_ours
check "so does its other name, rust_connector" other_name
check "without ours they get the kernel's again, as before" without_ours
check "and ours when it is there again" with_ours

# What modprobe -r leaves that is still on its way out when it comes to it.
for _ in 1 2 3 4 5 6 7 8 9 10; do
	/usr/sbin/modprobe -qr dm-mod && break
	sleep 1
done

finish
