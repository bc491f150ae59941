# SPDX-License-Identifier: GPL-2.0
#
# sed -E: takes out what the patch that brings handlers adds to files of patches before it.

# Of the root.
/^\/\/! - A service is a type that implements/,/^\/\/! C header/{
	/^\/\/! C header/!d
}
s/^mod (registry|service);$/#[expect(dead_code, reason = "a later patch makes services")]\n&/
s/^mod started;$/#[expect(dead_code, reason = "whoever registers asks it, in the next patch")]\n&/
