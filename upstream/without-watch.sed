# SPDX-License-Identifier: GPL-2.0
#
# sed -E: takes out what the patch that brings Watch adds to files of patches before it.

/^ *changes::(init|note_registered)\(.*\);$/d
/^ *\/\/ First, while nobody else can register the id\.$/d
s/^(    \/\/\/ change as one), and changes are noted in their order\./\1./
s/^( *)changes::note_unregistered\(.*, \|\| (.*)\);$/\1\2;/
/^ *if id == changes::RESERVED \{$/,/\}$/d
/^\/\/! - `Probes`, by which ids of C modules are seen/d
s/^(\/\/! - `may_be_overwritten\(\)`, .* returned);$/\1./
s/, a \[`Watch`\]\([^)]*\) or a$/ or a/
s/^( *\/\/ )Handlers, observers and closures run/\1Handlers and closures run/
s/^\/\/! A service, or an observer, belongs/\/\/! A service belongs/
s/ of these and of \[`Watch`\]\([^)]*\)es in this kernel/ of these in this kernel/
/ or a C module; or it is `\{0, 0xffffffff\}`, which$/{
	N
	s/; or it is .*$/./
}

# Of what travels, and is told by what watches.
/^impl CbId \{$/,/^\}$/d
/\bCbId::NOTIFY\b/d

# Of the core in Rust.
/^\/\/\/ Whether \[`Probes`\] can be had: there is nothing/,$d

# Of the tests.
/^    #\[test\]$/{
	N
	/\n    fn the_id_that_watching_unregisters/{
		:test
		/\n    \}$/!{
			N
			btest
		}
		d
	}
}

# Of a job.
/^    Watch,$/d
/^    \/\/\/ Has it called, and returns when it was/,/^\}$/{
	/^\}$/!d
}
