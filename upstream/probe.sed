# SPDX-License-Identifier: GPL-2.0
#
# sed -E: see c.sed.

/^ *c::caller::called_by_us,$/d
s/, called_by_us\)/)/

/^\/\/! The probes on the two functions/,/^\/\/! \[`Probes::missed`\]/c\
//! How ids of modules in C would be seen on the core in C, which tells nobody of them: not at all. No\
//! part of the kernel probes its own functions.
s/^\/\/\/ Where there are no kretprobes, or the kernel does not tell where arguments are\./\/\/\/ There are none./
