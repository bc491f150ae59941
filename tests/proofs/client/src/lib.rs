// SPDX-License-Identifier: GPL-2.0

//! Models for loom of `netlink-connector`: threads that ask and receive on one socket. Its files are
//! compiled here as they are shipped, but for what sleeps: the socket, and the threads' own.

// Not all that the files have is used here.
#![allow(dead_code, missing_docs)]

#[path = "../../../../tools/netlink-connector/src/ack.rs"]
mod ack;
#[path = "../../../../tools/netlink-connector/src/batch.rs"]
mod batch;
#[path = "../../../../tools/netlink-connector/src/connector.rs"]
mod connector;
#[path = "../../../../tools/netlink-connector/src/deadline.rs"]
mod deadline;
#[path = "../../../../tools/netlink-connector/src/error.rs"]
mod error;
#[path = "../../../../tools/netlink-connector/src/event.rs"]
mod event;
#[path = "../../../../tools/netlink-connector/src/exchange.rs"]
mod exchange;
#[path = "../../../../tools/netlink-connector/src/frame.rs"]
mod frame;
#[path = "../../../../tools/netlink-connector/src/interrupter.rs"]
mod interrupter;
#[path = "../../../../tools/netlink-connector/src/listener.rs"]
mod listener;
#[path = "../../../../tools/netlink-connector/src/message.rs"]
mod message;
mod models;
#[path = "../../../../tools/netlink-connector/src/overrun.rs"]
mod overrun;
#[path = "../../../../tools/netlink-connector/src/payload.rs"]
mod payload;
#[path = "../../../../tools/netlink-connector/src/proc.rs"]
mod proc;
#[path = "../../../../tools/netlink-connector/src/procfs.rs"]
mod procfs;
#[path = "../../../../tools/netlink-connector/src/reader.rs"]
mod reader;
#[path = "../../../../tools/netlink-connector/src/receive.rs"]
mod receive;
#[path = "../../../../tools/netlink-connector/src/request.rs"]
mod request;
mod socket;
mod thread;

pub use models::MODELS;

// As the crate has them at its root.
pub use connector::Connector;
pub use error::Error;
