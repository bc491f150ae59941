// SPDX-License-Identifier: GPL-2.0

//! `ct_churn`: registers and unregisters as many ids as it is told, one after the other, while it is
//! loaded: different ones, or the same again and again, for which it waits while others have it.

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
    name: "ct_churn",
    authors: ["The rust_connector authors"],
    description: "Test: many ids that come and go",
    license: "GPL",
    params: {
        idx: u32 {
            default: 34,
            description: "the idx of each id (default: 34)",
        },
        val: u32 {
            default: 0,
            description: "the val of the first id (default: 0)",
        },
        ids: u32 {
            default: 1,
            description: "how many different ids (default: 1)",
        },
        rounds: u32 {
            default: 1,
            description: "how often all of them (default: 1)",
        },
    },
}

struct Silent;

impl Handler for Silent {
    fn handle(&self, _message: &Message<'_>, _sender: &Sender<'_>) {}
}

/// Registers an id, if need be when others have given it back.
fn register_when_free(id: CbId) -> Result<Registration<Silent>> {
    loop {
        match Registration::new(id, c"ct_churn", Silent) {
            Err(EINVAL) => fsleep(Delta::from_micros(50)),
            other => return other,
        }
    }
}

struct Module;

impl kernel::Module for Module {
    #[expect(
        clippy::clone_on_copy,
        reason = "value() is a reference before Linux 7.3"
    )]
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let idx = module_parameters::idx.value().clone();
        let first = module_parameters::val.value().clone();
        let ids = module_parameters::ids.value().clone();
        for _ in 0..module_parameters::rounds.value().clone() {
            for val in (0..ids).filter_map(|at| first.checked_add(at)) {
                drop(register_when_free(CbId { idx, val })?);
            }
        }
        Ok(Self)
    }
}
