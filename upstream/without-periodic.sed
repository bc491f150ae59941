# SPDX-License-Identifier: GPL-2.0
#
# sed -E: takes out what the patch that brings Periodic adds to files of patches before it.

/^\/\/! - A \[`Periodic`\] does something/d
/^mod (job|periodic);$/d
/^    periodic::Periodic,$/d
/^    job,$/d
/^ *jobs: job::Queue.*,$/d
/^ *job::(init|end_all_of)\(.*\);$/d
