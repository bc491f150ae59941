// SPDX-License-Identifier: GPL-2.0

//! Fuzzes [`fuzz_properties::payload`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz_properties::payload(bytes));
