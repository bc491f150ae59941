# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# For readers and their editors: the API documentation of the crates as HTML in
# build/docs/, that of userspace's in build/docs/userspace/, man pages and shell completions of cnctl in
# build/docs/cnctl/, and rust-project.json. Sourced.

# rustdoc_like OBJECT ARGUMENT...: runs rustdoc with the flags that kbuild compiled
# a crate with, which it keeps beside the object.
rustdoc_like() {
	local object=$1 line word
	local -a words args=()
	shift
	line=$(sed -n 's/^savedcmd_[^ ]* := //p' "$objects/$(dirname "$object")/.$(basename "$object").cmd")
	line=${line%% ; *} # objtool comes after it
	eval "words=(${line#*rustc })"
	for word in "${words[@]}"; do
		case $word in
		--emit=* | --out-dir | src/*/ | --remap-path-* | *.rs) ;;
		-Wclippy::* | -Aclippy::*) ;;
		*) args+=("$word") ;;
		esac
	done
	(cd "$objects" && RUSTC_BOOTSTRAP=1 OBJTREE=$kdir RUST_MODFILE=./rust_connector \
		CONNECTOR_BINDINGS=$objects/src/connector/bindings_generated.rs \
		"${inside[@]}" "$kernel_rustdoc" "${args[@]}" -Zunstable-options "$@")
}

# document CRATE: its HTML, into build/docs.new.
document() {
	rustdoc_like "src/$1.o" --crate-name "$(basename "$1")" -D warnings \
		--extern-html-root-url kernel=https://rust.docs.kernel.org/ \
		--output "$build/docs.new" "$top/src/$1.rs"
}

# public_api CRATE: a line for every item that the crate makes public. It is a file in src, or a
# package of cargo's.
public_api() {
	local dir=$build/api
	case $1 in
	netlink-connector)
		# rustdoc's JSON takes leave; what cargo compiles with that it keeps apart.
		RUSTC=$rustc RUSTC_BOOTSTRAP=1 "$cargo" rustdoc -q ${CI:+--locked} -p "$1" --lib --all-features \
			--target-dir "$dir/target" -- -Zunstable-options --output-format json || return
		mv "$dir/target/doc/${1/-/_}.json" "$dir/"
		;;
	*)
		rustdoc_like "src/$1.o" --crate-name "$(basename "$1")" --output-format json \
			--output "$dir" "$top/src/$1.rs" || return
		;;
	esac
	RUSTC=$rustc "$cargo" run -q -p api ${CI:+--locked} <"$dir/$(basename "${1/-/_}").json"
}

# check_public_api CRATE: whether that is what tests/api/ says; as libtest does.
check_public_api() {
	local crate=${1##*/} name expected found differs="rustdoc failed"
	crate=${crate/-/_}
	expected=tests/api/$crate.txt found=$build/api/$crate.txt
	mkdir -p "$build/api"
	name="$expected has all that is public"
	if public_api "$1" >"$found" && differs=$(diff -u "$top/$expected" "$found"); then
		printf 'test %s ... ok\n\ntest result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out\n' "$name"
	else
		printf 'test %s ... FAILED\n\nfailures:\n\n---- %s stdout ----\n%s\n' "$name" "$name" "$differs"
		printf 'If users need what was added: cp %s %s\n' "${found#"$top/"}" "$expected"
		printf '\nfailures:\n    %s\n\n' "$name"
		printf 'test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out\n'
		return 1
	fi
}

# examples_in FILE: what rustdoc is to read for these examples. Where the crate is other names for a part of the
# kernel, its documentation is text by itself, and what is private has the kernel's names.
examples_in() {
	local name file
	name=$(basename "${1%.*}")
	file=$build/examples/$name.md
	if [[ $(connector_module) || $1 = README.md ]]; then
		echo "$top/$1"
		return
	fi
	mkdir -p "$build/examples"
	case $1 in
	*.rs) find "$top/${1%/*}" -name '*.rs' -exec sed -n 's,^ *//[/!] \{0\,1\},,p' {} + ;;
	*) sed '/^## The module itself$/,/^## A message/d; s/\bconnector::/kernel::&/g' "$top/$1" ;;
	esac >"$file"
	echo "$file"
}

# Compiles the examples in the documentation of the crate `connector` and in the
# README as a module would be, and what must not compile; says what came of it as
# libtest does. So it does with what these two crates, and netlink-connector, make public.
compile_examples() {
	local file crate status=0 crates=(wire/connector_wire connector/connector netlink-connector)
	for file in src/connector/connector.rs README.md tests/api/cannot.md; do
		echo "   Doc-tests $file"
		rustdoc_like src/echo/cn_echo.o --test --no-run --crate-name connector "$(examples_in "$file")" || status=$?
	done
	# What is a part of the kernel is compiled by others.
	[[ $(connector_module) ]] || crates=(netlink-connector)
	for crate in "${crates[@]}"; do
		echo "   Doc-tests $crate, what it makes public"
		check_public_api "$crate" || status=$?
	done
	return "$status"
}

# The man pages and shell completions of cnctl, which it has from its own --help.
document_cnctl() {
	RUSTC=$rustc "$cargo" run -p cnctl --features docs --bin cnctl-docs ${CI:+--locked} -- \
		"$build/docs.new/cnctl"
}

# What a client and its tests are written with.
document_userspace() {
	RUSTC=$rustc "$cargo" doc ${CI:+--locked} --no-deps --all-features -p netlink-connector -p selftests -p connector-wire \
		--lib --target-dir "$build/api/target" &&
		cp -r "$build/api/target/doc" "$build/docs.new/userspace"
}

step_docs() {
	step "docs"
	rm -rf "$build/docs.new"
	run_logged "connector-wire" "$build/log/docs.log" "see the log" document wire/connector_wire
	run_logged "connector" "$build/log/docs.log" "see the log" document connector/connector
	run_logged "cnctl" "$build/log/docs.log" "see the log" document_cnctl
	run_logged "userspace" "$build/log/docs.log" "see the log" document_userspace
	rm -rf "$build/docs"
	mv "$build/docs.new" "$build/docs"
	step_done "build/docs/connector/, build/docs/userspace/netlink_connector/ and selftests/, build/docs/cnctl/man/"
}

# What an editor needs to understand the kernel side.
write_rust_project() {
	need "python3 python3 runs the kernel's generator"
	run_logged "the kernel's crates" "$build/log/rust-analyzer.log" "see the log" kbuild rust-analyzer
	scripts/rust-project.py "$objects/rust-project.json" "$objects" >"$build/rust-project.json"
	mv "$build/rust-project.json" "$top/rust-project.json"
	step_done "rust-project.json"
}
