# SPDX-License-Identifier: GPL-2.0
#
# The targets that people type. scripts/harness does the work; kbuild reads
# Kbuild, not this file.

goals := clean modules modules_install modules_uninstall tools install deb run test test-all test-goals test-readme test-verdict mutants proofs selftests bench size shell kernel docs patches lint \
	fmt fmt-check rust-analyzer setup

.PHONY: $(goals) clean-cache help
.DEFAULT_GOAL := modules

# Only what the user gave: an empty variable means "the default". bash by its name: there are systems
# without a /bin/bash.
known := KDIR KERNEL FLAVOR CORE ARCH TOOLCHAIN KSRC T V JOBS RUSTC RUST_LIB_SRC BINDGEN INSTALL_MOD_PATH \
	DESTDIR PREFIX CLOCK BASE LIMIT UPDATE CONFIGS SEED ROUNDS INSTALL_PACKAGES RERUN REPEAT KEEP RESULTS APPEND MEM CPUS GDB VMS \
	M FILES SCRIPT WEAKEN QEMU CHECK
export $(known)

# What else was typed here, and would be passed over: for want of a letter another kernel is built. What kbuild looks
# at, what DKMS and packaging tools add to each command, and what other programs look at is theirs.
others := O W C CC LD AR NM OBJCOPY OBJDUMP READELF STRIP HOST% LLVM% CLIPPY CROSS_COMPILE PAHOLE KBUILD_% K%FLAGS LOCALVERSION \
	KERNELRELEASE CONNECTOR_TESTS INSTALL VERBOSE AM_UPDATE_INFO_DIR CXX PKG_CONFIG \
	MAKEFLAGS SHELL HOME PATH TMPDIR TERM NO_COLOR CI LANG LC_% CARGO% RUST% LIBCLANG_PATH XDG_% DEB% SOURCE_DATE_EPOCH %_proxy %_PROXY
typed := $(foreach name,$(.VARIABLES),$(if $(filter command,$(origin $(name))),$(name)))
export asked_unknown := $(if $(filter 0,$(MAKELEVEL)),$(filter-out $(known) $(others),$(typed)))

# kbuild's word for the folder that is KDIR= here; not of a shell that exports it.
export asked_o := $(if $(filter command,$(origin O)),$(O))

# One at a time, whatever -j says: the steps themselves use all CPUs.
.NOTPARALLEL:

$(goals):
	@bash scripts/harness $@

# A target that is none.
.DEFAULT:
	@bash scripts/harness $@

# Where scripts/harness has it.
clean-cache:
	@bash -c 'top=$$PWD; . scripts/lib/environment.sh; . scripts/lib/cache.sh; set -x; rm -rf "$$cache"'

help:
	@sed 's/^/  /' scripts/help.txt
