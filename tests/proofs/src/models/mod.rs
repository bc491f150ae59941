// SPDX-License-Identifier: GPL-2.0

//! The models, by name.

mod callback;
mod job;
mod registry;
mod slot;
mod table;
mod used;

use crate::changes::{list_models, ring_models};

pub use kernel::Model;

/// All of them.
pub const MODELS: &[&[Model]] = &[
    slot::MODELS,
    table::MODELS,
    registry::MODELS,
    callback::MODELS,
    job::MODELS,
    list_models::MODELS,
    ring_models::MODELS,
];
