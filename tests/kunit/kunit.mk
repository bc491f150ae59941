# SPDX-License-Identifier: GPL-2.0
#
# connector_kunit.ko: rust_connector.ko once more, compiled with the KUnit suites in it. Included
# by modules.mk.

obj-m += connector_kunit.o
connector_kunit-c := tests/kunit/helpers.o tests/kunit/queue.o
connector_kunit-y := tests/kunit/connector.o tests/kunit/connector_wire.o $(connector_kunit-c)

RUSTFLAGS_tests/kunit/connector.o := $(connector-externs) --cfg connector_kunit
$(obj)/tests/kunit/connector.o: $(src)/src/connector/connector.rs \
		$(obj)/src/wire/connector_wire.o $(obj)/$(connector-bindings) FORCE
	+$(call if_changed_rule,rustc_o_rs)

# Linked in, though rust_connector.ko exports the same: the two modules do not go together.
RUSTFLAGS_tests/kunit/connector_wire.o = $(connector-metadata)
$(obj)/tests/kunit/connector_wire.o: $(src)/src/wire/connector_wire.rs \
		$(obj)/$(connector-interface) FORCE
	+$(call if_changed_rule,rustc_o_rs)

$(addprefix $(obj)/,$(connector_kunit-c)): $(obj)/tests/kunit/%.o: $(src)/src/connector/%.c FORCE
	$(call if_changed_rule,cc_o_c)
