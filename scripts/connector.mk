# SPDX-License-Identifier: GPL-2.0
#
# For the Kbuild of a module that builds on the crate `connector`: include this, anywhere in it.
# CONNECTOR is the folder that this file lies in, once rust_connector was installed or built for
# that kernel: beside it are the crate's metadata and its symbols. It holds for the folder's own
# objects and for those of subfolders with a Kbuild of their own.

ifeq ($(wildcard $(CONNECTOR)/libconnector.rmeta),)
$(error CONNECTOR is "$(CONNECTOR)", which has no libconnector.rmeta: run make \
	modules_install in rust_connector for this kernel first, or let CONNECTOR name its build/connector)
endif

# What the compiler needs. The metadata's hash makes every object's command differ when the metadata
# does, so that kbuild compiles all of them again. Times would not tell it: what is installed over
# another build can be older than the objects that were compiled against that.
subdir-rustflags-y += -L$(CONNECTOR) --extern connector \
	-Cmetadata=$(firstword $(shell sha256sum $(CONNECTOR)/libconnector.rmeta))

# What modpost needs.
KBUILD_EXTRA_SYMBOLS += $(CONNECTOR)/Module.symvers
