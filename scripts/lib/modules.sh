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
	[[ ! ${stock:-} ]] || check_stock_vermagic "$build/modules.new/$(connector_module).ko"
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
	copy_connector "$build/connector.new"
	rm -rf "$build/connector"
	mv "$build/connector.new" "$build/connector"
}

copy_connector() {
	mkdir -p "$1"
	cp -p "$top/scripts/connector.mk" "$objects"/libconnector*.rmeta "$objects/Module.symvers" "$1/"
}

# The module in a tree of its own (samples/standalone), by its own Makefile, from
# outside of this tree, against an installed rust_connector: as somebody else would
# build theirs. Sets standalone.
build_standalone() {
	local folder=$build/standalone
	rm -rf "$folder" "$build/stage"
	cp -r "$top/samples/standalone" "$folder"
	stage_kernels
	run_logged "installing to build/stage" "$build/log/standalone.log" "see the log" install_to "$build/stage"
	run_logged "building for ${kernel_id%-*}" "$build/log/standalone.log" "every line that kbuild runs: make V=1" \
		"${inside[@]}" make -C "$folder" "KDIR=$kdir" "INSTALL_MOD_PATH=$build/stage" "${cc_args[@]}" "${rust_args[@]}" ${V:+"V=$V"} modules
	standalone=$(echo "$folder"/*.ko)
	step_done "$(basename "$standalone")"
}

install_modules() {
	local to=
	[[ ! ${INSTALL_MOD_PATH:-} ]] || to=$(realpath -m "$INSTALL_MOD_PATH")
	# bubblewrap shows what is there.
	mkdir -p "$to/lib/modules" 2>/dev/null || true
	((${#inside[@]} == 0)) || enter_root "$to/lib/modules"
	kbuild_setup
	run_logged "installing" "$build/log/modules.log" "it writes to $to/lib/modules: are you root?" install_to "$to"
	step_done "$(installed "$to")/updates, and rust_connector/ for modules that build on it"
}

# The kernel's modules that the tests want beside ours, as far as they were built.
kernels_modules=(drivers/connector/cn drivers/w1/wire samples/connector/cn_test
	drivers/md/{dm-mod,dm-log,dm-region-hash,dm-mirror,dm-log-userspace})

# What our cn.ko takes the place of, and its users, as `make modules_install` of the kernel has them.
stage_kernels() {
	local to ko
	[[ $(connector_module) = cn ]] || return 0
	to=$(installed "$build/stage")
	mkdir -p "$to"
	for ko in "${kernels_modules[@]}"; do
		[[ -e $kdir/$ko.ko ]] || continue
		mkdir -p "$to/kernel/$(dirname "$ko")"
		objcopy --strip-debug "$kdir/$ko.ko" "$to/kernel/$ko.ko"
	done
	cp -p "$kdir"/modules.{order,builtin} "$to/" 2>/dev/null || true
}

installed() {
	echo "$1/lib/modules/$(<"$kdir/include/config/kernel.release")"
}

# install_to ROOT: the modules, and beside them what other modules are built against.
install_to() {
	kbuild ${1:+"INSTALL_MOD_PATH=$1"} modules_install &&
		copy_connector "$(installed "$1")/rust_connector" || return
	# Without a System.map, kbuild leaves this out.
	[[ -e $kdir/System.map ]] || depmod ${1:+-b "$1"} -a "$(<"$kdir/include/config/kernel.release")"
}
