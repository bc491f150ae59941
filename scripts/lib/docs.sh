# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# For readers and their editors: the API documentation of both crates as HTML in
# build/docs/, and rust-project.json. Sourced.

# rustdoc_like OBJECT: documents a crate with the flags that kbuild compiled it
# with, which it keeps beside the object.
rustdoc_like() {
	local object=$1 crate line word
	local -a words args=()
	crate=$(basename "$object" .o)
	line=$(sed -n 's/^savedcmd_[^ ]* := //p' "$objects/$(dirname "$object")/.$crate.o.cmd")
	line=${line%% ; *} # objtool comes after it
	eval "words=(${line#*rustc })"
	for word in "${words[@]}"; do
		case $word in
		--emit=* | --out-dir | src/*/ | --remap-path-*) ;;
		-Wclippy::* | -Aclippy::*) ;;
		*) args+=("$word") ;;
		esac
	done
	(cd "$objects" && RUSTC_BOOTSTRAP=1 OBJTREE=$kdir RUST_MODFILE=./rust_connector \
		CONNECTOR_BINDINGS=$objects/src/connector/bindings_generated.rs \
		"$rustdoc" "${args[@]}" --crate-name "$crate" -D warnings \
		--extern-html-root-url kernel=https://rust.docs.kernel.org/ \
		--output "$build/docs.new")
}

step_docs() {
	step "docs"
	rm -rf "$build/docs.new"
	run_logged "connector-wire" "$build/log/docs.log" "see the log" rustdoc_like src/wire/connector_wire.o
	run_logged "connector" "$build/log/docs.log" "see the log" rustdoc_like src/connector/connector.o
	rm -rf "$build/docs"
	mv "$build/docs.new" "$build/docs"
	step_done "build/docs/connector/index.html"
}

# What an editor needs to understand the kernel side.
write_rust_project() {
	need "python3 python3 runs the kernel's generator"
	run_logged "the kernel's crates" "$build/log/rust-analyzer.log" "see the log" kbuild rust-analyzer
	scripts/rust-project.py "$objects/rust-project.json" "$objects" >"$build/rust-project.json"
	mv "$build/rust-project.json" "$top/rust-project.json"
	step_done "rust-project.json"
}
