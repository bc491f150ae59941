# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# `CORE=tree` and `CORE=tree-c`: the kernel's source with the patches of `make patches`. The project's own
# kernel is built of that, with the connector in Rust or the one in C, and modules on the abstraction that
# is a part of it. Sourced.

tree_wanted() {
	[[ ${CORE:-} != tree && ${CORE:-} != tree-c ]] || echo "$CORE"
}

check_tree() {
	[[ ${KERNEL:-$default_kernel} = "$default_kernel" ]] ||
		die "CORE=$CORE is Linux $default_kernel with the patches for it: leave out KERNEL=$KERNEL"
	[[ ! $cross ]] || die "CORE=$CORE is for this machine, which is $arch_host: leave out ARCH=$asked_arch"
	case $goal in
	test) [[ $CORE = tree ]] || die "CORE=$CORE is for make bench to compare with: the tests run on CORE=tree" ;;
	docs | mutants) die "make $goal is about the crate as a module: leave out CORE=$CORE" ;;
	esac
	[[ ${TOOLCHAIN:-llvm} != *-* ]] || die "CORE=$CORE is built with the compilers of this system: leave out TOOLCHAIN=$TOOLCHAIN"
}

# Has ksrc be that source. It is in the cache, under a name that has what comes of the patches, so that each
# of these is another source and another kernel.
find_tree() {
	local key tree log=$build/log/tree.log
	[[ -x $rustfmt ]] || die "$(dirname "$rustc") has no rustfmt, which makes the patches" \
		"rustup component add rustfmt, or your distribution's package"
	lock_build
	if [[ $(patches_of) != "$(cat "$build/patches/.of" 2>/dev/null)" ]]; then
		make_patches
		patches_of >"$build/patches/.of"
	fi
	key=$({
		source_id
		cat "$build/patches/.tree"
	} | short_hash)
	tree=$cache/patches/source-$kver-$key
	if [[ ! -e $tree/.complete ]]; then
		cache_lock "tree-$key"
		[[ -e $tree/.complete ]] || patched_tree
		cache_unlock
	fi
	unlock_build
	ksrc=$tree
}

# What the patches are made of.
patches_of() {
	{
		source_id
		"$rustfmt" --version
		cd "$top" && find src tests/kunit samples/cn_test.rs upstream scripts/lib/patches.sh -type f ! -name README.md ! -path 'upstream/crate/*' -print0 |
			LC_ALL=C sort -z | xargs -0 sha256sum
	} | short_hash
}

# Links take no room, and patch(1) puts another file in the place of what it changes.
patched_tree() {
	local patch
	progress "copying the source"
	mkdir -p "$cache/patches"
	rm -rf "$tree"
	cp -al "$ksrc/." "$tree" 2>/dev/null || { rm -rf "$tree" && cp -a "$ksrc/." "$tree"; }
	rm -f "$tree/.complete"
	for patch in "$build"/patches/{fixes,.,later}/0*.patch; do
		patch -d "$tree" -p1 -s --no-backup-if-mismatch --force <"$patch" >>"$log" 2>&1 ||
			die "$(basename "$patch") does not apply to Linux $kver" "log: $log"
	done
	printf 'with the patches %s\n' "$key" >"$tree/.complete"
}
