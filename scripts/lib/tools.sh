# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# The tools without the rest: cnctl and ucon for this machine, the man pages and
# shell completions of cnctl, all in build/tools/; where a distribution wants
# them (DESTDIR=, PREFIX=); and as Debian packages. Takes no kernel. Sourced.

# Only a compiler for programs: neither the kernel's minimum nor its bindgen.
step_cargo() {
	step "cargo"
	if [[ ${RUSTC:-} ]]; then
		rustc=$(command -v "$RUSTC") || die "RUSTC=$RUSTC is not a program"
		cargo=$(dirname "$rustc")/cargo
		[[ -x $cargo ]] || cargo=$(command -v cargo) || die "there is no cargo beside $rustc"
	else
		need "cargo cargo compiles the programs" "rustc rustc compiles the programs"
		rustc=$(command -v rustc) cargo=$(command -v cargo)
	fi
	(($(version_number "$(rustc_version "$rustc")") >= $(version_number "$rustc_min"))) ||
		die "$rustc is version $(rustc_version "$rustc"), the programs need $rustc_min" \
			"install a newer one (https://rustup.rs), or set RUSTC"
	own_cargo_target "$rustc"
	step_done "$("$rustc" --version)"
}

build_tools() {
	local new=$build/tools.new
	rm -rf "$new"
	mkdir -p "$new/bin"
	RUSTC=$rustc "$cargo" build --release --locked -p cnctl -p ucon &&
		cp -p "$CARGO_TARGET_DIR"/release/{cnctl,ucon} "$new/bin/" &&
		RUSTC=$rustc "$cargo" run --release --locked -p cnctl --features docs --bin cnctl-docs -- "$new" &&
		rm -rf "$build/tools" &&
		mv "$new" "$build/tools"
}

step_build_tools() {
	step "programs"
	mkdir -p "$build/log"
	LOG_LINES=40 run_logged "building" "$build/log/tools.log" "the compiler's messages are above" build_tools
	step_done "build/tools/"
}

# install_tools ROOT: copies what was built. Nothing of whoever installs is left in the clone.
install_tools() {
	local share=$1/share from=$build/tools
	install -D -m 755 -t "$1/bin" "$from/bin/cnctl" &&
		install -D -m 644 -t "$share/man/man1" "$from"/man/*.1 &&
		install -D -m 644 "$from/completions/cnctl.bash" "$share/bash-completion/completions/cnctl" &&
		install -D -m 644 -t "$share/zsh/site-functions" "$from/completions/_cnctl" &&
		install -D -m 644 -t "$share/fish/vendor_completions.d" "$from/completions/cnctl.fish"
}

step_install_tools() {
	local to=${DESTDIR:-}${PREFIX:-/usr/local}
	step "installation"
	[[ -x $build/tools/bin/cnctl ]] || die "nothing has been built yet" "make tools, then make install"
	install_tools "$to" || die "$to cannot be written to" \
		"as root: make install; or into your home: make install PREFIX=\$HOME/.local"
	step_done "$to/bin/cnctl, its man pages and completions in $to/share"
}

# Who makes the packages: as Debian's own tools are told.
deb_maintainer() {
	printf '%s <%s>' "${DEBFULLNAME:-The rust_connector authors}" "${DEBEMAIL:-rust_connector@example.org}"
}

# deb_documents PACKAGE FOLDER
deb_documents() {
	local doc=$2/usr/share/doc/$1
	mkdir -p "$doc"
	cat >"$doc/copyright" <<-'END'
		Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
		Upstream-Name: rust_connector

		Files: *
		Copyright: 2026 The rust_connector authors
		License: GPL-2
		 On Debian systems the text is in /usr/share/common-licenses/GPL-2.
	END
	printf '%s (%s) unstable; urgency=medium\n\n  * Built from its source by make deb.\n\n -- %s  %s\n' \
		"$1" "$deb_version" "$(deb_maintainer)" \
		"$(LC_ALL=C date -u -R -d "@${SOURCE_DATE_EPOCH:-$(git -C "$top" log -1 --format=%ct)}")" |
		gzip -9n >"$doc/changelog.gz"
}

# deb_build PACKAGE ARCHITECTURE FOLDER: reads the rest of the control file.
deb_build() {
	mkdir -p "$3/DEBIAN"
	{
		printf 'Package: %s\nVersion: %s\nArchitecture: %s\n' "$1" "$deb_version" "$2"
		printf 'Maintainer: %s\n' "$(deb_maintainer)"
		printf 'Installed-Size: %s\n' "$(du -sk --exclude=DEBIAN "$3" | cut -f1)"
		cat
	} >"$3/DEBIAN/control"
	# For dpkg --verify.
	(cd "$3" && find usr -type f -print0 | LC_ALL=C sort -z | xargs -0 md5sum >DEBIAN/md5sums) || return
	chmod -R u=rwX,go=rX "$3"
	find "$3/DEBIAN" \( -name '*inst' -o -name '*rm' \) -exec chmod 755 {} +
	dpkg-deb --root-owner-group --build "$3" "$build/deb/$1_${deb_version}_$2.deb"
}

deb_tool() {
	local to=$build/deb/cnctl page
	install_tools "$to/usr" && deb_documents cnctl "$to" || return
	# Debian's own places for these.
	mkdir -p "$to/usr/share/zsh/vendor-completions"
	mv "$to"/usr/share/zsh/site-functions/_cnctl "$to/usr/share/zsh/vendor-completions/"
	rmdir "$to/usr/share/zsh/site-functions"
	for page in "$to"/usr/share/man/man1/*.1; do
		gzip -9n "$page"
	done
	deb_build cnctl "$(dpkg --print-architecture)" "$to" <<-END
		Depends: libc6 (>= $(glibc_of "$to/usr/bin/cnctl")), libgcc-s1
		Section: net
		Priority: optional
		Description: tool for the Linux kernel connector
		 Talks to services on the Linux kernel connector (NETLINK_CONNECTOR): lists
		 them, sends messages, measures replies, listens to broadcasts, and shows
		 process events, as forkstat does.
	END
}

# The newest version of the C library that a program needs something of.
glibc_of() {
	objdump -T "$1" | sed -n 's/.*GLIBC_\([0-9.]*\).*/\1/p' | sort -V | tail -n 1
}

deb_dkms() {
	local name=rust-connector-dkms to=$build/deb/rust-connector-dkms
	local src=$to/usr/src/rust_connector-$deb_version
	mkdir -p "$src"
	# What the modules are made from; the rest of the clone is not needed for that.
	git ls-files -z --error-unmatch dkms.conf Makefile Kbuild Cargo.toml LICENSE LICENSES scripts src \
		samples/cn_test.rs samples/kv/cn_kv.rs |
		xargs -0 cp -a --parents -t "$src" || return
	rm -f "$src"/src/wire/LICENSE-*
	deb_documents "$name" "$to" || return
	mkdir -p "$to/DEBIAN"
	cat >"$to/DEBIAN/postinst" <<-END
		#!/bin/sh
		set -e
		if [ "\$1" = configure ]; then
			/usr/lib/dkms/common.postinst rust_connector $deb_version /usr/share/$name "" "\$2"
		fi
	END
	cat >"$to/DEBIAN/prerm" <<-END
		#!/bin/sh
		set -e
		dkms remove -m rust_connector -v $deb_version --all || true
	END
	deb_build "$name" all "$to" <<-'END'
		Depends: dkms (>= 3), make, rustc (>= 1.85), rust-src, bindgen
		Section: kernel
		Priority: optional
		Description: Rust kernel modules on the Linux connector (DKMS)
		 The source of rust_connector, cn_echo and cn_notify, which DKMS builds for
		 each kernel that is installed and has CONFIG_RUST and CONFIG_CONNECTOR.
	END
}

build_debs() {
	local deb_version
	deb_version=$(sed -n 's/^version = "\(.*\)"/\1/p' "$top/Cargo.toml" | head -n 1)
	rm -rf "$build/deb"
	mkdir -p "$build/deb"
	deb_tool && deb_dkms
}

step_build_debs() {
	step "Debian packages"
	need "dpkg-deb dpkg makes packages" "objdump binutils tells what a program needs"
	run_logged "building" "$build/log/deb.log" "see the log" build_debs
	step_done "$(cd "$build" && echo deb/*.deb)"
}
