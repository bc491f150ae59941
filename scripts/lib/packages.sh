# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# Programs and headers that the distribution provides. What is there already is
# used as it is; what is missing is installed with apt where there is one, and
# named where there is none. Sourced.

# What must exist, the Debian package that has it, and what it is for: a command, or
# header:FILE and library:FILE as the C compiler finds them, or a thing that have() knows.
base_needs=(
	"make make builds everything"
	"cc gcc compiles and links host programs"
	"ld binutils links"
	"header:stdlib.h libc6-dev compiles and links host programs"
	"flex flex parses Kconfig"
	"bison bison parses Kconfig"
	"bc bc computes the kernel's time constants"
	"perl perl runs the kernel's build scripts"
	"xz xz-utils unpacks and compresses kernels"
	"header:gelf.h libelf-dev links objtool"
	"modinfo kmod installs and shows modules"
	"flock util-linux keeps two runs apart"
	"find findutils looks for files"
	"diff diffutils compares files"
	"awk mawk reads what programs say"
	"certificates ca-certificates checks downloads"
)
vm_needs=(
	"$arch_qemu $arch_qemu_package runs the VM"
	"cpio cpio packs the VM's file system"
	"library:libc.a libc6-dev links programs for the VM, which has no libc"
	"patch patch makes what tests break"
	"gpgv gpgv checks kernel.org's signature, and that this is done"
)
# What building a kernel takes on top, behind the option that asks for it.
option_needs=(
	"MODULE_SIG header:openssl/opensslv.h libssl-dev compiles what signs modules"
	"MODULE_SIG openssl openssl makes the key for them"
	"GENDWARFKSYMS header:dwarf.h libdw-dev gives symbols versions"
	"MODULE_COMPRESS_ZSTD zstd zstd compresses modules"
)

# What the VM gets of this machine, where it is of the same kind.
guest_needs=("busybox busybox-static is the VM's userspace")
# Where it is not: see scripts/lib/guest.sh, too.
cross_needs=(
	"${arch_prefix}gcc gcc-${arch_gnu//_/-} links programs for $arch"
	"guest-library:libc.a libc6-dev-$arch_debian-cross links programs for the VM, which has no libc"
)
# QEMU's RISC-V machine begins with it. Debian has it in a package of its own, QEMU in itself.
[[ $arch != riscv ]] || vm_needs+=("firmware opensbi is what the VM begins with")

# Programs that tests in the VM run beside ours.
test_needs=(
	"forkstat forkstat is what cnctl proc is compared with"
	"chrt util-linux has both come in time"
)

have() {
	case $1 in
	header:*) cc -E -x c - <<<"#include <${1#*:}>" >/dev/null 2>&1 ;;
	library:*) [[ $(cc -print-file-name="${1#*:}" 2>/dev/null) = */* ]] ;;
	guest-library:*) [[ $("$(guest_cc)" -print-file-name="${1#*:}" 2>/dev/null) = */* ]] ;;
	firmware) ! command -v apt-get >/dev/null || [[ -e /usr/share/qemu/opensbi-riscv64-generic-fw_dynamic.bin ]] ;;
	busybox) static_busybox >/dev/null ;;
	libclang) use_libclang ;;
	clang) plain_clang ;;
	certificates) have_certificates ;;
	modinfo) PATH=$PATH:/usr/sbin:/sbin command -v modinfo >/dev/null ;;
	*) command -v "$1" >/dev/null ;;
	esac
}

# What compiles and links C for the VM.
guest_cc() {
	[[ $cross ]] && echo "${arch_prefix}gcc" || echo cc
}

# Where distributions have the authorities' certificates, in one file.
have_certificates() {
	local file
	for file in "${SSL_CERT_FILE:-}" "${NIX_SSL_CERT_FILE:-}" /etc/ssl/certs/ca-certificates.crt \
		/etc/pki/tls/certs/ca-bundle.crt /etc/ssl/ca-bundle.pem /etc/ssl/cert.pem /etc/ssl/certs/ca-bundle.crt; do
		[[ ! -s $file ]] || return 0
	done
	return 1
}

# The VM has no libc, so busybox has to be a static one.
static_busybox() {
	local path
	path=$(command -v busybox) || return 1
	command -v readelf >/dev/null && [[ $(readelf -lW "$path") != *INTERP* ]] || return 1
	printf '%s' "$path"
}

# Waits for nothing and asks nothing: fit for CI as for a person.
apt_get() {
	$as_root env DEBIAN_FRONTEND=noninteractive apt-get \
		-o DPkg::Lock::Timeout=120 -o Acquire::Retries=3 "$@"
}

# Says who may install: root, or sudo in front. Empty output and success: root.
find_root() {
	as_root=
	((EUID == 0)) && return
	if command -v sudo >/dev/null; then
		as_root=sudo
		return
	fi
	return 1
}

# install_packages PACKAGE...: through apt, once, with its lists refreshed once.
install_packages() {
	local command="apt-get install --no-install-recommends $*"
	[[ ${INSTALL_PACKAGES:-} != n ]] || die "these packages are missing: $*" "as root, run: $command"
	if ! find_root; then
		die "these packages are missing, and there is no sudo to install them: $*" \
			"as root, run: $command"
	fi
	if [[ $as_root ]] && ! sudo -n true 2>/dev/null; then
		if [[ ! -t 0 ]]; then
			die "these packages are missing, and sudo asks for a password: $*" \
				"run: sudo $command"
		fi
		say "sudo may ask for your password"
		sudo -v || die "sudo refused" "as root, run: $command"
	fi
	if [[ ! ${packages_updated:-} ]]; then
		run_logged "refreshing the package lists" "$cache/log/packages.log" \
			"is the network there? try: apt-get update" apt_get -q update
		packages_updated=1
	fi
	run_logged "installing $*" "$cache/log/packages.log" \
		"try it by hand: $command" \
		apt_get -q install -y --no-install-recommends "$@"
}

# need "WHAT PACKAGE REASON"...: installs what is missing, after saying so. Where there is no apt,
# other packages have it, and what is missing is named by what it is, all at once.
need() {
	local entry what package reason
	local -a missing=() lines=() things=()
	for entry in "$@"; do
		read -r what package reason <<<"$entry"
		have "$what" && continue
		missing+=("$package")
		things+=("$(printf '%-20s %s' "${what#*:}" "$reason")")
		lines+=("$(printf '%-18s %s' "$package" "$reason")")
	done
	((${#missing[@]})) || return 0
	command -v apt-get >/dev/null ||
		die "these are missing here:" "${things[@]/#/  }" \
			"install what your distribution calls them (README.md has a table), and run the same command again"
	say "missing, to be installed:"
	printf '        %s\n' "${lines[@]}" >&2
	install_packages "${missing[@]}"
	for entry in "$@"; do
		read -r what package _ <<<"$entry"
		have "$what" || die "$package is installed, but ${what#*:} is still not there"
	done
}

# llvm_called PROGRAM LLVM: what kbuild calls it, whose LLVM= is a suffix, a folder or 1.
llvm_called() {
	case $2 in
	*/) echo "$2$1" ;;
	-*) echo "$1$2" ;;
	*) echo "$1" ;;
	esac
}

# has_llvm LLVM: all that a kernel takes of it.
has_llvm() {
	local program
	for program in clang ld.lld llvm-nm llvm-objcopy; do
		command -v "$(llvm_called "$program" "$1")" >/dev/null || return 1
	done
}

# The newest LLVM with everything that a kernel needs, as kbuild's LLVM= takes it:
# "-19" for clang-19, "1" for an unversioned one. Fails if there is none.
find_llvm() {
	local v
	for v in {40..17}; do
		if has_llvm "-$v"; then
			printf -- '-%s' "$v"
			return
		fi
	done
	has_llvm 1 && plain_clang || return 1
	printf 1
}

# llvm_number LLVM: which one that is.
llvm_number() {
	[[ $1 != 1 ]] || set -- "$(clang --version | sed -n 's/.*clang version \([0-9]*\)\..*/\1/p')"
	echo "${1#-}"
}

# Whether the clang without a number is new enough.
plain_clang() {
	local number
	number=$(llvm_number 1 2>/dev/null) && ((${number:-0} >= 17))
}

# What is still missing of them. Sets llvm, or adds to the array that is called needs. Where there is no apt, their
# names have no numbers.
want_llvm() {
	! llvm=$(find_llvm) || return 0
	if command -v apt-get >/dev/null; then
		needs+=("clang-19 clang-19 compiles the kernel" "ld.lld-19 lld-19 links the kernel"
			"llvm-nm-19 llvm-19 has the kernel's binary tools")
	else
		needs+=("clang clang compiles the kernel (version 17 or newer)" "ld.lld lld links the kernel"
			"llvm-nm llvm reads the kernel's objects" "llvm-objcopy llvm copies the kernel's objects")
	fi
}
