# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# Other builds of rust_connector.ko (cn.ko, where that is what there is), for the suite `builds`: modules that were built against this
# one must not load on them, unless nothing differs but the folder. Each is made from a copy of the
# sources in build/builds/, and lands in modules/builds/NAME/ of the test programs. Sets builds.
# Sourced.

# name: what differs
#   folder     nothing: the same sources, elsewhere
#   compiler   what rustc says that it is
#   flags      whether additions are checked, which the kernel's configuration says
#   fields, signature   what the patch of that name in tests/builds/ says
other_builds=(folder compiler flags fields signature)

build_others() {
	local name dir=$build/builds/$kernel_id
	if [[ ! $(connector_module) ]]; then
		step_done "none: the connector is a part of the kernel"
		return
	fi
	kbuild_setup
	: >"$build/log/builds.log"
	for name in "${other_builds[@]}"; do
		other_sources "$dir/$name" "$name"
	done
	run_logged "building $(connector_module).ko ${#other_builds[@]} times" "$build/log/builds.log" "see the log" other_kbuilds "$dir"
	run_logged "building a module against two of them" "$build/log/builds.log" "see the log" build_two "$dir"
	builds=$build/builds/modules
	rm -rf "$builds"
	for name in "${other_builds[@]}"; do
		mkdir -p "$builds/$name"
		cp -p "$dir/$name/objects/$(connector_module).ko" "$builds/$name/"
	done
	cp -p "$dir/two/ct_two.ko" "$builds/"
	sign_modules "$builds"/*.ko "$builds"/*/*.ko
	step_done "${other_builds[*]}"
}

# other_sources DIR NAME: times stay as they are, so that kbuild does only what is new.
other_sources() {
	local dir=$1 name=$2 patch=$top/tests/builds/$2.patch file
	rm -rf "$dir/tree"
	mkdir -p "$dir/tree/scripts" "$dir/objects"
	cp -rp "$top/Kbuild" "$top/src" "$dir/tree/"
	cp -p "$top"/scripts/*.mk "$dir/tree/scripts/"
	if [[ -e $patch ]]; then
		(cd "$dir/tree" && patch -p1 -s --no-backup-if-mismatch --set-time --force) <"$patch" >>"$build/log/builds.log" 2>&1 ||
			die "tests/builds/$name.patch does not apply any more" "log: $build/log/builds.log" "make it anew for the code as it is"
		while read -r file; do
			touch -r "$top/$file" "$dir/tree/$file"
		done < <(sed -n 's:^+++ b/::p' "$patch")
	fi
	# Another build of the same version: a distribution's, say.
	[[ $name != compiler ]] || cat >"$dir/rustc" <<-EOF
		#!/bin/sh
		$kernel_rustc "\$@" || exit
		[ "\$*" != -vV ] || echo "built by somebody else"
	EOF
	[[ $name != compiler ]] || chmod +x "$dir/rustc"
}

other_kbuilds() {
	local name pid pids=() status=0
	for name in "${other_builds[@]}"; do
		other_kbuild "$1/$name" "$name" &
		pids+=($!)
	done
	for pid in "${pids[@]}"; do
		wait "$pid" || status=$?
	done
	return "$status"
}

# Only the connector.
other_kbuild() {
	local args=() checks=y
	[[ ! $(config RUST_OVERFLOW_CHECKS) ]] || checks=n
	case $2 in
	compiler) args=("RUSTC=$1/rustc") ;;
	flags) args=("KRUSTFLAGS=-Coverflow-checks=$checks") ;;
	esac
	"${inside[@]}" make -C "$kdir" "M=$1/tree" "MO=$1/objects" "${cc_args[@]}" "${rust_args[@]}" \
		connector-users= CONNECTOR_TESTS=n "${args[@]}" modules
}

# A module of two objects, first built against another rust_connector and then, where that was,
# against this one, whose files are older than the objects.
build_two() {
	local dir=$1
	rm -rf "$dir"/{two,connector}
	cp -r "$top/tests/builds/two" "$dir/two"
	objects=$dir/fields/objects copy_connector "$dir/connector" &&
		kbuild_two "$dir" &&
		copy_connector "$dir/connector" &&
		touch -d '1 day ago' "$dir"/connector/* &&
		kbuild_two "$dir"
}

kbuild_two() {
	"${inside[@]}" make -C "$kdir" "M=$1/two" "CONNECTOR=$1/connector" "${cc_args[@]}" "${rust_args[@]}" modules
}
