// SPDX-License-Identifier: GPL-2.0

//! Something that a module does again and again, in process context, for as long as it wants: a
//! [`Job`] with a period.

use kernel::{
    prelude::*,
    time::{
        msecs_to_jiffies,
        Delta,
        Jiffies,
        Msecs, //
    },
};

use crate::{
    job::{
        Item,
        Job,
        Kind,
        Run, //
    },
    started, //
};

/// Calls a closure again and again, until it is dropped.
///
/// The closure is called in process context and may sleep; one call at a time, from different CPUs.
/// The first call comes after one period, and each one that period after the last one has returned; each
/// may be late by a jiffy and by an eighth of the period, as the kernel's timers are. No lock is held.
///
/// # Dropping it waits
///
/// Dropping it waits until the closure is not called any more, and drops the closure; may sleep. So it must
/// not happen under a lock that the closure takes, which lockdep does not see; and two closures that drop
/// each other at the same time wait for each other, forever. In the closure itself there is no waiting: the
/// call that drops it is the last one, and the closure is dropped when that has returned.
///
/// If it is never dropped, it ends with the module that made it.
///
/// # Examples
///
/// ```
/// use connector::{Broadcaster, CbId, Periodic};
/// use kernel::{prelude::*, time::Delta};
///
/// /// Sends a sign of life every second.
/// fn heartbeat() -> Result<Periodic> {
///     let broadcaster = Broadcaster::new(CbId { idx: 20, val: 1 })?;
///     Periodic::new(Delta::from_secs(1), move || {
///         // That it could not be sent shows as a gap.
///         let _ = broadcaster.send(b"alive");
///     })
/// }
/// ```
pub struct Periodic {
    _job: Job,
}

impl Periodic {
    /// Calls `f` every `period`, which has milliseconds and is from one to `i32::MAX`, 24 days; what is not
    /// is taken for the nearest that is.
    ///
    /// May sleep.
    ///
    /// # Errors
    ///
    /// - `ENOMEM`: no memory.
    /// - `EAGAIN`: the connector is not up yet.
    /// - `EBUSY`: there are 2048 of these and of [`Watch`](crate::changes::Watch)es in this kernel.
    /// - `ENODEV`: the closure's module is going, its exit function has returned, and what calls this is
    ///   something that it left behind. The closure is leaked as well: to drop it might be to try again.
    pub fn new<F: FnMut() + Send + 'static>(period: Delta, f: F) -> Result<Self> {
        started::check()?;
        // CAST: Just made to fit. What is negative as an `int` is forever in C.
        let millis = period.as_millis().clamp(1, i32::MAX.into()) as Msecs;
        let period = msecs_to_jiffies(millis);
        let job = Job::new(Closure { f, period })?;
        job.queue(period);
        Ok(Self { _job: job })
    }
}

/// What is called, and how often.
struct Closure<F> {
    f: F,
    period: Jiffies,
}

impl<F: FnMut() + Send + 'static> Run for Closure<F> {
    const KIND: Kind = Kind::Periodic;

    fn run(&mut self, _item: &Item) -> Option<Jiffies> {
        (self.f)();
        Some(self.period)
    }
}
