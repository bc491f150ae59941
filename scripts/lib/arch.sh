# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# The architectures: the one table of what each calls the same things. What QEMU makes of one, its
# machine and its serial ports, is in tests/runner/src/arch.rs. Sourced, after environment.sh.

# In this order: as the kernel's makefiles call it (ARCH=), as `uname -m` and QEMU do, as Debian does;
# its compilers for C and for Rust; the option that only its kernels have, what QEMU boots of such a
# kernel, and the Debian package of the QEMU that does.
arch_table='
x86   x86_64  amd64   x86_64-linux-gnu  x86_64-unknown-linux-gnu    X86_64     arch/x86/boot/bzImage qemu-system-x86
arm64 aarch64 arm64   aarch64-linux-gnu aarch64-unknown-linux-gnu   ARM64      arch/arm64/boot/Image qemu-system-arm
riscv riscv64 riscv64 riscv64-linux-gnu riscv64gc-unknown-linux-gnu ARCH_RV64I arch/riscv/boot/Image qemu-system-riscv64
'

# The options without which a kernel does not talk to QEMU's machine: name, why we need it.
arch_console_needs() {
	case $1 in
	x86) echo "SERIAL_8250_CONSOLE shows the kernel log" ;;
	arm64) printf '%s\n' "SERIAL_AMBA_PL011_CONSOLE shows the kernel log" \
		"PCI_HOST_GENERIC has what programs print" "SERIAL_8250_PCI has what programs print" ;;
	riscv) printf '%s\n' "SERIAL_8250_CONSOLE shows the kernel log" "SERIAL_OF_PLATFORM shows the kernel log" \
		"PCI_HOST_GENERIC has what programs print" "SERIAL_8250_PCI has what programs print" ;;
	esac
}

# arch_row NAME: that architecture's, by any of its three names; fails if there is none. Who installs has no
# awk.
arch_row() {
	local arch machine debian rest
	while read -r arch machine debian rest; do
		[[ ! $arch || $1 != @("$arch"|"$machine"|"$debian") ]] || { echo "$arch $machine $debian $rest"; return; }
	done <<<"$arch_table"
	return 1
}

# arch_names: as ARCH= has them.
arch_names() {
	local arch names=()
	while read -r arch _; do
		[[ ! $arch ]] || names+=("$arch")
	done <<<"$arch_table"
	echo "${names[*]}"
}

# use_arch NAME: sets arch, arch_machine, arch_debian, arch_gnu, arch_rust, arch_option, arch_image,
# arch_qemu_package and arch_qemu; cross, if programs of this machine's kind do not run there; what the
# names of its binutils begin with in arch_prefix; and what kbuild has to be told in arch_args.
use_arch() {
	local row
	row=$(arch_row "$1") || return
	read -r arch arch_machine arch_debian arch_gnu arch_rust arch_option arch_image arch_qemu_package <<<"$row"
	arch_qemu=${QEMU:-qemu-system-$arch_machine}
	cross='' arch_prefix='' arch_args=()
	[[ $arch_machine = "$arch_host" ]] || cross=1 arch_prefix=$arch_gnu- arch_args=("ARCH=$arch")
}

# This machine's, with its compiler for Rust, and what was asked for. What is none of them is said later:
# check_environment.
arch_host=$(uname -m)
use_arch "$arch_host" || use_arch x86
host_rust=$arch_rust
use_arch "${asked_arch:-$arch_host}" || true
