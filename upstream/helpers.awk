# SPDX-License-Identifier: GPL-2.0
#
# awk -v header=HEADER: those of our helpers that are for functions of one of C's headers, as the kernel's
# rust/helpers has its own: a file for each.

BEGIN {
	print "// SPDX-License-Identifier: GPL-2.0\n\n#include <" header ">"
	is_net = header ~ /^net\//
	if (is_net)
		print "\n#ifdef CONFIG_NET"
}

/^\/\* <.*> \*\/$/ {
	is_meant = $2 == "<" header ">"
	next
}

is_meant && /^$/ {
	blank = 1
	next
}

is_meant {
	if (blank)
		print ""
	blank = 0
	if (match($0, /connector_helper_/)) {
		sub(/connector_helper_/, "rust_helper_")
		$0 = "__rust_helper " $0
	}
	print
}

END {
	if (is_net)
		print "\n#endif"
}
