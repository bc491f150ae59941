# SPDX-License-Identifier: GPL-2.0
#
# sed -E: with no probes, nobody asks whose call of the core's functions it is.

/^mod caller;$/d
/^use self::caller::as_caller;$/d
/^    as_caller\(\|\| \{$/,/^    \}\)$/{
	/^    as_caller\(\|\| \{$/d
	/^    \}\)$/d
}
s/^    as_caller\(\|\| unsafe (.*)\);$/    unsafe \1;/

# It is never dropped there, and need not be.
/`dispatch` may be called until this module$/{
	N
	s/`dispatch` may be called until this module\n.*/`dispatch` may be called for good: it is\
    \/\/ a part of the kernel./
}

# It waits for the handlers itself, and not under the registry's lock.
s/\bbindings::cn_del_callback\(/bindings::cn_del_callback_nosync(/
