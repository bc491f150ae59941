// SPDX-License-Identifier: GPL-2.0
/*
 * Exports the symbols of the crates `connector` and `connector_wire` to other modules.
 *
 * Only C can make an export that kbuild understands. The list is generated from the object files;
 * see Kbuild. Exports are GPL-only, as all of the kernel crate's are.
 */

#include <linux/export.h>

#define EXPORT_SYMBOL_RUST_GPL(sym) extern int sym; EXPORT_SYMBOL_GPL(sym)

#include "exports_generated.h"
