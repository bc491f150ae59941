# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# The programs, built by cargo as static binaries (the VM has no libc): tools and
# samples to build/bin/, the examples of netlink-connector to build/bin/examples/,
# test programs to build/selftests/, with modules and tools beside them, those of tests/bench to build/bench.bin/, the VM
# runner and its other half in the VM, which are the harness's own, to build/host/. Sourced.
#
# All are for the VM's architecture, but for the runner and the report of the benchmarks.

# Cargo's target directory is in the cache, one for each clone: cargo looks at the time of a crate's
# files, not at their place, and would take another clone's for ours. A fresh clone takes over the
# directory of one that is gone, or has links to what another one's has of our dependencies, so that
# it does not compile them again.
# own_cargo_target RUSTC...: what runs the compiler.
own_cargo_target() {
	local of_rustc dir
	has_programs || return 0
	of_rustc=$cache/cargo/$("$@" -vV | short_hash)
	CARGO_TARGET_DIR=$of_rustc/$(short_hash <<<"$top")
	export CARGO_TARGET_DIR
	[[ ! -d $CARGO_TARGET_DIR ]] || return 0
	mkdir -p "$of_rustc"
	cache_lock cargo
	for dir in "$of_rustc"/*/; do
		[[ -e $dir/clone && ! -d $(<"$dir/clone") ]] || continue
		if [[ -d $CARGO_TARGET_DIR ]] || (($(du -sm "$dir" | cut -f1) > 4096)); then
			rm -rf "$dir"
			continue
		fi
		forget_own_crates "$dir"
		mv "$dir" "$CARGO_TARGET_DIR"
	done
	[[ -d $CARGO_TARGET_DIR ]] || link_dependencies "$of_rustc"
	mkdir -p "$CARGO_TARGET_DIR"
	printf '%s\n' "$top" >"$CARGO_TARGET_DIR/clone"
	cache_unlock
}

# The one of $own: to cargo, a package in a folder is the same as one of that name in another folder.
own_folders_cargo_target() {
	local of_rustc=${CARGO_TARGET_DIR%/*} dir
	CARGO_TARGET_DIR=$of_rustc/$(short_hash <<<"$own")
	export CARGO_TARGET_DIR
	[[ ! -d $CARGO_TARGET_DIR ]] || return 0
	cache_lock cargo
	for dir in "$of_rustc"/*/; do
		[[ ! -e $dir/folder || -d $(<"$dir/folder") ]] || rm -rf "$dir"
	done
	link_dependencies "$of_rustc"
	mkdir -p "$CARGO_TARGET_DIR"
	printf '%s\n' "$own" >"$CARGO_TARGET_DIR/folder"
	cache_unlock
}

# forget_own_crates DIR: so that cargo compiles what is in this clone.
forget_own_crates() {
	local name
	while read -r name; do
		find "$1" -path "*/.fingerprint/$name-*" -delete
	done < <(own_crates)
}

own_crates() {
	sed -n 's/^name = "\(.*\)"/\1/p' "$top"/{src,tools,samples,tests}/*/Cargo.toml "$top"/tests/proofs/{client,client/locks,kernel}/Cargo.toml
}

# link_dependencies OF_RUSTC: to the fullest directory there. What cargo made of a crate of a registry
# is not written to again. First the fingerprints, which come last when something is compiled: what
# has one here is complete, whatever is being compiled there.
link_dependencies() {
	local from name new=$CARGO_TARGET_DIR.new part of
	from=$(for from in "$1"/*/"$host_rust"/release/.fingerprint; do
		[[ ! -d $from || ! -e ${from%"/$host_rust/"*}/clone ]] || echo "$(find "$from" -maxdepth 1 | wc -l) $from"
	done | sort -rn | sed -n "1s|^[0-9]* \(.*\)/$host_rust/.*|\1|p")
	[[ $from ]] || return 0
	rm -rf "$new"
	for part in .fingerprint build deps; do
		for of in release "$host_rust/release"; do
			[[ ! -d $from/$of/$part ]] || { mkdir -p "$new/$of" && cp -al "$from/$of/$part" "$new/$of/"; }
		done
	done
	# Also what belongs to a binary, whose name has underscores in places.
	while read -r name; do
		find "$new" \( -path "*/.fingerprint/$name-*" -o -path "*/deps/$name-*" -o -path "*/deps/${name//-/_}-*" \
			-o -path "*/deps/lib${name//-/_}-*" \) -delete
	done < <(own_crates)
	mv "$new" "$CARGO_TARGET_DIR"
}

# With --target, build scripts and proc macros stay ordinary host programs.
cargo_for() {
	local target=$1
	shift
	RUSTC=$rustc RUSTFLAGS="-C target-feature=+crt-static" "$cargo" build --release \
		--target "$target" ${CI:+--locked} \
		--message-format=json-render-diagnostics "$@"
}

# For the VM. Of another architecture, the compiler may lack the standard library, which is compiled then,
# in a folder of its own: to build scripts, a compiler that may do that is another one.
cargo_static() {
	local name
	if [[ ! $cross ]]; then
		cargo_for "$arch_rust" "$@"
		return
	fi
	name=${arch_rust//-/_}
	(
		export "CARGO_TARGET_${name^^}_LINKER=${arch_prefix}gcc" "CARGO_TARGET_DIR=$(cargo_static_dir)"
		if [[ -d $(std_of_guest) ]]; then
			cargo_for "$arch_rust" "$@"
		else
			RUSTC_BOOTSTRAP=1 cargo_for "$arch_rust" -Zbuild-std "$@"
		fi
	)
}

# The standard library that came with the compiler, if it did.
std_of_guest() {
	echo "$("$rustc" --print sysroot)/lib/rustlib/$arch_rust/lib"
}

cargo_static_dir() {
	local std=
	[[ ! $cross || -d $(std_of_guest) ]] || std=/build-std
	echo "$CARGO_TARGET_DIR$std"
}

# What the compiler takes to compile for the VM.
check_std_of_guest() {
	[[ ! $cross || -d $(std_of_guest) || -e $("$rustc" --print sysroot)/lib/rustlib/src/rust/library/std/src/lib.rs ]] ||
		die "$rustc has neither a standard library for $arch_rust nor the source of one" \
			"rustup target add $arch_rust, or rustup component add rust-src"
}

# The examples by themselves: one of them takes tokio, which the tools should do without.
cargo_build() {
	local runner=(-p runner) without=() report=
	# What is for this machine is in the way there. It comes last, and takes the place of its like.
	[[ ! $cross ]] || runner=() without=(--exclude runner)
	if [[ $lean ]]; then
		cargo_static --bins "${runner[@]}" -p guest -p cnctl -p ucon -p kv >"$build/cargo.json" || return
	else
		report=1
		cargo_static --workspace --exclude proofs --exclude client-models --exclude loom-locks --exclude kernel \
			"${without[@]}" >"$build/cargo.json" &&
			cargo_static -p netlink-connector --examples --features tokio >>"$build/cargo.json" || return
	fi
	[[ ! $cross ]] || cargo_for "$host_rust" -p runner --bin runner ${report:+-p bench --bin bench-report} >>"$build/cargo.json"
}

# For what takes the modules and the tools only, that is all that is built.
lean=
lean() {
	lean=1
}

crates_compiled() {
	printf '(%d crates)' "$(grep -c '^ *Compiling ' "$build/log/userspace.log")"
}

build_userspace() {
	local line program dir d script dirs=(bin host selftests bench.bin)
	[[ ! $lean ]] || dirs=(bin host)
	mkdir -p "$build/log"
	: >"$build/log/userspace.log"
	progress_fn=crates_compiled \
		run_logged "building" "$build/log/userspace.log" "the compiler's messages are above and in the log" cargo_build
	for d in "${dirs[@]}"; do
		rm -rf "$build/$d.new"
		mkdir -p "$build/$d.new"
	done
	[[ $lean ]] || mkdir "$build/bin.new/examples"
	# One JSON object per line; a program's has its crate's manifest and its path.
	while read -r line; do
		program=${line##*\"executable\":\"}
		program=${program%%\"*}
		case ${line#*\"manifest_path\":\"} in
		"$top"/tests/runner/* | "$top"/tests/guest/*) dir=host.new ;;
		"$top"/tests/bench/*) dir=bench.bin.new ;;
		"$top"/tests/selftests/*) dir=selftests.new ;;
		"$top"/tools/netlink-connector/*) dir=bin.new/examples ;;
		*) dir=bin.new ;;
		esac
		cp -p "$program" "$build/$dir/"
	done < <(grep '"executable":"' "$build/cargo.json")
	for script in "$top"/tests/selftests/*.sh; do
		[[ $script = */@(run|tap).sh || $lean ]] || cp -p "$script" "$build/selftests.new/"
	done
	for d in "${dirs[@]}"; do
		rm -rf "${build:?}/$d"
		mv "$build/$d.new" "$build/$d"
	done
	rm -f "$build/cargo.json"
	[[ ! $lean ]] || { step_done "$(cd "$build" && echo bin/*)" && return; }
	step_done "$(cd "$build" && echo bin/*), $(find "$build/selftests" -type f | wc -l) test programs"
}

# What test programs look for beside themselves: tests/selftests/Makefile installs both.
complete_selftests() {
	local source=$kdir/source selftests
	[[ -e $source ]] || source=$kdir
	selftests=$source/tools/testing/selftests
	mkdir -p "$build/selftests/modules"
	cp -p "$build"/modules/*.ko "$build/selftests/modules/"
	# Only tests build it.
	[[ ! ${standalone:-} ]] || cp -p "$standalone" "$build/selftests/modules/"
	[[ ! ${builds:-} ]] || cp -rp "$builds" "$build/selftests/modules/builds"
	cp -al "$build/bin" "$build/selftests/bin"
	# The kernel's own programs, for a VM that has no libc: that of its sample, and its selftest, which takes a
	# newer header than systems have.
	[[ $(config SAMPLE_CONNECTOR) != m ]] ||
		"$(guest_cc)" -O2 -static -I "$kdir/usr/include" -o "$build/selftests/bin/ucon-of-kernel" \
			"$source/samples/connector/ucon.c"
	if [[ $(config PROC_EVENTS) && -e $selftests/connector/proc_filter.c ]]; then
		mkdir -p "$build/uapi/linux"
		cp "$source/include/uapi/linux/cn_proc.h" "$build/uapi/linux/"
		"$(guest_cc)" -O2 -static -I "$build/uapi" -I "$selftests" -o "$build/selftests/bin/proc_filter" \
			"$selftests/connector/proc_filter.c"
	fi
}
