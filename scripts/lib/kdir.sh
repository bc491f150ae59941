# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# A kernel tree to build modules against, ours or the user's (KDIR=): says what
# it lacks, and with what it was built. Sets cc_args, kernel_id and image.
# Sourced.

# The connector's module: ours stands on the kernel's core where that is built in, and is the core elsewhere.
connector_module() {
	case $(config CONNECTOR) in
	y) echo rust_connector ;;
	*) echo cn ;;
	esac
}

# name of the option, why we need it
kdir_module_needs=(
	"MODULES loads modules"
	"MODULE_UNLOAD removes them"
	"RUST builds Rust modules"
	"NET has sockets"
)
kdir_vm_needs=(
	"BLK_DEV_INITRD boots from an initramfs"
	"BINFMT_ELF runs programs"
	"BINFMT_SCRIPT runs scripts"
	"DEVTMPFS fills /dev"
	"PROC_FS has /proc/net/connector"
	"SYSFS has the modules' parameters"
	"TTY has consoles"
	"SERIAL_8250_CONSOLE shows the kernel log"
	"PRINTK logs"
	"FUTEX lets threads wait"
)

config() {
	sed -n "s/^CONFIG_$1=//p" "$kdir/.config" | tr -d '"'
}

# Names all that is missing at once, and how to switch it on.
kdir_refuse_missing() {
	local entry name tool=scripts/config missing=()
	for entry in "$@"; do
		name=${entry%% *}
		[[ $(config "$name") == [ym]* ]] || missing+=("CONFIG_$name: ${entry#* }")
	done
	((${#missing[@]} == 0)) && return
	local -a names=("${missing[@]%%:*}")
	[[ ! -e $kdir/source ]] || tool=source/scripts/config
	die "the kernel in $kdir lacks ${names[*]}" "${missing[@]}" \
		"switch on and rebuild: cd $kdir && $tool ${names[*]/#CONFIG_/-e } && make olddefconfig && make" \
		"(with the same LLVM= or CC= as before)"
}

# compiler_is KIND MAJOR COMMAND: whether CC="COMMAND", which may be several words, is that.
compiler_is() {
	local words macros
	read -ra words <<<"$3"
	command -v "${words[0]}" >/dev/null || return 1
	macros=$("${words[@]}" -dM -E -x c /dev/null 2>/dev/null) || return 1
	case $1 in
	clang) [[ $macros == *"#define __clang_major__ $2"$'\n'* ]] ;;
	GCC) [[ $macros == *"#define __GNUC__ $2"$'\n'* && $macros != *__clang__* ]] ;;
	esac
}

# What the user's shell has for other kernels is not taken in silence.
say_not_taken() {
	say "$1 is not taken: $kdir was built with $kdir_how"
}

kdir_compiler() {
	local want cc=
	if [[ ${stock:-} ]]; then
		cc_args=("CC=$stock_cc")
		kdir_how=$stock_cc
	elif [[ $(config CC_IS_CLANG) ]]; then
		want=$(($(config CLANG_VERSION) / 10000)) # 190107
		if command -v "clang-$want" >/dev/null; then
			cc_args=("LLVM=-$want")
		elif compiler_is clang "$want" clang; then
			cc_args=(LLVM=1)
		else
			die "$kdir was built with clang $want, which is not here" "install clang-$want lld-$want llvm-$want"
		fi
		kdir_how="clang $want"
		[[ ! ${CC:-} ]] || { compiler_is clang "$want" "$CC" && cc_args+=("CC=$CC"); } || say_not_taken "CC=$CC"
	else
		want=$(($(config GCC_VERSION) / 10000)) # 120200
		kdir_how="GCC $want"
		[[ ! $asked_llvm ]] || say_not_taken "LLVM=$asked_llvm"
		for cc in ${CC:+"$CC"} gcc "gcc-$want"; do
			compiler_is GCC "$want" "$cc" && break
			[[ ! ${CC:-} || $cc != "$CC" ]] || say_not_taken "CC=$CC"
			cc=
		done
		[[ $cc ]] || die "$kdir was built with GCC $want, which is not here" \
			"install gcc-$want, or rebuild that kernel with the gcc you have"
		cc_args=("CC=$cc")
	fi
}

kdir_rust() {
	local want version
	want=$(config RUSTC_VERSION) # 109500
	version=$(rustc_version "${inside[@]}" "$kernel_rustc")
	want=$((want / 100000)).$((want / 100 % 1000)).$((want % 100))
	[[ $want != "${version%%-*}" ]] || return 0
	die "$kdir was built with $(config RUSTC_VERSION_TEXT), the rustc here is $version" \
		"Rust modules need the very same compiler: RUSTC=/path/to/that/rustc make KDIR=$kdir …" \
		"or rebuild that kernel with this one"
}

check_kdir() {
	[[ -d $kdir ]] || die "KDIR=$kdir: no such directory"
	kdir=$(realpath "$kdir")
	[[ -e $kdir/.config ]] || die "KDIR=$kdir is not configured (no .config)" "point it at the tree, or at the O= directory, in which the kernel was built"
	[[ -e $kdir/include/generated/autoconf.h || -e $kdir/include/config/auto.conf ]] ||
		die "KDIR=$kdir is configured but not built" "run make there first"
	check_kernel_version "$(cat "$kdir/include/config/kernel.release")" "KDIR=$kdir"
	kdir_refuse_missing "${kdir_module_needs[@]}"
	[[ -e $kdir/Module.symvers ]] || die "KDIR=$kdir is not built completely (no Module.symvers)" "run make there first"
	compgen -G "$kdir/rust/libkernel.rmeta" >/dev/null ||
		die "KDIR=$kdir has no rust/libkernel.rmeta, which Rust modules are built against" "run make there first"
	kdir_rust
}

# What booting it takes on top. $image is what QEMU boots.
check_kdir_boots() {
	kdir_refuse_missing "${kdir_vm_needs[@]}"
	(($(config SERIAL_8250_RUNTIME_UARTS) >= 2)) || die "the kernel in $kdir has fewer than two serial ports" \
		"set CONFIG_SERIAL_8250_RUNTIME_UARTS=4: one carries the kernel log, one the programs' output"
	image=$kdir/arch/x86/boot/bzImage
	[[ -e $image ]] || die "KDIR=$kdir has no arch/x86/boot/bzImage to boot" "run make there first" \
		"(headers of an installed kernel are enough for: make KDIR=$kdir, but not for run, test and shell)"
}

use_kdir() {
	kdir=$1
	use_kernel_tools
	check_kdir
	kdir_compiler
	kernel_id=$(cat "$kdir/include/config/kernel.release")-$({
		echo "$kdir"
		cat "$kdir/.config"
	} | short_hash)
}
