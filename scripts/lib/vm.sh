# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# Hands over to the VM runner (tests/runner), which starts QEMU, watches it and
# judges what it said. Sourced.

# More words for the kernel.
append=${APPEND:-}

runner() {
	local mode=$1 keep=$2
	shift 2
	# It has the lock on what was built until it has taken that.
	[[ ! -e /proc/self/fd/8 ]] || set -- --release 8 "$@"
	[[ ! $append ]] || set -- --append "$append" "$@"
	"$build/host/runner" "$mode" --arch "$arch" --qemu "$arch_qemu" --kernel "$image" --initrd "$build/initramfs.cpio" \
		--keep "$keep" --verdicts "$cache/accel" "$@"
}

# qemu_machine QEMU: which machine it is, as uname there says; nothing if it does not tell.
qemu_machine() {
	printf '%s\n' '{"execute":"qmp_capabilities"}' '{"execute":"query-target"}' '{"execute":"quit"}' |
		"$1" -nodefaults -no-user-config -display none -machine none -qmp stdio 2>/dev/null |
		sed -n 's/.*"arch": *"\([^"]*\)".*/\1/p'
}

# A bad value is told of before minutes of building. Sets machine.
vm_check() {
	machine=()
	[[ ${MEM:-1G} =~ ^[1-9][0-9]*[MG]$ ]] || die "MEM=$MEM: expected a size as in MEM=2G or MEM=512M"
	[[ ${CPUS:-2} =~ ^[1-9][0-9]?$ ]] || die "CPUS=$CPUS: expected a number as in CPUS=4"
	local word
	if [[ ${QEMU:-} ]]; then
		command -v "$QEMU" >/dev/null || die "QEMU=$QEMU is not a program"
		word=$(qemu_machine "$QEMU") || true
		[[ ${word:-$arch_machine} = "$arch_machine" ]] || die "QEMU=$QEMU is a machine of $word, and this is for $arch_machine"
	fi
	[[ ${GDB:-1} = 1 ]] || die "GDB=$GDB: expected GDB=1"
	[[ ${APPEND:-} != *$'\n'* ]] || die "APPEND= has several lines: expected words as in APPEND=\"slub_debug=FZ loglevel=8\""
	for word in ${APPEND:-}; do
		[[ ! $word =~ ^(quiet|loglevel=[0-6]|printk\.time=([0nN]|[oO][fF]).*)$ ]] ||
			die "APPEND=$word hides what the kernel says, and nobody could judge the run: leave it out"
	done
	[[ ! ${MEM:-} ]] || machine+=(--memory "$MEM")
	[[ ! ${CPUS:-} ]] || machine+=(--cpus "$CPUS")
	[[ ! ${GDB:-} ]] || machine+=(--gdb)
}

# What to type on another terminal.
say_gdb() {
	# Debian's gdb knows its own architecture only.
	[[ ! ${GDB:-} ]] || say "the VM waits: gdb${cross:+-multiarch} $kdir/vmlinux -ex 'target remote localhost:1234', then continue"
}

step_vm_run() {
	step "VM"
	say "booting in QEMU"
	say_gdb
	runner run "$build/run" "${machine[@]}" || exit
}

step_vm_shell() {
	step "VM"
	say "booting in QEMU"
	say_gdb
	runner shell "$build/shell" "${machine[@]}" ${script:+--script} || exit
}

# T= takes suites and globs of them, each with a glob of its tests or without. Sets only, and wants_builds,
# for the suite that takes other builds of the connector.
test_only() {
	local word file name suite found known=()
	only=() wants_builds=
	[[ ${T:-} ]] || wants_builds=1
	for file in "$top"/tests/selftests/src/bin/*.rs "$top"/tests/selftests/*.sh; do
		name=$(basename "$file" .rs)
		[[ $name = @(run|tap).sh ]] || known+=("$name")
	done
	local -a words
	read -ra words <<<"${T:-}"
	for word in "${words[@]}"; do
		suite=${word%%:*} found=
		[[ $word != *: && ${word#"$suite"} != *[\"\'\\]* ]] ||
			die "T=$word: expected a glob of test names as in T='echo:*size?20*', with ? for spaces and quotes"
		for name in "${known[@]}"; do
			# shellcheck disable=SC2053 # it is a glob
			[[ $name = $suite ]] || continue
			only+=(--only "$name${word#"$suite"}") found=1
			[[ $name != builds ]] || wants_builds=1
		done
		[[ $found ]] || die "T=$word: there is no such test program" "there are: ${known[*]}" \
			"what each is about, and its tests: make test T=list"
	done
}

test_check() {
	vm_check
	if [[ $own ]]; then files_check; else test_only; fi
	[[ ${RERUN:-failed} = failed ]] || die "RERUN=$RERUN: expected RERUN=failed"
	[[ ${REPEAT:-1} =~ ^[1-9][0-9]{0,5}$ ]] || die "REPEAT=$REPEAT: expected a number as in REPEAT=20"
	[[ ${VMS:-1} =~ ^[1-9]$ ]] || die "VMS=$VMS: expected a number as in VMS=1"
	[[ ! ${VMS:-} || ! ${T:-}${RERUN:-} ]] || die "VMS= is for all tests, and T= and RERUN= take one VM: leave it out"
	[[ ${KEEP:-1} = 1 ]] || die "KEEP=$KEEP: expected KEEP=1"
	# 64 bits.
	# shellcheck disable=SC2071 # more than the shell's own numbers have; of 20 digits the larger number is the later word
	[[ ! ${SEED:-} || ($SEED =~ ^[0-9]{1,20}$ && (${#SEED} -lt 20 || ! $SEED > 18446744073709551615)) ]] ||
		die "SEED=$SEED: expected a number, as a failed test prints it"
	[[ ! ${RERUN:-} || ! ${T:-} ]] || die "RERUN=failed says what to run, and so does T=: leave out one"
	[[ ! ${RERUN:-} || -e $build/test/summary.json ]] ||
		die "RERUN=failed: there is no earlier run in this clone" "run all tests: make test"
	[[ ! ${REPEAT:-} || ${T:-}${RERUN:-} ]] || die "REPEAT=$REPEAT of what? T= names suites, as in T=\"echo unload\" REPEAT=$REPEAT"
	[[ ! ${GDB:-} || ${T:-}${RERUN:-} ]] || die "GDB=1 stops one VM, and all tests boot several: T= names suites, as in T=echo GDB=1"
}

# The suites and their tests: takes the programs, and neither a kernel nor a VM.
step_list() {
	step "tests"
	say "T='suite suite:test*' runs some of them"
	"$build/host/runner" list --selftests "$build/selftests" --sources "$top/tests/selftests" || exit
}

# What a run has to know of its kernel. Sets of_kernel and flavor.
test_of_kernel() {
	flavor=${FLAVOR:-base}
	[[ ! ${KDIR:-} ]] || flavor=own
	[[ ! $(stock_wanted) ]] || flavor=stock
	of_kernel=(--skips "$top/tests/skips.tsv" --config "$kdir/include/config/auto.conf" --kernel-id "$kernel_id" --flavor "$flavor")
}

# How much slower this kernel is than the usual one. Sets patience and slowness.
test_patience() {
	patience=1 slowness=1
	local how=${FLAVOR:-base}
	# A kernel that somebody else configured has no such name.
	[[ ! ${KDIR:-} ]] || how=own
	[[ ! ${KDIR:-} || ! $(config KASAN)$(config KCSAN)$(config PROVE_LOCKING)$(config DEBUG_KMEMLEAK) ]] || how=debug
	# Checkers cost much. What a test does very often it does less often then, and what hangs
	# still ends.
	case $how in
	# A distribution's kernel does more when it loads a module.
	base) [[ ! $(stock_wanted) ]] || patience=2 ;;
	debug) patience=4 slowness=20 ;;
	*) patience=4 slowness=2 ;;
	esac
	# Nor is there ever a KVM for another architecture, and every access to memory is emulated in its order.
	if [[ $cross ]]; then
		patience=4
		((slowness > 4)) || slowness=4
	fi
	# Who is at a debugger has time.
	[[ ! ${GDB:-} ]] || patience=1000
}

# The suites of $own. Where the kernel looks for leaks, so does the last of them.
step_vm_test_own() {
	local patience slowness flavor suite only=() skips=$own/tests/skips.tsv
	local -a of_kernel
	step "tests"
	test_patience
	test_of_kernel
	((${#own_suites[@]})) || die "M=$asked_m has no tests" \
		"samples/standalone has some: tests/*.rs of a Cargo package, or tests/*.sh, which print TAP"
	for suite in ${T:-"${own_suites[@]}"}; do
		[[ " ${own_suites[*]} " = *" ${suite%%:*} "* ]] || die "T=$suite: there are: ${own_suites[*]}"
		only+=(--only "$suite")
	done
	[[ ! -e $build/own/selftests/kmemleak ]] || only+=(--only kmemleak)
	[[ -e $skips ]] || { skips=$build/own/skips.tsv && : >"$skips"; }
	of_kernel=(--skips "$skips" "${of_kernel[@]:2}")
	say "in the VM"
	say_gdb
	runner test "$build/test-own" ${RESULTS:+--link "$(realpath -ms "$RESULTS")"} --selftests "$build/own/selftests" --examples /dev/null \
		--patience "$patience" --slowness "$slowness" "${of_kernel[@]}" "${machine[@]}" "${only[@]}" \
		${REPEAT:+--repeat "$REPEAT"} ${SEED:+--seed "$SEED"} ${V:+--verbose} || exit
}

step_vm_test() {
	local patience slowness keep times flavor examples=/dev/null
	local -a of_kernel rerun=()
	step "tests"
	test_patience
	# What a module would be loaded with.
	[[ ! $(config CONNECTOR_RUST) ]] || append+=" cn_rust.groups=16384"
	kbuild_setup
	mkdir -p "$build/log"
	if [[ -z ${T:-} ]]; then
		progress "compiling the examples"
		examples=$build/log/examples.log
		# What it says is counted with the rest.
		compile_examples >"$examples" 2>&1 || true
	fi
	[[ ! ${RERUN:-} ]] || rerun=(--rerun "$(realpath "$build/test")/summary.json")
	test_of_kernel
	# One for each kernel; build/test is the last one.
	keep=$build/runs/${kernel_id%-*}-$flavor-${kernel_id##*-}
	times=$keep.times
	[[ ! ${KEEP:-} ]] || keep+=-$(date -u +%Y%m%d-%H%M%S)-$$
	say "on the host and in the VM"
	say_gdb
	CARGO=$cargo RUSTC=$rustc runner test "$keep" --link "$(realpath -ms "${RESULTS:-$build/test}")" --times "$times" --selftests "$build/selftests" \
		--examples "$examples" --patience "$patience" --slowness "$slowness" \
		"${of_kernel[@]}" "${machine[@]}" "${only[@]}" "${rerun[@]}" ${REPEAT:+--repeat "$REPEAT"} \
		${VMS:+--vms "$VMS"} \
		${SEED:+--seed "$SEED"} ${V:+--verbose} || exit
}

verdict_check() {
	vm_check
	[[ ${ROUNDS:-50} =~ ^[1-9][0-9]{0,3}$ ]] || die "ROUNDS=$ROUNDS: expected a number as in ROUNDS=50"
}

step_vm_verdict() {
	local patience slowness
	test_patience
	step "verdict"
	say "booting in QEMU"
	runner verdict "$build/verdict" "${machine[@]}" --patience "$patience" --rounds "${ROUNDS:-50}" || exit
}

# total FOLDER STEP...: the results of several steps as one (tests/runner/src/total.rs). Where there
# is no runner, none of them came to a test.
total() {
	if [[ -x $build/host/runner ]]; then
		"$build/host/runner" total "$@"
	else
		printf '\n0 passed, %d failed, 0 skipped\n' $(($# - 1))
		return 1
	fi
}
