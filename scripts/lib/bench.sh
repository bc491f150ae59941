# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# The benchmarks (tests/bench): builds the peers, measures in the VM, makes the
# report. Sourced.
#
# CLOCK=wall   measures time instead of counting instructions: noisy
# BASE=FILE    compares with an earlier build/bench.json
# LIMIT=N      and fails if a figure of Rust grew by more than N %
# UPDATE=1     makes the figures those that are checked in (tests/bench/results)

bench_results=$top/tests/bench/results

bench_check() {
	case ${CLOCK:-} in
	'' | instructions) clock=instructions ;;
	wall) clock=wall ;;
	*) die "CLOCK=$CLOCK: expected instructions or wall" ;;
	esac
	vm_check
	[[ ! ${MEM:-}${CPUS:-}${APPEND:-}${GDB:-} ]] ||
		die "figures of another machine compare with none: leave out MEM=, CPUS=, APPEND= and GDB="
	[[ -z ${BASE:-} || -r $BASE ]] || die "BASE=$BASE: no such file"
	if [[ ${UPDATE:-} ]]; then
		[[ $clock = instructions ]] || die "UPDATE=1: time is noisy, and not checked in: leave out CLOCK=$CLOCK"
		bench_is_recorded ||
			die "UPDATE=1: the figures that are checked in are those of the usual kernel on x86" \
				"leave out KDIR=, KERNEL=, FLAVOR=, CORE=, TOOLCHAIN= and ARCH=; build/bench.json has those of others"
	fi
	[[ -z ${LIMIT:-} || ${BASE:-} ]] || die "LIMIT=$LIMIT of what? BASE= names the figures to compare with"
}

# Whether this is the kernel whose figures are checked in.
bench_is_recorded() {
	[[ -z ${KDIR:-}${KERNEL:-}${FLAVOR:-}${CORE:-}${TOOLCHAIN:-} && $arch = x86 ]]
}

# The modules build on the crate as those of a third party do.
kbuild_peers() {
	"${inside[@]}" make -C "$kdir" "M=$top/tests/bench" "MO=$objects-bench" "CONNECTOR=$objects" \
		"${cc_args[@]}" "${rust_args[@]}" "-j$jobs" "$@" modules
}

# The programs are compiled by the same compiler as the kernel.
build_peers() {
	local cc=gcc program
	[[ ${cc_args[0]} != LLVM=* ]] || cc=clang${cc_args[0]#LLVM=}
	[[ $cc != clang1 ]] || cc=clang
	local -a of_arch=(${cross:+"--target=$arch_gnu"})
	kbuild_setup
	: >"$build/log/bench.log"
	run_logged "building the peers" "$build/log/bench.log" "every line that kbuild runs: make bench V=1" \
		kbuild_peers ${V:+"V=$V"}
	rm -rf "$build/bench"
	mkdir -p "$build/bench/guest"
	cp -p "$objects-bench"/*/*.ko "$build/bench/guest/"
	# C is measured on the kernel's own connector, beside ours.
	if [[ $(connector_module) = cn ]]; then
		mkdir -p "$build/bench/guest/kernel"
		cp -p "$kdir/drivers/connector/cn.ko" "$build/bench/guest/kernel/"
	fi
	sign_modules "$build"/bench/guest/*.ko
	for program in client reader; do
		run_logged "building the $program" "$build/log/bench.log" "see tests/bench/peers/$program.c" \
			"${inside[@]}" "$cc" "${of_arch[@]}" -O2 -static -Wall -Wextra -Werror -o "$build/bench/guest/$program" \
			"$top/tests/bench/peers/$program.c"
	done
	step_done "$(cd "$build/bench/guest" && echo *)"
}

# What the guest gets at /bench.
bench_to_initramfs() {
	[[ $goal = bench || $goal = size ]] || return 0
	mkdir -p "$1/bench"
	cp -p "$build/bench.bin/client-rust" "$build/bench/guest/"
	cp -r "$build"/bench/guest/* "$1/bench/"
}

# Ours and the one in C are parts of the kernel there, of two: what is measured of C comes from the other one.
bench_other_kernel() {
	[[ ${CORE:-} != tree || $KDIR ]] || CORE=tree-c "$top/scripts/harness" bench || exit
}

# Which kernel, compilers and machine: figures of the same are comparable.
bench_kernel() {
	printf 'Linux %s (configuration %s), %s, %s' "$(<"$kdir/include/config/kernel.release")" \
		"$(grep '^CONFIG_' "$kdir/.config" | short_hash)" \
		"$(config CC_VERSION_TEXT)" "$(config RUSTC_VERSION_TEXT)"
	[[ $clock = wall ]] || printf ', QEMU %s %s -icount shift=0' \
		"$("$arch_qemu" --version | sed -n 's/.* version \([0-9.]*\).*/\1/p')" "$(bench_cpu)"
}

# On which CPU instructions are counted, as the runner starts it.
bench_cpu() {
	"$build/host/runner" cpu --arch "$arch"
}

# bench_size MODULE IMPL NAME: text and data as size(1) counts them.
bench_size() {
	local text data bss rest
	[[ -e $1 ]] || return 0
	read -r text data bss rest < <("${arch_prefix}size" "$1" | sed 1d)
	printf 'row text.%s %s 0 1 %s\nrow data.%s %s 0 1 %s\n' "$3" "$2" "$text" "$3" "$2" $((data + bss))
}

bench_sizes() {
	local ko name
	for ko in "$build"/modules/{rust_connector,cn,cn_*}.ko "$build/bench/guest/rust_bench.ko"; do
		name=$(basename "$ko" .ko)
		bench_size "$ko" rust "$name"
		case $name in
		cn_echo) bench_size "$build/bench/guest/c_echo.ko" c "$name" ;;
		rust_bench) bench_size "$build/bench/guest/c_bench.ko" c "$name" ;;
		cn_kv) bench_size "$build/bench/guest/c_kv.ko" c "$name" ;;
		esac
	done
	bench_size "$build/bench/guest/genl_echo.ko" genl cn_echo
	bench_size "$build/bench/guest/chardev_echo.ko" chardev cn_echo
}

# bench_measure WHAT PASSES: leaves rows in build/bench/rows.txt.
bench_measure() {
	runner bench "$build/bench" --clock "$clock" --what "$1" "$2" --out "$build/bench/rows.txt" || exit
	bench_sizes >>"$build/bench/rows.txt"
}

bench_report() {
	"$build/bench.bin/bench-report" "$build/bench/rows.txt" --kernel "$(bench_kernel)" "$@"
}

step_vm_bench() {
	local passes=1 status=0 report=()
	step "benchmarks"
	if [[ $clock = wall ]]; then
		passes=7
		report+=(--wall)
		say "measuring time, which is noisy: leave the machine alone"
	else
		say "counting instructions"
	fi
	bench_is_recorded || report+=(--elsewhere)
	[[ -z ${BASE:-} ]] || report+=(--base "$BASE")
	[[ -z ${LIMIT:-} ]] || report+=(--limit "$LIMIT")
	if [[ ${CORE:-} = tree-c ]]; then
		runner bench "$build/bench" --clock "$clock" --what c "$passes" --out "$build/bench.c.rows" || exit
		say "figures: build/bench.c.rows, for make bench CORE=tree"
		exit
	fi
	bench_measure all "$passes"
	[[ ${CORE:-} != tree ]] || report+=("$build/bench.c.rows")
	bench_report "${report[@]}" --json "$build/bench.json" --plots "$build/bench/plots" || status=$?
	if [[ ${UPDATE:-} ]]; then
		mkdir -p "$bench_results"
		cp "$build/bench.json" "$build"/bench/plots/* "$bench_results/"
		say "updated ${bench_results#"$top/"}"
	fi
	say "figures: build/bench.json, plots: build/bench/plots/"
	exit "$status"
}

step_vm_size() {
	step "sizes"
	say "in bytes"
	bench_measure memory 1
	bench_report
}
