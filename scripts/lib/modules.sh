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
	objects=$build/kbuild/$kernel_id
	mkdir -p "$objects" "$build/log"
	kbuild_make=("${inside[@]}" make -C "$kdir" "M=$top" "MO=$objects" "${cc_args[@]}" "${rust_args[@]}")
}

build_modules() {
	local ko list=()
	kbuild_setup
	: >"$build/log/modules.log"
	run_logged "building for ${kernel_id%-*}" "$build/log/modules.log" \
		"every line that kbuild runs: make V=1" kbuild "-j$jobs" ${V:+"V=$V"} ${lean:+CONNECTOR_TESTS=n} modules
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
	sign_modules "$build"/modules.new/*.ko
	printf '%s\n' "$kernel_id" >"$build/modules.new/.kernel"
	cp "$kdir/include/config/kernel.release" "$build/modules.new/.release"
	kernel_asked >"$build/modules.new/.asked"
	rm -rf "$build/modules"
	mv "$build/modules.new" "$build/modules"
	collect_connector
	step_done "${list[*]}"
}

# sign_modules FILE...: with the kernel's own key, if it has one that is here. A kernel with
# CONFIG_MODULE_SIG_FORCE loads no others.
sign_modules() {
	local key ko
	key=$(kdir_key)
	[[ $(config MODULE_SIG) && $key ]] || return 0
	for ko in "$@"; do
		"${inside[@]}" "$kdir/scripts/sign-file" "$(config MODULE_SIG_HASH)" "$key" "$kdir/certs/signing_key.x509" "$ko" \
			&>>"$build/log/modules.log" || die "$(basename "$ko") cannot be signed with $key" "why: $build/log/modules.log" \
			"if it has a passphrase: KBUILD_SIGN_PIN=… make …; if $kdir/certs/signing_key.x509 is not of it, build that kernel anew"
	done
}

# What a module outside of this tree needs to build on the crate: CONNECTOR=build/connector.
collect_connector() {
	rm -rf "$build/connector.new"
	copy_connector "$build/connector.new"
	# What compiles in a root of its own cannot be called like that.
	((${#inside[@]})) || kernel_mk >"$build/connector.new/kernel.mk"
	rm -rf "$build/connector"
	mv "$build/connector.new" "$build/connector"
}

# For which kernel that is, and what it was built with; see samples/standalone/Makefile.
kernel_mk() {
	local word tools=
	for word in "${cc_args[@]}" "${rust_args[@]}"; do
		# CC= may be several.
		[[ $word != *' '* ]] || word="'$word'"
		tools+=" $word"
	done
	printf '# The kernel that rust_connector was built for, for Makefiles to include.\nKDIR := %s\nTOOLS :=%s\n' "$kdir" "$tools"
}

# Without the symbols of modules that exist for the tests.
copy_connector() {
	mkdir -p "$1"
	cp -p "$top/scripts/connector.mk" "$objects"/libconnector*.rmeta "$1/" &&
		awk -F'\t' '$3 !~ /^(ct_|connector_kunit)/' "$objects/Module.symvers" >"$1/Module.symvers"
}

# The module in a tree of its own (samples/standalone), by its own Makefile, from
# outside of this tree, against an installed rust_connector: as somebody else would
# build theirs. Sets standalone.
build_standalone() {
	local folder=$build/standalone
	rm -rf "$folder" "$build/stage"
	cp -r "$top/samples/standalone" "$folder"
	stage_kernels
	run_logged "installing to build/stage" "$build/log/standalone.log" "see the log" install_to "$build/stage" "$(<"$build/modules/.release")"
	run_logged "building for ${kernel_id%-*}" "$build/log/standalone.log" "every line that kbuild runs: make V=1" \
		"${inside[@]}" make -C "$folder" "KDIR=$kdir" "INSTALL_MOD_PATH=$build/stage" "${cc_args[@]}" "${rust_args[@]}" ${V:+"V=$V"} modules
	standalone=$(echo "$folder"/*.ko)
	[[ -e $standalone ]] || die "kbuild made no module in ${folder#"$top"/}" "log: $build/log/standalone.log"
	sign_modules "$standalone"
	step_done "$(basename "$standalone")"
}

# The kernel's modules that the tests want beside ours, as far as they were built.
kernels_modules=(drivers/connector/cn drivers/w1/wire samples/connector/cn_test samples/rust/rust_connector
	drivers/md/{dm-mod,dm-log,dm-region-hash,dm-mirror,dm-log-userspace})

# What our cn.ko takes the place of, and its users, as `make modules_install` of the kernel has them; or the
# users of our core where that is a part of the kernel.
stage_kernels() {
	local to ko
	[[ $(connector_module) != rust_connector ]] || return 0
	to=$(installed "$build/stage" "$(<"$build/modules/.release")")
	mkdir -p "$to"
	for ko in "${kernels_modules[@]}"; do
		[[ -e $kdir/$ko.ko ]] || continue
		mkdir -p "$to/kernel/$(dirname "$ko")"
		"${arch_prefix}objcopy" --strip-debug "$kdir/$ko.ko" "$to/kernel/$ko.ko"
		sign_modules "$to/kernel/$ko.ko"
	done
	cp -p "$kdir"/modules.{order,builtin} "$to/" 2>/dev/null || true
}
