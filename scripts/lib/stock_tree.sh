# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# What a module for Debian's kernel is built against. That kernel is a Rust kernel,
# but its headers lack what rustc needs of it. It is made here from the same source,
# with the same configuration and the same compilers; scripts/lib/stock_check.sh
# makes sure that they are the same. Sets kdir. Sourced.

# Lines of the configuration that are not Debian's: only Debian has its keys.
stock_ours=(
	"# CONFIG_MODULE_SIG_ALL is not set"
	'CONFIG_MODULE_SIG_KEY=""'
)

# Its compilers: those of this system if they are the same, else a root of their own.
find_stock_tools() {
	local want version suite
	want=$(stock_config RUSTC_VERSION) # 108501
	want=$((want / 100000)).$((want / 100 % 1000)).$((want % 100))
	stock_cc=$(stock_config CC_VERSION_TEXT)
	stock_cc=${stock_cc%% *}
	if stock_tools_here; then
		need "pahole pahole describes types, as this kernel was built with" \
			"header:openssl/opensslv.h libssl-dev compiles what signs modules" \
			"openssl openssl tells which keys it knows" \
			"header:dwarf.h libdw-dev reads debug information" \
			"zstd zstd unpacks the kernel" "python3 python3 writes headers for the kernel's own tools"
		root=
		return
	fi
	cache_lock downloads
	if [[ ! -e $stock/.tools ]] || ! compgen -G "$cache/root/*/.complete" >/dev/null; then
		debian_lists || die "no Debian to get rustc $want from: $debian_why"
		while read -r version suite; do
			[[ $version != "$want"+* ]] || break
			version=
		done < <(debian_versions rustc)
		[[ $version ]] || die "$stock_release was built with rustc $want, which Debian ${debian_suites[*]} has no more" \
			"there is: $(debian_versions rustc | tr '\n' ';')" "upgrade the kernel: apt upgrade, and reboot"
		printf '%s %s\n' "$version" "$suite" >"$stock/.tools"
	fi
	read -r version suite <"$stock/.tools"
	cache_unlock
	use_root "$suite" {rustc,rust-src,cargo,rust-clippy}"=$version" bindgen gcc "gcc-$(($(stock_config GCC_VERSION) / 10000))"
}

stock_tools_here() {
	[[ $("$rustc" --version) = "$(stock_config RUSTC_VERSION_TEXT)" ]] &&
		[[ $("$bindgen" --version) = "$(stock_config BINDGEN_VERSION_TEXT)" ]] &&
		[[ $("$stock_cc" -dumpfullversion 2>/dev/null) = "$(stock_config CC_VERSION_TEXT | awk '{ print $NF }')" ]]
}

find_stock_tree() {
	local key
	find_stock_tools
	kdir=$stock/tree
	key=$({ echo "$stock_version" "$root"; printf '%s\n' "${stock_ours[@]}"; } | short_hash)
	use_kernel_tools
	check_stock_rustc
	if [[ "$(cat "$kdir/.complete" 2>/dev/null)" != "$key" ]]; then
		cache_lock "stock-$stock_release"
		[[ "$(cat "$kdir/.complete" 2>/dev/null)" = "$key" ]] || prepare_stock "$key"
		cache_unlock
	fi
	check_stock_config
	check_stock_symbols
}

stock_make() {
	"${inside[@]}" make -C "$ksrc" "O=$kdir" "${rust_args[@]}" "-j$jobs" "$@"
}

stock_prepared() {
	printf '(%d files)' "$(find "$kdir" -name '*.cmd' | wc -l)"
}

prepare_stock() {
	local log=$cache/log/stock-$stock_release.log line name
	rm -rf "$kdir"
	mkdir -p "$kdir/${arch_image%/*}"
	cp "$stock/package/config" "$kdir/.config"
	for line in "${stock_ours[@]}"; do
		name=$(grep -oE 'CONFIG_[A-Z0-9_]+' <<<"$line")
		sed -i -E "/^(# )?${name}[ =]/d" "$kdir/.config"
		echo "$line" >>"$kdir/.config"
	done
	# The release, the architecture and the C compiler, as for every module built
	# against Debian's headers.
	cp "$stock/package/.kernelvariables" "$kdir/"
	run_logged "configuring" "$log" "the log says why" stock_make olddefconfig
	check_stock_config
	progress_fn=stock_prepared \
		run_logged "making what Rust modules are built against" "$log" "the log says why" \
		stock_make prepare modules_prepare
	cp "$stock/package/Module.symvers" "$kdir/"
	[[ ! -e $stock/package/vmlinux ]] || cp "$stock/package/vmlinux" "$kdir/"
	ln -s "$stock/package/vmlinuz" "$kdir/$arch_image"
	stock_vermagic >"$kdir/.vermagic"
	echo "$1" >"$kdir/.complete"
}

# What the kernel itself compares a module's with.
stock_vermagic() {
	"${inside[@]}" "$ksrc/scripts/extract-vmlinux" "$stock/package/vmlinuz" 2>>"$cache/log/stock-$stock_release.log" |
		"${inside[@]}" strings -a | grep -F -m1 "$stock_release SMP " || true
}
