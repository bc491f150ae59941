#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# What `make modules_install` installed loads by name: modprobe finds the module
# that another one needs. The harness puts it into the VM's /lib/modules.

echo "TAP version 13"
if ! grep -qs cn_echo "/lib/modules/$(uname -r)/modules.dep"; then
	echo "1..0 # SKIP cn_echo is not installed: make modules_install"
	exit 4
fi
echo "1..2"
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

# Where it is the core itself, it has another name.
connector=rust_connector
[ ! -e /lib/modules/"$(uname -r)"/updates/cn.ko ] || connector=cn

modprobe cn_echo && grep -q cn_echo /proc/net/connector && [ -e /sys/module/$connector ]
status=$?
result 1 "modprobe cn_echo loads the connector first"

modprobe -r cn_echo && ! grep -qs cn_echo /proc/net/connector && [ ! -e /sys/module/$connector ]
status=$?
result 2 "modprobe -r cn_echo leaves neither behind"

exit "$failed"
