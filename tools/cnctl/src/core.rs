// SPDX-License-Identifier: GPL-2.0

//! Which connector answers, as a word for JSON.

use netlink_connector::Core;

/// The value of `"core"`.
pub(crate) fn word(core: Core) -> &'static str {
    match core {
        Core::Kernel => "kernel",
        Core::RustConnector => "rust_connector",
        // The crate may come to know of others.
        _ => "other",
    }
}
