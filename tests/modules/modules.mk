# SPDX-License-Identifier: GPL-2.0
#
# Modules that exist only for the tests. Kbuild includes this; CONNECTOR_TESTS=n leaves them out,
# for whoever builds in order to install.

ifneq ($(CONNECTOR_TESTS),n)
connector-users += \
	ct_churn:tests/modules/ct_churn \
	ct_gate:tests/modules/ct_gate \
	ct_leak:tests/modules/ct_leak \
	ct_leak_static:tests/modules/ct_leak_static \
	ct_mischief:tests/modules/ct_mischief \
	ct_open:tests/modules/ct_open \
	ct_puppet:tests/modules/ct_puppet \
	ct_remains:tests/modules/ct_remains \
	ct_reply:tests/modules/ct_reply \
	ct_send:tests/modules/ct_send \
	ct_sender:tests/modules/ct_sender \
	ct_tick:tests/modules/ct_tick \
	ct_watch:tests/modules/ct_watch

# In C, and on the core alone.
obj-m += ct_peer.o
ct_peer-y := tests/modules/ct_peer.o

# What crashes the kernel's own core.
ifneq ($(CONFIG_CONNECTOR)$(CONFIG_CONNECTOR_RUST),y)
obj-m += ct_callback.o
ct_callback-y := tests/modules/ct_callback.o
endif

# Not a user of the crate: it stays while rust_connector goes.
obj-m += ct_crowd.o
ct_crowd-y := tests/modules/ct_crowd.o

# Suites in Rust take CONFIG_KUNIT=y. Those of a crate that is a part of the kernel are, too.
ifeq ($(CONFIG_KUNIT)$(CONFIG_RUST_CONNECTOR_ABSTRACTIONS),y)
include $(src)/tests/kunit/kunit.mk
endif
endif
