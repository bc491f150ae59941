# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0
#
# How the test programs that are shell scripts tell their results, in TAP. Sourced.

number=0
failed=0

# plan COUNT: so many tests follow.
plan() {
	echo "TAP version 13"
	echo "1..$1"
}

# skip_all REASON: there can be none here. Exits.
skip_all() {
	echo "TAP version 13"
	echo "1..0 # SKIP $1"
	exit 4
}

# check NAME COMMAND...: a test, which passes if the command does. It runs in a subshell, and what it
# says is shown if it fails.
check() {
	name=$1
	shift
	number=$((number + 1))
	if output=$("$@" 2>&1); then
		echo "ok $number - $name"
	else
		[ ! "$output" ] || printf '%s\n' "$output" | sed 's/^/# /'
		echo "not ok $number - $name"
		failed=1
	fi
}

# finish: exits as the tests passed or failed.
finish() {
	exit "$failed"
}
