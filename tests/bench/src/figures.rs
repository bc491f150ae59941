// SPDX-License-Identifier: GPL-2.0

//! The figures: reads the rows that the clients print, computes what follows from them, and knows
//! the format of `bench.json`.

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

/// What a value is measured in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Unit {
    /// Instructions that the CPU executed, in user and kernel mode.
    #[serde(rename = "instructions")]
    Instructions,
    /// Time.
    #[serde(rename = "ns")]
    Nanoseconds,
    /// Memory.
    #[serde(rename = "bytes")]
    Bytes,
}

/// `bench.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Report {
    /// What was measured: versions of the kernel, the compilers, and QEMU.
    pub kernel: String,
    /// The figures.
    pub rows: Vec<Row>,
}

/// A figure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// What was done.
    pub bench: String,
    /// In what: `rust`, `c`, `genl`, `chardev` or `unix`; or `c-on-rust`, where the connector is ours
    /// and a module in C runs on it.
    #[serde(rename = "impl")]
    pub by: String,
    /// Bytes of payload.
    pub size: u32,
    /// How many of whatever the bench varies: ids, listeners, messages in a datagram.
    pub n: u32,
    /// What `value` is in.
    pub unit: Unit,
    /// The figure.
    pub value: f64,
    /// The figure divided by that of C, if there is one in C.
    pub ratio_to_c: Option<f64>,
}

impl Row {
    /// Whether both are about the same, perhaps in another implementation.
    pub fn is_peer_of(&self, other: &Row) -> bool {
        self.bench == other.bench && self.size == other.size && self.n == other.n
    }
}

/// The values of one row, one of each pass.
struct Samples {
    bench: String,
    by: String,
    size: u32,
    n: u32,
    values: Vec<f64>,
}

impl Samples {
    fn parse(row: &str) -> Result<Self> {
        let words: Vec<&str> = row.split_whitespace().collect();
        let [bench, by, size, n, value] = words[..] else {
            bail!("it has {} words", words.len());
        };
        Ok(Self {
            bench: bench.to_owned(),
            by: by.to_owned(),
            size: size.parse()?,
            n: n.parse()?,
            values: vec![value.parse()?],
        })
    }

    fn is(&self, bench: &str, by: &str, size: u32, n: u32) -> bool {
        (self.bench.as_str(), self.by.as_str(), self.size, self.n) == (bench, by, size, n)
    }

    fn unit(&self, clock: Unit) -> Unit {
        match self.bench.split('.').next() {
            Some("memory" | "text" | "data") => Unit::Bytes,
            _ => clock,
        }
    }
}

impl Report {
    /// Reads what the clients printed. Returns what kind of machine it ran on as well.
    pub fn from_lines(kernel: &str, clock: Unit, lines: &str) -> Result<(Self, String)> {
        let mut all: Vec<Samples> = Vec::new();
        let mut machine = String::new();
        for line in lines.lines() {
            if let Some(words) = line.strip_prefix("machine ") {
                machine = words.to_owned();
            }
            let Some(row) = line.strip_prefix("row ") else {
                continue;
            };
            let new = Samples::parse(row).with_context(|| format!("not a row: {line}"))?;
            let known = |old: &&mut Samples| old.is(&new.bench, &new.by, new.size, new.n);
            match all.iter_mut().find(known) {
                Some(old) => old.values.extend(new.values),
                None => all.push(new),
            }
        }
        add_own_part(&mut all);

        let rows = all.iter().map(|samples| {
            let in_c = all
                .iter()
                .find(|c| c.is(&samples.bench, "c", samples.size, samples.n));
            let ratios = in_c.map(|c| pairs(samples, c, |a, b| a / b));
            Row {
                bench: samples.bench.clone(),
                by: samples.by.clone(),
                size: samples.size,
                n: samples.n,
                unit: samples.unit(clock),
                value: round(median(&samples.values), 100.0),
                ratio_to_c: ratios.map(|ratios| round(median(&ratios), 10_000.0)),
            }
        });
        let report = Self {
            kernel: kernel.to_owned(),
            rows: rows.collect(),
        };
        Ok((report, machine))
    }

    /// The figures in JSON, one in a line.
    pub fn to_json(&self) -> Result<String> {
        let rows: Vec<String> = self
            .rows
            .iter()
            .map(serde_json::to_string)
            .collect::<Result<_, _>>()?;
        let kernel = serde_json::to_string(&self.kernel)?;
        Ok(format!(
            "{{\"kernel\": {kernel}, \"rows\": [\n{}\n]}}\n",
            rows.join(",\n")
        ))
    }

    /// The figure of this bench.
    pub fn get(&self, bench: &str, by: &str, size: u32, n: u32) -> Option<&Row> {
        self.rows.iter().find(|row| {
            (row.bench.as_str(), row.by.as_str(), row.size, row.n) == (bench, by, size, n)
        })
    }

    /// All figures of this bench and implementation, in the order in which they were measured.
    pub fn all<'a>(&'a self, bench: &'a str, by: &'a str) -> impl Iterator<Item = &'a Row> {
        self.rows
            .iter()
            .filter(move |row| row.bench == bench && row.by == by)
    }
}

/// What the crate adds to a round trip of 32 bytes in the smallest C module: on the way to the
/// handler (registry and dispatch), and in the reply.
fn add_own_part(all: &mut Vec<Samples>) {
    let find = |bench, by| all.iter().find(|samples| samples.is(bench, by, 32, 1));
    let (Some(echo), Some(echo_c), Some(sink), Some(sink_c)) = (
        find("echo", "rust"),
        find("echo", "c"),
        find("sink", "rust"),
        find("sink", "c"),
    ) else {
        return;
    };
    let total = pairs(echo, echo_c, |a, b| a - b);
    let dispatch = pairs(sink, sink_c, |a, b| a - b);
    let reply = total.iter().zip(&dispatch).map(|(t, d)| t - d).collect();
    for (bench, values) in [
        ("own.dispatch", dispatch),
        ("own.reply", reply),
        ("own.total", total),
    ] {
        all.push(Samples {
            bench: bench.to_owned(),
            by: "rust".to_owned(),
            size: 32,
            n: 1,
            values,
        });
    }
}

/// Applies `f` to the values of the same pass.
fn pairs(a: &Samples, b: &Samples, f: impl Fn(f64, f64) -> f64) -> Vec<f64> {
    let both = a.values.iter().zip(&b.values);
    both.map(|(&a, &b)| f(a, b)).collect()
}

fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 {
        values[middle]
    } else {
        (values[middle - 1] + values[middle]) / 2.0
    }
}

fn round(value: f64, to: f64) -> f64 {
    (value * to).round() / to
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(lines: &str) -> Report {
        Report::from_lines("k", Unit::Nanoseconds, lines).unwrap().0
    }

    #[test]
    fn passes_give_medians_and_ratios_of_pairs() {
        // The second pass was disturbed, both halves of it alike.
        let lines = "row echo rust 32 1 102\nrow echo c 32 1 100\n\
                     row echo rust 32 1 204\nrow echo c 32 1 200\n\
                     row echo rust 32 1 103\nrow echo c 32 1 100\n";
        let report = report(lines);
        assert_eq!(report.rows.len(), 2);
        assert_eq!(report.rows[0].value, 103.0);
        assert_eq!(report.rows[0].ratio_to_c, Some(1.02));
        assert_eq!(report.rows[1].ratio_to_c, Some(1.0));
    }

    #[test]
    fn what_is_not_measured_is_absent() {
        let report = report("row echo rust 32 1 102\nmachine KVM\npass 0\n\n");
        assert_eq!(report.rows.len(), 1);
        assert_eq!(report.rows[0].ratio_to_c, None);
    }

    #[test]
    fn the_own_part_is_the_difference_to_c() {
        let report = report(
            "row echo rust 32 1 3390\nrow echo c 32 1 3330\n\
             row sink rust 32 1 1520\nrow sink c 32 1 1480\n",
        );
        assert_eq!(
            report.get("own.dispatch", "rust", 32, 1).unwrap().value,
            40.0
        );
        assert_eq!(report.get("own.reply", "rust", 32, 1).unwrap().value, 20.0);
        assert_eq!(report.get("own.total", "rust", 32, 1).unwrap().value, 60.0);
    }

    #[test]
    fn a_row_in_json_is_as_documented() {
        let report = report("row echo rust 32 1 3400.5\n");
        let json = report.to_json().unwrap();
        assert!(json.contains(
            "{\"bench\":\"echo\",\"impl\":\"rust\",\"size\":32,\"n\":1,\"unit\":\"ns\",\
             \"value\":3400.5,\"ratio_to_c\":null}"
        ));
        let again: Report = serde_json::from_str(&json).unwrap();
        assert_eq!(again.rows, report.rows);
    }

    #[test]
    fn a_broken_row_is_an_error() {
        assert!(Report::from_lines("k", Unit::Instructions, "row echo rust 32\n").is_err());
    }
}
