# SPDX-License-Identifier: GPL-2.0
#
# For the Kbuild of a module that builds on the crate `connector`: include this below the line that
# sets obj-m. CONNECTOR is the folder that this file lies in, once rust_connector was installed or
# built for that kernel: beside it are the crate's metadata and its symbols.

ifeq ($(wildcard $(CONNECTOR)/libconnector.rmeta),)
$(error CONNECTOR is "$(CONNECTOR)", which has no libconnector.rmeta: run make \
	modules_install in rust_connector for this kernel first, or let CONNECTOR name its build/connector)
endif

# What the compiler needs ...
rustflags-y += -L$(CONNECTOR) --extern connector
$(addprefix $(obj)/,$(obj-m)): $(CONNECTOR)/libconnector.rmeta

# ... and what modpost needs.
KBUILD_EXTRA_SYMBOLS += $(CONNECTOR)/Module.symvers
