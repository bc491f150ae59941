// SPDX-License-Identifier: GPL-2.0

//! `ct_leak_static`: goes, or fails to load, while its registration of `30:4` is in its own static
//! data and never dropped.

use core::mem::MaybeUninit;

use connector::{
    CbId,
    Handler,
    Message,
    Registration,
    Sender, //
};
use kernel::prelude::*;

module! {
    type: Module,
    name: "ct_leak_static",
    authors: ["The rust_connector authors"],
    description: "Test: a registration that is leaked in static data",
    license: "GPL",
    params: {
        fail: u32 {
            default: 0,
            description: "whether loading the module fails after it registered (default: 0)",
        },
    },
}

/// Answers with what it holds, so that a call after its memory went would show.
struct Holder([u8; 16]);

impl Handler for Holder {
    fn handle(&self, message: &Message<'_>, sender: &Sender<'_>) {
        let _ = sender.reply(message, &self.0);
    }
}

/// The module's static data. A [`MaybeUninit`] does not drop what is in it.
struct Module {
    _leaked: MaybeUninit<Registration<Holder>>,
}

impl kernel::Module for Module {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        #[expect(
            clippy::clone_on_copy,
            reason = "value() is a reference before Linux 7.3"
        )]
        let fail = module_parameters::fail.value().clone() != 0;
        let leaked = MaybeUninit::new(Registration::new(
            CbId { idx: 30, val: 4 },
            c"ct_leak_static",
            Holder(*b"the handler's 16"),
        )?);
        if fail {
            return Err(ENXIO);
        }
        Ok(Self { _leaked: leaked })
    }
}
