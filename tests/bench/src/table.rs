// SPDX-License-Identifier: GPL-2.0

//! The table, for a terminal and in Markdown.

use crate::figures::{Report, Row};

/// The columns of figures, and their heads.
const COLUMNS: [(&str, &str); 6] = [
    ("rust", "Rust"),
    ("c", "C"),
    ("c-on-rust", "C on our connector"),
    ("genl", "generic netlink"),
    ("chardev", "char device"),
    ("unix", "unix datagram"),
];
/// Behind this many of them comes the ratio of Rust to C.
const RATIO_AFTER: usize = 2;

/// What a bench is, and what its `n` counts.
const TITLES: [(&str, &str, &str); 21] = [
    ("echo", "echo round trip", ""),
    (
        "own.dispatch",
        "the crate's own part: registry and dispatch",
        "",
    ),
    ("own.reply", "the crate's own part: reply", ""),
    ("own.total", "the crate's own part: both", ""),
    ("sink", "message without a reply", ""),
    ("noroom", "message whose reply finds no room", ""),
    ("ids", "echo round trip", "ids registered"),
    ("broadcast", "broadcast", "listeners"),
    (
        "batch",
        "message from the kernel, received",
        "in one datagram",
    ),
    ("register", "register and unregister", ""),
    (
        "notify",
        "register or unregister, notification received",
        "requests stored",
    ),
    (
        "process",
        "process made and gone, its events received in C",
        "",
    ),
    ("event", "process event received in C", ""),
    ("client", "echo round trip, client of its own", ""),
    ("listen", "cnctl listen: message received and printed", ""),
    (
        "proc",
        "cnctl proc --no-command: process event received and printed",
        "",
    ),
    ("named", "cnctl proc: process event, and whose it was", ""),
    ("syscalls", "system calls that do nothing", "how many"),
    ("memory", "memory of a registration, bytes", ""),
    ("text", "code and constants, bytes", ""),
    ("data", "data, bytes", ""),
];

/// A line of the table: its label and its cells.
fn lines(report: &Report) -> Vec<(String, Vec<String>)> {
    let mut lines = Vec::new();
    let mut rows: Vec<&Row> = Vec::new();
    for row in &report.rows {
        if !rows.iter().any(|other| other.is_peer_of(row)) {
            rows.push(row);
        }
    }
    let place = |row: &&Row| TITLES.iter().position(|title| title.0 == kind(row).0);
    rows.sort_by_key(place);
    for row in rows {
        let of = |by: &str| report.get(&row.bench, by, row.size, row.n);
        let mut cells: Vec<String> = columns(report)
            .map(|(by, _)| of(by).map_or(String::new(), |row| format!("{:.0}", row.value)))
            .collect();
        let ratio = of("rust").and_then(|row| row.ratio_to_c);
        let ratio = ratio.map_or(String::new(), |ratio| format!("{ratio:.3}"));
        cells.insert(RATIO_AFTER, ratio);
        lines.push((label(row), cells));
    }
    lines
}

/// The bench, and what it is about if it is about a module.
fn kind(row: &Row) -> (&str, Option<&str>) {
    match row.bench.split_once('.') {
        Some((kind @ ("text" | "data"), module)) => (kind, Some(module)),
        _ => (&row.bench, None),
    }
}

fn label(row: &Row) -> String {
    let (kind, module) = kind(row);
    let Some((_, title, counts)) = TITLES.iter().find(|title| title.0 == kind) else {
        return row.bench.clone();
    };
    let mut label = (*title).to_owned();
    if let Some(module) = module {
        label += &format!(": {module}");
    }
    if row.bench == "echo" {
        label += &format!(", {} B", row.size);
    }
    if !counts.is_empty() {
        label += &format!(", {counts}: {}", row.n);
    }
    label
}

/// Those columns that have something: not everywhere is C measured on our connector.
fn columns(report: &Report) -> impl Iterator<Item = &'static (&'static str, &'static str)> {
    COLUMNS
        .iter()
        .filter(|(by, _)| *by != "c-on-rust" || report.rows.iter().any(|row| row.by == *by))
}

fn heads(report: &Report) -> Vec<&'static str> {
    let mut heads: Vec<_> = columns(report).map(|(_, head)| *head).collect();
    heads.insert(RATIO_AFTER, "Rust / C");
    heads
}

/// For a terminal.
pub fn text(report: &Report) -> String {
    let lines = lines(report);
    let first = lines.iter().map(|(label, _)| label.len()).max();
    let first = first.unwrap_or(0);
    let mut text = format!("{:first$}", "");
    for head in heads(report) {
        text += &format!("  {head:>8}");
    }
    text.push('\n');
    for (label, cells) in lines {
        let mut line = format!("{label:first$}");
        for (cell, head) in cells.iter().zip(heads(report)) {
            let width = head.len().max(8);
            line += &format!("  {cell:>width$}");
        }
        text += line.trim_end();
        text.push('\n');
    }
    text
}

/// In Markdown.
pub fn markdown(report: &Report) -> String {
    let mut text = format!("| | {} |\n|---|", heads(report).join(" | "));
    text += &"---:|".repeat(heads(report).len());
    text.push('\n');
    for (label, cells) in lines(report) {
        text += &format!("| {label} | {} |\n", cells.join(" | "));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::Unit;

    #[test]
    fn peers_stand_beside_each_other() {
        let lines = "row echo rust 32 1 3390\nrow echo c 32 1 3330\nrow echo genl 32 1 3980\n\
                     row text.cn_echo rust 0 1 2000\n";
        let (report, _) = Report::from_lines("k", Unit::Instructions, lines).unwrap();
        let markdown = markdown(&report);
        assert!(
            markdown.contains("| echo round trip, 32 B | 3390 | 3330 | 1.018 | 3980 |  |  |\n"),
            "{markdown}"
        );
        assert!(markdown.contains("| code and constants, bytes: cn_echo | 2000 |  |"));
    }
}
