// SPDX-License-Identifier: GPL-2.0

//! Where a line has its priority: what the kernel calls a warning, and is harmless here.

use std::sync::LazyLock;

use regex::RegexSet;

/// KERN_ERR. Lower is worse.
pub const ERROR: u32 = 3;
/// KERN_WARNING.
pub const WARNING: u32 = 4;

/// Each with its reason. Whatever else comes at this level is trouble.
const HARMLESS: &[&str] = &[
    // Modules outside of the kernel's tree, without a signature, are what is tested.
    r"^\S+: loading (?:out-of-tree|test) module taints kernel\.$",
    // What these modules warn of is provoked by tests, which look for it themselves.
    r"^(?:rust_connector|connector_kunit|cn|c[nt]_\w+): ",
    // The same by a connector that is a part of the kernel, which has one name for all of its Rust.
    r"^rust_kernel: .+ goes and left \S+ registered: ",
    r"^rust_kernel: a module goes and left a \w+: it was never dropped$",
    // What programs send, for a test of what comes of it; to whichever ids there are.
    r"^Zero length message leads to an empty skb$",
    r"^device-mapper: dm-log-userspace: Incomplete message received ",
    // A mirror of disks that are not there, whose log is what a test is about.
    r"^device-mapper: (?:table: \S+ mirror: Device lookup failure|ioctl: error adding target to table)",
    // How fast the host is, above all where it emulates the machine.
    r"^workqueue: \S+ hogged CPU for >\d+us \d+ times",
    r"^(?:clocksource: |tsc: |TSC found unstable after boot)",
    r"^CE: \S+ increased min_delta_ns to \d+ nsec$",
    r"^hrtimer: interrupt took \d+ ns$",
    r"^perf: interrupt took too long",
    r"^sched: RT throttling activated$",
    // KUnit's remark on what took two seconds, which on a busy machine may be anything.
    r"^\s*# \S+: Test should be marked slow ",
    // What a rate limit left out is more of what came before.
    r"^\S+: \d+ callbacks suppressed$",
    // Where allocations are made to fail, they do.
    r"^Failed to create new callback queue\.$",
    r"^debugfs: out of free dentries, ",
    r"^kmemleak: Cannot allocate a scan area, scanning the full object$",
    r"^\d+ pages (?:cma reserved|hwpoisoned)$",
    r"^SLUB: Unable to allocate memory on CPU \d+",
    r"^  (?:cache: .*, object size: |node \d+: slabs: |.* debugging increased min order)",
];

/// Whether a warning with these words is known to be harmless.
pub fn is_harmless(message: &str) -> bool {
    static SET: LazyLock<RegexSet> =
        LazyLock::new(|| RegexSet::new(HARMLESS).expect("they are constants"));
    // An empty line is a paragraph's.
    message.trim().is_empty() || SET.is_match(message)
}
