# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# Formatting and static checks for both sides; a warning is a failure. Sourced.

# Kernel-side Rust files: everything tracked that cargo does not own.
kernel_rust_files() {
	git ls-files -z --cached --others --exclude-standard 'src/*.rs' 'samples/*.rs' 'tests/*.rs' |
		grep -zvE '^(src/wire|samples/(ucon|kv/src|standalone/(src|tests))|tests/(api|guest|proofs|runner|selftests|fuzz|bench/src))/'
}

format() {
	RUSTFMT=$rustfmt "$cargo" fmt --all -- "$@" &&
		kernel_rust_files | xargs -0r "$rustfmt" --edition 2021 "$@"
}

step_fmt() {
	step "format"
	run_logged "formatting" "$build/log/fmt.log" "see the log" format
	step_done "done"
}

step_fmt_check() {
	step "format"
	LOG_LINES=80 run_logged "checking" "$build/log/fmt.log" "make fmt does it for you" format --check
	step_done "as rustfmt has it"
}

shell_scripts() {
	shellcheck -x -a scripts/harness && shellcheck .ci/run dkms.conf tests/runner/tests/ci/make &&
		shellcheck -x -P SCRIPTDIR -s dash scripts/guest/* tests/selftests/*.sh
}

step_lint_shell() {
	step "shellcheck"
	run_logged "checking" "$build/log/shellcheck.log" "every finding has its SCnnnn page" shell_scripts
	run_logged "the README's commands" "$build/log/readme.log" "see tests/readme.tsv" check_readme
	step_done "no findings"
}

# All features: streams for tokio and the man pages are behind one.
clippy_args=(--workspace --all-targets --all-features -- -D warnings)

clippy_userspace() {
	RUSTC=$rustc "$cargo" clippy "${clippy_args[@]}"
}

# The same with the kernel's compilers, if they are in a root of their own. There is no network in
# it: the crates are fetched here. Of cargo's folder it sees them and no programs.
clippy_userspace_inside() {
	local home=${CARGO_HOME:-$HOME/.cargo}
	local -a configured
	RUSTC=$rustc "$cargo" fetch
	mapfile -t configured < <(find "$home" -maxdepth 1 -name 'config*')
	enter_root "$home/registry" "${configured[@]}"
	own_cargo_target "${inside[@]}" rustc
	"${inside[@]}" env -u RUSTC "CARGO_HOME=$home" "CARGO_TARGET_DIR=$CARGO_TARGET_DIR" \
		cargo clippy --offline "${clippy_args[@]}"
}

step_lint_userspace() {
	step "clippy, userspace"
	LOG_LINES=60 run_logged "checking" "$build/log/clippy-userspace.log" "see above" \
		"clippy_userspace${root:+_inside}"
	step_done "no warnings by $(rustc_version "${inside[@]}" "$kernel_rustc")"
}

# The packages as a registry would get them: complete, and each builds by itself, on the others as
# they are packed. Older cargos cannot do that with packages that no registry has yet. Whatever cargo
# once had of a version it takes to be the same forever, but ours change: so it gets folders that do not
# outlast this, with what was downloaded of others in them.
pack_crates() {
	local home=${CARGO_HOME:-$HOME/.cargo} own=$build/packages status=0 file
	rm -rf "$own"
	mkdir -p "$home"/registry/{index,cache} "$own/home/registry"
	ln -s "$home"/registry/{index,cache} "$own/home/registry/"
	for file in "$home"/config*; do
		[[ ! -e $file ]] || ln -s "$file" "$own/home/"
	done
	CARGO_HOME=$own/home RUSTC=$rustc "$cargo" package --allow-dirty --target-dir "$own/target" ${CI:+--locked} \
		-p connector-wire -p netlink-connector -p cnctl || status=$?
	rm -rf "$own"
	return "$status"
}

step_lint_packages() {
	local version
	step "packages"
	version=$("$cargo" --version | awk '{ print $2 }')
	if (($(version_number "$version") < $(version_number 1.90.0))); then
		step_done "not looked at: cargo $version packs no packages that depend on each other"
		return
	fi
	LOG_LINES=40 run_logged "packing and building" "$build/log/packages-cargo.log" "see above" pack_crates
	step_done "connector-wire, netlink-connector and cnctl build from what is packed"
}

# Kept apart from the ordinary objects: those were compiled without clippy.
step_lint_modules() {
	step "clippy, modules"
	kernel_id=lint-$kernel_id
	kbuild_setup
	rm -rf "$objects"
	mkdir -p "$objects"
	: >"$build/log/clippy-modules.log"
	LOG_LINES=60 run_logged "checking" "$build/log/clippy-modules.log" "see above" \
		kbuild "-j$jobs" CLIPPY=1 W=e modules
	rm -rf "$objects-bench"
	LOG_LINES=60 run_logged "checking the peers" "$build/log/clippy-modules.log" "see above" \
		kbuild_peers CLIPPY=1 W=e
	# Those of the compilers are errors by now (W=e), and what kbuild remarks on tools is none.
	if grep -q ': warning: objtool: ' "$build/log/clippy-modules.log"; then
		grep ': warning: objtool: ' "$build/log/clippy-modules.log" | head -n 80 >&2
		die "objtool has warnings for the modules" "log: $build/log/clippy-modules.log"
	fi
	step_done "no warnings"
}
