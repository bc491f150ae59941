# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# The way upstream: what upstream/ says about this project's files and the kernel's, made to a series of
# patches in build/patches. upstream/README.md says what lies where. Sourced.

series=$top/upstream/series

patches_settings() {
	[[ ! ${KDIR:-} && ! $(stock_wanted) && ! ${CORE:-} && ! ${FLAVOR:-} ]] ||
		die "the patches are made for the source of a kernel: KDIR=, CORE= and FLAVOR= do not go with it" \
			"another source: make patches KSRC=/path/to/linux"
	case ${CHECK:-} in
	'' | 1 | build) ;;
	*) die "CHECK=$CHECK: expected 1, or build" ;;
	esac
	check_source
}

# Everything is made in a small repository that has only those of the kernel's files that a patch changes:
# the patches come out the same. Sets work.
make_patches() {
	local step name
	work=$build/patches.tree
	rm -rf "$work" "$build/patches"
	mkdir -p "$work" "$build"/patches/{fixes/w1,later} "$build/log"
	init_repository "$work"
	kernels_files | while read -r name; do
		[[ -e $ksrc/$name ]] || continue
		mkdir -p "$work/$(dirname "$name")"
		cp "$ksrc/$name" "$work/$name"
	done
	commit_patches -m "Linux $kver"
	git -C "$work" tag base
	am_patches "$top"/upstream/fixes/w1/*.patch
	export_patches base "$build/patches/fixes/w1" --no-numbered
	git -C "$work" reset -q --hard base
	am_patches "$top"/upstream/fixes/*.patch
	export_patches base "$build/patches/fixes" --cover-letter --subject-prefix="PATCH net"
	cover_patches "$build/patches/fixes" "$top/upstream/fixes/cover"
	git -C "$work" tag fixed
	for step in "$series"/[0-9]*/; do
		make_patch "${step%/}"
	done
	export_patches fixed "$build/patches" --cover-letter --subject-prefix="PATCH RFC"
	cover_patches "$build/patches" "$top/upstream/cover"
	git -C "$work" tag series
	for step in "$series"/later-*/; do
		make_patch "${step%/}"
	done
	export_patches series "$build/patches/later" --subject-prefix="PATCH RFC"
	git -C "$work" rev-parse "HEAD^{tree}" >"$build/patches/.tree"
	cp "$top/upstream/pin-init.txt" "$build/patches/"
	step_done "$(find "$build/patches" -maxdepth 1 -name '*.patch' | wc -l) in build/patches, for a source with the $(
		find "$build/patches/fixes" -maxdepth 1 -name '*.patch' | wc -l
	) fixes: git am build/patches/fixes/0*.patch build/patches/0*.patch"
}

# init_repository FOLDER: what git is configured to do here is no part of what comes out.
init_repository() {
	git -C "$1" init -q -b main
	git -C "$1" config user.name "Your Name"
	git -C "$1" config user.email "you@example.org"
	git -C "$1" config commit.gpgsign false
	git -C "$1" config core.hooksPath /dev/null
	git -C "$1" config core.autocrlf false
}

# The kernel's files that any of the patches touches.
kernels_files() {
	{
		sed -n 's,^--- a/,,p' "$top"/upstream/fixes/*.patch "$top"/upstream/fixes/w1/*.patch
		cat "$series"/*/*.diff | sed -n 's,^--- a/,,p'
		find "$series"/*/new -type f -printf '%P\n'
		echo .rustfmt.toml
	} | sort -u
}

# Always the same bytes from the same files: no day, no hour.
commit_patches() {
	git -C "$work" add -f -A
	GIT_AUTHOR_DATE="1 Jan 2026 00:00 +0000" GIT_COMMITTER_DATE="1 Jan 2026 00:00 +0000" \
		git -C "$work" -c core.commentChar=';' commit -q "$@"
}

am_patches() {
	GIT_COMMITTER_DATE="1 Jan 2026 00:00 +0000" git -C "$work" am -q "$@" >>"$build/log/patches.log" 2>&1 ||
		die "a patch does not apply to Linux $kver" "which one: $build/log/patches.log; it is in upstream/fixes"
}

# export_patches SINCE FOLDER ARGUMENTS...
export_patches() {
	local since=$1 folder=$2
	shift 2
	git -C "$work" format-patch -q -n --zero-commit --signature="" -o "$folder" "$@" "$since"
	sed -i '/^Date: /d' "$folder"/*.patch
}

# cover_patches FOLDER TEXT: the first line is the subject. As .txt: git am takes no patch that changes nothing.
cover_patches() {
	local cover
	cover=$(echo "$1"/0000-*.patch)
	awk -v text="$2" 'BEGIN { getline subject <text; getline <text }
		/\*\*\* SUBJECT HERE \*\*\*/ { sub(/\*\*\* SUBJECT HERE \*\*\*/, subject) }
		/\*\*\* BLURB HERE \*\*\*/ { while ((getline line <text) > 0) print line; next }
		{ print }' "$cover" | sed "s/@KERNEL@/$kver/g" >"$1/0000-cover-letter.txt"
	rm "$cover"
}

# make_patch FOLDER: a commit.
make_patch() {
	local step=$1 name how from to files left_out=()
	[[ ! -d $step/new ]] || cp -r "$step/new/." "$work/"
	# What later patches bring is left out of the files of this one. So those of earlier ones are written anew; and
	# first they are all there, by which is known what a file can have.
	for name in "$series"/*/; do
		[[ ${name%/} > $step ]] || continue
		name=$(basename "$name")
		left_out+=("$top/upstream/without-${name#*-}.sed")
	done
	mapfile -t files < <(files_until "$step")
	for name in "${files[@]}"; do
		to=$work/${name##* }
		mkdir -p "${to%/*}"
		touch "$to"
	done
	for name in "${files[@]}"; do
		read -r how from to <<<"$name"
		write_file "$how" "$from" "$to"
	done
	for name in "$step"/*.diff; do
		[[ ! -e $name ]] || git -C "$work" apply --recount --whitespace=nowarn "$name" 2>>"$build/log/patches.log" ||
			die "$name does not apply to Linux $kver" "why: $build/log/patches.log"
	done
	commit_patches -F "$step/message"
}

# files_until FOLDER: the files that this patch and those before it list, as lines HOW FROM TO. In a list HOW is -,
# wire, the name of one more sed script, or helpers:HEADER; FROM may be a pattern, and TO a folder. A pattern does not
# stand for a file that a list has by its name.
files_until() {
	local name how from to file target
	for name in "$series"/*/; do
		[[ ! ${name%/} > $1 ]] || break
		[[ ! -e $name/files ]] || while read -r how from to; do
			for file in "$top"/$from; do
				file=${file#"$top"/}
				if [[ $from = *'*'* ]]; then
					! grep -qF " $file " "$series"/*/files || continue
					# What is bound comes from the kernel's bindings, what waits for RCU is the kernel
					# crate's, and the home is another one there.
					case $file in */bindings.rs | */grace.rs | */home.rs) continue ;; esac
				fi
				target=$to
				[[ $to != */ ]] || target+=${file##*/}
				echo "$how $file $target"
			done
		done <"$name/files"
	done
}

# write_file HOW FROM TO: a file, without what the scripts left_out take out.
write_file() {
	local how=$1 from=$top/$2 to=$3 module=crate::connector rewrite=() script text
	if [[ $how = helpers:* ]]; then
		awk -v header="${how#*:}" -f "$top/upstream/helpers.awk" "$from" >"$work/$to"
		return
	fi
	[[ $how != wire* ]] || module=crate::connector::wire
	[[ $how != net* ]] || module=crate
	if [[ $from = *.rs ]]; then
		rewrite+=(-e "$(sed "s/@MODULE@/$module/g" "$top/upstream/rewrite.sed")")
	fi
	[[ $how != *.sed ]] || rewrite+=(-e "$(<"$top/upstream/$how")")
	text=$work.file
	sed -E "${rewrite[@]}" "$from" >"$text.whole"
	cp "$text.whole" "$text"
	for script in "${left_out[@]}"; do
		[[ ! -e $script ]] || sed -E -i -f "$script" "$text"
	done
	if [[ $from = *.rs ]]; then
		# rustfmt takes what it gets by name as the root of a crate, and this is none.
		awk -v at="$work/${to%.rs}" -f "$top/upstream/later.awk" "$text.whole" "$text" |
			awk -f "$top/upstream/fold.awk" | "$rustfmt" --config-path "$work/.rustfmt.toml" >"$work/$to"
	else
		cp "$text" "$work/$to"
	fi
	rm "$text" "$text.whole"
}
