# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# `make modules_install` puts what `make` built where modprobe finds it, and beside it what other
# modules are built against; `make modules_uninstall` takes both away. They copy: whoever is root for
# that needs no compiler, and leaves nothing in this clone. Sourced.

# copy_modules FROM TO: all but those that exist for the tests (tests/modules, tests/kunit).
copy_modules() {
	local ko
	install -d -m 0755 "$2" || return
	for ko in "$1"/*.ko; do
		[[ ${ko##*/} != ct_* && ${ko##*/} != connector_kunit* ]] || continue
		install -m 0644 "$ko" "$2/" || return
	done
}

# installed ROOT RELEASE
installed() {
	echo "$1/lib/modules/$2"
}

# install_to ROOT RELEASE: what is in build/. The list of it is for who takes it away.
install_to() {
	local to file
	to=$(installed "$1" "$2")
	copy_modules "$build/modules" "$to/updates" && install -d -m 0755 "$to/rust_connector" || return
	for file in "$build"/connector/*; do
		install -m 0644 "$file" "$to/rust_connector/" || return
	done
	(cd "$build/modules" && printf '%s\n' *.ko) | grep -vE '^(ct_|connector_kunit)' |
		install -m 0644 /dev/stdin "$to/rust_connector/modules" || return
	depmod_for "$1" "$2"
}

# depmod_for ROOT RELEASE: a user's PATH may lack its folder. It remarks on what kernels have that
# are not installed here.
depmod_for() {
	local said
	said=$(PATH=$PATH:/usr/sbin:/sbin depmod ${1:+-b "$1"} -a "$2" 2>&1) || {
		printf '%s\n' "$said" >&2
		return 1
	}
}

# What make was told of the kernel, to compare with what it is told next.
kernel_asked() {
	local kdir=${KDIR:-}
	[[ ! $kdir ]] || kdir=$(realpath -m "$kdir")
	local -a words=(${kdir:+"KDIR=$kdir"} ${KERNEL:+"KERNEL=$KERNEL"} ${FLAVOR:+"FLAVOR=$FLAVOR"} ${CORE:+"CORE=$CORE"} "${arch_args[@]}")
	echo "${words[*]}"
}

# Where to, in to, and for which kernel, in release.
install_where() {
	local asked
	to=
	[[ ! ${INSTALL_MOD_PATH:-} ]] || to=$(realpath -m "$INSTALL_MOD_PATH")
	[[ -e $build/modules/.release ]] || die "no modules are built" "build them first, as yourself: make${KERNEL:+ KERNEL=$KERNEL}"
	release=$(<"$build/modules/.release")
	asked=$(kernel_asked)
	[[ ! $asked || $asked = "$(<"$build/modules/.asked")" ]] ||
		die "what is built is for $release ($(<"$build/modules/.kernel")), not for $asked" \
			"build for that first, as yourself: make $asked"
	[[ $to || $EUID -eq 0 || -w /lib/modules ]] || die "/lib/modules cannot be written to: only root installs there" \
		"sudo make modules_install, or with INSTALL_MOD_PATH=/a/folder of your own"
}

modules_install() {
	local to release
	install_where
	install_to "$to" "$release" || die "installing to $(installed "$to" "$release") failed"
	say "$(tr '\n' ' ' <"$(installed "$to" "$release")/rust_connector/modules")for Linux $release: in $(
		installed "$to" "$release")/updates; for modules that build on them: rust_connector/ beside it"
}

modules_uninstall() {
	local to release name folder
	install_where
	folder=$(installed "$to" "$release")
	[[ -e $folder/rust_connector/modules ]] || die "nothing of this is installed in $folder"
	while read -r name; do
		[[ $name != */* ]] || die "$folder/rust_connector/modules has '$name', which is no module's name"
		rm -f "$folder/updates/$name"
	done <"$folder/rust_connector/modules"
	rm -rf "$folder/rust_connector"
	rmdir "$folder/updates" 2>/dev/null || true
	depmod_for "$to" "$release" || die "depmod failed for $folder"
	say "taken out of $folder"
}
