#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Runs test programs on this machine, one after the other, and says in KTAP what came of them.
# For machines that one can afford to lose: modules are loaded and unloaded all the time.
#
# Usage: run.sh [PROGRAM...]   all of them, without names. Exit status 0 if none failed.
# MODULES= names another folder than modules/ beside this script.

cd "$(dirname "$0")" || exit 1
here=$PWD
export PATH="$here/bin:$PATH"
timeout=$(sed -n 's/^timeout=//p' settings)

[ "$(id -u)" = 0 ] || {
	echo "run.sh: modules can be loaded by root alone" >&2
	exit 1
}

if [ $# = 0 ]; then
	for program in *; do
		case $program in
		run.sh | by_hand.sh) ;; # this, and what tests this
		*) [ ! -f "$program" ] || [ ! -x "$program" ] || set -- "$@" "$program" ;;
		esac
	done
fi
for program in "$@"; do
	[ -x "$program" ] && continue
	echo "run.sh: there is no program $program in $here" >&2
	exit 1
done

echo "KTAP version 1"
echo "1..$#"
number=0
failed=0
for program in "$@"; do
	number=$((number + 1))
	# A pipe has but its last command's status.
	{
		timeout -s KILL "$timeout" "./$program" </dev/null 2>&1
		echo "@$?"
	} | {
		while IFS= read -r line; do
			case $line in
			@[0-9] | @[0-9][0-9]*) exit "${line#@}" ;;
			*) printf '  %s\n' "$line" ;;
			esac
		done
	}
	status=$?
	case $status in
	0) echo "ok $number $program" ;;
	4) echo "ok $number $program # SKIP" ;;
	137) echo "not ok $number $program # TIMEOUT $timeout seconds" ;;
	*) echo "not ok $number $program # exit=$status" ;;
	esac
	case $status in
	0 | 4) ;;
	*) failed=1 ;;
	esac
done
exit $failed
