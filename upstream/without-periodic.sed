# SPDX-License-Identifier: GPL-2.0
#
# sed -E: takes out what the patch that brings Periodic adds to files of patches before it.

/^\/\/! - A \[`Periodic`\] does something/d
/^ *jobs: job::Queue.*,$/d
/^ *job::(init|end_all_of)\(.*\);$/d

# Of what is said of modules that go.
/^\/\/! A \[`Registration`\].*, a \[`Watch`\].* or a$/{
	N
	s/, a \[`Watch`\].* or a\n\/\/! \[`Periodic`\]\([^)]*\)//
}
/ for what is on one of two lists, the registry's and that of$/{
	N
	s/one of two lists, the registry's and that of\n\/\/! \[`job`\]/a list, the registry's/
}
s/ to either list any more\./ to the list any more./
/^\/\/! 2\. Then one list after the other/,/^\/\/! It does not matter/c\
//! 2. Then the list is looked through, under its lock, until nothing of the module is on it. What is\
//!    found is closed and waited for, whoever else is about to end it. That may be done by the\
//!    module's own code, which can add nothing.\
//! 3. After that, none of the module's code runs for the connector, and nothing of it will.\
//!\
//! It does not matter how many modules go at once.
s/^( *\/\/ )Handlers, observers and closures run/\1Handlers run/
