// SPDX-License-Identifier: GPL-2.0

//! Models for loom: what tasks do with the shipped files of the crate `connector`, in all
//! interleavings. The files are compiled here as they are. What they use of the kernel is in
//! `kernel/`; what they use of the rest of the crate is in `rest.rs`, and does nothing.

// Not all that the files have is used here, and what is unsafe in the kernel need not be.
#![allow(dead_code, missing_docs, unused_imports, unused_unsafe)]

#[path = "../../../src/connector/cores/own/calls.rs"]
mod calls;
mod changes;
#[path = "../../../src/connector/dispatch.rs"]
mod dispatch;
#[path = "../../../src/connector/going.rs"]
mod going;
#[path = "../../../src/connector/job.rs"]
mod job;
#[path = "../../../src/connector/name.rs"]
mod name;
#[path = "../../../src/connector/registry.rs"]
// A loop in it ends by returning; the kernel's clippy does not mind.
#[allow(clippy::while_immutable_condition)]
mod registry;
mod rest;
#[path = "../../../src/connector/service.rs"]
mod service;
#[path = "../../../src/connector/slot.rs"]
mod slot;
#[path = "../../../src/connector/stats.rs"]
mod stats;
#[path = "../../../src/connector/table.rs"]
mod table;
#[path = "../../../src/connector/usage.rs"]
mod usage;

mod models;

pub use models::{Model, MODELS};

// As the crate has them at its root.
use connector_wire as wire;
use rest::{bindings, cores, grace, layout, text, Periodic, SendError};
use wire::{CbId, Group};
