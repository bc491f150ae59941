#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# The installed directory is all that it takes to run a program by hand, and run.sh says what came
# of it: a pass, a failure and a skip, and an exit status that agrees.
#
# shellcheck disable=SC2317 # `check` calls them by their names

cd "$(dirname "$0")" || exit 1
here=$PWD
. ./tap.sh
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT

is_complete() {
	for file in config settings run.sh modules/cn_notify.ko modules/cn_echo.ko bin/cnctl echo; do
		[ -e "$here/$file" ] || {
			echo "$file is missing"
			return 1
		}
	done
	grep -q '^CONFIG_CONNECTOR=y' config && grep -q '^timeout=[0-9]' settings
}

runs_one() {
	sh "$copy/run.sh" echo >"$copy/out" || return
	cat "$copy/out"
	grep -q '^1\.\.1$' "$copy/out" && grep -q '^  ok 1 ' "$copy/out" && grep -q '^ok 1 echo$' "$copy/out"
}

# program NAME STATUS: a program that ends with it.
program() {
	printf '#!/bin/sh\necho "1..0"\nexit %s\n' "$2" >"$copy/$1"
	chmod +x "$copy/$1"
}

tells() {
	program bad 1
	program none 4
	! sh "$copy/run.sh" none bad echo >"$copy/out" || return
	cat "$copy/out"
	grep -q '^ok 1 none # SKIP' "$copy/out" && grep -q '^not ok 2 bad # exit=1$' "$copy/out" &&
		grep -q '^ok 3 echo$' "$copy/out"
}

refuses() {
	! sh "$copy/run.sh" no_such >"$copy/out" 2>&1 || return
	cat "$copy/out"
	grep -q 'there is no program no_such' "$copy/out"
}

plan 4
check "the directory is complete" is_complete
# Elsewhere, with nothing but what belongs to this one program.
cp -r run.sh settings modules echo "$copy/"
check "run.sh runs a program from a directory that was copied" runs_one
check "run.sh tells of failures and skips" tells
check "run.sh refuses a program that is not there" refuses
finish
