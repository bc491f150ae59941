// SPDX-License-Identifier: GPL-2.0

//! How threads sleep, as loom can follow it. Nobody's time is ever up.

use std::time::Duration;

pub(crate) use loom::thread::{Thread, current};

#[track_caller]
pub(crate) fn park() {
    kernel::trace(|| "sleep".to_owned());
    loom::thread::park();
}

pub(crate) fn park_timeout(_most: Duration) {
    park();
}
