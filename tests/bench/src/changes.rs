// SPDX-License-Identifier: GPL-2.0

//! What changed between two reports.

use crate::figures::{Report, Row};

/// From this many percent on a change is shown.
const WORTH_SHOWING: f64 = 1.0;

/// A figure that is in both reports.
#[derive(Debug)]
pub struct Change {
    row: Row,
    /// What it was, and what it is. Ratios to C if the reports are of different kernels.
    from: f64,
    to: f64,
}

impl Change {
    fn percent(&self) -> f64 {
        (self.to - self.from) / self.from.abs() * 100.0
    }

    /// Whether it is a figure of Rust that grew by more than `limit` percent. Code grows with what
    /// it does, so its size does not count; nor do process events, of which some come together, now
    /// more and now fewer: for these it is the promise that counts. Notifications may grow by twice as
    /// much: a worker makes them, and when it runs is a matter of chance, which is some 2 %.
    pub fn is_worse_than(&self, limit: f64) -> bool {
        let bench = self.row.bench.as_str();
        let is_code = bench.starts_with("text.") || bench.starts_with("data.");
        let varies = ["proc", "named"].contains(&bench);
        let most = if bench == "notify" {
            2.0 * limit
        } else {
            limit
        };
        self.row.by == "rust" && !is_code && !varies && self.percent() > most
    }
}

/// Compares the figures that both have.
///
/// Of the same kernel and compilers, the figures themselves. Otherwise, the ratios to C, which has
/// been compiled by the same compiler for the same kernel; figures without one cannot be compared.
pub fn between(base: &Report, report: &Report) -> Vec<Change> {
    let same = base.kernel == report.kernel;
    let both = report.rows.iter().filter_map(|row| {
        let old = base
            .rows
            .iter()
            .find(|old| old.by == row.by && old.is_peer_of(row) && old.unit == row.unit)?;
        let (from, to) = if same {
            (old.value, row.value)
        } else {
            (old.ratio_to_c?, row.ratio_to_c?)
        };
        Some(Change {
            row: row.clone(),
            from,
            to,
        })
    });
    both.filter(|change| change.from != 0.0).collect()
}

/// The changes that are worth a look, as a list.
pub fn list(base: &Report, report: &Report, changes: &[Change]) -> String {
    let mut text = String::new();
    if base.kernel != report.kernel {
        text += &format!(
            "The base is of another kernel or other compilers, so ratios to C are compared:\n\
             - base: {}\n- now:  {}\n",
            base.kernel, report.kernel
        );
    }
    let shown = |change: &&Change| change.percent().abs() > WORTH_SHOWING;
    for change in changes.iter().filter(shown) {
        let Row {
            bench, by, size, n, ..
        } = &change.row;
        let Change { from, to, .. } = change;
        let sign = if to > from { "▲" } else { "▼" };
        let percent = change.percent();
        text +=
            &format!("{sign} {percent:+.1} %  {bench} {by} size={size} n={n}: {from} -> {to}\n");
    }
    let count = changes.iter().filter(shown).count();
    text += &format!(
        "{} figures compared, {count} changed by more than {WORTH_SHOWING} %\n",
        changes.len()
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::Unit;

    fn report(kernel: &str, rust: f64, c: f64) -> Report {
        let lines = format!("row echo rust 32 1 {rust}\nrow echo c 32 1 {c}\n");
        let (report, _) = Report::from_lines(kernel, Unit::Instructions, &lines).unwrap();
        report
    }

    fn worse(base: &Report, now: &Report) -> bool {
        between(base, now)
            .iter()
            .any(|change| change.is_worse_than(2.0))
    }

    #[test]
    fn less_than_nothing_is_less() {
        let of = |total: f64| {
            let echo = format!(
                "row echo rust 32 1 {}\nrow echo c 32 1 3000\n",
                3000.0 + total
            );
            let sink = "row sink rust 32 1 1000\nrow sink c 32 1 1000\n";
            let lines = echo + sink;
            Report::from_lines("k", Unit::Instructions, &lines)
                .unwrap()
                .0
        };
        let worse = |from: f64, to: f64| {
            let changes = between(&of(from), &of(to));
            changes
                .iter()
                .filter(|change| change.is_worse_than(2.0))
                .count()
        };
        assert_eq!(worse(-100.0, -110.0), 0);
        // The part in the reply, and both.
        assert_eq!(worse(-100.0, -90.0), 2);
    }

    #[test]
    fn figures_of_the_same_kernel_are_compared() {
        assert!(worse(
            &report("k", 100.0, 100.0),
            &report("k", 103.0, 103.0)
        ));
        assert!(!worse(
            &report("k", 100.0, 100.0),
            &report("k", 101.0, 103.0)
        ));
    }

    #[test]
    fn ratios_are_compared_across_kernels() {
        assert!(!worse(
            &report("k", 100.0, 100.0),
            &report("l", 110.0, 110.0)
        ));
        assert!(worse(
            &report("k", 100.0, 100.0),
            &report("l", 110.0, 100.0)
        ));
    }

    /// Whether a figure without a peer in C may not grow like this.
    fn is_worse(bench: &str, from: u32, to: u32) -> bool {
        let [from, to] = [from, to].map(|value| {
            let lines = format!("row {bench} rust 0 1 {value}\n");
            Report::from_lines("k", Unit::Instructions, &lines)
                .unwrap()
                .0
        });
        worse(&from, &to)
    }

    #[test]
    fn more_code_is_no_regression() {
        assert!(!is_worse("text.cn_echo", 1000, 2000));
    }

    #[test]
    fn what_a_worker_does_may_grow_by_twice_as_much() {
        assert!(!is_worse("notify", 1000, 1039));
        assert!(is_worse("notify", 1000, 1041));
        assert!(is_worse("register", 1000, 1021));
    }

    #[test]
    fn only_rust_can_regress() {
        assert!(!worse(
            &report("k", 100.0, 100.0),
            &report("k", 100.0, 200.0)
        ));
    }
}
