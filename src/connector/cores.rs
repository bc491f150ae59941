// SPDX-License-Identifier: GPL-2.0

//! The connector core: what brings messages from userspace and takes others there.
//!
//! There are two. Where the kernel has its own built in, the crate is a user of that one (`cores/c.rs`),
//! and `rust_connector.ko` is what comes of it. Where it has not (`CONFIG_CONNECTOR=m`, or not set), the
//! crate is the core itself (`cores/own.rs`), and the module is `cn.ko`, in the place of the kernel's.
//! This file chooses the core; no other file depends on the choice. Both have:
//!
//! - `Core`, which is there as long as the connector is;
//! - `add()` and `del()`, which tell the core of an id that the registry adds or removes;
//! - `send_mult()`, with the arguments and results of `cn_netlink_send_mult()`; and `send()`, for one message
//!   that does not lie in one piece, and `reply()`, for one to who has sent a request;
//! - `may_be_overwritten()`, which says whether nobody needs a message when its handler has returned;
//! - `Probes`, by which ids of C modules are seen that the registry does not know of.

#[cfg(CONFIG_CONNECTOR = "y")]
mod c;
#[cfg(not(CONFIG_CONNECTOR = "y"))]
mod own;
mod sink;

#[cfg(CONFIG_CONNECTOR = "y")]
pub(crate) use self::c::*;
#[cfg(not(CONFIG_CONNECTOR = "y"))]
pub(crate) use self::own::*;
pub(crate) use self::sink::{
    Sink,
    CANARY_ID, //
};
