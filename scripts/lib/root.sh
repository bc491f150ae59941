# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# A private root: the compilers of another Debian suite than the one installed, in
# the cache, for a kernel that was built with exactly these. Packages are only
# unpacked (nothing of them runs as root, nothing is installed on this system).
# Commands run in it by bubblewrap, and see the cache and this clone where they
# are. Sourced.

# What kbuild calls, on top of the compilers: a root has nothing that is not named
# here or needed by what is.
root_packages=(
	base-files bash dash coreutils findutils diffutils grep sed mawk gzip tar
	xz-utils zstd make libc6-dev binutils flex bison bc perl python3 kmod
	libelf-dev libdw-dev libssl-dev openssl pahole
)

roots=$cache/root

# check_root SUITE: before anything is built with its compilers, which $TOOLCHAIN asks for.
check_root() {
	check_debian "TOOLCHAIN=$TOOLCHAIN" "$roots/$1-*/.complete" \
		"with this machine's compilers: leave it out, or TOOLCHAIN=llvm or gcc"
}

# use_root SUITE PACKAGE[=VERSION]...: the root with the packages above and these.
# Sets root, and inside: the command that enters it.
use_root() {
	local suite=$1 key
	shift
	key=$(printf '%s\n' "$@" "${root_packages[@]}" | short_hash)
	root=$roots/$suite-$key
	[[ $goal != rust-analyzer ]] ||
		die "make $goal needs a rustc on this system that is the kernel's: leave out ${TOOLCHAIN:+TOOLCHAIN=$TOOLCHAIN}${KERNEL:+ KERNEL=$KERNEL}"
	need "bwrap bubblewrap runs the compilers of $suite"
	if [[ ! -e $root/.complete ]]; then
		cache_lock downloads
		if [[ ! -e $root/.complete ]]; then
			debian_lists || die "the compilers of Debian $suite are not to be had: $debian_why"
			check_disk
			root_unpack "$suite" "$@"
		fi
		cache_unlock
	fi
	enter_root
}

root_unpack() {
	local suite=$1
	shift
	cache_scratch root
	debian_unpack_all "$suite" "the compilers of Debian $suite" "$@" "${root_packages[@]}"
	# What their installation would have chosen among several.
	ln -sf mawk "$scratch/root/usr/bin/awk"
	ln -sf gcc "$scratch/root/usr/bin/cc"
	rm -rf "$root"
	mkdir -p "$roots"
	mv "$scratch/root" "$root"
	touch "$root/.complete"
	rm -rf "$scratch"
}

# enter_root [FOLDER...]: kbuild is called through this from here on. The folders are seen as well, and
# those of earlier calls, which it needs for what comes now too: the kernel's source may be anywhere.
root_seen=()
enter_root() {
	local dir log=$cache/log/root.log
	root_seen+=("$@")
	inside=(bwrap --die-with-parent --bind "$root/usr" /usr --ro-bind "$root/etc" /etc
		--symlink usr/bin /bin --symlink usr/sbin /sbin --symlink usr/lib /lib --symlink usr/lib64 /lib64
		--dev /dev --proc /proc --tmpfs /tmp)
	for dir in "$cache" "$top" "${root_seen[@]}"; do
		inside+=(--bind "$dir" "$dir")
	done
	inside+=(--setenv PATH /usr/sbin:/usr/bin --)
	"${inside[@]}" true 2>>"$log" || die "cannot enter $root: $(tail -n1 "$log")" \
		"bubblewrap needs namespaces, which some containers forbid: run this outside of one," \
		"or on a Debian ${root##*/} that has the compilers itself"
}
