// SPDX-License-Identifier: GPL-2.0 OR MIT

//! What travels through the Linux kernel connector, and the rules it obeys.
//!
//! One source for both sides: kbuild compiles this crate into `rust_connector.ko`, cargo compiles
//! it for userspace. It knows layouts, bounds and the seq/ack rules, and nothing of sockets or of
//! the kernel's API: it performs no I/O, does not allocate and contains no `unsafe`.
//!
//! A connector datagram is one [`netlink`] message whose payload is one or more [`Header`]s, each
//! followed by its data. All integers are in native byte order: both ends are the same machine.
//!
//! C header: `include/uapi/linux/connector.h`

// kbuild says so itself.
#![cfg_attr(not(CONFIG_RUST), no_std)]
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod bytes;
mod group;
mod header;
mod id;
mod message;
pub mod netlink;
pub mod notify;
mod number;
mod outcome;

pub use self::{
    group::{
        Group,
        NotAGroup, //
    },
    header::Header,
    id::{
        CbId,
        NotAnId, //
    },
    message::{
        Messages,
        ParseError,
        RawMessage, //
    },
    number::parse_number,
    outcome::outcome, //
};

/// The largest payload of a netlink message, headers included, that the connector core accepts
/// from userspace (`CONNECTOR_MAX_MSG_SIZE`).
///
/// The core in C drops a larger one without a word. So does the one in Rust, but it answers
/// `EMSGSIZE` if the message asks for an acknowledgement (`NLM_F_ACK`). There is no such limit from
/// the kernel to userspace.
pub const MAX_MESSAGE_SIZE: usize = 16384;

/// The most data that one message to the kernel can carry: [`MAX_MESSAGE_SIZE`] less its
/// [`Header`].
pub const MAX_DATA_SIZE: usize = MAX_MESSAGE_SIZE - Header::SIZE;
