# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# What somebody brings: a tree of their own whose module builds on the crate (M=), and files and a
# script for the VM (FILES=, SCRIPT=). Sourced.
#
# M= names a folder with a Kbuild, as kbuild has it. If it is a Cargo package as well, its programs
# are built, and its integration tests are the suites that `make test M=` runs and judges as it does
# this project's own: samples/standalone is one. Nothing is written to it but a Cargo.lock.

own=
own_suites=()
files=()
script=

# What names somebody's own things is not passed over where nothing looks at it.
check_own_wanted() {
	local next="make shell, and make test, look at M="
	case $goal in
	modules) next="that module alone: make -C $asked_m CONNECTOR=$build/connector" ;;
	modules_install) next="that module alone: make -C $asked_m CONNECTOR=$build/connector modules_install" ;;
	esac
	[[ ! $asked_m || $goal = @(shell|test) ]] || die "M=$asked_m is not for make $goal" "$next"
	[[ ! ${SCRIPT:-} || $goal = shell ]] || die "SCRIPT=$SCRIPT is not for make $goal, but for make shell"
	[[ ! ${FILES:-} || $goal = shell || ($goal = test && $asked_m) ]] ||
		die "FILES=$FILES is for make shell, and for make test with M="
	[[ $asked_m ]] || return 0
	local name
	for name in RERUN KEEP VMS; do
		[[ ! ${!name:-} ]] || die "$name= is for this project's own tests, and those of M=$asked_m would not look at it" "leave it out"
	done
	[[ ${T:-} != list ]] || die "T=list is for this project's own tests; those of M=$asked_m are what lies in its tests/" \
		"the names that a run prints are for T="
}

# Sets own, and what is wrong with it is told before minutes of building.
own_check() {
	[[ $asked_m ]] || return 0
	own=$(realpath -e -- "$asked_m" 2>/dev/null) || true
	[[ -d $own ]] ||
		die "M=$asked_m: there is no such folder" "the path is one from $top, or begins with a slash"
	check_folder M "$own"
	[[ $own != "$top" ]] || die "M=$asked_m is this clone, which needs no M="
	[[ -e $own/Kbuild || -e $own/Makefile ]] ||
		die "M=$asked_m has no Kbuild" "a module that one can copy: samples/standalone"
	local file
	for file in "$own"/tests/*.sh; do
		# They become words of the kernel's command line.
		[[ $file = *'*.sh' || ${file##*/} =~ ^[A-Za-z0-9._-]+$ ]] ||
			die "M=$asked_m: a test is called '${file##*/}'" "letters, digits, dots, dashes and underscores make its name"
	done
}

# Sets files and script.
shell_check() {
	vm_check
	files_check
	if [[ ${SCRIPT:-} ]]; then
		[[ -f $SCRIPT && -r $SCRIPT ]] || die "SCRIPT=: cannot read $SCRIPT" "the path is one from $top, or begins with a slash"
		script=$SCRIPT
	elif [[ ! -t 0 ]]; then
		check_places
		# Now, while nobody else can read it.
		progress "reading what to run from the standard input, to its end"
		mkdir -p "$build"
		script=$build/script
		cat >"$script"
	fi
}

# Sets files.
files_check() {
	local file name
	local -A taken=()
	for file in ${FILES:-}; do
		name=$(basename "$file")
		[[ -r $file ]] || die "FILES=: cannot read $file" "paths are from $top, or begin with a slash"
		[[ ! ${taken[$name]:-} ]] || die "FILES=: both $file and ${taken[$name]} are called $name in /files"
		taken[$name]=$file
		files+=("$file")
	done
}

# The module and the programs of $own, to build/own/.
build_own() {
	local log=$build/log/own.log
	rm -rf "$build/own"
	mkdir -p "$build"/own/{modules,bin,selftests}
	: >"$log"
	own_modules
	[[ ! -e $own/Cargo.toml ]] || own_programs
	own_scripts
	own_leaks
	step_done "$(cd "$build/own" && find modules bin selftests -type f | LC_ALL=C sort | tr '\n' ' ')"
}

# In a copy, one for each kernel: what its own Makefile has built there stays as it is, and is not ours.
own_modules() {
	local ko objects
	objects=$build/own-kbuild/$kernel_id-$(short_hash <<<"$own")
	[[ -e $objects/.copied ]] || rm -rf "$objects"
	mkdir -p "$objects"
	tar -C "$own" --exclude-vcs --exclude=./target --exclude='*.o' --exclude='*.ko' --exclude='*.mod' --exclude='*.mod.c' \
		--exclude='.*.cmd' --exclude=modules.order --exclude=Module.symvers --exclude=.tmp_versions -c . |
		tar -C "$objects" --quoting-style=literal -xv >"$build/own/copied" || die "cannot copy $own to $objects"
	# A file that is gone there would be built here for good.
	[[ ! -e $objects/.copied ]] ||
		comm -23 <(sort "$objects/.copied") <(sort "$build/own/copied") | sed '/\/$/d' |
		(cd "$objects" && xargs -r -d '\n' rm -f --)
	mv "$build/own/copied" "$objects/.copied"
	run_logged "building for ${kernel_id%-*}" "$log" "every line that kbuild runs: make V=1" \
		"${inside[@]}" make -C "$kdir" "M=$objects" "CONNECTOR=$build/connector" \
		"${cc_args[@]}" "${rust_args[@]}" "-j$jobs" ${V:+"V=$V"} modules
	while read -r ko; do
		ko=${ko%.o}.ko
		[[ $ko = /* ]] || ko=$objects/$ko
		cp -p "$ko" "$build/own/modules/"
		sign_modules "$build/own/modules/${ko##*/}"
	done <"$objects/modules.order"
}

own_programs() {
	local line program name
	# The versions that are compiled already.
	[[ -e $own/Cargo.lock ]] || cp "$top/Cargo.lock" "$own/"
	run_logged "building its programs" "$log" "the compiler's messages are above and in the log" own_cargo
	while read -r line; do
		program=${line##*\"executable\":\"}
		program=${program%%\"*}
		case $line in
		*'"kind":["test"]'*)
			# The file's own name ends in a hash.
			name=${line#*\"target\":}
			name=${name#*\"name\":\"}
			cp -p "$program" "$build/own/selftests/${name%%\"*}"
			;;
		*) cp -p "$program" "$build/own/bin/" ;;
		esac
	done < <(grep '"executable":"' "$build/own.json")
	rm -f "$build/own.json"
}

own_cargo() (
	local tests=()
	own_folders_cargo_target
	[[ ! $(find "$own/tests" -maxdepth 1 -name '*.rs' 2>/dev/null) ]] || tests=(--test '*')
	cargo_static --manifest-path "$own/Cargo.toml" --bins "${tests[@]}" >"$build/own.json"
)

# The last suite of all, where the kernel looks for leaks.
own_leaks() {
	[[ $goal = test && $(config DEBUG_KMEMLEAK) ]] || return 0
	run_logged "building what looks for leaks" "$log" "the compiler's messages are above and in the log" leaks_cargo
	cp -p "$(cargo_static_dir)/$arch_rust/release/kmemleak" "$build/own/selftests/"
}

leaks_cargo() {
	cargo_static --manifest-path "$top/Cargo.toml" -p selftests --bin kmemleak >/dev/null
}

# Shell scripts that print TAP are tests, too, whether they may be run by their names or not. Sets own_suites.
own_scripts() {
	local file
	for file in "$own"/tests/*.sh; do
		[[ ! -e $file ]] || install -m 0755 "$file" "$build/own/selftests/"
	done
	for file in "$build"/own/selftests/*; do
		[[ ! -e $file ]] || own_suites+=("${file##*/}")
	done
}
