# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# The VM's file system: busybox, scripts/guest/, tests/guest, the modules, the tools, and for `make
# test` and `make bench` the test programs, packed as an initramfs in build/. Sourced.

# linked_to_initramfs ROOT FOLDER NAME: a program of this system, or of one of the VM's architecture, and
# the libraries that it is linked with.
linked_to_initramfs() {
	local path
	local -a libraries
	mkdir -p "$1$2"
	if [[ $cross ]]; then
		path=$(guest_file "$3")
		cp -L "$path" "$1$2/"
		mapfile -t libraries < <(guest_libraries "$path")
		mkdir -p "$1/lib/$arch_gnu"
		cp -L "${libraries[@]}" "$1/lib/$arch_gnu/"
		path=$(guest_loader "$path")
		mkdir -p "$1${path%/*}"
		cp -L "$(guest_file "${path##*/}")" "$1$path"
		return
	fi
	path=$(command -v "$3")
	cp -L "$path" "$1$2/"
	mapfile -t libraries < <(ldd "$path" | grep -o '/[^ ]*')
	for path in "${libraries[@]}"; do
		mkdir -p "$1${path%/*}"
		cp -L "$path" "$1$path"
	done
}

# kmod's depmod: busybox's does not know that updates/ goes first.
kmod_to_initramfs() {
	linked_to_initramfs "$1" /usr/sbin kmod
	ln -s kmod "$1/usr/sbin/depmod"
	ln -s kmod "$1/usr/sbin/modprobe"
}

build_initramfs() {
	local root=$build/initramfs busybox
	if [[ $cross ]]; then
		find_guest
		busybox=$(guest_file busybox)
	else
		busybox=$(static_busybox) || die "no static busybox" "install busybox-static"
	fi
	rm -rf "$root"
	mkdir -p "$root"/{bin,dev,etc,proc,sys,tmp,guest,files}
	cp "$busybox" "$root/bin/busybox"
	cp "$build/host/guest" "$root/bin/"
	cp "$top"/scripts/guest/* "$root/guest/"
	ln -s guest/init "$root/init"
	# `su nobody`: what a module allows is seen from there.
	printf '%s\n' root:x:0:0:root:/:/bin/sh nobody:x:65534:65534:nobody:/:/bin/sh >"$root/etc/passwd"
	printf '%s\n' root:x:0: nobody:x:65534: >"$root/etc/group"
	if [[ $lean ]]; then
		fill_lean "$root"
	else
		fill_whole "$root"
	fi
	pack "$root" "$build/initramfs.cpio"
	rm -rf "$root"
	step_done "$(du -m "$build/initramfs.cpio" | cut -f1) MB"
}

# pack FOLDER FILE: as one, so that a reader sees the old file or the new one.
pack() {
	(cd "$1" && find . | LC_ALL=C sort | cpio -o -H newc -R 0:0 --quiet) >"$2.new" || die "cpio failed"
	mv "$2.new" "$2"
}

# Modules, tools, and what the user brings: M= and FILES=.
fill_lean() {
	local root=$1 file
	mkdir -p "$root/modules" "$root/selftests"
	cp -p "$build"/modules/*.ko "$root/modules/"
	find "$build/bin" -maxdepth 1 -type f -exec cp -p -t "$root/bin" {} +
	# Test programs look for both beside themselves.
	ln -s ../modules ../bin "$root/selftests/"
	if [[ $own ]]; then
		cp -p "$build"/own/modules/* "$root/modules/"
		cp -p "$build"/own/selftests/* "$root/selftests/"
		find "$build/own/bin" -type f -exec cp -p -t "$root/bin" {} +
	fi
	for file in "${files[@]}"; do
		cp -rL "$file" "$root/files/"
	done
	[[ ! $script ]] || cp -L "$script" "$root/script"
}

fill_whole() {
	local root=$1 program
	# What `make -C tests/selftests install` gives is what runs in the VM.
	complete_selftests
	make -sC "$top/tests/selftests" "INSTALL_PATH=$root/selftests" copy || die "cannot install the test programs"
	ln -s selftests/modules "$root/modules"
	for program in "$build"/bin/*; do
		ln -s "../selftests/bin/$(basename "$program")" "$root/bin/"
	done
	# What build_standalone installed, for modprobe.
	[[ ! ${standalone:-} ]] || cp -r "$build/stage/lib" "$root/"
	[[ $goal != test ]] || compared_to_initramfs "$root"
	[[ $(connector_module) != cn ]] || kmod_to_initramfs "$root"
	bench_to_initramfs "$root"
}

# What the VM gets to compare with.
compared_to_initramfs() {
	local need
	for need in "${test_needs[@]}"; do
		linked_to_initramfs "$1" /bin "${need%% *}"
	done
}
