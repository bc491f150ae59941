# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# `make proofs`: what tests/proofs checks by machine. Its program does the work; here it is built, and
# herd7 found, with the kernel's memory model from the kernel's source. Sourced.

# Debian's herdtools7 and what its program takes, which may be newer than what this system has: it is
# run with libraries of its own, by its own loader.
herd_packages=(herdtools7 libc6 libgmp10)

# Sets herd to the command; without one, herd_why says why there is none.
find_herd() {
	local root package version suite versions=''
	herd=() herd_why=
	if command -v herd7 >/dev/null; then
		herd=(herd7)
		return
	fi
	if [[ $(uname -m) != x86_64 ]]; then
		herd_why="no herd7 here, and Debian's is taken on x86-64 only"
		return
	fi
	# One that was got before: no list is read again for it.
	for root in "$cache"/herd-*/; do
		[[ ! -x $root/usr/bin/herd7 ]] || herd_use "$root"
	done
	((${#herd[@]} == 0)) || return 0
	cache_lock downloads
	if ! debian_lists; then
		herd_why="no herd7 here (Debian package herdtools7), and $debian_why to get it from"
		cache_unlock
		return
	fi
	# All of the suite that has the newest of it: its library has to go with it.
	suite=$(debian_versions herdtools7 | awk 'END { print $2 }')
	for package in "${herd_packages[@]}"; do
		version=$(debian_versions "$package" | awk -v suite="$suite" '$2 == suite { print $1; exit }')
		if [[ ! $version ]]; then
			herd_why="no herd7 here, and Debian ${debian_suites[*]} has no $package"
			cache_unlock
			return
		fi
		versions+="$package=$version "
	done
	cache_scratch herd
	for package in $versions; do
		debian_unpack "${package%%=*}" "${package#*=}"
	done
	version=${versions#*=}
	rm -rf "$cache/herd-${version%% *}"
	mv "$scratch/root" "$cache/herd-${version%% *}"
	rm -rf "$scratch"
	cache_unlock
	herd_use "$cache/herd-${version%% *}"
}

# herd_use ROOT: the program there, with what it needs from there.
herd_use() {
	local root=${1%/} lib=$1/usr/lib/x86_64-linux-gnu
	herd=("$lib/ld-linux-x86-64.so.2" --library-path "$lib" "$root/usr/bin/herd7" -set-libdir "$root/usr/share/herdtools7/herd")
}

step_herd() {
	step "herd7"
	find_herd
	step_done "${herd_why:-$("${herd[@]}" -version)}"
}

step_memory_model() {
	step "kernel source"
	if ((${#herd[@]} == 0)); then
		step_done "not needed without herd7"
		return
	fi
	check_source
	find_source
	[[ -e $ksrc/tools/memory-model/linux-kernel.cat ]] || die "$ksrc has no tools/memory-model" "KSRC= names a complete source"
}

build_proofs() {
	RUSTC=$rustc "$cargo" build --release ${CI:+--locked} -p proofs
}

step_proofs() {
	local -a how=(--no-herd "$herd_why")
	step "proofs"
	mkdir -p "$build/log"
	LOG_LINES=40 run_logged "building" "$build/log/proofs.log" "the compiler's messages are above" build_proofs
	((${#herd[@]} == 0)) || how=(--memory-model "$ksrc/tools/memory-model" -- "${herd[@]}")
	rm -rf "$build/proofs"
	# As a run of the tests leaves one.
	[[ ! ${RESULTS:-} ]] || ln -sfnT "$build/proofs" "$RESULTS"
	progress "checking"
	"$CARGO_TARGET_DIR/release/proofs" check --top "$top" --keep "$build/proofs" "${how[@]}" ||
		die "not everything is proved" "what is broken is said above, and in build/proofs/summary.json"
	step_done "all of it"
}

# WEAKEN=1 is all files that the models run, as tests/proofs/src/weaken.rs has them.
weaken_check() {
	local file=${WEAKEN#1} names
	names=$(cd "$top/tests/proofs/src" && {
		sed -n 's:^#\[path = "\(\.\./\)*\(.*\)"\]$:\2:p' lib.rs changes.rs
		sed -n '/^const OF_CLIENT/,/^]/s:^ *"\(.*\)",$:\1:p' weaken.rs
	} | tr '\n' ' ')
	[[ $names = *"$file"* ]] || die "WEAKEN=$WEAKEN: the models run no such file" "there are: $names"
}

step_weaken() {
	local file=${WEAKEN#1}
	step "weakening"
	mkdir -p "$build/log"
	LOG_LINES=40 run_logged "building" "$build/log/proofs.log" "the compiler's messages are above" build_proofs
	RUSTC=$rustc "$CARGO_TARGET_DIR/release/proofs" weaken --top "$top" --keep "$build/weaken" --only "$file" --cargo "$cargo" ||
		die "something survived without a reason" "write a test that needs it, weaken it, or give the reason in tests/proofs/README.md"
	step_done "each survivor has its reason"
}
