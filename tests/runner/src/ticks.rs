// SPDX-License-Identifier: GPL-2.0

//! How fast the host's time stamp counter counts.
//!
//! In software emulation the guest's counter is the host's. To find out how fast it counts, a kernel
//! compares it with emulated timers, which a busy host moves by jerks: guests came to a fifteenth or
//! to twice of what is true. Their clock, with all that waits for some time, then is as wrong.

use std::sync::OnceLock;

/// In kHz, measured once; `None` on a host whose counter an x86 guest would not see.
pub fn khz() -> Option<u64> {
    static KHZ: OnceLock<Option<u64>> = OnceLock::new();
    *KHZ.get_or_init(measure)
}

#[cfg(not(target_arch = "x86_64"))]
fn measure() -> Option<u64> {
    None
}

#[cfg(target_arch = "x86_64")]
fn measure() -> Option<u64> {
    use std::thread;
    use std::time::{Duration, Instant};

    // A task that loses its CPU between the two clocks would pair what does not belong together: of
    // many pairs the closest counts.
    let pair = || {
        let close = |_| {
            let before = Instant::now();
            // SAFETY: Every x86-64 CPU has the instruction, which reads a register.
            let ticks = unsafe { core::arch::x86_64::_rdtsc() };
            (before.elapsed(), before, ticks)
        };
        let (_, at, ticks) = (0..100).map(close).min()?;
        Some((at, ticks))
    };
    let (from, first) = pair()?;
    thread::sleep(Duration::from_millis(50));
    let (to, last) = pair()?;
    let micros = u64::try_from((to - from).as_micros()).ok()?;
    (last.checked_sub(first)? * 1000).checked_div(micros)
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;

    #[test]
    fn it_comes_to_the_same_each_time() {
        let (one, other) = (measure().unwrap(), measure().unwrap());
        assert!(
            one > 100_000 && one.abs_diff(other) < one / 100,
            "{one} and {other} kHz"
        );
    }
}
