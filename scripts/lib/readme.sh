# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# The commands of README.md and of the page for module authors. `make lint` sees to it that tests/readme.tsv has each of them; `make
# test-readme` types those of its rows that say "fresh", in the README's order, in a Debian 13 that
# was made for it and is thrown away. Sourced.

readme_table=$top/tests/readme.tsv
readme_page=$top/samples/standalone/README.md
readme_suite=trixie
# What somebody has whose kernel is one of Debian's with Rust.
readme_kernel_suite=trixie-backports

# The page comes where README.md speaks of it.
readme_commands() {
	# shellcheck disable=SC2016 # backquotes of Markdown
	local awk='/^```sh$/ { on = 1; next } /^```/ { on = 0 } on { sub(/ +# .*/, ""); print }'
	sed '/^### Why unloading is safe/,$ d' "$top/README.md" | awk "$awk"
	awk "$awk" "$readme_page"
	sed -n '/^### Why unloading is safe/,$ p' "$top/README.md" | awk "$awk"
}

readme_figures() {
	awk '/^## / { on = /^## What it costs$/ } on && /^\|/' "$top/README.md"
}

# Every command in the README is in the table, and is run where that says; its figures are those that
# were measured last.
check_readme() {
	local command file text figures=tests/bench/results/table.md status=0 rust c
	rust=$(wc -l <samples/kv/cn_kv.rs) c=$(wc -l <tests/bench/peers/c_kv.c)
	if ((rust > c)) || ! tr '\n' ' ' <README.md | grep -q "has $rust lines, .* asked, $c\."; then
		echo "README.md: samples/kv has $rust lines, and the same in C $c; it should say so, and not be longer"
		status=1
	fi
	if readme_figures | grep -vxF -f "$figures"; then
		echo "README.md: these figures are not in $figures"
		status=1
	fi
	while read -r command; do
		cut -f1 "$readme_table" | grep -qxF -- "$command" || {
			echo "README.md: nobody is said to run: $command"
			status=1
		}
	done < <(readme_commands)
	while IFS=$'\t' read -r command file text; do
		[[ $command != \#* ]] || continue
		[[ $file = fresh ]] || grep -qF -- "$text" "$file" || {
			echo "tests/readme.tsv: $file does not run: $command"
			status=1
		}
		grep -qF -- "$command" README.md "$readme_page" || {
			echo "tests/readme.tsv: no longer in README.md, nor on the page: $command"
			status=1
		}
	done <"$readme_table"
	return "$status"
}

# The script that types them. Its descriptor 3 is what one sees.
readme_script() {
	local command file typed
	cat <<-'END'
		typed() {
			printf '  $ %-80s %4d s\n' "$1" "$SECONDS" >&3
			SECONDS=0
		}
		failed() {
			printf '  $ %-80s failed\n' "$1" >&3
			exit 1
		}
		cd
	END
	while read -r command; do
		while IFS=$'\t' read -r _ file typed; do
			[[ $file = fresh ]] || continue
			printf '{ %s\n} && typed %q || failed %q\n' "${typed:-$command}" "$command" "$command"
		done < <(awk -F'\t' -v command="$command" '$1 == command' "$readme_table")
	done < <(readme_commands)
}

# Nobody is there to answer questions, and the kernel that runs is one that says so.
readme_make_root() {
	local root=$scratch/debian certificates=/usr/local/share/ca-certificates release
	grep -E " ($readme_suite|$readme_kernel_suite) " "$debian_dir/sources.list" >"$scratch/sources.list" &&
		mmdebstrap --variant=apt --aptopt='APT::Get::Assume-Yes "true"' \
			"$readme_suite" "$root" "$scratch/sources.list" || return
	[[ ! -d $certificates ]] || cp -r "$certificates" "$root/usr/local/share/" || return
	readme_inside apt-get update && readme_inside apt-get -t "$readme_kernel_suite" install linux-image-amd64 || return
	release=$(ls "$root/usr/lib/modules")
	mv "$root/usr/bin/uname" "$root/usr/bin/uname.real"
	cat >"$root/usr/bin/uname" <<-END
		#!/bin/sh
		[ "\$*" = -r ] && exec echo "$release"
		exec /usr/bin/uname.real "\$@"
	END
	chmod +x "$root/usr/bin/uname"
}

# All privileges, as root has them; the network, and this clone as where it is cloned from.
readme_inside() {
	bwrap --die-with-parent --bind "$scratch/debian" / --dev /dev --proc /proc --perms 1777 --tmpfs /tmp \
		--ro-bind /etc/resolv.conf /etc/resolv.conf --ro-bind "$top" /srv/rust_connector \
		--cap-add ALL --clearenv --setenv HOME /root --setenv DEBIAN_FRONTEND noninteractive \
		--setenv PATH /usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin "$@"
}

readme_follow() {
	readme_script >"$scratch/debian/srv/readme.sh"
	readme_inside bash /srv/readme.sh 3>&7
}

# As after a reboot: the kernel that it has loads what was installed for it.
readme_reboot() {
	local root=$scratch/debian
	cat >"$root/srv/init" <<-'END'
		#!/bin/sh
		mount -t proc proc /proc
		modprobe cn_echo && cat /proc/net/connector
		echo o >/proc/sysrq-trigger
		sleep 60
	END
	chmod +x "$root/srv/init"
	# shellcheck disable=SC2016 # expanded in there
	readme_inside sh -c 'apt install dracut && exec dracut --force --no-hostonly --add-drivers cn_echo \
			--include /srv/init /init.readme /srv/initrd $(uname -r)' &&
		timeout 300 qemu-system-x86_64 -m 2G -nographic -no-reboot -kernel "$root"/boot/vmlinuz-* \
			-initrd "$root/srv/initrd" -append "console=ttyS0 panic=-1 rdinit=/init.readme" |
		tee "$scratch/console" &&
		grep -qE '^cn_echo +16:1' "$scratch/console"
}

# The packages that `make deb` makes: lintian finds no error in them, they install, and leave nothing
# behind. What was put there by hand before is in the way of the modules.
readme_packages() {
	cat >"$scratch/debian/srv/packages.sh" <<-'END'
		set -e
		cd ~/rust_connector
		make deb
		apt install lintian man-db
		lintian --allow-root --fail-on error build/deb/*.deb
		dkms remove rust_connector/0.1.0 --all
		rm -r /usr/src/rust_connector-0.1.0
		apt install ./build/deb/*.deb
		dpkg --verify cnctl rust-connector-dkms
		cnctl --version
		man -w cnctl-ping
		dkms status | grep '^rust_connector/.*: installed'
		apt purge cnctl rust-connector-dkms
		hash -r
		left=$(dkms status && ls -d /usr/src/rust_connector-* /usr/bin/cnctl /usr/share/man/man1/cnctl* \
			/usr/share/bash-completion/completions/cnctl* 2>/dev/null) || true
		[ -z "$left" ] || { echo "the packages leave behind: $left" && exit 1; }
	END
	readme_inside bash /srv/packages.sh
}

step_fresh() {
	readme_log=$build/log/test-readme.log
	step "a fresh Debian $readme_suite"
	((EUID == 0)) || die "a fresh Debian takes root: sudo make test-readme"
	need "mmdebstrap mmdebstrap makes a fresh Debian" "bwrap bubblewrap enters it" "${vm_needs[@]}"
	check_disk
	debian_lists || die "no Debian to follow the README in: $debian_why"
	cache_scratch readme
	mkdir -p "$build/log"
	: >"$readme_log"
	run_logged "installing it" "$readme_log" "the log says what is not to be had" readme_make_root
	step_done "$scratch/debian"
}

step_readme() {
	local hint="what it leaves can be looked at: $scratch/debian"
	step "README.md"
	run_logged "typing its commands; see ${readme_log#"$top"/}" "$readme_log" "$hint" readme_follow
	run_logged "booting the kernel that it has" "$readme_log" "$hint" readme_reboot
	run_logged "installing the packages, and removing them" "$readme_log" "$hint" readme_packages
	rm -rf "$scratch"
	step_done "every command does what it says, modprobe loads what they installed, and packages come and go"
}
