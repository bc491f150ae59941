// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The userspace end of the Linux kernel connector (`NETLINK_CONNECTOR`).
//!
//! The connector carries messages between kernel modules and programs. A module registers a
//! [`CbId`]; a program sends to that id, and the module answers or broadcasts to a multicast
//! [`Group`]. This crate is the program's side: a [`Connector`] is a socket that sends, receives,
//! asks and waits for the answer, and listens.
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use netlink_connector::{CbId, Connector};
//!
//! let connector = Connector::open()?;
//! let request = connector.header(CbId { idx: 16, val: 1 });
//! let reply = connector.request(&request, b"hello", Duration::from_secs(1))?;
//! assert!(reply.header.is_reply_to(&request));
//! # Ok::<(), netlink_connector::Error>(())
//! ```
//!
//! # What the connector does not do
//!
//! The kernel's own does not confirm anything. It drops a message to an id that nobody registered,
//! one that is too large, or one whose lengths lie, and `sendmsg(2)` reports success; a reply that
//! finds a full receive buffer is gone. This crate therefore never waits without telling why it
//! gave up ([`Error::TimedOut`]) and never hides a loss ([`Event::Overrun`]).
//!
//! The connector of `rust_connector`, where that is in the kernel's place, acknowledges a message whose
//! sender asks for it. Requests do, so that one to an id that nobody registered is an error at once
//! ([`Error::NotRegistered`]); and so does [`Connector::send_acknowledged`]. [`Core::find`] says which of
//! the two there is.
//!
//! # Features and minimum Rust version
//!
//! - `tokio`: `AsyncConnector`, the same socket for asynchronous programs. Off by default.
//!
//! Rust 1.85, the minimum of the kernel's own Rust code.

#![forbid(unsafe_code)]

mod ack;
mod batch;
mod call;
mod connector;
mod deadline;
mod error;
mod event;
mod exchange;
mod frame;
mod gaps;
mod interrupter;
pub mod known;
mod listener;
mod message;
pub mod notify;
mod overrun;
mod payload;
mod probe;
pub mod proc;
mod processes;
mod procfs;
mod reader;
mod receive;
mod request;
mod socket;
mod thread;
#[cfg(feature = "tokio")]
mod tokio;

pub use connector_wire::{
    CbId,
    Group,
    Header,
    MAX_DATA_SIZE,
    MAX_MESSAGE_SIZE,
    NotAGroup,
    NotAnId,
    RawMessage,
    notify::Range,
    outcome, //
};

pub use self::{
    batch::Batch,
    connector::{Builder, Connector},
    deadline::Deadline,
    error::{Error, Result},
    event::Event,
    frame::{Malformed, Reason, parse_datagram},
    gaps::{Gap, Gaps},
    interrupter::Interrupter,
    message::Message,
    overrun::{Cause, Overrun},
    payload::Payload,
    probe::Core,
    proc::ProcEvent,
    processes::ProcEvents,
    procfs::{Registered, SocketInfo, registered, sockets},
    receive::RecvBatch,
};

#[cfg(feature = "tokio")]
pub use self::tokio::{AsyncConnector, EventStream, ProcEventStream};
