# SPDX-License-Identifier: GPL-2.0
#
# sed -E: takes out what the patch that brings the core in Rust adds to files of patches before it.

/^#\[cfg\(CONFIG_CONNECTOR_RUST\)\]$/{
	N
	d
}
/^#\[cfg\(not\(CONFIG_CONNECTOR_RUST\)\)\]$/d
s/#\[cfg_attr\(not\(CONFIG_CONNECTOR_RUST\), expect\(dead_code\)\)\]/#[expect(dead_code, reason = "for a core in Rust")]/

/^\/\/! There are two, in C /,/^\/\/! \(`cores\/own\.rs`\)\./c\
//! It is the one in C, `drivers/connector/connector.c`, of which `cores/c.rs` is a user; no\
//! other file depends on that. It has:
s/^(\/\/! answers the sender, or .*)\. The$/\1./
/^\/\/! core is the one in C, or the one in Rust/,/^\/\/! does not know which/d

# Of what travels.
/^\/\/\/ The core in C drops a larger one without a word\./,/There is no such limit from$/c\
/// It drops a larger one without a word. There is no such limit from
s/^(\/\/\/ fails with `EINVAL`\.) The core in Rust has more,.*/\1/
/^\/\/\/ Everybody can join group 1,/{
	N
	s/ On the core in Rust a\n.*//
}
/ connector core in C looks at none of them, the one in Rust at$/{
	N
	s/ in C looks at none of them, the one in Rust at\n.*/ looks at none of them./
}

# Of handlers, and of what is sent.
/^    \/\/\/ The groups that everybody may join as long as/,/^    const OPEN_GROUPS/d
s/^( *)T::OPEN_GROUPS,$/\1\&[],/
/^    \/\/\/ An `idx` that is the number of no group is/{
	N
	N
	s/, be it registered or not\. .*$/, be it registered or not./
}
