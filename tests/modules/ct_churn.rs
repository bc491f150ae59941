// SPDX-License-Identifier: GPL-2.0

//! `ct_churn`: registers and unregisters as many different ids as it is told, one after the other,
//! while it is loaded.

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
    name: "ct_churn",
    authors: ["The rust_connector authors"],
    description: "Test: many ids that come and go",
    license: "GPL",
    params: {
        ids: u32 {
            default: 1,
            description: "how many ids (default: 1)",
        },
    },
}

struct Silent;

impl Handler for Silent {
    fn handle(&self, _message: &Message<'_>, _sender: &Sender<'_>) {}
}

struct Module;

impl kernel::Module for Module {
    #[expect(
        clippy::clone_on_copy,
        reason = "value() is a reference before Linux 7.3"
    )]
    fn init(_module: &'static ThisModule) -> Result<Self> {
        for val in 0..module_parameters::ids.value().clone() {
            drop(Registration::new(
                CbId { idx: 34, val },
                c"ct_churn",
                Silent,
            )?);
        }
        Ok(Self)
    }
}
