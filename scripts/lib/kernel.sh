# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# The project's own kernel: configured from tests/config and the fragments of a
# flavour, of CORE=rust and of the architecture, built once per combination of everything that goes in.
# Sets kdir. Sourced.

# Steps of a first build, until a build on this machine has been counted.
kernel_steps_guess=2250

kernel_fragments() {
	local flavor=${FLAVOR:-base}
	fragments=("$top/tests/config")
	[[ $flavor = base ]] || fragments+=("$top/tests/config.$flavor")
	[[ -e ${fragments[-1]} ]] || die "FLAVOR=$flavor: there is no tests/config.$flavor" \
		"there are: $(cd "$top/tests" && echo config.* | sed 's/config\.//g')"
	kernel_flavor=$flavor
	case ${CORE:-c} in
	c) ;;
	rust)
		kernel_flavor+=-core
		fragment_of core
		;;
	tree | tree-c)
		kernel_flavor+=-$CORE
		fragment_of tree
		[[ $CORE = tree ]] || fragment_of "$CORE"
		;;
	*) die "CORE=$CORE: expected rust, tree, tree-c, or c, which is the default" ;;
	esac
	fragment_of "$arch"
	[[ ! $cross ]] || kernel_flavor+=-$arch
}

# fragment_of WHAT: what it adds, if it adds something, and what it adds to a flavour.
fragment_of() {
	local file
	for file in "$top/tests/config-$1"{,".${FLAVOR:-base}"}; do
		[[ ! -e $file ]] || fragments+=("$file")
	done
}

# The fragments as one: of two lines for an option the later one holds.
merge_fragments() {
	cat "${fragments[@]}" | tac | awk 'match($0, /CONFIG_[A-Z0-9_]+/) {
		if (seen[substr($0, RSTART, RLENGTH)]++) next
	} { print }'
}

# What its options take of this system, to be added to needs; a root of its own has all of it.
kernel_needs() {
	local entry
	[[ $(kernel_toolchain) != *-* ]] || return 0
	kernel_fragments
	for entry in "${option_needs[@]}"; do
		# As merge_fragments has it, without programs that are not there yet.
		[[ $(sed -n "/\<CONFIG_${entry%% *}\>/p" "${fragments[@]}" | tail -n1) != "CONFIG_${entry%% *}=y" ]] ||
			needs+=("${entry#* }")
	done
}

# The oldest compilers that the kernel takes are in the one, the newest that there are in the other.
toolchain_suites="trixie sid"

# LLVM for the current kernel, GCC for the older one: between them, `make test`
# on both covers what people build with. TOOLCHAIN= overrides. On RISC-V the kernel takes Rust with LLVM only.
kernel_toolchain() {
	local toolchain=${TOOLCHAIN:-llvm}
	[[ ${TOOLCHAIN:-} || $cross || $arch = riscv || ${KERNEL:-} != 7.2 ]] || toolchain=gcc
	[[ $toolchain =~ ^((${toolchain_suites// /|})-)?(llvm|gcc)$ ]] ||
		die "TOOLCHAIN=$toolchain: expected llvm or gcc, those of this system; or those of another Debian," \
			"with its rustc and bindgen: TOOLCHAIN=trixie-llvm, trixie-gcc, sid-llvm, sid-gcc"
	echo "$toolchain"
}

# Those of another Debian, in a root of their own: what was its newest when that was made.
use_suite() {
	local suite=${1%-*}
	local -a packages=(gcc rustc rust-src cargo rust-clippy rustfmt bindgen)
	[[ $1 != *-llvm ]] || packages+=(clang lld llvm)
	[[ ! $asked_llvm ]] || say "LLVM=$asked_llvm is not taken: TOOLCHAIN=$1 says which compilers"
	[[ ! ${CC:-} ]] || say "CC=$CC is not taken: TOOLCHAIN=$1 says which compilers"
	use_root "$suite" "${packages[@]}"
	# KSRC=, or where links of the cache lead.
	enter_root "$(realpath "$ksrc")"
}

kernel_compiler() {
	local cc=gcc toolchain
	toolchain=$(kernel_toolchain)
	case $toolchain in
	*-*)
		use_suite "$toolchain"
		cc_args=(CC=gcc)
		[[ $toolchain != *-llvm ]] || cc=clang cc_args=(LLVM=1)
		;;
	llvm)
		cc=clang${llvm#1}
		cc_args=("LLVM=$llvm")
		kernel_takes_cc clang "$("$cc" -dumpversion)" && cc_args+=("CC=$CC")
		;;
	gcc)
		[[ ! $asked_llvm ]] || say "LLVM=$asked_llvm is not taken: this kernel is built with GCC (TOOLCHAIN=)"
		kernel_takes_cc GCC "$(gcc -dumpversion)" && cc=$CC
		cc_args=("CC=$cc")
		;;
	esac
	# shellcheck disable=SC2086 # CC= may be several words
	cc_id=$("${inside[@]}" $cc --version | sed -n 1p)
	cc_args+=("${arch_args[@]}")
}

# Whether CC= is the same compiler, by way of ccache, say.
kernel_takes_cc() {
	[[ ${CC:-} ]] || return
	! compiler_is "$1" "${2%%.*}" "$CC" || return 0
	say "CC=$CC is not taken: it is not $1 ${2%%.*}, with which this kernel is built"
	return 1
}

# How much of the build is there: every finished target leaves a .cmd file, so
# that the count is right after an interrupted build as well.
kernel_far() {
	local n
	n=$(find "$kdir" -name '*.cmd' -not -path "$kdir/tools/*" | wc -l)
	if ((n < kernel_steps)); then
		printf '%d %% (%d of %d steps)' $((n * 100 / kernel_steps)) "$n" "$kernel_steps"
	else
		printf '%d steps, more than were guessed' "$n"
	fi
}

find_kernel() {
	local key log
	kernel_fragments
	kernel_compiler
	use_kernel_tools
	key=$({
		printf '%s\n' "$kver" "$(source_id)" "$cc_id" \
			"$("${inside[@]}" "$kernel_rustc" --version)" "$("${inside[@]}" "$kernel_bindgen" --version)"
		cat "${fragments[@]}"
	} | short_hash)
	kdir=$cache/kernel/$kver-$kernel_flavor-$key
	kernel_id=$kver-$kernel_flavor-$key
	step_name="kernel $kver${FLAVOR:+ $FLAVOR}${CORE:+, CORE=$CORE}${cross:+ for $arch}"
	if [[ ! -e $kdir/.complete ]]; then
		cache_lock "kernel-$key"
		[[ -e $kdir/.complete ]] || build_kernel
		cache_unlock
	fi
	step_done "$cc_id"
}

build_kernel() {
	local log=$cache/log/kernel-$kernel_id.log steps_file
	local -a make=("${inside[@]}" make -C "$ksrc" "O=$kdir" "${cc_args[@]}" PAHOLE=no-pahole "${rust_args[@]}")
	steps_file=$cache/kernel/steps-${kver%.*}-$kernel_flavor
	kernel_steps=$(cat "$steps_file" 2>/dev/null || echo "$kernel_steps_guess")
	# What goes on has used most of it.
	[[ -e $kdir/.configured ]] || check_disk 2000 "a kernel's build"
	mkdir -p "$kdir"
	if [[ ! -e $kdir/.configured ]]; then
		merge_fragments >"$kdir/fragment"
		run_logged "configuring" "$log" "see tests/config" \
			"${make[@]}" "KCONFIG_ALLCONFIG=$kdir/fragment" allnoconfig
		check_fragment
		touch "$kdir/.configured"
	fi
	progress_fn=kernel_far \
		run_logged "building" "$log" "the same command again goes on where this stopped; from scratch: rm -r $kdir" \
		"${make[@]}" "-j$jobs" all
	find "$kdir" -name '*.cmd' -not -path "$kdir/tools/*" | wc -l >"$steps_file"
	touch "$kdir/.complete"
}

# Kconfig drops silently what it cannot satisfy; a kernel without a wanted
# option would make tests pass that test nothing.
check_fragment() {
	local line name dropped=()
	while read -r line; do
		case $line in
		CONFIG_*=n) name=${line%=n} ;;
		CONFIG_*)
			grep -qxF "$line" "$kdir/.config" || dropped+=("$line")
			continue
			;;
		'# CONFIG_'*' is not set') name=${line#\# } name=${name%% *} ;;
		*) continue ;;
		esac
		! grep -q "^$name=" "$kdir/.config" || dropped+=("$line")
	done <"$kdir/fragment"
	((${#dropped[@]} == 0)) || die "Kconfig of $kver did not accept these lines of ${fragments[*]#"$top"/}:" \
		"${dropped[@]}" "look for their dependencies: make -C $ksrc O=$kdir${cross:+ ARCH=$arch} menuconfig, then /"
}
