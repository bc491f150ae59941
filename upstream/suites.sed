# SPDX-License-Identifier: GPL-2.0
#
# sed -E: the suites are an option, and no module of their own.

/^\/\/! KUnit suites of the crate/,/^$/c\
//! KUnit suites of the connector: what needs a kernel but no userspace.\n
