# SPDX-License-Identifier: GPL-2.0
#
# The crate `connector` where the kernel has it as a part of itself, for Kbuild to include: metadata, by
# which modules find it under the name that it has elsewhere, and no object.

connector-externs := -L$(obj)
connector-crate := $(obj)/libconnector.rmeta

targets += libconnector.rmeta

quiet_cmd_connector_crate = RUSTC $(quiet_modtag) $@
      cmd_connector_crate = $(rust_common_cmd) --emit=metadata=$@ $<

$(connector-crate): private part-of-module := y
$(connector-crate): private RUSTC_OR_CLIPPY = $(RUSTC)
$(connector-crate): $(src)/upstream/crate/connector.rs $(objtree)/rust/libkernel.rmeta FORCE
	+$(call if_changed_dep,connector_crate)
