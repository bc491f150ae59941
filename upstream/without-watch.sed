# SPDX-License-Identifier: GPL-2.0
#
# sed -E: takes out what the patch that brings Watch adds to files of patches before it.

/^pub mod changes;$/d
/^    changes,$/d
/^    wire::notify::Change,$/d
/^ *changes::(init|note)\(.*\);$/d
/^ *if id == changes::RESERVED \{$/,/\}$/d
/^mod (sink|probe);$/d
/^pub\(in crate::connector\) use self::(sink|probe)::\{$/,/^\};$/d
/^\/\/! - `Probes`, by which ids of C modules are seen/d

# Of a job.
/^    Watch,$/d
/^    \/\/\/ Has it called, and returns when it was/,/^\}$/{
	/^\}$/!d
}
