# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# The Rust tools that a kernel needs: rustc, the source of its core library in
# the same version, and bindgen. Sets rustc, cargo, rust_lib_src and bindgen.
# Sourced.

rustc_min=1.85.0   # the kernel's scripts/min-tool-version.sh
bindgen_min=0.71.1
bindgen_version=0.72.1 # the one built here when there is none
libclang_min=17    # as rustc_min

# What a kernel that is built already was compiled by, as `rustc --version` says it: the number is
# not enough, since another build of the same version has other metadata (E0514).
rustc_wanted=

# Comes before every command of the kernel side: scripts/lib/root.sh sets it.
inside=()

rustc_version() {
	"$@" --version 2>/dev/null | awk '{ print $2 }'
}

# The program behind rustup's proxy, so that a directory override or a later
# "rustup default" does not change compilers in the middle.
real_rustc() {
	local sysroot
	sysroot=$("$1" --print sysroot 2>/dev/null) || return 1
	if [[ -x $sysroot/bin/rustc ]]; then
		printf '%s' "$sysroot/bin/rustc"
	else
		command -v "$1"
	fi
}

# Tries the rustc at $1; success sets rustc and rust_lib_src.
try_rustc() {
	local path=$1 version sysroot dir
	rustc=$(real_rustc "$path") || return 1
	version=$(rustc_version "$rustc")
	if (($(version_number "$version") < $(version_number "$rustc_min"))); then
		rust_tried+=("$rustc: version $version, the kernel needs $rustc_min")
		return 1
	fi
	sysroot=$("$rustc" --print sysroot)
	for dir in "${RUST_LIB_SRC:-}" "$sysroot/lib/rustlib/src/rust/library" \
		"/usr/src/rustc-$version/library" "$cache/rust-src/$version/library"; do
		if [[ $dir && -e $dir/core/src/lib.rs ]]; then
			rust_lib_src=$dir
			return
		fi
	done

	# rustup may add it; without a network this fails at once.
	if [[ $sysroot == */toolchains/* ]] && command -v rustup >/dev/null; then
		progress "asking rustup for rust-src $version"
		if timeout 120 rustup component add --toolchain "$(basename "$sysroot")" rust-src \
			</dev/null >>"$cache/log/rust.log" 2>&1 &&
			[[ -e $sysroot/lib/rustlib/src/rust/library/core/src/lib.rs ]]; then
			rust_lib_src=$sysroot/lib/rustlib/src/rust/library
			return
		fi
		rust_tried+=("$rustc $version: rustup could not add rust-src")
	fi

	if fetch_rust_src "$version"; then
		rust_lib_src=$cache/rust-src/$version/library
		return
	fi
	rust_tried+=("$rustc $version: without rust-src, the source of its core library, $(
		[[ $debian_why ]] && echo "and $debian_why to get it from" || echo "which Debian ${debian_suites[*]} has not of that version")")
	return 1
}

# Debian's rust-src of exactly this upstream version, into the cache.
fetch_rust_src() {
	local version=$1 found='' line
	cache_lock downloads
	debian_lists || { cache_unlock; return 1; }
	while read -r line; do
		[[ $line == "$version"+* ]] && { found=${line%% *}; break; }
	done < <(debian_versions rust-src)
	[[ $found ]] || { cache_unlock; return 1; }
	cache_scratch rust-src
	debian_unpack rust-src "$found"
	mkdir -p "$cache/rust-src" "$scratch/$version"
	mv "$scratch"/root/usr/src/rustc-*/library "$scratch/$version/"
	rm -rf "$cache/rust-src/$version"
	mv "$scratch/$version" "$cache/rust-src/"
	rm -rf "$scratch"
	cache_unlock
	say "rust-src $version from Debian ($found), for the rustc on this machine"
}

# The distribution's own: rustc-web is what Debian 12 calls its newer one.
install_rust() {
	local version
	for version in 'rustc cargo rust-src rustfmt rust-clippy' \
		'rustc-web cargo-web rust-web-src rustfmt-web rust-web-clippy'; do
		# shellcheck disable=SC2086 # a list of packages
		set -- $version
		version=$(apt-cache policy "$1" 2>/dev/null | awk '/Candidate:/ { print $2 }')
		if [[ ! $version || $version == "(none)" ]] ||
			(($(version_number "${version%%+*}") < $(version_number "$rustc_min"))); then
			rust_tried+=("package $1: ${version:-not there}")
			continue
		fi
		say "missing, to be installed: a Rust compiler ($*)"
		install_packages "$@"
		return
	done
	return 1
}

# Of what apt has now, if it is here; fails if there is none that is new enough.
install_newest_rust() {
	command -v apt-get >/dev/null || return 1
	if [[ ! ${packages_updated:-} && ${INSTALL_PACKAGES:-} != n ]] && find_root; then
		run_logged "refreshing the package lists" "$cache/log/packages.log" \
			"is the network there? try: apt-get update" apt_get -q update
		packages_updated=1
	fi
	install_rust
}

# Programs called rustc, the likeliest first.
rustc_candidates() {
	local home=${RUSTUP_HOME:-${HOME:-}/.rustup}
	printf '%s\n' "${RUSTC:-}"
	[[ ! ${RUSTC:-} ]] || return 0
	type -ap rustc || true
	printf '%s\n' /usr/bin/rustc "$home"/toolchains/*/bin/rustc
}

# The programs behind them, each once.
rustcs_here() {
	local path seen='|'
	while read -r path; do
		path=$(real_rustc "$path") || continue
		[[ $seen != *"|$path|"* ]] || continue
		seen+="$path|"
		echo "$path"
	done < <(rustc_candidates)
}

# The very rustc that a kernel was built with, wherever it is. The source of its core library is
# not needed: the kernel has that compiled.
find_rustc_of_kernel() {
	local path text
	local -a here=()
	while read -r path; do
		text=$("$path" --version 2>/dev/null) || continue
		if [[ $text = "$rustc_wanted" ]]; then
			rustc=$path rust_lib_src=$("$path" --print sysroot)/lib/rustlib/src/rust/library
			return
		fi
		here+=("  $text: $path")
	done < <(rustcs_here)
	[[ ! ${RUSTC:-} ]] || die "RUSTC=$RUSTC is another than KDIR=$KDIR was built with, which is $rustc_wanted" "it is:" \
		"${here[@]:-  none that says its version}" "leave out RUSTC= to have that one looked for, in PATH and rustup's toolchains"
	die "$rustc_wanted is not here, which KDIR=$KDIR was built with" "there is:" "${here[@]:-  none}" \
		"Rust modules need the very same build of the compiler: RUSTC=/path/to/that/rustc make KDIR=$KDIR …" \
		"or rebuild that kernel with one that is here"
}

find_rustc() {
	local path
	rust_tried=()
	mkdir -p "$cache/log"
	[[ ! ${RUSTC:-} ]] || command -v "$RUSTC" >/dev/null || die "RUSTC=$RUSTC is not a program"
	if [[ $rustc_wanted ]]; then
		find_rustc_of_kernel
		return
	fi
	if [[ ${RUSTC:-} ]]; then
		try_rustc "$(command -v "$RUSTC")" && return
		die "RUSTC=$RUSTC cannot build a kernel" "${rust_tried[@]}"
	fi
	while read -r path; do
		try_rustc "$path" </dev/null && return
	done < <(rustcs_here)
	install_newest_rust && try_rustc /usr/bin/rustc && return
	die "no Rust compiler that can build a kernel" "tried:" "${rust_tried[@]}" \
		"install rustc $rustc_min or newer with its rust-src, or set RUSTC and RUST_LIB_SRC"
}

bindgen_is_new_enough() {
	local version
	version=$("$1" --version 2>/dev/null | awk '{ print $2 }')
	[[ $version ]] && (($(version_number "$version") >= $(version_number "$bindgen_min")))
}

# cargo_install CRATE VERSION ROOT HOW_LONG: builds a program. With the lock held.
cargo_install() {
	run_logged "building $1 $2 (about $4)" "$cache/log/$1.log" \
		"cargo takes it from its registry: is the network there?" \
		env CARGO_TARGET_DIR="$cache/tmp/$1" RUSTC="$rustc" \
		"$cargo" install "$1" --version "$2" --locked --root "$3"
	rm -rf "$cache/tmp/$1"
}

find_bindgen() {
	local candidate root=$cache/bindgen-$bindgen_version version
	[[ ! ${BINDGEN:-} ]] || bindgen_is_new_enough "$BINDGEN" ||
		die "BINDGEN=$BINDGEN is no bindgen, or older than $bindgen_min" "leave it out to have one built"
	for candidate in "${BINDGEN:-}" "$(command -v bindgen || true)" "$root/bin/bindgen"; do
		if [[ $candidate ]] && bindgen_is_new_enough "$candidate"; then
			bindgen=$candidate
			return
		fi
	done
	if command -v apt-cache >/dev/null; then
		version=$(apt-cache policy bindgen 2>/dev/null | awk '/Candidate:/ { print $2 }')
		if (($(version_number "${version%%-*}") >= $(version_number "$bindgen_min"))); then
			need "bindgen bindgen makes Rust bindings from C headers"
			bindgen=$(command -v bindgen)
			return
		fi
	fi
	cache_lock bindgen
	if [[ ! -x $root/bin/bindgen ]]; then
		cargo_install bindgen-cli "$bindgen_version" "$root" "two minutes"
	fi
	cache_unlock
	bindgen=$root/bin/bindgen
}

# Without apt, nobody chooses among packages later: it is named with the rest. Adds to needs.
want_rust() {
	command -v apt-get >/dev/null || [[ ${RUSTC:-} || $rustc_wanted ]] ||
		needs+=("rustc rustc compiles Rust ($rustc_min or newer, with rust-src)" "cargo cargo builds the programs")
}

# Whether bindgen finds a libclang that reads what the kernel's flags say. It looks in many places,
# and takes an old one that llvm-config names before a new one beside it.
use_libclang() {
	local dir version
	while read -r dir; do
		version=$(env ${dir:+"LIBCLANG_PATH=$dir"} "$bindgen" --version --verbose 2>/dev/null |
			sed -nE 's/^Clang:.* version ([0-9]+)\..*/\1/p') || continue
		((${version:-0} >= libclang_min)) || continue
		[[ ! $dir ]] || export LIBCLANG_PATH=$dir
		return 0
	done < <(echo; printf '%s\n' /usr/lib/llvm-*/lib | sort -rV)
	return 1
}

# Sets cargo to the compiler's own companion, not whatever comes first in PATH, unless it has none.
find_cargo_of() {
	cargo=$(dirname "$1")/cargo
	[[ -x $cargo ]] || cargo=$(command -v cargo)
}

need_rust() {
	local dir
	find_rustc
	find_cargo_of "$rustc" || die "there is a rustc ($rustc) but no cargo" "install cargo of the same version"
	dir=$(dirname "$rustc")
	rustdoc=$dir/rustdoc rustfmt=$dir/rustfmt clippy_driver=$dir/clippy-driver
	find_bindgen
	need "libclang libclang-19-dev is what bindgen reads C with (version $libclang_min or newer; LIBCLANG_PATH= says where)"
	# Cargo runs rustc and rustdoc from here as well.
	export PATH="$dir:$PATH"
}

# What the kernel side is compiled with, as kbuild takes it. In a root of its own
# everything has the names that kbuild looks for.
use_kernel_tools() {
	kernel_rustc=$rustc kernel_rustdoc=$rustdoc kernel_bindgen=$bindgen
	rust_args=("RUSTC=$rustc" "HOSTRUSTC=$rustc" "RUSTDOC=$rustdoc" "RUSTFMT=$rustfmt"
		"CLIPPY_DRIVER=$clippy_driver" "BINDGEN=$bindgen" "RUST_LIB_SRC=$rust_lib_src")
	((${#inside[@]})) || return 0
	kernel_rustc=rustc kernel_rustdoc=rustdoc kernel_bindgen=bindgen
	rust_args=(RUST_LIB_SRC=/usr/lib/rustlib/src/rust/library)
}
