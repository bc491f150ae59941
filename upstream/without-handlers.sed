# SPDX-License-Identifier: GPL-2.0
#
# sed -E: takes out what the patch that brings handlers adds to files of patches before it.

# Of the root.
/^\/\/! - A service is a type that implements/,/^\/\/! C header/{
	/^\/\/! C header/!d
}
s/^mod (registry|service);$/#[expect(dead_code, reason = "a later patch makes services")]\n&/
s/^mod started;$/#[expect(dead_code, reason = "whoever registers asks it, in the next patch")]\n&/

# Of what is registered without them.
/^\/\/! A \[`Registration`\].* or a$/{
	N
	N
	s/^.*\n.* that was leaked is never dropped,(.*)\n\/\/!/\/\/! A service may be left registered,\1/
}
s/its Registration was never dropped/it was never unregistered/
/ has what services say about themselves, see$/{
	N
	s/, see\n\/\/! \[`Handler::show`\]\([^)]*\)//
}
