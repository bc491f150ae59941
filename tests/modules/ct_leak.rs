// SPDX-License-Identifier: GPL-2.0

//! `ct_leak`: goes, or fails to load, while its registration of `30:3` is in memory of its own.
//!
//! A message `nap` is answered with `in` and, after a sleep of 300 ms, with `out`; any other one
//! with `out` at once.

use core::mem::forget;

use connector::{
    CbId,
    Handler,
    Message,
    Registration,
    Sender, //
};
use kernel::{
    prelude::*,
    time::{
        delay::fsleep,
        Delta, //
    },
};

module! {
    type: Module,
    name: "ct_leak",
    authors: ["The rust_connector authors"],
    description: "Test: a registration that is leaked",
    license: "GPL",
    params: {
        leak: u32 {
            default: 1,
            description: "whether to leak the registration (default: 1)",
        },
        fail: u32 {
            default: 0,
            description: "whether loading the module fails then (default: 0)",
        },
    },
}

struct Napper;

impl Handler for Napper {
    fn handle(&self, message: &Message<'_>, sender: &Sender<'_>) {
        if message.data() == b"nap" {
            let _ = sender.reply(message, b"in");
            fsleep(Delta::from_millis(300));
        }
        let _ = sender.reply(message, b"out");
    }
}

struct Module;

impl kernel::Module for Module {
    #[expect(
        clippy::clone_on_copy,
        reason = "value() is a reference before Linux 7.3"
    )]
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let leak = module_parameters::leak.value().clone() != 0;
        let fail = module_parameters::fail.value().clone() != 0;
        let registration = Registration::new(CbId { idx: 30, val: 3 }, c"ct_leak", Napper)?;
        if leak {
            forget(registration);
        }
        if fail {
            return Err(ENXIO);
        }
        Ok(Self)
    }
}
