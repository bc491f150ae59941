# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# Hands over to the VM runner (tests/runner), which starts QEMU, watches it and
# judges what it said. Sourced.

runner() {
	local mode=$1 keep=$2
	shift 2
	"$build/host/runner" "$mode" --kernel "$image" --initrd "$build/initramfs.cpio" \
		--keep "$keep" --verdicts "$cache/accel" "$@"
}

step_vm_run() {
	step "VM"
	say "booting in QEMU"
	runner run "$build/run" || exit
}

step_vm_shell() {
	step "VM"
	say "booting in QEMU"
	runner shell "$build/shell" || exit
}

# A mistyped T= is told of before minutes of building.
test_check() {
	local name file known=()
	for file in "$top"/tests/selftests/src/bin/*.rs "$top"/tests/selftests/*.sh; do
		name=$(basename "$file" .rs)
		[[ $name = run.sh ]] || known+=("$name")
	done
	for name in ${T:-}; do
		[[ " ${known[*]} " = *" $name "* ]] ||
			die "T=$name: there is no such test program" "there are: ${known[*]}"
	done
}

# The host's tests come first: they are quick, and a broken parser or layout
# makes the VM's answers worthless.
step_vm_test() {
	local only=() name patience=1 slowness=1
	# Checkers cost much. What a test does very often it does less often then, and what hangs
	# still ends.
	case ${FLAVOR:-base} in
	# A distribution's kernel does more when it loads a module.
	base) [[ ! $(stock_wanted) ]] || patience=2 ;;
	debug) patience=4 slowness=20 ;;
	*) patience=4 slowness=2 ;;
	esac
	step "tests"
	for name in ${T:-}; do
		only+=(--only "$name")
	done
	kbuild_setup
	mkdir -p "$build/log"
	if [[ -z ${T:-} ]]; then
		progress "compiling the examples"
		# What it says is counted with the rest.
		compile_examples >"$build/log/examples.log" 2>&1 || true
	fi
	say "host, then VM"
	CARGO=$cargo RUSTC=$rustc runner test "$build/test" --selftests "$build/selftests" \
		--examples "$build/log/examples.log" --patience "$patience" --slowness "$slowness" "${only[@]}" \
		${SEED:+--seed "$SEED"} ${V:+--verbose} || exit
}
