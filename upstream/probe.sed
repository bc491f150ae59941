# SPDX-License-Identifier: GPL-2.0
#
# sed -E: see c.sed.

/^ *c::caller::called_by_us,$/d
s/, called_by_us\)/)/
