// SPDX-License-Identifier: GPL-2.0

//! `cnctl bench`: messages per second, and how long a round trip takes.

use std::{
    sync::{Arc, Barrier},
    thread,
    time::{Duration, Instant},
};

use connector_client::{Connector, Error, Header};

use crate::{
    Failure, Outcome,
    cli::{Bench, Global},
    output::{Object, Output},
};

/// How long to wait for a reply before it counts as lost.
const LOST: Duration = Duration::from_secs(1);

pub(crate) fn run(args: &Bench, global: &Global) -> Result<Outcome, Failure> {
    let output = Output::new(global);
    let shared = Arc::new(Connector::open()?);
    // Fails before the measurement begins, if it must fail.
    shared.request(&shared.header(args.id), &[], LOST)?;

    let sockets: Vec<_> = (0..args.threads.get())
        .map(|_| match args.own_sockets {
            true => Connector::open().map(Arc::new),
            false => Ok(Arc::clone(&shared)),
        })
        .collect::<Result<_, _>>()?;

    let barrier = Barrier::new(sockets.len() + 1);
    let (elapsed, results) = thread::scope(|scope| {
        let measuring: Vec<_> = sockets
            .iter()
            .map(|socket| {
                scope.spawn(|| {
                    barrier.wait();
                    measure(socket, args)
                })
            })
            .collect();
        barrier.wait();
        let start = Instant::now();
        let results: Vec<_> = measuring.into_iter().map(|thread| thread.join()).collect();
        (start.elapsed(), results)
    });

    let mut total = Times::new();
    for result in results {
        let times = result.map_err(|_| "a thread panicked")??;
        total.add_all(&times);
    }
    report(output, args, elapsed, &total);
    Ok(match total.lost {
        0 => Outcome::Complete,
        _ => Outcome::Incomplete,
    })
}

/// One thread's requests.
fn measure(socket: &Connector, args: &Bench) -> Result<Times, Error> {
    let data = vec![0x5a; args.size];
    let mut times = Times::new();
    let start = Instant::now();
    let mut before = start;
    for _ in 0..args.count.unwrap_or(u64::MAX) {
        let header: Header = socket.header(args.id);
        match socket.request(&header, &data, LOST) {
            Ok(_) => {
                let after = Instant::now();
                times.add(after - before);
                before = after;
            }
            Err(Error::TimedOut { .. }) => {
                times.lost += 1;
                before = Instant::now();
            }
            Err(error) => return Err(error),
        }
        if args.count.is_none() && before - start >= args.time {
            break;
        }
    }
    Ok(times)
}

fn report(output: Output, args: &Bench, elapsed: Duration, times: &Times) {
    let seconds = elapsed.as_secs_f64();
    let rate = (times.count as f64 / seconds).round();
    let us = |nanos: u64| nanos as f64 / 1e3;
    let average = match times.count {
        0 => 0,
        count => times.sum / count,
    };
    let at = |share| us(times.quantile(share));
    if output.json {
        output.line(
            Object::new("bench")
                .string("id", &args.id.to_string())
                .value("size", args.size)
                .value("threads", args.threads)
                .value("elapsed_ms", elapsed.as_nanos() as f64 / 1e6)
                .value("replies", times.count)
                .value("lost", times.lost)
                .value("per_second", rate)
                .value("min_us", us(times.min))
                .value("avg_us", us(average))
                .value("p50_us", at(0.5))
                .value("p90_us", at(0.9))
                .value("p99_us", at(0.99))
                .value("p999_us", at(0.999))
                .value("max_us", us(times.max)),
        );
        return;
    }
    output.line(format_args!(
        "{} replies of {} bytes from {} in {seconds:.3} s: {rate} a second; {} lost",
        times.count, args.size, args.id, times.lost
    ));
    output.line(format_args!(
        "round trip, µs: min {:.1}  avg {:.1}  50% {:.1}  90% {:.1}  99% {:.1}  99.9% {:.1}  max {:.1}",
        us(times.min),
        us(average),
        at(0.5),
        at(0.9),
        at(0.99),
        at(0.999),
        us(times.max)
    ));
}

/// Each power of two is divided into this many steps, which bounds the error to 1/32.
const STEPS: u64 = 32;

/// Durations in nanoseconds, counted in a histogram.
#[derive(Clone, Debug)]
struct Times {
    counts: Vec<u64>,
    count: u64,
    lost: u64,
    sum: u64,
    min: u64,
    max: u64,
}

impl Times {
    fn new() -> Self {
        Self {
            counts: vec![0; bucket(u64::MAX) + 1],
            count: 0,
            lost: 0,
            sum: 0,
            min: 0,
            max: 0,
        }
    }

    fn add(&mut self, time: Duration) {
        let nanos = time.as_nanos().try_into().unwrap_or(u64::MAX);
        self.counts[bucket(nanos)] += 1;
        self.min = match self.count {
            0 => nanos,
            _ => self.min.min(nanos),
        };
        self.max = self.max.max(nanos);
        self.sum = self.sum.saturating_add(nanos);
        self.count += 1;
    }

    fn add_all(&mut self, other: &Self) {
        for (count, others) in self.counts.iter_mut().zip(&other.counts) {
            *count += others;
        }
        self.min = match (self.count, other.count) {
            (0, _) => other.min,
            (_, 0) => self.min,
            _ => self.min.min(other.min),
        };
        self.max = self.max.max(other.max);
        self.sum = self.sum.saturating_add(other.sum);
        self.count += other.count;
        self.lost += other.lost;
    }

    /// The time that this share of all times does not exceed, to the accuracy of the histogram.
    fn quantile(&self, share: f64) -> u64 {
        let wanted = (self.count as f64 * share).ceil() as u64;
        let mut seen = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted && seen > 0 {
                return lowest(bucket).clamp(self.min, self.max);
            }
        }
        self.max
    }
}

/// Where `nanos` is counted: below twice `STEPS` each number by itself, above in `STEPS` steps for
/// each power of two.
fn bucket(nanos: u64) -> usize {
    let shift = (u64::BITS - nanos.leading_zeros()).saturating_sub(STEPS.ilog2() + 1);
    (u64::from(shift) * STEPS + (nanos >> shift)) as usize
}

/// The lowest number that is counted in a bucket.
fn lowest(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    match (bucket / STEPS).checked_sub(1) {
        Some(shift @ 1..) => (bucket % STEPS + STEPS) << shift,
        _ => bucket,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_in_order_without_holes_and_find_their_numbers_again() {
        let mut last = 0;
        for exponent in 0..64 {
            for offset in [0u64, 1, 2] {
                for number in [(1u64 << exponent).wrapping_sub(offset), 1 << exponent] {
                    let low = lowest(bucket(number));
                    assert!(
                        low <= number && number - low <= low / STEPS,
                        "{number} {low}"
                    );
                }
            }
        }
        for number in 0..100_000 {
            let bucket = bucket(number);
            assert!(bucket == last || bucket == last + 1, "{number}");
            last = bucket;
        }
    }

    #[test]
    fn quantiles_are_where_they_should_be() {
        let mut times = Times::new();
        for micros in 1..=1000 {
            times.add(Duration::from_micros(micros));
        }
        let near = |share, expected: u64| {
            let found = times.quantile(share);
            assert!(found.abs_diff(expected) <= expected / 30, "{found}");
        };
        near(0.5, 500_000);
        near(0.99, 990_000);
        near(1.0, 1_000_000);
        assert_eq!(times.quantile(0.0), 1000);
        assert_eq!(Times::new().quantile(0.5), 0);
    }

    #[test]
    fn times_of_threads_add_up() {
        let mut one = Times::new();
        one.add(Duration::from_nanos(5));
        let mut other = Times::new();
        other.add(Duration::from_nanos(3));
        let mut total = Times::new();
        total.add_all(&one);
        total.add_all(&other);
        total.add_all(&Times::new());
        assert_eq!((total.count, total.min, total.max, total.sum), (2, 3, 5, 8));
    }
}
