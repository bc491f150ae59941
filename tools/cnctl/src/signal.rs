// SPDX-License-Identifier: GPL-2.0

//! Ctrl-C and its kin, handled by a thread, so that no system call of the work is interrupted.
//!
//! A signal that was ignored when the program was started stays ignored: `nohup` and a shell's `&`
//! mean that.

use std::{fs, thread};

use nix::sys::signal::{SigSet, Signal};

use crate::outcome::Failure;

/// The signals that end a program in order.
const ENDS: [Signal; 4] = [
    Signal::SIGINT,
    Signal::SIGTERM,
    Signal::SIGHUP,
    Signal::SIGQUIT,
];

/// Has a thread wait for SIGINT, SIGTERM, SIGHUP and SIGQUIT; the first one runs `end`, the second
/// one ends the process at once.
///
/// Must be called before other threads are started: they inherit that these signals are blocked.
///
/// # Errors
///
/// When the signals cannot be blocked or the thread cannot be started.
pub(crate) fn on_end(end: impl FnOnce() + Send + 'static) -> Result<(), Failure> {
    wait(SigSet::empty(), || {}, end)
}

/// As [`on_end`]; but SIGQUIT runs `show` each time, instead of ending the process.
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

/// Has a thread wait for the signals that end the process, of which those in `others` do not.
fn wait(
    others: SigSet,
    show: impl Fn() + Send + 'static,
    end: impl FnOnce() + Send + 'static,
) -> Result<(), Failure> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = ignored(&status);
    let mut signals = SigSet::empty();
    for signal in ENDS {
        if ignored & bit(signal) == 0 {
            signals.add(signal);
        }
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
        })
        .map_err(|error| {
            format!("cannot start the thread for signals: {error}; see ulimit -u, -v, and TasksMax= of a systemd unit")
        })?;
    Ok(())
}

/// The signals that are ignored, from `/proc/PID/status`: bit 0 is signal 1.
fn ignored(status: &str) -> u64 {
    status
        .lines()
        .find_map(|line| u64::from_str_radix(line.strip_prefix("SigIgn:")?.trim(), 16).ok())
        .unwrap_or(0)
}

fn bit(signal: Signal) -> u64 {
    1 << (signal as u32 - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignored_signals_are_read_from_the_mask() {
        let status = "Name:\tx\nSigBlk:\t0000000000000007\nSigIgn:\t0000000000001001\n";
        assert_ne!(ignored(status) & bit(Signal::SIGHUP), 0);
        assert_eq!(ignored(status) & bit(Signal::SIGINT), 0);
        assert_eq!(ignored(""), 0);
    }
}
