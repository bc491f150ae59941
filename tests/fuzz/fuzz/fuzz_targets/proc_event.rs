// SPDX-License-Identifier: GPL-2.0

//! Fuzzes [`fuzz_properties::proc_event`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz_properties::proc_event(bytes));
