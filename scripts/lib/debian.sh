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
	APT_CONFIG=$debian_dir/apt.conf "$tool" "$@"
}

# Whether packages of Debian's can be had on this machine at all; $debian_why says why not.
debian_here() {
	debian_why=
	command -v apt-get >/dev/null || debian_why="no apt here"
	[[ ! $debian_why ]]
}

# check_debian WHAT FILE NEXT-STEP: what takes packages of Debian's is refused where there are none, unless it is
# complete in the cache, as FILE (a pattern) says; before anything else is got or compiled.
check_debian() {
	compgen -G "$2" >/dev/null || debian_here || die "$1 takes packages of Debian's, and there is $debian_why" "$3"
}

# The mirror that this system uses: the one that surely is reachable. Also where no lists were read yet, or where
# they were removed, as in images for containers.
debian_mirror() {
	# shellcheck disable=SC2016 # apt expands it
	apt-get indextargets --no-release-info --format '$(SITE)' 'Created-By: Packages' 2>/dev/null |
		awk '/\/debian\/*$/ && !site { site = $0 } END { print site }'
}

# debian_lists [ARCHITECTURE]: from here on, packages are those of Debian's for this machine, or for that
# architecture. Fails (without dying) where there is no Debian to ask; $debian_why says why.
debian_lists() {
	local site keyring suite of=${1:-}
	debian_dir=$cache/apt${of:+-$of}
	[[ " ${debian_ready:-} " != *" $debian_dir "* ]] || return 0
	debian_here || return 1
	for keyring in /usr/share/keyrings/debian-archive-keyring.{pgp,gpg} none; do
		[[ -e $keyring ]] && break
	done
	if [[ $keyring = none ]]; then
		debian_why="no Debian keys here (package debian-archive-keyring)"
		return 1
	fi
	site=$(debian_mirror)
	if [[ ! $site ]]; then
		debian_why="no Debian mirror in this system's apt sources"
		return 1
	fi

	rm -rf "$debian_dir"
	mkdir -p "$debian_dir"/{lists/partial,cache/archives/partial,etc}
	for suite in "${debian_suites[@]}"; do
		printf 'deb [signed-by=%s] %s %s main\n' "$keyring" "$site" "$suite"
	done >"$debian_dir/sources.list"
	cat >"$debian_dir/apt.conf" <<-END
		Dir::State "$debian_dir";
		Dir::State::status "/dev/null";
		Dir::Cache "$debian_dir/cache";
		Dir::Etc::sourcelist "$debian_dir/sources.list";
		Dir::Etc::sourceparts "-";
		Dir::Etc::preferences "-";
		Dir::Etc::preferencesparts "-";
		Acquire::Languages "none";
		Acquire::Retries "3";
		APT::Sandbox::User "$(id -un)";
		${of:+APT::Architecture "$of"; APT::Architectures { "$of"; \};}
	END
	run_logged "reading Debian's package lists (${debian_suites[*]}${of:+, for $of})" "$cache/log/debian.log" \
		"the log says whether the network or a signature failed; a newer debian-archive-keyring may be needed" \
		debian_update
	debian_ready+=" $debian_dir"
}

# A suite that cannot be had (a mirror that lags, a key that is too new) is left
# out; without any, the log says why.
debian_update() {
	debian_apt apt-get -q update || compgen -G "$debian_dir/lists/*_Packages*" >/dev/null
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

# debian_unpack_all SUITE WHAT PACKAGE...: with all that they depend on, into $scratch/root. Call with a
# scratch and the lock. Nothing of them runs.
debian_unpack_all() {
	local suite=$1 what=$2 log=$cache/log/debian.log
	shift 2
	mkdir -p "$scratch/deb/partial"
	debian_size=$(debian_install "$suite" --print-uris "$@" 2>>"$log" | awk '{ size += $3 } END { print int(size / 1048576) + 1 }')
	progress_fn=debian_downloaded \
		run_logged "downloading $what:" "$log" "the log says what is not to be had" \
		debian_install "$suite" --download-only "$@"
	progress_fn=debian_unpacked \
		run_logged "unpacking them:" "$log" "is the disk full? see: df -h $cache" debian_unpack_each
	rm -rf "$scratch/deb"
}

debian_install() {
	local suite=$1
	shift
	debian_apt apt-get -q -y -t "$suite" -o "Dir::Cache::archives=$scratch/deb" \
		install --no-install-recommends "$@"
}

debian_unpack_each() {
	local deb
	for deb in "$scratch"/deb/*.deb; do
		dpkg-deb -x "$deb" "$scratch/root" && : >"$deb" || return
	done
}

debian_unpacked() {
	printf '%s of %s' "$(find "$scratch/deb" -name '*.deb' -empty | wc -l)" \
		"$(find "$scratch/deb" -name '*.deb' | wc -l)"
}
