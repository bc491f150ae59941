// SPDX-License-Identifier: GPL-2.0

//! `cnctl bench`: messages per second, and how long a round trip takes.

use std::{
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use netlink_connector::{Connector, Error, Header};

use crate::{
    cli::{Bench, Global},
    outcome::{Failure, Outcome},
    output::{Object, Output},
    signal, silence,
};

/// How long to measure, if nothing else ends it.
const TIME: Duration = Duration::from_secs(3);

/// How long to wait for a reply before it counts as lost.
const LOST: Duration = Duration::from_secs(1);

pub(crate) fn run(args: &Bench, global: &Global) -> Result<Outcome, Failure> {
    let output = Output::new(global);
    let stop = Arc::new(AtomicBool::new(false));
    let shared = Arc::clone(&stop);
    // What was measured until then is reported.
    signal::on_end(move || shared.store(true, Ordering::Relaxed))?;

    let shared = Arc::new(Connector::open()?);
    // Fails before the measurement begins, if it must fail.
    if let Err(error) = shared.request(&shared.header(args.id), &[], LOST) {
        // No reply comes, as to `cnctl ping`.
        return silence::tell("bench", args.id, args.id, LOST, error);
    }

    let sockets: Vec<_> = (0..args.threads)
        .map(|_| match args.own_sockets {
            true => Connector::open().map(Arc::new),
            false => Ok(Arc::clone(&shared)),
        })
        .collect::<Result<_, _>>()?;

    let gate = Mutex::new(());
    let (elapsed, results) = thread::scope(|scope| -> io::Result<_> {
        // Nobody begins before all are there, or while one could not be started.
        let closed = lock(&gate);
        let mut measuring = Vec::with_capacity(sockets.len());
        for socket in &sockets {
            let thread = thread::Builder::new().spawn_scoped(scope, || {
                drop(lock(&gate));
                measure(socket, args, &stop)
            });
            // When it returns, those that wait see that there is nothing to do.
            measuring.push(thread.inspect_err(|_| stop.store(true, Ordering::Relaxed))?);
        }
        let start = Instant::now();
        drop(closed);
        let results: Vec<_> = measuring.into_iter().map(|thread| thread.join()).collect();
        Ok((start.elapsed(), results))
    })
    .map_err(|error| {
        let threads = args.threads;
        format!("cannot start {threads} threads: {error}; see --threads, and ulimit -u, -v")
    })?;

    let mut total = Times::new()?;
    for result in results {
        let times = result.map_err(|_| "a thread panicked")?;
        total.add_all(&times.map_err(|error| -> Failure { error })?)?;
    }
    report(output, args, elapsed, &total);
    Ok(match total.lost {
        0 => Outcome::Complete,
        _ => Outcome::Incomplete,
    })
}

fn lock(gate: &Mutex<()>) -> MutexGuard<'_, ()> {
    gate.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Why a thread could not measure.
type ThreadFailure = Box<dyn std::error::Error + Send + Sync>;

/// One thread's requests.
fn measure(socket: &Connector, args: &Bench, stop: &AtomicBool) -> Result<Times, ThreadFailure> {
    let data = vec![0x5a; args.size];
    let mut times = Times::new()?;
    let time = args.time.or(args.count.is_none().then_some(TIME));
    let start = Instant::now();
    let mut before = start;
    for _ in 0..args.count.unwrap_or(u64::MAX) {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let header: Header = socket.header(args.id);
        match socket.request(&header, &data, LOST) {
            Ok(_) => {
                let after = Instant::now();
                times.add(after - before)?;
                before = after;
            }
            Err(Error::TimedOut { .. }) => {
                times.lost += 1;
                before = Instant::now();
            }
            Err(error) => return Err(error.into()),
        }
        if time.is_some_and(|time| before - start >= time) {
            break;
        }
    }
    Ok(times)
}

fn report(output: Output, args: &Bench, elapsed: Duration, times: &Times) {
    let seconds = elapsed.as_secs_f64();
    let histogram = &times.histogram;
    let replies = histogram.len();
    let rate = (replies as f64 / seconds).round();
    let us = |nanos: u64| nanos as f64 / 1e3;
    let at = |share| us(histogram.value_at_quantile(share));
    let average = (times.sum / replies.max(1) as f64).round() / 1e3;
    if output.json {
        output.line(
            Object::new("bench")
                .string("id", &args.id.to_string())
                .value("size", args.size)
                .value("threads", args.threads)
                .value("elapsed_ms", elapsed.as_nanos() as f64 / 1e6)
                .value("replies", replies)
                .value("lost", times.lost)
                .value("per_second", rate)
                .value("min_us", us(histogram.min()))
                .value("avg_us", average)
                .value("p50_us", at(0.5))
                .value("p90_us", at(0.9))
                .value("p99_us", at(0.99))
                .value("p999_us", at(0.999))
                .value("max_us", us(histogram.max())),
        );
        return;
    }
    output.line(format_args!(
        "{replies} replies of {} bytes from {} in {seconds:.3} s: {rate} a second; {} lost",
        args.size, args.id, times.lost
    ));
    output.line(format_args!(
        "round trip, µs: min {:.1}  avg {:.1}  max {:.1}",
        us(histogram.min()),
        average,
        us(histogram.max())
    ));
    output.line(format_args!(
        "                50% {:.1}  90% {:.1}  99% {:.1}  99.9% {:.1}",
        at(0.5),
        at(0.9),
        at(0.99),
        at(0.999)
    ));
}

/// Round trips: how many took how long, to three digits.
#[derive(Clone, Debug)]
struct Times {
    histogram: Histogram<u64>,
    /// In nanoseconds; the histogram's own mean is that of its steps.
    sum: f64,
    lost: u64,
}

impl Times {
    fn new() -> Result<Self, hdrhistogram::CreationError> {
        Ok(Self {
            histogram: Histogram::new(3)?,
            sum: 0.0,
            lost: 0,
        })
    }

    fn add(&mut self, time: Duration) -> Result<(), hdrhistogram::RecordError> {
        let nanos = time.as_nanos().try_into().unwrap_or(u64::MAX);
        self.sum += nanos as f64;
        self.histogram.record(nanos)
    }

    fn add_all(&mut self, other: &Self) -> Result<(), hdrhistogram::AdditionError> {
        self.sum += other.sum;
        self.lost += other.lost;
        self.histogram.add(&other.histogram)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_threads_add_up() {
        let mut one = Times::new().unwrap();
        one.add(Duration::from_nanos(5)).unwrap();
        let mut other = Times::new().unwrap();
        other.add(Duration::from_nanos(3)).unwrap();
        other.lost = 2;
        let mut total = Times::new().unwrap();
        for times in [&one, &other, &Times::new().unwrap()] {
            total.add_all(times).unwrap();
        }
        let histogram = &total.histogram;
        assert_eq!(
            (histogram.len(), histogram.min(), histogram.max()),
            (2, 3, 5)
        );
        assert_eq!((total.sum, total.lost), (8.0, 2));
    }

    #[test]
    fn the_longest_time_that_there_is_counts() {
        let mut times = Times::new().unwrap();
        times.add(Duration::MAX).unwrap();
        assert_eq!(times.histogram.len(), 1);
    }
}
