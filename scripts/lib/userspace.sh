# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# The programs, built by cargo as static binaries (the VM has no libc): tools and
# samples to build/bin/, the examples of connector-client to build/bin/examples/,
# test programs to build/selftests/, those of tests/bench to build/bench.bin/, the VM
# runner, which is the harness's own, to build/host/. Sourced.

cargo_target=x86_64-unknown-linux-gnu

# Cargo's target directory is in the cache, so that a fresh clone does not compile
# our dependencies again. Each clone adds its own crates to it: when it has become
# large, it starts anew.
share_cargo_target() {
	local size
	CARGO_TARGET_DIR=$cache/cargo/$("$rustc" -vV | short_hash)
	export CARGO_TARGET_DIR
	mkdir -p "$CARGO_TARGET_DIR"
	size=$(du -sm "$CARGO_TARGET_DIR" | cut -f1)
	if ((size > 4096)); then
		cache_lock cargo
		rm -rf "$CARGO_TARGET_DIR"
		cache_unlock
	fi
}

# With --target, build scripts and proc macros stay ordinary host programs.
cargo_static() {
	RUSTC=$rustc RUSTFLAGS="-C target-feature=+crt-static" "$cargo" build --release \
		--target "$cargo_target" ${CI:+--locked} \
		--message-format=json-render-diagnostics "$@"
}

# The examples by themselves: one of them takes tokio, which the tools should do without.
cargo_build() {
	cargo_static --workspace >"$build/cargo.json" &&
		cargo_static -p connector-client --examples --features tokio >>"$build/cargo.json"
}

crates_compiled() {
	printf '(%d crates)' "$(grep -c '^ *Compiling ' "$build/log/userspace.log")"
}

build_userspace() {
	local line program dir d script
	mkdir -p "$build/log"
	: >"$build/log/userspace.log"
	# Until the programs are copied: other clones build programs of the same names.
	cache_lock cargo
	progress_fn=crates_compiled \
		run_logged "building" "$build/log/userspace.log" "the compiler's messages are above and in the log" cargo_build
	rm -rf "$build"/{bin,selftests,host,bench.bin}.new
	mkdir -p "$build"/{bin,selftests,host,bench.bin}.new "$build/bin.new/examples"
	# One JSON object per line; a program's has its crate's manifest and its path.
	while read -r line; do
		program=${line##*\"executable\":\"}
		program=${program%%\"*}
		case ${line#*\"manifest_path\":\"} in
		"$top"/tests/runner/*) dir=host.new ;;
		"$top"/tests/bench/*) dir=bench.bin.new ;;
		"$top"/tests/selftests/*) dir=selftests.new ;;
		"$top"/tools/connector-client/*) dir=bin.new/examples ;;
		*) dir=bin.new ;;
		esac
		cp -p "$program" "$build/$dir/"
	done < <(grep '"executable":"' "$build/cargo.json")
	for script in "$top"/tests/selftests/*.sh; do
		[[ ! -x $script ]] || cp -p "$script" "$build/selftests.new/"
	done
	for d in bin selftests host bench.bin; do
		rm -rf "${build:?}/$d"
		mv "$build/$d.new" "$build/$d"
	done
	cache_unlock
	rm -f "$build/cargo.json"
	step_done "$(cd "$build" && echo bin/*), $(find "$build/selftests" -type f | wc -l) test programs"
}
