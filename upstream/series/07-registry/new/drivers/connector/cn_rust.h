/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What rust/kernel/connector.rs makes for C.
 */
#ifndef CN_RUST_H
#define CN_RUST_H

int rust_connector_init(void);

#endif
