# SPDX-License-Identifier: GPL-2.0
#
# sed -E: takes out what the patch that registers ids with a core adds to files of patches before it.

# Of the root.
/^#!\[expect\(clippy::upper_case_acronyms/d
/^mod usage;$/,/^pub mod wire;$/{
	/^use kernel::prelude::/d
}
/^\/\/\/ Starts the connector, as far as/,$d
s/^mod (stats|table|usage);$/#[expect(dead_code, reason = "for the registry, which the next patch adds")]\n&/
