# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# `make mutants`: every patch in tests/mutants/ breaks the modules in one way. Each is applied to a
# copy of the tree in build/mutants/, whose modules then meet the programs of this tree, which are
# whole. A mutant that no test fails for has survived, and that is a failure. The crate that userspace
# shares with the kernel, connector-wire, is broken by cargo-mutants instead, in every way that it
# knows, and its own tests are the judges. Sourced.

# The VM is over after so many seconds: some mutants hang.
mutant_limit=180

# What finds the ways to break a crate: built here, since no distribution has it. It takes Rust 1.88.
cargo_mutants_version=27.1.0

find_cargo_mutants() {
	local root=$cache/cargo-mutants-$cargo_mutants_version
	cargo_mutants=$root/bin/cargo-mutants
	cache_lock cargo-mutants
	if [[ ! -x $cargo_mutants ]]; then
		cargo_install cargo-mutants "$cargo_mutants_version" "$root" "three minutes"
	fi
	cache_unlock
}

# What the kernel's formatting macros ask for is not compiled for userspace.
step_wire_mutants() {
	[[ ! ${T:-} || " $T " = *" connector-wire "* ]] || return 0
	step "mutants of connector-wire"
	find_cargo_mutants
	rm -rf "$build/mutants.out"
	run_logged "breaking it and running its tests" "$build/log/wire-mutants.log" \
		"a line MISSED: no test fails if this is done; TIMEOUT: one hangs" \
		env -u CARGO_TARGET_DIR "CARGO=$cargo" "RUSTC=$rustc" "$cargo_mutants" mutants --dir "$top" --package connector-wire \
		--exclude-re 'kernel::fmt::Display' --output "$build" --colors never
	step_done "$(tail -n 1 "$build/log/wire-mutants.log")"
}

mutant_field() {
	sed -n "s/^$2: //p" "$top/tests/mutants/$1.patch"
}

mutants_copy() {
	mutants=$build/mutants
	rm -rf "$mutants"
	mkdir -p "$mutants/tree/build"
	tar -C "$top" --exclude=./build --exclude=./target --exclude=./.git -cf - . | tar -C "$mutants/tree" -xf -
	cp -al "$build"/{bin,host,stage} "$mutants/tree/build/"
	cp -al "$build/selftests" "$mutants/programs"
}

# Builds the copy as it is now. $1 has the programs that are whole.
mutant_build() {
	local programs=$1 top=$mutants/tree build=$mutants/tree/build
	rm -rf "$build/selftests"
	cp -al "$programs" "$build/selftests"
	rm -rf "$build"/selftests/{modules,bin}
	build_modules
	build_initramfs
}

# Runs these suites on what was built; says what came of them.
mutant_vm() {
	local keep=$1 programs=$2 suite flavor build=$mutants/tree/build
	local -a only=() of_kernel
	shift 2
	for suite in "$@"; do
		only+=(--only "$suite")
	done
	test_of_kernel
	runner test "$keep" --selftests "$programs" --examples /dev/null --limit "$mutant_limit" \
		"${of_kernel[@]}" "${only[@]}"
}

# Both.
mutant_run() {
	local name=$1 programs=$mutants/programs status=0
	shift
	(mutant_build "$programs") 7>"$mutants/$name.build" 2>&7 || {
		cat "$mutants/$name.build" >&7
		die "the mutant $name cannot be built" "a defect that the compiler sees needs no test: tests/mutants/$name.patch"
	}
	progress "$name: $*"
	mutant_vm "$mutants/$name" "$programs" "$@" >"$mutants/$name.log" 2>&1 || status=$?
	# 1: tests failed. Anything else is the runner's own trouble.
	((status < 2)) || die "the runner failed" "$(tail -n 1 "$mutants/$name.log")"
	return "$status"
}

# The first failure in a run's folder, and how many more there are.
mutant_caught_by() {
	"$build/host/runner" failures "$1/summary.json" |
		awk 'NR == 1 { first = $0 } END { if (NR) print first (NR > 1 ? " (and " NR - 1 " more)" : "") }'
}

# Sets mutant_names: those that T= names, or all.
mutants_check() {
	local name core=${CORE:-c}
	local -a known of words
	mutant_names=()
	# What is wrong with a core that is not there nobody can find.
	of=(-lx "Core: $core")
	[[ $core != c ]] || of=(-L '^Core: ')
	mapfile -t known < <(cd "$top/tests/mutants" && { grep "${of[@]}" -- *.patch || true; } | sed 's/\.patch$//')
	read -ra words <<<"${T:-${known[*]}}"
	((${#words[@]})) || die "CORE=$core has no mutants" "there are some of CORE=c and CORE=rust"
	for name in "${words[@]}"; do
		[[ $name != connector-wire ]] || continue
		[[ " ${known[*]} " = *" $name "* ]] || die "T=$name: there is no such mutant of CORE=$core" "there are: connector-wire ${known[*]}"
		mutant_names+=("$name")
	done
}

step_vm_mutants() {
	local name patch suites since took caught survived=0
	local -a names=("${mutant_names[@]}") all_suites=()
	step "mutants"
	for name in "${names[@]}"; do
		read -ra suites <<<"$(mutant_field "$name" Suites)"
		((${#suites[@]})) || die "tests/mutants/$name.patch has no line 'Suites: …'"
		all_suites+=("${suites[@]}")
	done
	readarray -t all_suites < <(printf '%s\n' "${all_suites[@]}" | sort -u)
	mutants_copy
	progress "without any"
	# These are many, and none of them hangs.
	mutant_limit=1800 mutant_run none "${all_suites[@]}" ||
		die "these tests fail without any mutant, too" "$(mutant_caught_by "$mutants/none")" "log: $mutants/none.log"
	say "without any, all of these pass: ${all_suites[*]}"
	printf '\n%s%-18s %6s  %s%s\n' "$c_bold" mutant time "caught by" "$c_off"
	for name in "${names[@]}"; do
		patch=$top/tests/mutants/$name.patch
		read -ra suites <<<"$(mutant_field "$name" Suites)"
		progress "$name: building"
		(cd "$mutants/tree" && patch -p1 -F0 -s --no-backup-if-mismatch) <"$patch" >"$mutants/$name.build" 2>&1 ||
			die "tests/mutants/$name.patch does not apply any more" "$(cat "$mutants/$name.build")" "make it anew for the code as it is"
		since=$SECONDS caught=
		mutant_run "$name" "${suites[@]}" || caught=$(mutant_caught_by "$mutants/$name")
		took=$((SECONDS - since))
		[[ $caught ]] || survived=$((survived + 1))
		[[ -z $ui_tty ]] || printf '\r\e[K' >&7
		printf '%-18s %4d s  %s\n' "$name" "$took" "${caught:-${c_red}NOBODY: it survived ${suites[*]}$c_off}"
		(cd "$mutants/tree" && patch -R -p1 -F0 -s) <"$patch"
	done
	printf '\n%d caught, %d survived\n' $((${#names[@]} - survived)) "$survived"
	((survived == 0)) || die "a mutant survived: a test is missing" "what was said: build/mutants/"
}
