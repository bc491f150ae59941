// SPDX-License-Identifier: GPL-2.0

//! `cnctl bench`: messages per second, and how long a round trip takes.

use std::{
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use connector_client::{Connector, Error};
use hdrhistogram::Histogram;

use crate::{
    Failure, Outcome,
    cli::{Bench, Global},
    output::{Object, Output},
    signal,
};

/// How long to wait for a reply before it counts as lost.
const LOST: Duration = Duration::from_secs(1);

/// To how many significant digits times are kept: 2 is to 1 %.
const DIGITS: u8 = 2;

pub(crate) fn run(args: &Bench, global: &Global) -> Result<Outcome, Failure> {
    let output = Output::new(global);
    let shared = Arc::new(Connector::open()?);
    // Fails before the measurement begins, if it must fail.
    shared.request(&shared.header(args.id), &[], LOST)?;

    let sockets: Vec<_> = (0..args.threads)
        .map(|_| match args.own_sockets {
            true => Connector::open().map(Arc::new),
            false => Ok(Arc::clone(&shared)),
        })
        .collect::<Result<_, _>>()?;
    let stop = Arc::new(AtomicBool::new(false));
    let ask_to_stop = {
        let stop = Arc::clone(&stop);
        let interrupters = sockets.iter().map(|socket| socket.interrupter());
        let interrupters = interrupters.collect::<Result<Vec<_>, _>>()?;
        move || {
            stop.store(true, Ordering::Relaxed);
            for interrupter in &interrupters {
                interrupter.interrupt();
            }
        }
    };
    signal::on_end(ask_to_stop)?;

    let (elapsed, total) =
        measure_all(&sockets, args, &stop).map_err(|failed| failed as Failure)?;
    report(output, args, elapsed, &total);
    Ok(match total.lost {
        0 => Outcome::Complete,
        _ => Outcome::Incomplete,
    })
}

/// Starts a thread for each socket, lets all of them begin at once, and waits for their end.
fn measure_all(
    sockets: &[Arc<Connector>],
    args: &Bench,
    stop: &AtomicBool,
) -> Result<(Duration, Times), Failed> {
    let gate = Gate::default();
    thread::scope(|scope| {
        let mut threads = Vec::with_capacity(sockets.len());
        for socket in sockets {
            let thread = thread::Builder::new().spawn_scoped(scope, || match gate.pass() {
                true => measure(socket, args, stop),
                false => Ok(Times::new()?),
            });
            match thread {
                Ok(thread) => threads.push(thread),
                Err(error) => {
                    // Those that have been started wait for it.
                    gate.open(false);
                    let number = threads.len() + 1;
                    return Err(format!(
                        "starting thread {number} of {}: {error}; a limit of the system's or of a \
                         cgroup's (ulimit -u, pids.max, memory.max) was reached: try fewer",
                        sockets.len()
                    )
                    .into());
                }
            }
        }
        gate.open(true);
        let start = Instant::now();
        let results: Vec<_> = threads.into_iter().map(|thread| thread.join()).collect();
        let elapsed = start.elapsed();
        let mut total = Times::new()?;
        for result in results {
            total.add_all(&result.map_err(|_| "a thread panicked")??)?;
        }
        Ok((elapsed, total))
    })
}

/// Where threads wait until all of them are there, or until it turns out that they never will be.
#[derive(Debug, Default)]
struct Gate {
    open: Mutex<Option<bool>>,
    opened: Condvar,
}

impl Gate {
    /// Waits until the gate is opened; returns whether to go on.
    fn pass(&self) -> bool {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match *open {
                Some(go_on) => return go_on,
                None => {
                    open = self
                        .opened
                        .wait(open)
                        .unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }

    fn open(&self, go_on: bool) {
        *self.open.lock().unwrap_or_else(PoisonError::into_inner) = Some(go_on);
        self.opened.notify_all();
    }
}

/// One thread's requests.
fn measure(socket: &Connector, args: &Bench, stop: &AtomicBool) -> Result<Times, Failed> {
    let data = vec![0x5a; args.size];
    let mut times = Times::new()?;
    let start = Instant::now();
    let mut before = start;
    for _ in 0..args.count.unwrap_or(u64::MAX) {
        match socket.request(&socket.header(args.id), &data, LOST) {
            Ok(_) => {
                let after = Instant::now();
                times.add(after - before);
                before = after;
            }
            Err(Error::TimedOut { .. }) => {
                times.lost += 1;
                before = Instant::now();
            }
            Err(Error::Interrupted) => break,
            Err(error) => return Err(error.into()),
        }
        let enough = args.count.is_none() && before - start >= args.time;
        if enough || stop.load(Ordering::Relaxed) {
            break;
        }
    }
    Ok(times)
}

/// Why a thread failed.
type Failed = Box<dyn std::error::Error + Send + Sync>;

fn report(output: Output, args: &Bench, elapsed: Duration, times: &Times) {
    let seconds = elapsed.as_secs_f64();
    let rate = (times.nanos.len() as f64 / seconds).round();
    // To the nanosecond.
    let us = |nanos: f64| nanos.round() / 1e3;
    let at = |share| us(times.nanos.value_at_quantile(share) as f64);
    // The largest that a bucket may hold is more than was measured.
    let max = us(times.max as f64);
    let at = |share| f64::min(at(share), max);
    let (min, average) = (us(times.min as f64), us(times.nanos.mean()));
    if output.json {
        output.line(
            Object::new("bench")
                .string("id", &args.id.to_string())
                .value("size", args.size)
                .value("threads", args.threads)
                .value("elapsed_ms", elapsed.as_nanos() as f64 / 1e6)
                .value("replies", times.nanos.len())
                .value("lost", times.lost)
                .value("per_second", rate)
                .value("min_us", min)
                .value("avg_us", average)
                .value("p50_us", at(0.5))
                .value("p90_us", at(0.9))
                .value("p99_us", at(0.99))
                .value("p999_us", at(0.999))
                .value("max_us", max),
        );
        return;
    }
    output.line(format_args!(
        "{} replies of {} bytes from {} in {seconds:.3} s: {rate} a second; {} lost",
        times.nanos.len(),
        args.size,
        args.id,
        times.lost
    ));
    output.line(format_args!(
        "round trip, µs: min {min:.1}  avg {average:.1}  50% {:.1}  90% {:.1}  99% {:.1}  \
         99.9% {:.1}  max {max:.1}",
        at(0.5),
        at(0.9),
        at(0.99),
        at(0.999),
    ));
}

/// How long round trips took, and how many replies were lost.
#[derive(Clone, Debug)]
struct Times {
    nanos: Histogram<u64>,
    /// As they were measured: the histogram rounds.
    min: u64,
    max: u64,
    lost: u64,
}

impl Times {
    fn new() -> Result<Self, Failed> {
        Ok(Self {
            nanos: Histogram::new(DIGITS)?,
            min: 0,
            max: 0,
            lost: 0,
        })
    }

    fn add(&mut self, time: Duration) {
        let nanos = time.as_nanos().try_into().unwrap_or(u64::MAX);
        self.min = match self.nanos.is_empty() {
            true => nanos,
            false => self.min.min(nanos),
        };
        self.max = self.max.max(nanos);
        // It grows as needed.
        let _ = self.nanos.record(nanos);
    }

    fn add_all(&mut self, other: &Self) -> Result<(), Failed> {
        self.min = match (self.nanos.is_empty(), other.nanos.is_empty()) {
            (true, _) => other.min,
            (_, true) => self.min,
            _ => self.min.min(other.min),
        };
        self.max = self.max.max(other.max);
        self.lost += other.lost;
        Ok(self.nanos.add(&other.nanos)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_near_what_they_should_be() {
        let mut times = Times::new().unwrap();
        for micros in 1..=1000 {
            times.add(Duration::from_micros(micros));
        }
        for (share, expected) in [(0.5, 500_000), (0.99, 990_000), (1.0, 1_000_000)] {
            let found = times.nanos.value_at_quantile(share);
            assert!(found.abs_diff(expected) <= expected / 50, "{found}");
        }
        assert_eq!((times.min, times.max), (1000, 1_000_000));
    }

    #[test]
    fn times_of_threads_add_up() {
        let with = |nanos| {
            let mut times = Times::new().unwrap();
            times.add(Duration::from_nanos(nanos));
            times
        };
        let mut total = Times::new().unwrap();
        for times in [with(5), with(3), Times::new().unwrap()] {
            total.add_all(&times).unwrap();
        }
        assert_eq!((total.nanos.len(), total.min, total.max), (2, 3, 5));
    }

    #[test]
    fn threads_behind_a_gate_go_on_or_end_together() {
        for go_on in [true, false] {
            let gate = Gate::default();
            thread::scope(|scope| {
                let waiting: Vec<_> = (0..4).map(|_| scope.spawn(|| gate.pass())).collect();
                gate.open(go_on);
                for thread in waiting {
                    assert_eq!(thread.join().unwrap(), go_on);
                }
            });
        }
    }
}
