# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# The shell and the folders that this is called in, whosever they are: what is not
# honoured is put out of sight, and what cannot work is said at once. Sourced first,
# and checked before anything is installed, downloaded or compiled.

# Of files that others than the caller have to read, in the VM and where they are installed.
umask 022

# Without it, the shell asks the list of users: sudo and cron may leave it out.
export HOME=${HOME:-~}

# Some of what is read here are other programs' messages.
export LC_ALL=C.UTF-8

# The kernel's Rust quick start has people export LLVM=1. Which compiler a kernel takes is known
# here, and kbuild would take LLVM's linker for it even beside CC=gcc.
asked_llvm=${LLVM:-} asked_arch=${ARCH:-}
unset LLVM LLVM_IAS ARCH CROSS_COMPILE

# Another meaning than kbuild's here: see scripts/lib/own.sh.
asked_m=${M:-}

# What make passes to its children is meant for the Makefile, not for the kernel's and cargo's.
unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES MAKEFILES GNUMAKEFLAGS KBUILD_OUTPUT O M MO W C CF

# Flags for somebody's own programs: kernel tools, build scripts and cargo would take them.
unset CFLAGS CXXFLAGS CPPFLAGS LDFLAGS RUSTFLAGS CARGO_ENCODED_RUSTFLAGS CARGO_BUILD_TARGET \
	CARGO_BUILD_RUSTFLAGS CARGO_BUILD_TARGET_DIR KCFLAGS KAFLAGS KCPPFLAGS KRUSTFLAGS HOSTCFLAGS \
	HOSTLDFLAGS HOSTRUSTFLAGS KBUILD_EXTRA_SYMBOLS KBUILD_EXTRA_WARN KBUILD_EXTMOD

# What make or the shell takes for something else in a name, as tried. An umlaut is none of it.
unfit='[[:space:][:cntrl:]:%#$\'"'"'"`&;|<>()*?]|\[|\]'

# check_folder WHAT FOLDER
check_folder() {
	[[ ! $2 =~ $unfit ]] ||
		die "the kernel's makefiles take no folder with '${BASH_REMATCH[0]}' in its name; $1 is in '$2'" \
			"move it, or give it another name"
}

# check_own FOLDER: what `sudo make` left there would stop the next build in its middle.
check_own() {
	local file user
	user=$(id -u)
	[[ $user != 0 && -e $1 ]] || return 0
	file=$(find "$1" -maxdepth 2 ! -user "$user" -print -quit 2>/dev/null) || true
	[[ ! $file ]] || die "$file is not yours: it belongs to $(stat -c %U "$file")" \
		"sudo make builds as root, and only make modules_install has to be: sudo rm -r $1"
}

# check_place WHAT FOLDER NEXT-STEP: that files can be made there, and run.
check_place() {
	local probe=$2/.probe-$$ status=0
	mkdir -p "$2" 2>/dev/null || true
	[[ -w $2 ]] || die "$1 $2 cannot be written to" "$3"
	{ echo '#!/bin/sh' >"$probe" && chmod +x "$probe"; } 2>/dev/null || {
		rm -f "$probe"
		die "$1 $2 cannot be written to: is the disk full? see: df -h $2" "$3"
	}
	"$probe" 2>/dev/null || status=$?
	rm -f "$probe"
	((status == 0)) || die "nothing can be run in $1 $2: is it mounted with noexec?" "$3"
}

# Of all that builds something: before it does.
check_places() {
	check_place "the build folder" "$build" "put the clone elsewhere"
	check_place "the cache" "$cache" "put it elsewhere: XDG_CACHE_HOME=/path make …"
}

# What another architecture's has no use for.
check_cross() {
	case $goal in
	tools | install | deb | proofs | test-readme | test-goals) die "make $goal is for this machine, which is $arch_host: leave out ARCH=$asked_arch" ;;
	esac
	# They are asked for their tests, and are the same for each.
	[[ $goal != test || ${T:-} != list ]] || die "make test T=list runs programs of this machine, which is $arch_host: leave out ARCH=$asked_arch"
	[[ ! $(stock_wanted) ]] ||
		die "KERNEL=$KERNEL is for this machine, which is $arch_host: leave out ARCH=$asked_arch"
	[[ ${TOOLCHAIN:-llvm} = llvm ]] || die "TOOLCHAIN=$TOOLCHAIN: a kernel for another architecture is built with llvm"
}

# The source of the DKMS package has the modules only.
has_programs() {
	[[ -e $top/tests ]]
}

check_environment() {
	[[ ! ${asked_unknown:-} ]] || die "${asked_unknown%% *}= is nothing that make knows here" "what it knows: make help"
	[[ ! ${asked_o:-} ]] || die "O=$asked_o is not looked at: a kernel that was built there is KDIR=$asked_o" \
		"make KDIR=$asked_o …; what is made here goes to $build"
	# Programs for this machine have nothing to do with the kernel's makefiles.
	case $goal in
	install) ;;
	tools | deb) [[ $cache != *:* ]] || die "cargo takes no folder with ':' in its name; the cache (XDG_CACHE_HOME) is in '$cache'" "put it elsewhere" ;;
	*)
		check_folder "this clone" "$top"
		check_folder "the cache (XDG_CACHE_HOME)" "$cache"
		;;
	esac
	has_programs || [[ $goal = modules_*install || ($goal = modules && (${KDIR:-} || $(stock_wanted))) ]] ||
		die "this is the source of the DKMS package, which has the modules only, for kernels that are there" \
			"make KDIR=/lib/modules/$(uname -r)/build, or let dkms do it"
	# What a link leads to is what the makefiles get.
	[[ ! ${KDIR:-} ]] || check_folder "KDIR" "$(realpath -m -- "$KDIR")"
	[[ ! ${KSRC:-} ]] || check_folder "KSRC" "$(realpath -m -- "$KSRC")"
	[[ $goal = modules_*install ]] || check_own "$build"
	arch_row "$arch_host" >/dev/null || die "this is $arch_host, and nobody has told this what is called how there" \
		"there are: $(arch_names); scripts/lib/arch.sh has what it takes"
	[[ ! $asked_arch ]] || arch_row "$asked_arch" >/dev/null || die "ARCH=$asked_arch: expected one of $(arch_names)"
	[[ ! $cross ]] || check_cross
	[[ ! ${RUST_LIB_SRC:-} || -e $RUST_LIB_SRC/core/src/lib.rs ]] ||
		die "RUST_LIB_SRC=$RUST_LIB_SRC has no core/src/lib.rs: it is not the library's source" "leave it out to have that looked for"
	[[ $goal != test-readme || $arch_host = x86_64 ]] || die "make test-readme boots a machine of x86_64, and this is $arch_host"
	[[ ${JOBS:-1} =~ ^[1-9][0-9]*$ ]] || die "JOBS=$JOBS: expected a number as in JOBS=4"
}
