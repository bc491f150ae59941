// SPDX-License-Identifier: GPL-2.0

//! `cn_echo`: returns every message to its sender.
//!
//! The reply has the request's id, `seq` and data, and its `ack` plus one. `cnctl ping` talks to
//! it.

use connector::{
    CbId,
    Handler,
    Message,
    Registration,
    Sender, //
};
use kernel::prelude::*;

module! {
    type: CnEcho,
    name: "cn_echo",
    authors: ["The rust_connector authors"],
    description: "Echo service on the kernel connector",
    license: "GPL",
    params: {
        idx: u32 {
            default: 16,
            description: "idx of the id to answer on (default: 16)",
        },
        val: u32 {
            default: 1,
            description: "val of the id to answer on (default: 1)",
        },
    },
}

struct Echo;

impl Handler for Echo {
    fn handle(&self, message: &Message<'_>, sender: &Sender<'_>) {
        // A reply that could not be sent is counted, and the client sees that it is missing: there
        // is nobody else to tell.
        let _ = sender.reply(message, message.data());
    }
}

struct CnEcho {
    _echo: Registration<Echo>,
}

impl kernel::Module for CnEcho {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        #[expect(
            clippy::clone_on_copy,
            reason = "value() is a reference before Linux 7.3"
        )]
        let id = CbId {
            idx: module_parameters::idx.value().clone(),
            val: module_parameters::val.value().clone(),
        };
        let echo = Registration::new(id, c"cn_echo", Echo).inspect_err(|&error| {
            if error == EINVAL {
                pr_err!("cannot register {id}: it is taken, or reserved\n");
            }
        })?;
        Ok(Self { _echo: echo })
    }
}
