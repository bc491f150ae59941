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
    wait(SigSet::empty(), || {}, end)
}

/// As [`on_end`]; and SIGQUIT runs `show` each time, instead of ending the process.
///
/// # Errors
///
/// Those of [`on_end`].
pub(crate) fn on_quit_or_end(
    show: impl Fn() + Send + 'static,
    end: impl FnOnce() + Send + 'static,
) -> Result<(), Failure> {
    wait(SigSet::from(Signal::SIGQUIT), show, end)
}

/// Has a thread wait for the signals that end the process, and for those in `others`.
fn wait(
    others: SigSet,
    show: impl Fn() + Send + 'static,
    end: impl FnOnce() + Send + 'static,
) -> Result<(), Failure> {
    let mut signals = others;
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        signals.add(signal);
    }
    signals.thread_block()?;
    thread::Builder::new()
        .name("signals".into())
        .spawn(move || {
            while let Ok(signal) = signals.wait() {
                if others.contains(signal) {
                    show();
                    continue;
                }
                // From here on they do what they do by default: end the process.
                let _ = signals.thread_unblock();
                return end();
            }
        })?;
    Ok(())
}
