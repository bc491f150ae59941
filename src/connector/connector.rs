// SPDX-License-Identifier: GPL-2.0

//! The Linux kernel connector for Rust modules.
//!
//! The connector is a netlink protocol through which a kernel module and userspace exchange small
//! messages. A module registers a [`CbId`]; userspace sends messages to that id; the module
//! answers the sender, or broadcasts to a multicast [`Group`]. This crate is `rust_connector.ko`:
//! it owns every call into the C core, so that modules that build on it need no `unsafe`. Where the
//! kernel has no connector built in, the crate is the core as well, and the module is `cn.ko`: a module
//! that builds on it does not know which of the two it is on.
//!
//! - A service is a type that implements [`Handler`]; a [`Registration`] makes it reachable.
//! - What arrives is a [`Message`], who sent it a [`Sender`], which can [`reply`](Sender::reply).
//! - Messages that answer nobody go out with a [`Broadcaster`], or with [`send`], [`send_multi`] and
//!   [`send_filtered`].
//! - A [`Periodic`] does something again and again, until it is dropped.
//!
//! # Examples
//!
//! A whole module: it returns to every sender what it was sent.
//!
//! ```
//! use connector::{CbId, Handler, Message, Registration, Sender};
//! use kernel::prelude::*;
//!
//! struct Echo;
//!
//! impl Handler for Echo {
//!     fn handle(&self, message: &Message<'_>, sender: &Sender<'_>) {
//!         // A reply that finds no room is dropped and counted; the client is told.
//!         let _ = sender.reply(message, message.data());
//!     }
//! }
//!
//! struct MyModule {
//!     _echo: Registration<Echo>,
//! }
//!
//! impl kernel::Module for MyModule {
//!     fn init(_module: &'static ThisModule) -> Result<Self> {
//!         Ok(Self {
//!             _echo: Registration::new(CbId { idx: 16, val: 1 }, c"echo", Echo)?,
//!         })
//!     }
//! }
//! ```
//!
//! With a `module!` macro on top this is all of `src/echo/cn_echo.rs`. `samples/standalone` is a
//! module in a tree of its own.
//!
//! # Unloading
//!
//! In C, `cn_del_callback()` returns while the callback may still run, and a module that goes then
//! takes the code away from under it. Here three things keep that from happening:
//!
//! 1. Dropping a [`Registration`] waits until no handler of it runs any more.
//! 2. A module that goes without dropping its registrations has them taken away by a module
//!    notifier: see `unload.rs`.
//! 3. The only function that the C core calls is in this module, and this module cannot go while
//!    a module that uses it is loaded. When it goes, it waits for tasks that the core may have
//!    sent here and that have not arrived: see `Core` in `cores/c.rs`. Where it is the core itself,
//!    it cannot go while a socket of the connector is open: see `cores/own.rs`.
//!
//! C header: [`include/linux/connector.h`](srctree/include/linux/connector.h)
// kbuild says it with -Zcrate-attr, which older versions of `rustdoc --test` do not see.
#![cfg_attr(doctest, no_std)]

mod bindings;
mod broadcaster;
pub mod changes;
mod closed;
mod context;
mod cores;
mod debugfs;
mod dispatch;
mod error;
mod gfp;
mod going;
mod grace;
mod home;
mod in_place;
mod job;
mod layout;
#[cfg(connector_kunit)]
#[path = "../../tests/kunit/going.rs"]
mod left;
mod message;
mod name;
#[cfg(not(CONFIG_CONNECTOR = "y"))]
mod net {
    pub(crate) mod netlink;
}
mod nlmsg;
mod notifier;
mod parms;
mod parts;
mod periodic;
mod registration;
mod registry;
mod send;
mod sender;
mod service;
mod slot;
mod socket;
mod started;
mod stats;
#[cfg(connector_kunit)]
#[path = "../../tests/kunit/suites.rs"]
mod suites;
mod table;
mod text;
mod unicast;
mod unload;
mod usage;

use kernel::prelude::*;

pub use connector_wire as wire;
pub use connector_wire::{
    CbId,
    Group,
    Header, //
};

use self::parts::Parts;
pub use self::{
    broadcaster::Broadcaster,
    error::SendError,
    message::Message,
    periodic::Periodic,
    registration::{
        Handler,
        Registration, //
    },
    send::{
        send,
        send_filtered,
        send_multi,
        Batch,
        Destination,
        Listener,
        OutMessage, //
    },
    sender::{
        Capability,
        Kgid,
        Sender, //
    },
    socket::Socket,
};

// Without TASKS_RCU nothing tells when a task that was preempted between the core's look-up and our
// `dispatch` has gone on, see `Core` in `cores/c.rs`. Any of KPROBES, FUNCTION_TRACER or BPF_SYSCALL
// selects it.
#[cfg(all(CONFIG_CONNECTOR = "y", CONFIG_PREEMPTION, not(CONFIG_TASKS_RCU)))]
compile_error!(
    "rust_connector on a preemptible kernel needs CONFIG_TASKS_RCU (enable CONFIG_KPROBES)"
);

#[cfg(CONFIG_CONNECTOR = "y")]
module! {
    type: Connector,
    name: "rust_connector",
    authors: ["The rust_connector authors"],
    description: "The kernel connector for Rust modules",
    license: "GPL",
}

// In the place of the kernel's own; its other names are in `cores/own/c_api.c`.
#[cfg(not(CONFIG_CONNECTOR = "y"))]
module! {
    type: Connector,
    name: "cn",
    authors: ["The rust_connector authors"],
    description: "The kernel connector, in Rust",
    license: "GPL",
    params: {
        groups: u32 {
            default: 32,
            description: "how many groups there are, from 32 to 65536 (default: 32)",
        },
    },
}

/// The module: its parts exist while it is loaded.
#[pin_data]
struct Connector {
    #[pin]
    parts: Parts,
}

impl kernel::InPlaceModule for Connector {
    fn init(_module: &'static ThisModule) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            // SAFETY: A module is initialised once, and no other function of this crate can run
            // before that: a user of its symbols is loaded only after this returned. There is
            // nothing else that could fail, and the module is dropped when it goes.
            parts <- unsafe { Parts::new() },
        })
    }
}
