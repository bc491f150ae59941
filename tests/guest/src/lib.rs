// SPDX-License-Identifier: GPL-2.0

//! What the VM and its runner (tests/runner) have to agree on: the marks between which a suite
//! lies, and the troubles that are made up to see that the runner finds them.

pub mod counts;
pub mod injection;
pub mod mark;

pub use counts::{Checker, Counts};
pub use injection::{Injection, Place};
pub use mark::{Mark, What};
