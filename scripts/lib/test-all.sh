# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# `make test-all`: `make lint test` for one kernel after the other, each with its own compilers, `make
# test-goals` for some, and one table of what came of them. Sourced.

# What to set for each; CONFIGS="FLAVOR=rt KERNEL=7.2,FLAVOR=debug" overrides.
test_all_configs=(
	default FLAVOR=debug FLAVOR=rt FLAVOR=hardened FLAVOR=lto FLAVOR=minimal KERNEL=7.2 KERNEL=debian CORE=rust
	"CORE=rust,FLAVOR=debug" CORE=tree
	ARCH=arm64 ARCH=riscv TOOLCHAIN=trixie-llvm TOOLCHAIN=sid-llvm TOOLCHAIN=sid-gcc
)

# For which of them every other target is made, too: one whose kernel is built here, and one whose
# is not.
test_all_goals=(default KERNEL=debian)

# "KERNEL=7.2,FLAVOR=debug" is 7.2-debug.
test_all_name() {
	local name=$1
	name=${name//KERNEL=/}
	name=${name//FLAVOR=/}
	name=${name//TOOLCHAIN=/}
	name=${name//CORE=/core-}
	name=${name//ARCH=/}
	printf '%s' "${name//,/-}"
}

# Runs the checks and the tests with $1 set; what is said goes to the screen and into the folder $2.
test_all_one() {
	local settings=$1 keep=$2 status=0 what goals=
	local -a variables=()
	[[ $settings = default ]] || IFS=, read -ra variables <<<"$settings"
	mkdir -p "$keep"
	[[ " ${test_all_goals[*]} " != *" $settings "* ]] || goals=test-goals
	for what in lint $goals test; do
		# Whoever else runs tests in this clone meanwhile has another folder and another link.
		env -u KERNEL -u FLAVOR -u CORE -u ARCH -u TOOLCHAIN "${variables[@]}" KEEP=1 "RESULTS=$keep/run" "$top/scripts/harness" "$what" 2>&1 ||
			return
	done | tee "$keep/output.log" || status=$?
	[[ ! -e $keep/run ]] || cp -a "$keep/run/." "$keep/"
	return "$status"
}

test_all() {
	local settings name since status
	local -a configs steps=()
	read -ra configs <<<"${CONFIGS:-${test_all_configs[*]}}"
	[[ -z ${T:-}${KDIR:-}${RERUN:-}${REPEAT:-}${GDB:-} ]] ||
		die "make test-all runs every test on the project's own kernels" "leave out T=, KDIR=, RERUN=, REPEAT= and GDB="
	test_check
	for settings in "${configs[@]}"; do
		[[ $settings =~ ^(default|((KERNEL|FLAVOR|CORE|TOOLCHAIN|ARCH)=[^,:]+,?)+)$ ]] ||
			die "CONFIGS: '$settings' is none" "as in CONFIGS=\"default FLAVOR=rt KERNEL=7.2,FLAVOR=debug\""
	done
	rm -rf "$build/test-all"
	for settings in "${configs[@]}"; do
		name=$(test_all_name "$settings")
		printf '\n%s=== %s ===%s\n' "$c_bold" "$name" "$c_off"
		since=$SECONDS status=0
		test_all_one "$settings" "$build/test-all/$name" || status=$?
		steps+=("tests:$name:$status:$((SECONDS - since))")
	done
	total "$build/test-all" "${steps[@]}" || exit
}
