# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# A kernel as Debian ships it (KERNEL=debian, KERNEL=running, KERNEL=its release).
# This gets its packages and its source; scripts/lib/stock_tree.sh makes of them
# what modules are built against. Sets stock, stock_release, stock_version and ksrc.
# Sourced.
#
# $stock is $cache/stock/RELEASE: package/ is what Debian ships, tree/ what is made.

stock_newest_from=trixie-backports
stock_newest_days=1 # then it is looked up again

# KERNEL= as a release; empty for a kernel of the project's, which is a series: two numbers. A release
# has three, and whatever who built it has put behind them: 7.3.4, 7.3.4+deb13-amd64, 7.3.4-arch1.
stock_wanted() {
	case ${KERNEL:-} in
	debian) echo newest ;;
	running) uname -r ;;
	*) [[ ! ${KERNEL:-} || $KERNEL =~ ^[0-9]+\.[0-9]+$ ]] || echo "$KERNEL" ;;
	esac
}

check_stock_settings() {
	[[ $KERNEL =~ ^(debian|running|[0-9]+\.[0-9]+[.-].+)$ ]] ||
		die "KERNEL=$KERNEL: expected a series such as $default_kernel, debian, running, or a release such as 7.3.4+deb13-amd64"
	[[ ! ${FLAVOR:-} && ! ${TOOLCHAIN:-} && ! ${KSRC:-} ]] ||
		die "KERNEL=$KERNEL is built already: FLAVOR=, TOOLCHAIN= and KSRC= do not go with it"
	[[ ${CORE:-c} = c ]] || die "KERNEL=$KERNEL is built already, and has the connector that it has: leave out CORE=$CORE"
	stock_release=$(stock_wanted)
	[[ $stock_release = newest ]] || check_kernel_version "$stock_release" "KERNEL=$KERNEL"
	[[ ! $stock_release =~ ^([0-9]+\.[0-9]+)\.[0-9]+$ ]] || die "KERNEL=$KERNEL: Debian has no kernel that is called $stock_release" \
		"the newest of that series: make KERNEL=${BASH_REMATCH[1]}; one that you have built: make KDIR=/path …"
	check_debian "KERNEL=$KERNEL" "$cache/stock/${stock_release/#newest/*}/tree/.complete" \
		"a kernel that you have built: make KDIR=/path …; one that this builds: make, without KERNEL"
	[[ -e $cache/stock/$stock_release/tree/.complete ]] || check_disk
}

# Where the distribution's headers have what Rust modules are compiled against, they
# are as good as a tree that was built here.
stock_headers() {
	local headers
	headers=/lib/modules/$(stock_wanted)/build
	[[ ! -e $headers/rust/libkernel.rmeta ]] || echo "$headers"
}

find_stock() {
	stock_release=$(stock_wanted)
	[[ $stock_release != newest ]] || stock_newest
	stock=$cache/stock/$stock_release
	stock_version=$(stock_installed_version)
	if [[ ! -e $stock/package/.version ||
		${stock_version:-$(<"$stock/package/.version")} != "$(<"$stock/package/.version")" ]]; then
		cache_lock downloads
		stock_fetch
		cache_unlock
	fi
	stock_version=$(<"$stock/package/.version")
	stock_source
	step_done "$stock_release, Debian's $stock_version"
}

# The newest that can be built for. What was found is good for a while, and for
# longer where there is no Debian to ask.
stock_newest() {
	local known=$cache/stock/newest
	if [[ ! $(find "$known" -mtime "-$stock_newest_days" 2>/dev/null) ]]; then
		cache_lock downloads
		if debian_lists; then
			stock_release=$(stock_look_up)
			[[ $stock_release ]] || die "Debian $stock_newest_from has no kernel with a source package of its version"
			mkdir -p "$cache/stock"
			printf '%s\n' "$stock_release" >"$known.new"
			mv "$known.new" "$known"
		elif [[ ! -e $known ]]; then
			die "no Debian to get a kernel from: $debian_why"
		fi
		cache_unlock
	fi
	stock_release=$(<"$known")
}

# "VERSION NAME" of every package of the suite whose name matches.
stock_packages() {
	debian_apt apt-cache pkgnames "${2%%[*[]*}" | grep -xE "$2" | xargs -r env APT_CONFIG="$debian_dir/apt.conf" apt-cache madison |
		awk -F' *[|] *' -v suite=" $1/" 'index($3, suite) { sub(/^ +/, "", $1); print $2, $1 }'
}

stock_look_up() {
	join <(stock_packages "$stock_newest_from" "linux-headers-[0-9.]+[+]deb[0-9]+-$arch_debian" | sort) \
		<(stock_packages "$stock_newest_from" 'linux-source-[0-9.]+' | sort) |
		sort -V | tail -n1 | awk '{ sub(/^linux-headers-/, "", $2); print $2 }'
}

# Of the kernel that is installed here under that release; one release can have
# had several versions.
stock_installed_version() {
	# shellcheck disable=SC2016 # dpkg-query expands it
	dpkg-query -W -f '${Version}\n' "linux-binary-$stock_release" "linux-image-$stock_release" 2>/dev/null | sed -n 1p || true
}

# Its image, configuration and symbols, from its packages.
stock_fetch() {
	local found=() version suite name boot lib headers
	debian_lists || die "no Debian to get the kernel $stock_release from: $debian_why"
	while read -r version suite; do
		[[ ! $stock_version || $version = "$stock_version" ]] || continue
		stock_version=$version
		found+=("$suite")
	done < <(debian_versions "linux-headers-$stock_release")
	((${#found[@]})) || die "Debian has no linux-headers-$stock_release${stock_version:+ $stock_version} in ${debian_suites[*]}" \
		"a newer kernel is there: apt upgrade, and reboot" \
		"is it not Debian's? if its headers come with Rust metadata: make KDIR=/path/to/them; else build it yourself"
	cache_scratch stock
	debian_unpack "linux-headers-$stock_release" "$stock_version"
	headers=$scratch/root/usr/src/linux-headers-$stock_release
	lib=$scratch/root/usr/lib/modules/$stock_release/vmlinuz
	boot=$scratch/root/boot/vmlinuz-$stock_release
	# Which of them has the kernel itself has changed over time.
	for name in "linux-binary-$stock_release" "linux-image-$stock_release"{,-unsigned}; do
		[[ ! -e $lib && ! -e $boot ]] || break
		debian_has "$name" "$stock_version" || continue
		debian_unpack "$name" "$stock_version"
	done
	[[ ! -e $boot ]] || lib=$boot
	[[ -e $lib && -e $headers/.config && -e $headers/Module.symvers ]] ||
		die "Debian's packages of $stock_release $stock_version are not what they were: no vmlinuz, .config or Module.symvers"
	mkdir -p "$scratch/package"
	cp "$lib" "$scratch/package/vmlinuz"
	cp "$headers/.config" "$scratch/package/config"
	cp "$headers/.kernelvariables" "$headers/Module.symvers" "$scratch/package/"
	[[ ! -e $headers/vmlinux ]] || cp "$headers/vmlinux" "$scratch/package/" # types (BTF), no code
	printf '%s\n' "$stock_version" >"$scratch/package/.version"
	rm -rf "$stock"
	mkdir -p "$stock"
	mv "$scratch/package" "$stock/package"
	rm -rf "$scratch"
}

# Exactly its source. Sets ksrc.
stock_source() {
	local series name origin suite
	series=$(sed -E 's/^([0-9]+\.[0-9]+).*/\1/' <<<"$stock_release")
	origin="Debian's linux-source-$series $stock_version "
	for ksrc in "$cache/source/linux-$series" "$cache/source/linux-$stock_version"; do
		[[ "$(cat "$ksrc/.complete" 2>/dev/null)" != "$origin"* ]] || return 0
	done
	cache_lock downloads
	debian_lists || die "no Debian to get the source of $stock_release from: $debian_why"
	suite=$(debian_versions "linux-source-$series" | awk -v version="$stock_version" '$1 == version { print $2 }' | sed -n 1p)
	[[ $suite ]] || die "Debian has linux-source-$series no more in version $stock_version" \
		"there is: $(debian_versions "linux-source-$series" | tr '\n' ';')" \
		"upgrade the kernel: apt upgrade, and reboot"
	# The project's own kernels may be built from another version.
	name=$series
	[[ ! -e $cache/source/linux-$series/.complete ]] || name=$stock_version
	ksrc=$cache/source/linux-$name
	source_unpack_debian "$series" "$stock_version" "$suite" "$name"
	cache_unlock
}

# stock_config OPTION: as Debian built it.
stock_config() {
	sed -n "s/^CONFIG_$1=//p" "$stock/package/config" | tr -d '"'
}
