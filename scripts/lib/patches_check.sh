# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# `make patches CHECK=1`: whether the patches are what a maintainer can take. Each is applied to a pristine
# source, in its turn, and looked at with the kernel's own tools; CHECK=build has each built as well, and what
# comes of all of them by GCC, and its documentation made. A line for each patch and check. Sourced.

# checkpatch.pl looks up commits of the kernel, whose history is not here, so that a patch for stable can be without a
# Fixes tag, too; and whether a patch that adds files touches MAINTAINERS: the last one does for all.
checkpatch_ignored=UNKNOWN_COMMIT_ID,MISSING_FIXES_TAG,FILE_PATH_CHANGES

# What is compiled: all in which something changes, or uses what does.
patches_targets=(rust/ drivers/connector/ samples/rust/)

check_patches() {
	local log=$build/log/patches-check.log folder
	patches_failed=0 patches_config=usual
	tree=$cache/patches/linux-$kver objects=$cache/patches/objects-$kver
	: >"$log"
	kernel_compiler
	use_kernel_tools
	patches_tree
	if [[ $CHECK = build ]]; then
		progress "building the pristine source"
		patches_build pristine C >>"$log" 2>&1 || die "the pristine source does not build" "log: $log"
	fi
	check_series "$build/patches/fixes/w1"
	git -C "$tree" reset -q --hard pristine
	# Each is on top of those before it.
	for folder in "$build/patches/fixes" "$build/patches" "$build/patches/later"; do
		check_series "$folder"
	done
	[[ $CHECK != build ]] || check_whole
	((patches_failed == 0)) || die "$patches_failed checks failed" "what they say: $log"
	step_done "no findings"
}

# A copy of the source that can be written to, with a repository of the files that patches change.
patches_tree() {
	local file
	if [[ ! -e $tree/.pristine ]]; then
		progress "copying the source"
		rm -rf "$tree"
		mkdir -p "$(dirname "$tree")"
		cp -a --reflink=auto "$ksrc" "$tree"
		init_repository "$tree"
		touch "$tree/.pristine"
	fi
	if git -C "$tree" rev-parse -q --verify pristine >/dev/null; then
		git -C "$tree" am --abort 2>/dev/null || true
		git -C "$tree" reset -q --hard pristine
	fi
	kernels_files | while read -r file; do
		[[ -e $ksrc/$file ]] || continue
		# It may have gone with a commit that was taken back.
		[[ -e $tree/$file ]] || cp -p "$ksrc/$file" "$tree/$file"
		git -C "$tree" add -f "$file"
	done
	git -C "$tree" commit -q --allow-empty -m "Linux $kver"
	git -C "$tree" tag -f pristine >/dev/null
}

# check_series FOLDER
check_series() {
	local patch
	for patch in "$1"/0*.patch; do
		name=${patch#"$build"/patches/}
		name=${name%.patch}
		check "applies" git -C "$tree" am -q "$patch" || return 0
		check "checkpatch --strict" check_checkpatch "$patch" || true
		check "rustfmt" check_rustfmt || true
		check "kernel-doc" check_kernel_doc || true
		[[ $CHECK = build ]] || continue
		check "builds, core in C" patches_build "" C || true
		if grep -q CONNECTOR_RUST "$tree/drivers/connector/Kconfig"; then
			check "builds, core in Rust" patches_build "" RUST || true
		fi
	done
}

# check_whole: what is looked at when all is applied.
check_whole() {
	local whole objects_of=$objects
	name="all of them"
	check "rustdoc" check_rustdoc || true
	whole=$(git -C "$tree" rev-parse HEAD)
	patches_config=bare objects=$objects_of-bare
	check_both "without all that a kernel can do without" || return 0
	patches_config=usual objects=$objects_of-gcc cc_args=(CC=gcc "${arch_args[@]}")
	check_both "by GCC"
}

# check_both HOW: either core, beside the source without the patches.
check_both() {
	git -C "$tree" reset -q --hard pristine
	check "the source without them builds $1" patches_build pristine C || return
	git -C "$tree" reset -q --hard "$whole"
	check "builds $1, core in C" patches_build "" C || true
	check "builds $1, core in Rust" patches_build "" RUST || true
}

# check WHAT COMMAND...: a line.
check() {
	local what=$1
	shift
	printf '\n# %s: %s\n' "$name" "$*" >>"$log"
	if "$@" >>"$log" 2>&1; then
		say "ok      ${name:0:60}  $what"
		return
	fi
	say "not ok  ${name:0:60}  $what"
	patches_failed=$((patches_failed + 1))
	return 1
}

# patches_make ARGUMENTS...
patches_make() {
	make -C "$tree" "O=$objects" "${cc_args[@]}" PAHOLE=no-pahole LOCALVERSION= "${rust_args[@]}" "$@"
}

# patches_fragment CORE: the usual configuration, or what is left where all is off that can be: modules, users, /proc, a
# second CPU, debugfs, process events.
patches_fragment() {
	local options=("CONNECTOR_$1" RUST_CONNECTOR_ABSTRACTIONS)
	case $patches_config in
	usual)
		cat "$top/tests/config"
		options+=(RUST_KUNIT_TESTS RUST_CONNECTOR_KUNIT_TEST SAMPLES SAMPLES_RUST SAMPLE_RUST_CONNECTOR)
		;;
	bare)
		options+=(EXPERT 64BIT RUST NET CONNECTOR)
		echo CONFIG_PROC_EVENTS=n
		;;
	esac
	printf 'CONFIG_%s=y\n' "${options[@]}"
}

# patches_build PRISTINE CORE: with W=1 and clippy; fails if anything is said that is not said of the pristine source,
# where PRISTINE is not empty and all of it is kept.
patches_build() {
	local said=$objects/said
	mkdir -p "$objects"
	patches_fragment "$2" >"$objects/fragment"
	if ! {
		patches_make "KCONFIG_ALLCONFIG=$objects/fragment" allnoconfig >"$objects/output" 2>&1 &&
			patches_make "-j$jobs" W=1 CLIPPY=1 "${patches_targets[@]}" >>"$objects/output" 2>&1
	}; then
		cat "$objects/output"
		return 1
	fi
	grep -iE '(^|: )(warning|error)' "$objects/output" | sed 's/:[0-9]*\(:[0-9]*\)\?:\? /: /' | sort -u >"$said"
	[[ ! $1 ]] || cp "$said" "$objects/said.pristine"
	comm -13 "$objects/said.pristine" "$said" | tee "$objects/new"
	[[ ! -s $objects/new ]] || { cat "$objects/output" && return 1; }
}

# The documentation, in which each link leads somewhere.
check_rustdoc() {
	patches_make "-j$jobs" rustdoc >"$objects/output" 2>&1
	local status=$?
	cat "$objects/output"
	((status == 0)) && ! grep -q '^warning' "$objects/output"
}

check_checkpatch() {
	"$tree/scripts/checkpatch.pl" --strict --no-summary --show-types --ignore "$checkpatch_ignored" --root "$tree" "$1"
}

# The files of the last patch that match.
changed() {
	git -C "$tree" diff --name-only --diff-filter=d HEAD~1 -- "$@"
}

check_rustfmt() (
	cd "$tree" && changed '*.rs' | xargs -r "$rustfmt" --check --config-path .rustfmt.toml
)

# What is said of a file now, and was not said before.
check_kernel_doc() (
	local file new
	cd "$tree" || return
	new=$(for file in $(changed '*.c' '*.h'); do
		comm -13 <(git show "HEAD~1:$file" 2>/dev/null | said_of "$file") <(git show "HEAD:$file" | said_of "$file")
	done)
	printf '%s\n' "$new"
	[[ ! $new ]]
)

# said_of FILE: what kernel-doc says of the standard input as that file, without the numbers of lines.
said_of() {
	local copy
	copy=$(mktemp -d)
	cat >"$copy/${1##*/}"
	scripts/kernel-doc -none -Wall "$copy/${1##*/}" 2>&1 | sed "s,$copy/,,; s,:[0-9][0-9]* ,: ," | sort
	rm -r "$copy"
}
