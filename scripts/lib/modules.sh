# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# The kernel modules, built by kbuild against $kdir. Objects stay in
# build/kbuild/, one directory per kernel; the modules land in build/modules/.
# Sourced.

kbuild() {
	"${kbuild_make[@]}" "$@"
}

kbuild_setup() {
	kbuild_args=()
	objects=$build/kbuild/$kernel_id
	if [[ $goal = modules_install ]]; then # what exists only for the tests stays here
		objects=$build/kbuild/install-$kernel_id
		kbuild_args=(CONNECTOR_TESTS=n)
	fi
	mkdir -p "$objects" "$build/log"
	kbuild_make=("${inside[@]}" make -C "$kdir" "M=$top" "MO=$objects" "${cc_args[@]}" "${rust_args[@]}" "${kbuild_args[@]}")
}

build_modules() {
	local ko list=()
	kbuild_setup
	: >"$build/log/modules.log"
	run_logged "building for ${kernel_id%-*}" "$build/log/modules.log" \
		"every line that kbuild runs: make V=1" kbuild "-j$jobs" ${V:+"V=$V"} modules
	grep -E '^(warning|error)|: warning: ' "$build/log/modules.log" | sort -u | sed 's/^/    /' >&2 || true

	# As one: a reader sees the old set or the new one.
	rm -rf "$build/modules.new"
	mkdir -p "$build/modules.new"
	while read -r ko; do
		[[ $ko ]] || continue
		ko=${ko%.o}.ko
		[[ $ko = /* ]] || ko=$objects/$ko
		cp -p "$ko" "$build/modules.new/"
		list+=("$(basename "$ko")")
	done <"$objects/modules.order"
	[[ ! ${stock:-} ]] || check_stock_vermagic "$build/modules.new/rust_connector.ko"
	((${#list[@]})) || die "kbuild built no module" "see Kbuild, and $build/log/modules.log"
	printf '%s\n' "$kernel_id" >"$build/modules.new/.kernel"
	rm -rf "$build/modules"
	mv "$build/modules.new" "$build/modules"
	collect_connector
	step_done "${list[*]}"
}

# What a module outside of this tree needs to build on the crate: CONNECTOR=build/connector.
collect_connector() {
	rm -rf "$build/connector.new"
	mkdir -p "$build/connector.new"
	cp -p "$top/scripts/connector.mk" "$objects"/libconnector*.rmeta "$objects/Module.symvers" \
		"$build/connector.new/"
	rm -rf "$build/connector"
	mv "$build/connector.new" "$build/connector"
}

# The module in a tree of its own (samples/standalone), by its own Makefile, from
# outside of this tree: as somebody else would build theirs. Sets standalone.
build_standalone() {
	local folder=$build/standalone
	rm -rf "$folder"
	cp -r "$top/samples/standalone" "$folder"
	run_logged "building for ${kernel_id%-*}" "$build/log/standalone.log" "every line that kbuild runs: make V=1" \
		"${inside[@]}" make -C "$folder" "KDIR=$kdir" "CONNECTOR=$build/connector" "${cc_args[@]}" "${rust_args[@]}" ${V:+"V=$V"} modules
	standalone=$(echo "$folder"/*.ko)
	step_done "$(basename "$standalone")"
}

install_modules() {
	kbuild_setup
	run_logged "installing" "$build/log/modules.log" "it writes to \${INSTALL_MOD_PATH}/lib/modules: are you root?" \
		kbuild ${INSTALL_MOD_PATH:+"INSTALL_MOD_PATH=$INSTALL_MOD_PATH"} modules_install
	step_done "${INSTALL_MOD_PATH:-}/lib/modules/$(cat "$kdir/include/config/kernel.release")/updates"
}
