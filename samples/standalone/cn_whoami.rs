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
            sender.uid(),
            sender.gid(),
            if sender.capable(Capability::NET_ADMIN) {
                "yes"
            } else {
                "no"
            }
        );
        let len = text.bytes_written();
        if let Err(error) = sender.reply(message, buffer.get(..len).unwrap_or_default()) {
            pr_info!("no reply to port {}: {error:?}\n", sender.portid());
        }
    }
}

#[pin_data]
struct CnWhoami {
    // Dropped with the module: the id goes, and whoever is inside the handler is waited for.
    #[pin]
    registration: Registration<Whoami>,
}

impl kernel::InPlaceModule for CnWhoami {
    fn init(module: &'static ThisModule) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            registration <- Registration::new(module, CbId { idx: 30, val: 1 }, c"cn_whoami", Whoami),
        })
    }
}
