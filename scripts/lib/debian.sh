# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# Packages of other Debian suites than the one installed (a kernel source, a
# matching rust-src): downloaded and unpacked into the cache through an apt
# configuration of our own. The system's sources and packages are not touched,
# and signatures are checked as always. Sourced.

# In this order: the stable ones first, what moves daily last.
debian_suites=(trixie-backports trixie sid)

debian_apt() {
	local tool=$1
	shift
	APT_CONFIG=$cache/apt/apt.conf "$tool" "$@"
}

# Fails (without dying) where there is no Debian to ask; $debian_why says why.
debian_lists() {
	local site keyring suite
	debian_why=
	[[ -z ${debian_ready:-} ]] || return 0
	if ! command -v apt-get >/dev/null; then
		debian_why="no apt here"
		return 1
	fi
	for keyring in /usr/share/keyrings/debian-archive-keyring.{pgp,gpg} none; do
		[[ -e $keyring ]] && break
	done
	if [[ $keyring = none ]]; then
		debian_why="no Debian keys here (package debian-archive-keyring)"
		return 1
	fi
	# The mirror that this system uses: the one that surely is reachable.
	# shellcheck disable=SC2016 # apt expands it
	site=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' 2>/dev/null |
		awk '/\/debian\/*$/ && !site { site = $0 } END { print site }')
	if [[ ! $site ]]; then
		debian_why="no Debian mirror in this system's apt sources"
		return 1
	fi

	rm -rf "$cache/apt"
	mkdir -p "$cache"/apt/{lists/partial,cache/archives/partial,etc}
	for suite in "${debian_suites[@]}"; do
		printf 'deb [signed-by=%s] %s %s main\n' "$keyring" "$site" "$suite"
	done >"$cache/apt/sources.list"
	cat >"$cache/apt/apt.conf" <<-END
		Dir::State "$cache/apt";
		Dir::State::status "/dev/null";
		Dir::Cache "$cache/apt/cache";
		Dir::Etc::sourcelist "$cache/apt/sources.list";
		Dir::Etc::sourceparts "-";
		Dir::Etc::preferences "-";
		Dir::Etc::preferencesparts "-";
		Acquire::Languages "none";
		Acquire::Retries "3";
		APT::Sandbox::User "$(id -un)";
	END
	run_logged "reading Debian's package lists (${debian_suites[*]})" "$cache/log/debian.log" \
		"the log says whether the network or a signature failed; a newer debian-archive-keyring may be needed" \
		debian_update
	debian_ready=1
}

# A suite that cannot be had (a mirror that lags, a key that is too new) is left
# out; without any, the log says why.
debian_update() {
	debian_apt apt-get -q update || compgen -G "$cache/apt/lists/*_Packages*" >/dev/null
}

# debian_versions PACKAGE: "VERSION SUITE" lines, in the order of our suites.
debian_versions() {
	local suite
	for suite in "${debian_suites[@]}"; do
		debian_apt apt-cache madison "$1" |
			awk -F' *[|] *' -v suite="$suite" '$3 ~ " " suite "/" { sub(/^ +/, "", $2); print $2, suite }'
	done
}

# debian_has PACKAGE VERSION
debian_has() {
	debian_versions "$1" | grep -qF "$2 "
}

debian_downloaded() {
	local have
	have=$(du -cm "$scratch"/deb/*.deb 2>/dev/null | awk 'END { print $1 }')
	printf '%s of %s MB' "${have:-0}" "$debian_size"
}

# debian_unpack PACKAGE VERSION: into $scratch/root. Call with a scratch and the lock.
debian_unpack() {
	mkdir -p "$scratch/deb"
	debian_size=$(debian_apt apt-cache show "$1=$2" | awk '/^Size:/ { size = $2 } END { print int(size / 1048576) + 1 }')
	progress_fn=debian_downloaded \
		run_logged "downloading Debian's $1 $2:" "$cache/log/debian.log" \
		"try again; nothing half-done is kept" \
		debian_fetch "$1=$2"
	run_logged "unpacking $1" "$cache/log/debian.log" "is the disk full? see: df -h $cache" \
		dpkg-deb -x "$scratch"/deb/*.deb "$scratch/root"
	rm -rf "$scratch/deb"
}

debian_fetch() (
	cd "$scratch/deb" && debian_apt apt-get -q download "$1"
)
