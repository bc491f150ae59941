// SPDX-License-Identifier: GPL-2.0

//! `cn_whoami`: tells the sender of a message who it is, as the kernel sees it.
//!
//! What a module outside of the rust_connector tree looks like, whole. Try it with
//! `cnctl send 30:1 --wait`.

use core::fmt::Write;

use connector::{
    Capability,
    CbId,
    Handler,
    Message,
    Registration,
    Sender, //
};
use kernel::{
    prelude::*,
    str::Formatter, //
};

module! {
    type: CnWhoami,
    name: "cn_whoami",
    authors: ["You"],
    description: "Sample: a module of its own that builds on rust_connector",
    license: "GPL",
}

struct Whoami;

impl Handler for Whoami {
    // Called in the sender's context, for every message to the id. May sleep.
    fn handle(&self, message: &Message<'_>, sender: &Sender<'_>) {
        let mut buffer = [0; 96];
        let mut text = Formatter::new(&mut buffer);
        // It fits: four numbers of at most ten digits.
        let _ = write!(
            text,
            "portid={} pid={} uid={} gid={} net_admin={}",
            sender.portid(),
            sender.pid(),
            sender.uid().into_raw().val,
            sender.gid().into_raw().val,
            if sender.capable(Capability::NET_ADMIN) {
                "yes"
            } else {
                "no"
            }
        );
        let len = text.bytes_written();
        // That it could not be sent is counted, and the client sees that it is missing. To log it
        // would let anyone fill the log.
        let _ = sender.reply(message, buffer.get(..len).unwrap_or_default());
    }
}

struct CnWhoami {
    // Dropped with the module: the id goes, and whoever is inside the handler is waited for.
    _whoami: Registration<Whoami>,
}

impl kernel::Module for CnWhoami {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        Ok(Self {
            _whoami: Registration::new(CbId { idx: 30, val: 1 }, c"cn_whoami", Whoami)?,
        })
    }
}
