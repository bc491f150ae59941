# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# What the VM's file system takes of a Linux system, for a VM of another architecture: Debian's packages
# for that, unpacked into the cache. Nothing of them runs here, and nothing is installed. Sourced.

guest_suite=trixie

# The VM's userspace, what test_needs has, and kmod.
guest_packages=(busybox-static forkstat util-linux kmod)

# Sets guest_root.
guest_where() {
	local key
	key=$(printf '%s\n' "${guest_packages[@]}" | short_hash)
	guest_root=$cache/guest/$guest_suite-$arch_debian-$key
}

# Before a kernel is built for it.
check_guest() {
	guest_where
	check_debian "a VM of $arch" "$guest_root/.complete" "make ARCH=$asked_arch builds the modules, without a VM"
}

# Sets guest_root.
find_guest() {
	guest_where
	[[ ! -e $guest_root/.complete ]] || return 0
	cache_lock downloads
	if [[ ! -e $guest_root/.complete ]]; then
		debian_lists "$arch_debian" || die "programs for a VM of $arch are not to be had: $debian_why"
		cache_scratch guest
		debian_unpack_all "$guest_suite" "Debian's ${guest_packages[*]} for $arch_debian" "${guest_packages[@]}"
		rm -rf "$guest_root"
		mkdir -p "$cache/guest"
		mv "$scratch/root" "$guest_root"
		touch "$guest_root/.complete"
		rm -rf "$scratch"
		say "Debian's ${guest_packages[*]} for $arch_debian: in the cache, not installed"
	fi
	cache_unlock
}

# guest_file NAME: where that program or library of the other system is.
guest_file() {
	local folder
	for folder in usr/bin usr/sbin "usr/lib/$arch_gnu" usr/lib bin sbin "lib/$arch_gnu" lib; do
		[[ ! -e $guest_root/$folder/$1 ]] || { echo "$guest_root/$folder/$1"; return; }
	done
	die "Debian's packages for $arch_debian have no $1"
}

# guest_libraries FILE: the libraries that it is linked with, and those that these are.
guest_libraries() {
	local name path todo=("$1") seen=' '
	while ((${#todo[@]})); do
		while read -r name; do
			[[ $seen != *" $name "* ]] || continue
			seen+="$name "
			path=$(guest_file "$name")
			echo "$path"
			todo+=("$path")
		done < <(readelf -dW "${todo[0]}" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p')
		todo=("${todo[@]:1}")
	done
}

# guest_loader FILE: what the kernel starts in its place, as the file has it.
guest_loader() {
	readelf -lW "$1" | sed -n 's/.*program interpreter: \(.*\)\]/\1/p'
}
