# SPDX-License-Identifier: GPL-2.0
#
# sed -E: how a file of src/connector, src/wire, samples or tests/kunit is written in the kernel's tree.
# What is done to each is one of these rules, and fold.awk and rustfmt come after them.

# --- KUnit: suites lie with what they test, and are an option ---

# Those of what a module leaves behind need a module.
/^#\[cfg\(connector_kunit\)\]$/{
	N
	/kunit\/(job|source|going)\.rs/{
		N
		d
	}
}
s/\bcfg\(connector_kunit\)/cfg(CONFIG_RUST_CONNECTOR_KUNIT_TEST)/
s/\n#\[path = "\.\.\/.*tests\/kunit\/[a-z]+\.rs"\]$//

# --- paths: two crates become modules of the crate `kernel` ---

# @MODULE@ is crate::connector; or crate::connector::wire for the files of src/wire, crate for what is net's.
s/\bcrate::net::/kernel::net::/g
s/\bcrate::/@MODULE@::/g
s/\bpub\(crate\)/pub(in @MODULE@)/g
s/^pub use connector_wire as wire;$/pub mod wire;/
s/^pub use connector_wire::/pub use self::wire::/
s/\buse connector_wire::/use kernel::connector::wire::/
s/\buse connector::/use kernel::connector::/
s/^(\/\/[\/!] .*[^:[:alnum:]_`])connector::(send|Sender)/\1kernel::connector::\2/

# --- what the kernel's bindings and helpers have instead of ours ---

s/\bbindings::connector_helper_/bindings::/g
s/^mod bindings;$/use crate::bindings;\n/

# --- which core it is: a choice of Kconfig's, where both are built in ---

s/\bnot\(CONFIG_CONNECTOR = "y"\)/CONFIG_CONNECTOR_RUST/g
s/\bCONFIG_CONNECTOR = "y"/not(CONFIG_CONNECTOR_RUST)/g

# --- crates and their attributes ---

/^\/\/ kbuild says (so|it) /d
/^#!\[cfg_attr\((not\(CONFIG_RUST\)|doctest), no_std\)\]$/d
/^#!\[warn\(missing_docs\)\]$/d
/^#\[cfg\(CONFIG_RUST\)\]$/d

# --- probes: no part of the kernel probes its own functions, so that ids of C are not seen on the C core ---

/^#\[cfg\((not\()?all\(CONFIG_KRETPROBES, [^)]*\)\)?\)\]$/d
/^mod kretprobes \{$/,/^\}$/d
/^pub.* use kretprobes::Probes;$/d
/^pub.* const AVAILABLE: bool =$/{
	N
	s/\n */ /
}
s/cfg!\(all\(CONFIG_KRETPROBES, [^)]*\)\)/false/

# --- words ---

# That a module outside of the tree has no helpers is no reason there.
s/^( *\/\/ Not inlined into users' modules), for which the helpers? (is|are) not there\./\1: they would become larger./
s/^( *\/\/ Not inlined into users' modules: they would become larger), and the helpers are not there\./\1./

s/cknowledgement/cknowledgment/g
s/\b([Tt])he crate's own\b/\1he registry's own/g
s/No lock of the crate is/No lock of the connector's is/
s/\b([Tt])his project's own core\b/\1he core in Rust/g
s/\bthis project's own\b/the one in Rust/g
s/\bThis project's own\b/The one in Rust/g
s/kernel's own core, which is written in C\b/core in C/
s/kernel's own core\b/core in C/g
s/As the kernel's own prints it/As the core in C prints it/
s/\bThe crate (calls a module's|keeps the handler)/The connector \1/
s/; our own has as many as its parameter `groups`/; that in Rust has as many as the parameter `cn_rust.groups=`/
s/^\/\/! C header: `(include\/[^`]+)`$/\/\/! C header: [`\1`](srctree\/\1)/

# --- what is not there, or is not so there ---

# Waiting for RCU is in kernel::sync::rcu.
s/\bgrace::(synchronize_rcu|rcu_barrier)\b/kernel::sync::rcu::\1/
/^    grace,( \/\/)?$/d
/^mod grace;$/d
s/; part of `connector_kunit\.ko` alone\././
s/: `tests\/bench\/src\/bin\/lanes\.rs`\././
s/ reads it; and so does `Connector::call\(\)` of the userspace crate\./ reads it./
# The core in C is one that was mended, see fixes/.
/^    \/\/\/ This is so where the connector is the one in Rust, `cn\.ko`\./{
	N
	c\
    /// This is so on the core in Rust. On that in C no service opens a group.
}
/ \(The$/{
	N
	/looks at a bit of the group's \*number\*/{
		N
		s/ \(The\n.*$//
	}
}

# The kernel crate's files are none without debugfs.
/^#\[cfg\(CONFIG_DEBUG_FS\)\]$/{
	N
	s/^.*\n(mod file;)$/\1/
}
/^#\[cfg\(not\(CONFIG_DEBUG_FS\)\)\]$/{
	N
	/none\.rs/{
		N
		d
	}
}
