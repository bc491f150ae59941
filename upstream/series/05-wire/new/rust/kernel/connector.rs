// SPDX-License-Identifier: GPL-2.0

//! The kernel connector: what travels through it.
//!
//! C header: [`include/linux/connector.h`](srctree/include/linux/connector.h)

pub mod wire;

pub use self::wire::{
    CbId,
    Group,
    Header, //
};
