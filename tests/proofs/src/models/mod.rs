// SPDX-License-Identifier: GPL-2.0

//! The models, by name.

mod registry;
mod slot;
mod table;
mod used;

use crate::changes::{list_models, ring_models};

/// A property, and what shows it.
pub struct Model {
    /// What the README's table calls it.
    pub name: &'static str,
    /// What holds.
    pub property: &'static str,
    /// How many CPUs there are for the tasks.
    pub cpus: u32,
    /// How many tasks are taken away from what they do, at most; without a number, all there are.
    pub preemptions: Option<usize>,
    /// One interleaving.
    pub run: fn(),
}

/// All of them.
pub const MODELS: &[&[Model]] = &[
    slot::MODELS,
    table::MODELS,
    registry::MODELS,
    list_models::MODELS,
    ring_models::MODELS,
];
