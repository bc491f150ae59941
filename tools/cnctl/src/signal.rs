// SPDX-License-Identifier: GPL-2.0

//! Ctrl-C and its kin, handled by a thread, so that no system call of the work is interrupted.

use std::thread;

use nix::sys::signal::{SigSet, Signal};

use crate::Failure;

/// Has a thread wait for SIGINT, SIGTERM and SIGHUP; the first one runs `end`, the second one ends
/// the process at once.
///
/// Must be called before other threads are started: they inherit that these signals are blocked.
///
/// # Errors
///
/// When the signals cannot be blocked or the thread cannot be started.
pub(crate) fn on_end(end: impl FnOnce() + Send + 'static) -> Result<(), Failure> {
    let mut signals = SigSet::empty();
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        signals.add(signal);
    }
    signals.thread_block()?;
    thread::Builder::new()
        .name("signals".into())
        .spawn(move || {
            if signals.wait().is_ok() {
                // From here on they do what they do by default: end the process.
                let _ = signals.thread_unblock();
                end();
            }
        })?;
    Ok(())
}
