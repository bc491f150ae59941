// SPDX-License-Identifier: GPL-2.0 OR MIT

//! How threads sleep and are woken: the standard library's way. A file, so that a model checker can
//! have another one in its place.

pub(crate) use std::thread::{Thread, current, park, park_timeout};
