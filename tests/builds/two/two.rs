// SPDX-License-Identifier: GPL-2.0

//! `ct_two`: a module of two objects, both of which call the crate `connector`.

use connector::{
    send,
    CbId,
    Destination,
    OutMessage, //
};
use kernel::prelude::*;

module! {
    type: Two,
    name: "ct_two",
    authors: ["The rust_connector authors"],
    description: "Test: a module of two objects",
    license: "GPL",
}

unsafe extern "C" {
    safe fn ct_two_part() -> bool;
}

struct Two;

impl kernel::Module for Two {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let message = OutMessage::new(CbId { idx: 41, val: 1 }, b"");
        let sent = send(&message, Destination::Registered, GFP_KERNEL);
        // Nobody registered the id.
        if sent.is_ok() || ct_two_part() {
            return Err(EINVAL);
        }
        Ok(Self)
    }
}
