# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# Whether a tree that was made after the fact (scripts/lib/stock.sh) is that of the
# kernel as it was built. A module of another one would load and then crash.
# Sourced.

# Lines that may differ: texts, where another line has the version, and what is
# only about signing.
stock_may_differ='CC_VERSION_TEXT|BINDGEN_VERSION_TEXT|MODULE_SIG_(ALL|KEY.*)|SYSTEM_TRUSTED_KEYS|OPENSSL_SUPPORTS_.*'

check_stock_rustc() {
	local want have
	want=$(stock_config RUSTC_VERSION_TEXT)
	have=$("${inside[@]}" "$kernel_rustc" --version)
	[[ $want = "$have" ]] || die "another rustc: $stock_release was built with $want, and here is $have" \
		"Rust modules need the very same compiler"
}

stock_config_lines() {
	grep -E '^(# )?CONFIG_' "$1" | grep -vE "^(# )?CONFIG_($stock_may_differ)[ =]" | sort
}

check_stock_config() {
	local -a differ
	mapfile -t differ < <(diff <(stock_config_lines "$stock/package/config") <(stock_config_lines "$kdir/.config") |
		sed -nE 's/^</Debian:/p; s/^>/here:  /p')
	((${#differ[@]} == 0)) || die "another configuration than that of $stock_release, in ${#differ[@]} lines:" \
		"${differ[@]:0:20}" \
		"compilers: ${root:-those of this system}; source: $ksrc; what was made: $kdir"
}

# What modules refer to: the functions of the crates built in, under their mangled
# names, which have a hash of the compiler, its flags and everything before them.
check_stock_symbols() {
	local here debian
	here=$(sed -nE 's/.*EXPORT_SYMBOL_RUST_GPL\((_R.*)\);/\1/p' "$kdir"/rust/exports_*_generated.h | sort)
	debian=$(awk -F'\t' '$2 ~ /^_R/ && $3 == "vmlinux" { print $2 }' "$stock/package/Module.symvers" | sort)
	[[ $here && $here = "$debian" ]] || die "other Rust symbols: of $(wc -l <<<"$debian") that $stock_release exports, $(
		comm -13 <(echo "$here") <(echo "$debian") | wc -l) are not in what was made here" \
		"the first: $(comm -13 <(echo "$here") <(echo "$debian") | sed -n 1p)" \
		"another compiler, source or configuration; what was made: $kdir"
}

# Of the modules once they are built.
check_stock_vermagic() {
	local want have
	want=$(<"$kdir/.vermagic")
	have=$(modinfo -F vermagic "$1")
	[[ ${have% } = "${want% }" ]] || die "another vermagic: the kernel $stock_release wants '$want'," \
		"$1 has '$have'" "another source or configuration; what was made: $kdir"
}
