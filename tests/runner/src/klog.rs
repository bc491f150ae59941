// SPDX-License-Identifier: GPL-2.0

//! Looks for trouble in a kernel log, whatever the tests themselves said.
//!
//! A log is text: the console's, or raw records, whose lines begin with a priority (`<4>`) as
//! `dmesg -r` and `/proc/kmsg` have them. What is trouble is told by words ([`rules`]); where there
//! are priorities, also by what the kernel calls a warning or worse and nobody knows to be harmless
//! ([`levels`]). [`events`] makes one trouble of the many lines of a report, [`line`] takes a line
//! apart, and [`taint`] is what is left when the log itself is lost.

mod events;
mod levels;
mod line;
mod rules;
mod taint;

pub use events::troubles;
pub use taint::bad_taint;

#[cfg(test)]
mod tests;
