# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# The tools without the rest: cnctl and ucon for this machine, the man pages and
# shell completions of cnctl, all in build/tools/; where a distribution wants
# them (DESTDIR=, PREFIX=); and as Debian packages. Takes no kernel. Sourced.

compiles_programs() {
	(($(version_number "$(rustc_version "$1")") >= $(version_number "$rustc_min")))
}

# The first here that will do, with its cargo, else the distribution's: Debian 12 calls by these names what is too
# old.
find_cargo() {
	while read -r rustc; do
		find_cargo_of "$rustc" || continue
		! compiles_programs "$rustc" || return 0
	done < <(rustcs_here)
	rustc=$(command -v rustc || true) cargo=$(command -v cargo || true)
	if install_newest_rust; then
		rustc=/usr/bin/rustc cargo=/usr/bin/cargo
	elif [[ ! $rustc || ! $cargo ]]; then
		((${#rust_tried[@]} == 0)) || die "there is no cargo and rustc here, and no package of them that is new enough" \
			"tried:" "${rust_tried[@]}" "install rustc $rustc_min or newer (https://rustup.rs), or set RUSTC"
		need "cargo cargo compiles the programs" "rustc rustc compiles the programs ($rustc_min or newer)"
	fi
}

# Only a compiler for programs: neither the kernel's minimum nor its bindgen.
step_cargo() {
	step "cargo"
	rust_tried=()
	if [[ ${RUSTC:-} ]]; then
		rustc=$(command -v "$RUSTC") || die "RUSTC=$RUSTC is not a program"
		find_cargo_of "$rustc" || die "there is no cargo beside $rustc"
	else
		find_cargo
	fi
	compiles_programs "$rustc" ||
		die "$rustc is version $(rustc_version "$rustc"), the programs need $rustc_min" \
			"${rust_tried[@]}" "install a newer one (https://rustup.rs), or set RUSTC"
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

# Debian's own tools make the packages, by what is in scripts/debian.
build_debs() {
	local source=$build/deb/source version maintainer
	version=$(sed -n 's/^version = "\(.*\)"/\1/p' "$top/Cargo.toml" | head -n 1)
	# As these tools are told.
	maintainer="${DEBFULLNAME:-The rust_connector authors} <${DEBEMAIL:-rust_connector@example.org}>"
	rm -rf "$build/deb"
	mkdir -p "$source/module"
	cp -a "$top/scripts/debian" "$source/" && install_tools "$source/tools" || return
	sed -i "s/@MAINTAINER@/$maintainer/" "$source/debian/control"
	printf 'rust-connector (%s) unstable; urgency=medium\n\n  * Built from its source by make deb.\n\n -- %s  %s\n' \
		"$version" "$maintainer" \
		"$(LC_ALL=C date -u -R -d "@${SOURCE_DATE_EPOCH:-$(git -C "$top" log -1 --format=%ct)}")" \
		>"$source/debian/changelog"
	# What the modules are made from; the rest of the clone is not needed for that.
	git ls-files -z --error-unmatch dkms.conf Makefile Kbuild Cargo.toml LICENSE LICENSES scripts src \
		samples/cn_test.rs samples/kv/cn_kv.rs |
		xargs -0 cp -a --parents -t "$source/module" || return
	rm -rf "$source"/module/src/wire/LICENSE-* "$source/module/scripts/debian"
	mv "$source/module/dkms.conf" "$source/debian/rust-connector-dkms.dkms"
	(cd "$source" && DEB_BUILD_OPTIONS=noautodbgsym dpkg-buildpackage --build=binary --no-sign) || return
	rm -rf "$source"
}

step_deb_tools() {
	step "packaging tools"
	need "dpkg-buildpackage dpkg-dev makes packages" "dh debhelper makes packages" \
		"dh_dkms dh-dkms makes that of the modules"
	step_done "$(dpkg-buildpackage --version | sed -n '1s/.*version \([0-9.]*\)\.$/dpkg \1/p')"
}

step_build_debs() {
	step "Debian packages"
	run_logged "building" "$build/log/deb.log" "see the log" build_debs
	step_done "$(cd "$build" && echo deb/*.deb)"
}
