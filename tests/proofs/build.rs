// SPDX-License-Identifier: GPL-2.0

//! The kernel's configuration: that in which the shipped files say most of what they rely on.

fn main() {
    // Loads that something depends on are Acquire then: loom knows no dependencies.
    println!("cargo::rustc-cfg=CONFIG_LTO");
    println!("cargo::rustc-cfg=CONFIG_SMP");
    // A ring that is full soon.
    println!("cargo::rustc-cfg=connector_proofs");
    println!("cargo::rerun-if-changed=build.rs");
}
