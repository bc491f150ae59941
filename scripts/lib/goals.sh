# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# `make test-goals`: every target of `make help` that does not take long by itself, all of them twice,
# so that each comes after each other one. KDIR=, KERNEL= and the rest are passed on. Sourced.

# What the others are run by: CI, `make test-all` and hand (`make help` says what they take).
test_goals=(
	setup modules selftests docs rust-analyzer modules_install size run fmt fmt-check modules_uninstall
	tools install deb kernel shell patches "test T=echo"
)

test_goals() {
	local round words since log=$build/log/goals.log
	unset T
	export INSTALL_MOD_PATH=$build/goals DESTDIR=$build/goals
	mkdir -p "$build/log"
	: >"$log"
	step_total=$((2 * ${#test_goals[@]}))
	for round in 1 2; do
		for words in "${test_goals[@]}"; do
			step "make $words"
			if [[ $words = rust-analyzer && $(stock_wanted) ]]; then
				step_done "left out: it takes a rustc of this system that is that kernel's"
				continue
			fi
			if [[ $words = patches && (${KERNEL:-} || ${KDIR:-} || ${CORE:-} || ${FLAVOR:-}) ]]; then
				step_done "left out: they are made for one kernel's source"
				continue
			fi
			# shellcheck disable=SC2086 # a goal and its T=
			LOG_LINES=40 run_logged "the $([[ $round = 1 ]] && echo first || echo second) time" "$log" "log: $log" \
				make -C "$top" $words
			step_done "ok"
		done
	done
	rm -rf "$INSTALL_MOD_PATH"
	say_times
}
