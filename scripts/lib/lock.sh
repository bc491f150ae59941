# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# Two runs in one clone write to it one after the other. What is in the cache has locks of its own.
# Sourced.

build_locked=

lock_build() {
	[[ ! $build_locked ]] || return 0
	build_locked=1
	while :; do
		mkdir -p "$build"
		exec 8>"$build/.lock"
		if ! flock -n 8; then
			step_name='' step_total=0 say "waiting for another run in this clone"
			flock 8
		fi
		# make clean takes it away, and who comes next has another one.
		[[ ! $build/.lock -ef /dev/fd/8 ]] || return 0
	done
}

unlock_build() {
	exec 8>&-
	build_locked=
}

clean() {
	lock_build
	rm -rf "$build" "$top/target"
}
