// SPDX-License-Identifier: GPL-2.0

//! `ct_sender`: answers a message to `30:5` with who its [`Sender`] says it comes from.
//!
//! The answer is six numbers: port, pid, uid, gid, and whether the sender has `CAP_NET_ADMIN` and
//! `CAP_SYS_ADMIN`.

use connector::{
    Capability,
    CbId,
    Handler,
    Message,
    Registration,
    Sender, //
};
use kernel::prelude::*;

module! {
    type: Module,
    name: "ct_sender",
    authors: ["The rust_connector authors"],
    description: "Test: who sent a message",
    license: "GPL",
}

struct Introducer;

impl Handler for Introducer {
    fn handle(&self, message: &Message<'_>, sender: &Sender<'_>) {
        let facts = [
            sender.portid(),
            sender.pid(),
            sender.uid().into_raw().val,
            sender.gid().into_raw().val,
            sender.capable(Capability::NET_ADMIN).into(),
            sender.capable(Capability::SYS_ADMIN).into(),
        ];
        let mut bytes = [0; 24];
        for (to, fact) in bytes.chunks_exact_mut(4).zip(facts) {
            to.copy_from_slice(&fact.to_ne_bytes());
        }
        let _ = sender.reply(message, &bytes);
    }
}

struct Module {
    _introducer: Registration<Introducer>,
}

impl kernel::Module for Module {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        Ok(Self {
            _introducer: Registration::new(CbId { idx: 30, val: 5 }, c"ct_sender", Introducer)?,
        })
    }
}
