# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# The cache: everything that is expensive and does not belong to one clone
# (kernel sources, kernel builds, tools that the distribution lacks). Sourced.
#
# The rule that makes an interrupt harmless: a thing is built under another name
# or without its stamp, and becomes visible by one rename or touch at the end.

cache=${XDG_CACHE_HOME:-$HOME/.cache}/rust-connector
# kbuild and cargo are called in other folders.
[[ $cache = /* ]] || cache=$top/$cache

# A short name for everything on stdin.
short_hash() {
	sha256sum | cut -c1-12
}

# One user of a part of the cache at a time, over all clones. The lock goes with
# the process, so that a killed run leaves none behind.
cache_lock() {
	mkdir -p "$cache/lock"
	exec 9>"$cache/lock/$1"
	if ! flock -n 9; then
		progress "waiting for another run that works on the same ($1)"
		flock 9
	fi
}

cache_unlock() {
	exec 9>&-
}

# An empty directory to build something in; what an interrupted run left in it
# is removed. Call with the lock held.
cache_scratch() {
	scratch=$cache/tmp/$1
	rm -rf "$scratch"
	mkdir -p "$scratch"
}

# A version as one number that compares: 1.95.0 is 1095000. What is none is 0.
version_number() {
	local a b c
	IFS=. read -r a b c _ <<<"$1..."
	a=${a%%[!0-9]*} b=${b%%[!0-9]*} c=${c%%[!0-9]*}
	printf '%d' $((10#${a:-0} * 1000000 + 10#${b:-0} * 1000 + 10#${c:-0}))
}
