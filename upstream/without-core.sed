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
