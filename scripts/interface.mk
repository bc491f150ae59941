# SPDX-License-Identifier: GPL-2.0
#
# What tells one build of rust_connector.ko from another, for Kbuild to include.
#
# A module that builds on the crate has the crate's types and inline functions compiled in: it fits
# the very rust_connector.ko that it was compiled against. Nothing else would notice a wrong one. A
# mangled name has neither layouts nor signatures in it; and with CONFIG_MODVERSIONS the CRC of a
# symbol of an external module's exports.c is that of its C declaration there, `extern int` for all.
# (The kernel's own Rust symbols have CRCs from debug information, which private types and inlined
# bodies are not in as a user sees them.) So the names themselves differ
# from build to build: -Cmetadata= goes into what v0 mangling puts before a crate's name
# (`Cs9ji8pQzbCAJ_9connector`), and users get it from the crate's metadata. The loader looks a
# symbol up by its name before it compares any CRC, so that it refuses a module of another build
# with MODVERSIONS and without.
#
# What goes in is what a user can be compiled against: a hash of the metadata of both crates, which
# are for that compiled once without it, and without code. Metadata has the layouts, private
# fields too, the signatures, the bodies that are inlined, and rustc's own hashes of the whole
# source, of the flags, and of the crates below, the kernel's and so its configuration among them.
# What rustc says of itself goes in as well: two builds of one version can differ. The folders
# of sources and objects do not, so that the same sources give the same names everywhere.

connector-interface := interface/hash
connector-metadata = -Cmetadata=$(shell cat $(obj)/$(connector-interface))

# As objects of a module are compiled, but for paths: the kernel's own flags, if they map any, do
# so in what macros expand to only. The last one that matches counts, and the objects may lie
# below the sources.
$(obj)/interface/%: private part-of-module := y
$(obj)/interface/%: private rustflags-remove-y += --remap-path-scope=%
$(obj)/interface/%: private rustflags-y += --cap-lints=allow \
	--remap-path-prefix=$(abspath $(src))/= --remap-path-prefix=$(abspath $(obj))/=
# Warnings are for the real objects, and so is clippy.
$(obj)/interface/%: private RUSTC_OR_CLIPPY = $(RUSTC)

quiet_cmd_connector_interface = RUSTC $(quiet_modtag) $@
      cmd_connector_interface = $(rust_common_cmd) --emit=metadata=$@ $<

# The flags of Kbuild for connector.o: one that is added there has to be added here.
RUSTFLAGS_interface/libconnector.o = -L$(obj)/interface --extern connector_wire

targets += interface/libconnector_wire.rmeta interface/libconnector.rmeta

$(obj)/interface/libconnector_wire.rmeta: $(src)/src/wire/connector_wire.rs FORCE
	+$(call if_changed_dep,connector_interface)

$(obj)/interface/libconnector.rmeta: $(src)/src/connector/connector.rs \
		$(obj)/interface/libconnector_wire.rmeta FORCE
	+$(call if_changed_dep,connector_interface)

filechk_connector_interface = { $(RUSTC) -vV; cat $(real-prereqs); } | sha256sum | cut -c1-32

$(obj)/$(connector-interface): $(obj)/interface/libconnector_wire.rmeta \
		$(obj)/interface/libconnector.rmeta FORCE
	$(call filechk,connector_interface)
