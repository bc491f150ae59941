# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# `make test-all`: `make lint test` for one kernel after the other, each with its own compilers,
# and one table of what came of them. Sourced.

# What to set for each; CONFIGS="FLAVOR=rt KERNEL=7.2,FLAVOR=debug" overrides.
test_all_configs=(default FLAVOR=debug FLAVOR=rt KERNEL=7.2 KERNEL=debian)

# "KERNEL=7.2,FLAVOR=debug" is 7.2-debug.
test_all_name() {
	local name=$1
	name=${name//KERNEL=/}
	name=${name//FLAVOR=/}
	printf '%s' "${name//,/-}"
}

# Runs the checks and the tests with $1 set; what is said goes to the screen and into the folder $2.
test_all_one() {
	local settings=$1 keep=$2 status=0 what
	local -a variables=()
	[[ $settings = default ]] || IFS=, read -ra variables <<<"$settings"
	mkdir -p "$keep"
	rm -rf "$build/test"
	for what in lint test; do
		env -u KERNEL -u FLAVOR "${variables[@]}" "$top/scripts/harness" "$what" 2>&1 ||
			return
	done | tee "$keep/output.log" || status=$?
	[[ ! -e $build/test ]] || cp -a "$build/test/." "$keep/"
	return "$status"
}

test_all() {
	local settings name keep last since took status counts failures=0
	local -a configs rows=() sum=(0 0 0)
	read -ra configs <<<"${CONFIGS:-${test_all_configs[*]}}"
	[[ -z ${T:-}${KDIR:-} ]] || die "make test-all runs every test on the project's own kernels" "leave out T= and KDIR="
	rm -rf "$build/test-all"
	for settings in "${configs[@]}"; do
		[[ $settings =~ ^(default|((KERNEL|FLAVOR|TOOLCHAIN)=[^,]+,?)+)$ ]] ||
			die "CONFIGS: '$settings' is none" "as in CONFIGS=\"default FLAVOR=rt KERNEL=7.2,FLAVOR=debug\""
	done
	for settings in "${configs[@]}"; do
		name=$(test_all_name "$settings")
		keep=$build/test-all/$name
		printf '\n%s=== %s ===%s\n' "$c_bold" "$name" "$c_off"
		since=$SECONDS status=0
		test_all_one "$settings" "$keep" || status=$?
		took=$(duration $((SECONDS - since)))
		last=$(sed 's/\x1b\[[0-9;]*m//g' "$keep/output.log" | tail -n 1)
		if [[ $last =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed,\ ([0-9]+)\ skipped$ ]]; then
			counts=("${BASH_REMATCH[@]:1}")
			rows+=("$name" "${counts[@]}" "$took")
		else
			# It never came to the tests, which nobody should take for a pass.
			counts=(0 1 0)
			rows+=("$name" - - - "$took: it broke off, see build/test-all/$name/output.log")
			status=1
		fi
		sum=($((sum[0] + counts[0])) $((sum[1] + counts[1])) $((sum[2] + counts[2])))
		((status == 0)) || failures=$((failures + 1))
	done
	printf '\n%s%-14s%10s%10s%10s  %s%s\n' "$c_bold" kernel passed failed skipped time "$c_off"
	printf '%-14s%10s%10s%10s  %s\n' "${rows[@]}"
	printf '\n%d passed, %d failed, %d skipped\n' "${sum[@]}"
	((failures == 0))
}
