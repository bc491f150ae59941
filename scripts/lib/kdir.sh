# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# A kernel tree to build modules against, ours or the user's (KDIR=): says what
# it lacks, and with what it was built. Sets cc_args, kernel_id and image.
# Sourced.
#
# What is asked is how it was built, which .config may say no more: that is
# include/config/auto.conf. Of a tree that is only configured .config is asked, so that nobody builds in vain.

# The connector's module: ours stands on the kernel's core where that is built in, and is the core elsewhere.
# Nothing if it is a part of the kernel.
connector_module() {
	case $(config CONNECTOR)$(config RUST_CONNECTOR_ABSTRACTIONS) in
	yy) ;;
	y) echo rust_connector ;;
	*) echo cn ;;
	esac
}

# name of the option, why we need it
kdir_module_needs=(
	"MODULES loads modules"
	"MODULE_UNLOAD removes them"
	"RUST builds Rust modules"
	"NET has sockets"
)
kdir_vm_needs=(
	"BLK_DEV_INITRD boots from an initramfs"
	"BINFMT_ELF runs programs"
	"BINFMT_SCRIPT runs scripts"
	"DEVTMPFS fills /dev"
	"PROC_FS has /proc/net/connector"
	"SYSFS has the modules' parameters"
	"SYSCTL has what the kernel counts of its own troubles"
	"TTY has consoles"
	"PRINTK logs"
	"FUTEX lets threads wait"
)

kdir_configured() {
	local file=$kdir/include/config/auto.conf
	has_options "$file" || file=$kdir/.config
	echo "$file"
}

# Of a full disk it may be empty.
has_options() {
	grep -qs '^CONFIG_' "$1"
}

config() {
	sed -n "s/^CONFIG_$1=//p" "$(kdir_configured)" | tr -d '"'
}

# Names all that is missing at once, and how to switch it on: each time takes a build of the kernel.
kdir_refuse_missing() {
	local entry name tool=scripts/config built=1 needs=("${kdir_module_needs[@]}") missing=() words=() options=() hints=() of_arch=()
	if [[ $boots ]]; then
		mapfile -t of_arch < <(arch_console_needs "$arch")
		needs+=("${kdir_vm_needs[@]}" "${of_arch[@]}")
	fi
	for entry in "${needs[@]}"; do
		name=${entry%% *}
		[[ $(config "$name") != [ym]* ]] || continue
		missing+=("CONFIG_$name: ${entry#* }")
		words+=("-e $name") options+=("$name=y")
	done
	if [[ $(connector_module) = rust_connector && $(config PREEMPTION) && ! $(config TASKS_RCU) ]]; then
		missing+=("CONFIG_TASKS_RCU: lets modules go safely where the kernel is preemptible; CONFIG_KPROBES selects it,"
			"  or CONFIG_FUNCTION_TRACER, or CONFIG_BPF_SYSCALL")
		words+=("-e KPROBES") options+=("TASKS_RCU=y")
		hints+=("(or CONFIG_CONNECTOR=m: the connector is this project's own then, which does without CONFIG_TASKS_RCU)")
	fi
	if [[ $boots ]] && (($(config SERIAL_8250_RUNTIME_UARTS) + 0 < 2)); then
		missing+=("CONFIG_SERIAL_8250_RUNTIME_UARTS: has fewer than two serial ports; one carries the kernel log, one the programs' output")
		words+=("--set-val SERIAL_8250_RUNTIME_UARTS 4") options+=("SERIAL_8250_RUNTIME_UARTS=[^01]")
	fi
	((${#missing[@]} == 0)) && return
	local -a names=("${options[@]/#/CONFIG_}")
	names=("${names[@]%%=*}")
	[[ " ${names[*]} " != *" CONFIG_RUST "* ]] ||
		hints+=("(if CONFIG_RUST does not stay on: make rustavailable there; and CONFIG_MODVERSIONS takes CONFIG_GENDWARFKSYMS with it)")
	# Who has switched it on and not built since is not told to do that again.
	for name in "${options[@]}"; do
		grep -qs "^CONFIG_$name" "$kdir/.config" || built=
	done
	[[ ! $built ]] || die "the kernel in $kdir lacks ${names[*]}: its .config has that, but was not built since" "${missing[@]}" "run make there first"
	[[ ! -e $kdir/source ]] || tool=source/scripts/config
	die "the kernel in $kdir lacks ${names[*]}" "${missing[@]}" \
		"switch on and rebuild: cd $kdir && $tool ${words[*]} && make olddefconfig && make" \
		"(with the same LLVM= or CC= as before)" "${hints[@]}"
}

# compiler_is KIND MAJOR COMMAND: whether CC="COMMAND", which may be several words, is that.
compiler_is() {
	local words macros
	read -ra words <<<"$3"
	command -v "${words[0]}" >/dev/null || return 1
	macros=$("${words[@]}" -dM -E -x c /dev/null 2>/dev/null) || return 1
	case $1 in
	clang) [[ $macros == *"#define __clang_major__ $2"$'\n'* ]] ;;
	GCC) [[ $macros == *"#define __GNUC__ $2"$'\n'* && $macros != *__clang__* ]] ;;
	esac
}

# first_compiler KIND MAJOR COMMAND...: the first of these that is that.
first_compiler() {
	local cc
	for cc in "${@:3}"; do
		! compiler_is "$1" "$2" "$cc" || { echo "$cc" && return; }
	done
	return 1
}

# Who has a kernel of his own and leaves out KDIR= waits for another one to be built.
say_kdir_left_out() {
	local last=
	[[ ! -e $build/modules/.asked ]] || last=$(<"$build/modules/.asked")
	[[ $last != KDIR=* || $(kernel_asked) ]] || say "for the project's own kernel; what was built last is for another one: make $last …"
}

# What the user's shell has for other kernels is not taken in silence.
say_not_taken() {
	say "$1 is not taken: $kdir was built with $kdir_how"
}

# kdir_llvm MAJOR: sets cc_args. There may be a clang-19 without an ld.lld-19: Fedora and Arch have no other
# names with numbers. A folder is taken if its clang is the one.
kdir_llvm() {
	local llvm folder=
	[[ $asked_llvm != /*/ ]] || folder=$asked_llvm
	[[ $asked_llvm != -* || $asked_llvm = "-$1" ]] || say_not_taken "LLVM=$asked_llvm"
	for llvm in ${folder:+"$folder"} "-$1" 1; do
		if has_llvm "$llvm" && compiler_is clang "$1" "$(llvm_called clang "$llvm")"; then
			[[ ! $folder || $llvm = "$folder" ]] || say_not_taken "LLVM=$folder"
			cc_args=("LLVM=$llvm")
			return
		fi
	done
	die "$kdir was built with clang $1, which is not here with its ld.lld and llvm-nm" \
		"install LLVM $1 (Debian: clang-$1 lld-$1 llvm-$1), or say where it is: LLVM=/folder/bin/"
}

kdir_compiler() {
	local want cc
	if [[ ${stock:-} ]]; then
		cc_args=("CC=$stock_cc")
		kdir_how=$stock_cc
	elif ((${#inside[@]})); then
		# In that root there are no others, and it was just built there.
		kdir_how=$cc_id
	elif [[ $(config CC_IS_CLANG) ]]; then
		want=$(($(config CLANG_VERSION) / 10000)) # 190107
		kdir_how="clang $want"
		if [[ $cross || $(config LD_IS_LLD) ]]; then
			kdir_llvm "$want"
		else
			# With CC=clang alone.
			cc=$(first_compiler clang "$want" "clang-$want" clang) ||
				die "$kdir was built with clang $want, which is not here" "install clang-$want"
			cc_args=("CC=$cc")
		fi
		[[ ! ${CC:-} ]] || { compiler_is clang "$want" "$CC" && cc_args+=("CC=$CC"); } || say_not_taken "CC=$CC"
	elif [[ $cross ]]; then
		die "$kdir was built with GCC, and what ARCH=$asked_arch builds is built with LLVM" "rebuild it: make LLVM=1 ARCH=$arch"
	else
		want=$(($(config GCC_VERSION) / 10000)) # 120200
		kdir_how="GCC $want"
		[[ ! $asked_llvm ]] || say_not_taken "LLVM=$asked_llvm"
		[[ ! ${CC:-} ]] || compiler_is GCC "$want" "$CC" || say_not_taken "CC=$CC"
		cc=$(first_compiler GCC "$want" ${CC:+"$CC"} gcc "gcc-$want") || die "$kdir was built with GCC $want, which is not here" \
			"install gcc-$want, or rebuild that kernel with the gcc you have"
		cc_args=("CC=$cc")
	fi
}

# The rustc that compiled its crates. Their metadata begins with it, after 16 bytes and its length;
# of headers without metadata, the configuration says it.
kdir_rustc() {
	local file=$kdir/rust/libkernel.rmeta text=
	[[ ! -s $file ]] ||
		text=$(dd "if=$file" bs=1 skip=17 "count=$(od -An -tu1 -j16 -N1 "$file" | tr -d ' ')" 2>/dev/null | tr -d '\0')
	[[ $text = "rustc "* ]] || text=$(config RUSTC_VERSION_TEXT)
	echo "$text"
}

# For which architecture, as the kernel's makefiles call it; nothing if it is the one that is asked for.
kdir_other_arch() {
	local name
	[[ ! $(config "$arch_option") || $(config UML) ]] || return 0
	name=$(sed -n 's:^# Linux/\([^ ]*\) .*:\1:p' "$(kdir_configured)")
	# Of 32 bits.
	case $name in
	x86) [[ $(config X86_64) ]] || name=i386 ;;
	riscv) [[ $(config ARCH_RV64I) ]] || name=riscv32 ;;
	esac
	echo "${name:-another architecture}"
}

# kdir_refuse_arch NAME
kdir_refuse_arch() {
	local name
	name=$(arch_row "$1") || die "KDIR=$kdir is a kernel for $1; this builds for $(arch_names) only"
	name=${name%% *}
	if [[ $asked_arch ]]; then
		die "KDIR=$kdir is a kernel for $1, and ARCH=$asked_arch is another architecture" "make KDIR=$kdir ARCH=$name …"
	else
		die "KDIR=$kdir is a kernel for $1, and this machine is $arch_host" "say so: make KDIR=$kdir ARCH=$name …"
	fi
}

# Since it was configured anew, make may have been stopped before it had linked the kernel.
kdir_other_connector() {
	local where
	where=$(awk -F'\t' '$2 == "cn_add_callback" { print $3 }' "$kdir/Module.symvers")
	case $(config CONNECTOR),$where in
	,?* | m,vmlinux | y,*/*) ;;
	*) return 1 ;;
	esac
}

# kdir_refuse_half FILE...: each was made after the one before, if make came to its end there. Else modules are
# built against one kernel and loaded into another. Headers have no vmlinux.o.
kdir_refuse_half() {
	local file before=
	[[ -e $kdir/vmlinux.o ]] || return 0
	for file in "$@"; do
		[[ ! -e $kdir/$file ]] && continue
		[[ ! $before || ! $kdir/$before -nt $kdir/$file ]] ||
			die "KDIR=$kdir is not built to its end: its $file is older than its $before" \
				"run make there first, with the same LLVM= or CC= as before"
		before=$file
	done
}

# What the modules take of the kernel. With CONFIG_TRIM_UNUSED_KSYMS, what no module of the kernel's
# own takes is left out.
kdir_lacks_symbols() {
	local name lacking=() names=(netlink_unicast netlink_register_notifier)
	[[ $(config CONNECTOR) != y ]] || names+=(cn_add_callback cn_del_callback cn_netlink_send_mult)
	for name in "${names[@]}"; do
		grep -qP "\t$name\t" "$kdir/Module.symvers" || lacking+=("$name")
	done
	grep -qP '\t_R\S*6kernel' "$kdir/Module.symvers" || lacking+=("those of Rust")
	echo "${lacking[*]}"
}

# Where is the key that its modules are signed with? Nothing if it, or what signs, is not here.
kdir_key() {
	local key
	key=$(config MODULE_SIG_KEY)
	[[ -x $kdir/scripts/sign-file && -r $kdir/certs/signing_key.x509 ]] || return 0
	[[ $key != pkcs11:* ]] || { echo "$key"; return; }
	[[ $key = /* || ! $key ]] || key=$kdir/$key
	[[ ! $key || ! -r $key ]] || echo "$key"
}

# What it was asked to be and is not. KERNEL= and CORE= beside KDIR= may say what is so.
kdir_refuse_other() {
	local core
	[[ $KDIR ]] || return 0
	case ${KERNEL:-} in
	'') ;;
	debian) die "KDIR=$kdir and KERNEL=debian are two kernels: leave one out" ;;
	*)
		[[ $1 = "$(stock_wanted)" || $1 = "$KERNEL"[.-]* ]] ||
			die "KDIR=$kdir is Linux $1, and KERNEL=$KERNEL is another kernel: leave one out"
		;;
	esac
	case $(connector_module) in
	rust_connector) core=c ;;
	cn) core=rust ;;
	*) core=tree ;;
	esac
	[[ ${CORE:-$core} = "$core" || $CORE = tree-c ]] ||
		die "KDIR=$kdir is a kernel of CORE=$core, by its configuration, and not of CORE=$CORE" "leave out CORE="
}

# All that can be known of it without its compilers.
check_kdir() {
	local release lacking other built_in from_top=()
	[[ $kdir = /* ]] || from_top=("the path is one from $top, or begins with a slash")
	[[ ! -L $kdir || -e $kdir ]] || die "KDIR=$kdir leads to $(realpath -m "$kdir"), which is not there" \
		"a kernel that was removed, or whose headers are not installed?"
	[[ -d $kdir ]] || die "KDIR=$kdir: no such directory" "${from_top[@]}"
	kdir=$(realpath "$kdir")
	has_options "$(kdir_configured)" ||
		die "KDIR=$kdir is not configured (no .config)" "point it at the tree, or at the O= directory, in which the kernel was built"
	other=$(kdir_other_arch)
	[[ ! $other ]] || kdir_refuse_arch "$other"
	release=$(cat "$kdir/include/config/kernel.release" 2>/dev/null || true)
	if [[ ! $release ]] || ! has_options "$kdir/include/config/auto.conf"; then
		kdir_refuse_missing
		die "KDIR=$kdir is configured but not built (no include/config/kernel.release or auto.conf)" "run make there first"
	fi
	[[ $release =~ ^[^[:space:]/]+$ ]] ||
		die "KDIR=$kdir calls its release '$release', which can be no folder's name" "is include/config/kernel.release as make has made it?"
	check_kernel_version "$release" "KDIR=$kdir"
	kdir_refuse_other "$release"
	[[ -e $kdir/Makefile && (! -L $kdir/source || -e $kdir/source) ]] ||
		die "KDIR=$kdir has lost its source, $(readlink "$kdir/source" || echo "with its Makefile")" "put it back, or build the kernel anew"
	built_in=$(sed -n 's/^export KBUILD_OUTPUT = //p' "$kdir/Makefile")
	[[ ! $built_in || $built_in -ef $kdir ]] ||
		die "$kdir was built as $built_in and is a copy, or was moved: kbuild would go on there, and write here" \
			"put it back, or build it where it is: make -C $(sed -n 's:^include \(.*\)/Makefile$:\1:p' "$kdir/Makefile") O=$kdir"
	kdir_refuse_missing
	[[ -e $kdir/Module.symvers ]] || die "KDIR=$kdir is not built completely (no Module.symvers)" "run make there first"
	kdir_refuse_half rust/libkernel.rmeta vmlinux.o Module.symvers
	# An option that nothing was compiled anew for is none that matters.
	[[ ! -e $kdir/vmlinux.o || ! $kdir/include/config/auto.conf -nt $kdir/Module.symvers ]] ||
		say "KDIR=$kdir was configured after it was built; if make was stopped there, run it again"
	! kdir_other_connector || die "the kernel in $kdir was built before CONFIG_CONNECTOR was changed: its Module.symvers has it elsewhere" \
		"run make there first"
	[[ -x $kdir/scripts/mod/modpost ]] ||
		die "KDIR=$kdir has no scripts/mod/modpost, which makes modules of objects" "run make modules_prepare there first"
	[[ -e $kdir/rust/libkernel.rmeta ]] || kdir_refuse_headers "$release"
	# What comes before the name of its compiler.
	(($(stat -Lc %s "$kdir/rust/libkernel.rmeta") > 17)) ||
		die "KDIR=$kdir has a rust/libkernel.rmeta that is none, as a full disk leaves it" "remove that, and run make there"
	lacking=$(kdir_lacks_symbols)
	[[ ! $lacking ]] || die "the kernel in $kdir does not export what modules take: $lacking" \
		"$([[ $(config TRIM_UNUSED_KSYMS) ]] && echo "CONFIG_TRIM_UNUSED_KSYMS leaves out what its own modules do not take: switch it off and rebuild" ||
			echo "its Module.symvers is not that of the whole kernel: run make there")"
	[[ ! $(config MODULE_SIG_FORCE) || $(kdir_key) ]] ||
		say "the kernel in $kdir loads signed modules only, and its key ($(config MODULE_SIG_KEY)) is not here: sign them yourself"
}

# A distribution's headers, as a rule.
kdir_refuse_headers() {
	local next="run make there first"
	[[ -e $kdir/source || -e $kdir/init/main.c ]] ||
		next="these are headers, as kernel packages have them, and cannot make it: KDIR= is the tree that they are from"
	[[ ! -e $kdir/.kernelvariables ]] || next="Debian's headers lack it; this makes it: make KERNEL=$1"
	die "KDIR=$kdir has no rust/libkernel.rmeta, which Rust modules are built against" "$next"
}

# What booting it takes on top. $image is what QEMU boots.
check_kdir_boots() {
	[[ ! $(config MODULE_SIG_FORCE) || $(kdir_key) ]] ||
		die "the kernel in $kdir loads signed modules only, and its key ($(config MODULE_SIG_KEY)) is not here" \
			"build it with a key of its own (CONFIG_MODULE_SIG_KEY), or without CONFIG_MODULE_SIG_FORCE"
	image=$kdir/$arch_image
	[[ -e $image ]] || die "KDIR=$kdir has no $arch_image to boot" "run make there first" \
		"(headers of an installed kernel are enough for: make KDIR=$kdir, but not for run, test and shell)"
	kdir_refuse_half vmlinux.o vmlinux "$arch_image"
}

use_kdir() {
	kdir=$1
	use_kernel_tools
	check_kdir
	[[ ! $boots ]] || check_kdir_boots
	kdir_compiler
	# Types are not described where the kernel has none: kbuild would say at every build that there
	# was another pahole, or none.
	[[ $(config PAHOLE_VERSION) != 0 ]] || cc_args+=(PAHOLE=no-pahole)
	cc_args+=("${arch_args[@]}")
	kernel_id=$(cat "$kdir/include/config/kernel.release")-$({
		echo "$kdir"
		cat "$kdir/include/config/auto.conf"
	} | short_hash)
}
