#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# What `make modules_install` installed loads by name: modprobe finds the module
# that another one needs. The harness puts it into the VM's /lib/modules.
#
# shellcheck disable=SC2317 # `check` calls them by their names

. "$(dirname "$0")/tap.sh"

modules=/lib/modules/$(uname -r)
grep -qs cn_echo "$modules/modules.dep" || skip_all "cn_echo is not installed: make modules_install"

# Where it is the core itself, it has another name; and none where it is a part of the kernel.
for connector in rust_connector cn ""; do
	[ ! -e "$modules/updates/$connector.ko" ] || break
done

loads() {
	modprobe cn_echo && grep -q cn_echo /proc/net/connector && { [ ! "$connector" ] || [ -e "/sys/module/$connector" ]; }
}

leaves_nothing() {
	modprobe -r cn_echo && ! grep -qs cn_echo /proc/net/connector && { [ ! "$connector" ] || [ ! -e "/sys/module/$connector" ]; }
}

plan 2
check "modprobe cn_echo loads the connector first" loads
check "modprobe -r cn_echo leaves neither behind" leaves_nothing
finish
