# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# The source of the project's own kernel. Sets ksrc (its path) and kver (7.3.4).
# Sourced.
#
# In order: the user's KSRC, what the cache has, kernel.org, Debian's packages.

default_kernel=7.3
oldest_kernel=7.2 # also in dkms.conf

source_version() {
	awk '$2 == "=" && $1 ~ /^(VERSION|PATCHLEVEL|SUBLEVEL)$/ { v = v sep $3; sep = "." }
	     $1 == "NAME" { print v; exit }' "$1/Makefile" 2>/dev/null
}

# check_kernel_version VERSION WHOSE: before anything is got or compiled.
check_kernel_version() {
	(($(version_number "${1%%-*}") >= $(version_number "$oldest_kernel"))) ||
		die "$2 is Linux $1; the oldest that this can be built for is $oldest_kernel" \
			"what the kernel has for Rust modules is too little before" \
			"take a newer one, or let the project build its own: make, without KDIR and KERNEL"
}

# What was asked for, before anything is got.
check_source() {
	local want=${KERNEL:-$default_kernel} version
	if [[ ${KSRC:-} ]]; then
		[[ -e $KSRC/Kbuild && -e $KSRC/Makefile && -d $KSRC/rust/kernel ]] ||
			die "KSRC=$KSRC is not a kernel source tree with Rust in it"
		[[ ! -e $KSRC/.config && ! -d $KSRC/include/config ]] ||
			die "KSRC=$KSRC was built in place; a build elsewhere needs it clean" \
				"use it as it is with: make KDIR=$KSRC …" "or clean it: make -C $KSRC mrproper"
		version=$(source_version "$KSRC")
		check_kernel_version "${version:-0}" "KSRC=$KSRC"
		[[ ! ${KERNEL:-} || $version = "$want" || $version = "$want".* ]] ||
			die "KSRC=$KSRC is Linux $version, and KERNEL=$want another one: leave out KERNEL="
		return
	fi
	check_kernel_version "$want" "KERNEL=$want"
	[[ -e $cache/source/linux-$want/.complete ]] || check_disk
}

# What tells the source from others: where it comes from, or the folder of yours.
source_id() {
	cat "$ksrc/.complete" 2>/dev/null || echo "$ksrc"
}

find_source() {
	local want=${KERNEL:-$default_kernel}
	source_tried=()
	if [[ ${KSRC:-} ]]; then
		ksrc=$(realpath "$KSRC") kver=$(source_version "$KSRC")
		step_done "$kver, yours ($ksrc)"
		return
	fi
	ksrc=$cache/source/linux-$want
	if [[ ! -e $ksrc/.complete ]]; then
		cache_lock downloads
		if [[ ! -e $ksrc/.complete ]]; then # another run may have got it meanwhile
			source_from_kernel_org "$want" || source_from_debian "$want" || source_fallback "$want" ||
				die "no source of Linux $want to be had" "tried:" "${source_tried[@]}" \
					"give a source tree of your own: make KSRC=/path/to/linux …"
		fi
		cache_unlock
	fi
	kver=$(source_version "$ksrc")
	step_done "$kver, $(<"$ksrc/.complete")"
}

# check_disk [MB WHAT]: better to say now that there is no room. The source and one build of it take some
# 2.5 GB.
check_disk() {
	local free need=${1:-4000} what=${2:-"a kernel's source and build"}
	mkdir -p "$cache" 2>/dev/null || true
	[[ -w $cache ]] || die "the cache $cache cannot be written to" "put it elsewhere: XDG_CACHE_HOME=/path make …"
	free=$(df -m --output=avail "$cache" | tail -n1)
	((free >= need)) || die "$cache has only $free MB left, and $what takes $need" \
		"make room, or put the cache elsewhere: XDG_CACHE_HOME=/path make …"
}

# source_keep NAME ORIGIN DIR: what was unpacked becomes the cache's.
source_keep() {
	printf '%s\n' "$2" >"$3/.complete"
	mkdir -p "$cache/source"
	rm -rf "$cache/source/linux-$1"
	mv "$3" "$cache/source/linux-$1"
	rm -rf "$scratch"
}

kernel_org_downloaded() {
	printf '%s MB' "$(du -m "$scratch/linux.tar.xz" 2>/dev/null | cut -f1)"
}

# kernel.org signs the sums of its archives with this key (Kernel.org checksum autosigner,
# https://www.kernel.org/signature.html: B8868C80BA62A1FFFAF5FDA9632D3A06589DA6B1).
source_key=$top/scripts/keys/kernel.org.asc

# source_verify SIGNED TEXT: only what the signature covers goes into TEXT.
source_verify() {
	sed '1,/^$/d; /^[-=]/d' "$source_key" | base64 -d >"$scratch/key.gpg"
	gpgv --keyring "$scratch/key.gpg" --output "$2" "$1" >>"$cache/log/source.log" 2>&1 ||
		die "the sums of kernel.org's archives are not signed by kernel.org's key" \
			"what came: $1; what gpgv says: $cache/log/source.log" \
			"somebody may be between you and kernel.org: do not build it"
}

source_from_kernel_org() {
	local series=$1 base=${KERNEL_ORG:-https://cdn.kernel.org/pub/linux/kernel} line
	base=$base/v${series%%.*}.x
	for line in "curl gets it" "gpgv checks its signature"; do
		if ! command -v "${line%% *}" >/dev/null; then
			source_tried+=("kernel.org: no ${line%% *} here, which ${line#* }")
			return 1
		fi
	done
	progress "asking kernel.org"
	cache_scratch source
	if ! curl -fsSL --connect-timeout 4 --max-time 20 "$base/sha256sums.asc" -o "$scratch/sums.asc" 2>/dev/null; then
		source_tried+=("kernel.org: not reachable")
		return 1
	fi
	source_verify "$scratch/sums.asc" "$scratch/sums"
	# "<sha256>  linux-7.3.4.tar.xz": the newest of the series.
	line=$(grep -E "  linux-${series//./\\.}(\.[0-9]+)?\.tar\.xz\$" "$scratch/sums" | sort -Vk2 | tail -n1)
	if [[ ! $line ]]; then
		source_tried+=("kernel.org: has no $series")
		return 1
	fi
	progress_fn=kernel_org_downloaded \
		run_logged "downloading ${line##* } from kernel.org:" "$cache/log/source.log" "try again" \
		curl -fsSL --retry 3 "$base/${line##* }" -o "$scratch/linux.tar.xz"
	printf '%s  %s\n' "${line%% *}" "$scratch/linux.tar.xz" | sha256sum --quiet -c - ||
		die "${line##* } arrived damaged" "try again"
	mkdir "$scratch/tree"
	run_logged "unpacking ${line##* }" "$cache/log/source.log" "is the disk full? see: df -h $cache" \
		tar -xJf "$scratch/linux.tar.xz" -C "$scratch/tree" --strip-components=1
	source_keep "$series" "from kernel.org" "$scratch/tree"
}

source_from_debian() {
	local series=$1 version suite
	debian_lists || { source_tried+=("Debian: $debian_why"); return 1; }
	read -r version suite < <(debian_versions "linux-source-$series") || true
	if [[ ! ${version:-} ]]; then
		source_tried+=("Debian: no linux-source-$series in ${debian_suites[*]}")
		return 1
	fi
	source_unpack_debian "$series" "$version" "$suite" "$series"
}

# source_unpack_debian SERIES VERSION SUITE NAME: into the cache's source/linux-NAME.
source_unpack_debian() {
	local series=$1 version=$2 suite=$3 name=$4
	cache_scratch source
	debian_unpack "linux-source-$series" "$version"
	mkdir "$scratch/tree"
	run_logged "unpacking the source of $version" "$cache/log/source.log" "is the disk full? see: df -h $cache" \
		tar -xaf "$scratch/root/usr/src/linux-source-$series".tar.* -C "$scratch/tree" --strip-components=1
	source_keep "$name" "Debian's linux-source-$series $version from $suite" "$scratch/tree"
}

# Suites move on. Who did not ask for a certain kernel gets the newest there is.
source_fallback() {
	local newest
	[[ ! ${KERNEL:-} ]] || return 1
	debian_lists || return 1
	newest=$(debian_apt apt-cache pkgnames linux-source- |
		sed -nE 's/^linux-source-([0-9]+\.[0-9]+)$/\1/p' | sort -V | tail -n1)
	[[ $newest ]] && (($(version_number "$newest") >= $(version_number "$oldest_kernel"))) || return 1
	say "Linux $1 is not to be had any more; taking $newest"
	# Kept under the wanted name: the next run finds it.
	source_from_debian "$newest" || return 1
	mv "$cache/source/linux-$newest" "$cache/source/linux-$1"
}
