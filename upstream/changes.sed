# SPDX-License-Identifier: GPL-2.0
#
# sed -E: without probes, see rewrite.sed.

/^\/\/! Where the connector is/,/^\/\/! crate's own ids are seen/c\
//! On the core in Rust the registry notes all ids, those of modules in C too. The core in C tells\
//! nobody when an id is registered or unregistered, so that on that the ids of modules in Rust alone\
//! are noted: [`Watch::sees_c_modules`] says so.
s/^\/\/! a watch there is no probe, and registering/\/\/! a watch registering/
/^\/\/! - Of an id that a C module unregisters/,/^\/\/!   have both told in the wrong order/d
/^\/\/!   \(\[`Observer::lost`\]\)\. When ids of C modules/,/^\/\/!   \[`Watch::flush`\], and once a second/c\
//!   ([`Observer::lost`]) as soon as there is something to tell, in [`Watch::flush`], and once a\
//!   second.
s/there were too many at once, or a probe was not$/there were too many at once./
s/^    \/\/\/ hit\. From what was told/    \/\/\/ From what was told/
s/ on this kernel: whether it has kretprobes and tells$/ on this kernel:/
s/^\/\/\/ where arguments are, or the connector is the one in Rust\./\/\/\/ whether the core is the one in Rust./
