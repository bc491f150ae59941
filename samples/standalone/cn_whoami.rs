// SPDX-License-Identifier: GPL-2.0

//! `cn_whoami`: tells the sender of a message who it is, as the kernel sees it, and whoever listens
//! who has asked.
//!
//! What a module outside of the rust_connector tree looks like, whole: it has state, replies and
//! broadcasts. Try it with `cnctl send cn_whoami --wait`.

use connector::{
    Broadcaster,
    Capability,
    CbId,
    Handler,
    Message,
    Registration,
    Sender, //
};
use kernel::{
    prelude::*,
    str::CString,
    sync::atomic::{
        Atomic,
        Relaxed, //
    },
};

module! {
    type: CnWhoami,
    name: "cn_whoami",
    authors: ["You"],
    description: "Sample: a module of its own that builds on rust_connector",
    license: "GPL",
}

/// Up to 32, so that the idx is the number of a group; and even, so that listening to it takes
/// `CAP_NET_ADMIN`.
const ID: CbId = CbId { idx: 30, val: 1 };

struct Whoami {
    asked: Atomic<u64>,
    listeners: Broadcaster,
}

impl Whoami {
    fn answer(&self, message: &Message<'_>, sender: &Sender<'_>) -> Result {
        let asked = self.asked.fetch_add(1, Relaxed) + 1;
        let net_admin = sender.capable(Capability::NET_ADMIN);
        let told = CString::try_from_fmt(fmt!("portid={}", sender.portid()))?;
        let reply = CString::try_from_fmt(fmt!(
            "{} pid={} uid={} gid={} net_admin={} asked={asked}",
            &*told,
            sender.pid(),
            sender.uid().into_raw().val,
            sender.gid().into_raw().val,
            if net_admin { "yes" } else { "no" }
        ))?;
        self.listeners.send(told.to_bytes())?;
        Ok(sender.reply(message, reply.to_bytes())?)
    }
}

impl Handler for Whoami {
    // Called in the sender's context, for every message to the id. May sleep, and run in several
    // tasks at a time.
    fn handle(&self, message: &Message<'_>, sender: &Sender<'_>) {
        // The client sees that its reply is missing, and one that finds no room is counted. To log it
        // would let anyone fill the log.
        let _ = self.answer(message, sender);
    }
}

struct CnWhoami {
    // Dropped with the module: the id goes, and whoever is inside the handler is waited for.
    _whoami: Registration<Whoami>,
}

impl kernel::Module for CnWhoami {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let whoami = Whoami {
            asked: Atomic::new(0),
            listeners: Broadcaster::new(ID)?,
        };
        Ok(Self {
            _whoami: Registration::new(ID, c"cn_whoami", whoami)?,
        })
    }
}
