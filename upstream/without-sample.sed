# SPDX-License-Identifier: GPL-2.0
#
# sed -E: takes out what the patch that brings the sample adds to files of patches before it.

/^\/\/! `samples\/rust\/rust_connector\.rs` is a module that/d
