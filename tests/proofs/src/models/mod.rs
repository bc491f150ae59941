// SPDX-License-Identifier: GPL-2.0

//! The models, by name.

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
    list_models::MODELS,
    ring_models::MODELS,
];
