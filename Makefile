# SPDX-License-Identifier: GPL-2.0
#
# The targets that people type. scripts/harness does the work; kbuild reads
# Kbuild, not this file.

goals := modules modules_install modules_uninstall tools install deb run test test-all test-goals test-readme test-verdict mutants proofs selftests bench size shell kernel docs patches lint \
	fmt fmt-check rust-analyzer setup

.PHONY: $(goals) clean clean-cache help
.DEFAULT_GOAL := modules

# Only what the user gave: an empty variable means "the default". bash by its name: there are systems
# without a /bin/bash.
export KDIR KERNEL FLAVOR CORE ARCH TOOLCHAIN KSRC T V JOBS RUSTC RUST_LIB_SRC BINDGEN INSTALL_MOD_PATH
export DESTDIR PREFIX CLOCK BASE LIMIT UPDATE CONFIGS SEED ROUNDS INSTALL_PACKAGES RERUN REPEAT KEEP RESULTS APPEND MEM CPUS GDB VMS
export M FILES SCRIPT WEAKEN QEMU CHECK
# kbuild's word for the folder that is KDIR= here; not of a shell that exports it.
export asked_o := $(if $(filter command,$(origin O)),$(O))

# One at a time, whatever -j says: the steps themselves use all CPUs.
.NOTPARALLEL:

$(goals):
	@bash scripts/harness $@

clean:
	rm -rf build target

clean-cache:
	rm -rf "$${XDG_CACHE_HOME:-$${HOME:?}/.cache}/rust-connector"

help:
	@sed 's/^/  /' scripts/help.txt
