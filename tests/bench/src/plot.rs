// SPDX-License-Identifier: GPL-2.0

//! Plots, as SVG that follows a light or a dark page.

use std::fmt::Write;

use crate::figures::{Report, Row, Unit};

/// All plots of which the figures were measured, with their file names.
pub fn all(report: &Report) -> Vec<(&'static str, String)> {
    let size = |row: &Row| row.size;
    let n = |row: &Row| row.n;
    let plots = [
        (
            "echo.svg",
            Plot::new(report, "Echo round trip", "bytes of payload", "echo", size),
        ),
        (
            "ids.svg",
            Plot::new(report, "Echo round trip", "ids registered", "ids", n),
        ),
        (
            "broadcast.svg",
            Plot::new(report, "Broadcast of 32 bytes", "listeners", "broadcast", n),
        ),
        (
            "batch.svg",
            Plot::new(
                report,
                "A message of 32 bytes from the kernel",
                "messages in a datagram",
                "batch",
                n,
            ),
        ),
    ];
    let measured = plots
        .into_iter()
        .filter_map(|(name, plot)| Some((name, plot?)));
    measured.map(|(name, plot)| (name, plot.svg())).collect()
}

/// The implementations, as people know them, and their colours.
const SERIES: [(&str, &str, &str); 5] = [
    ("rust", "Rust", "#d9480f"),
    ("c", "C", "#1c7ed6"),
    ("genl", "generic netlink", "#868e96"),
    ("unix", "unix datagram", "#2b8a3e"),
    ("chardev", "char device", "#9c36b5"),
];

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 400.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 560.0;
const TOP: f64 = 50.0;
const BOTTOM: f64 = 340.0;

/// Lines over steps of the same width: sizes and counts are not spaced evenly.
struct Plot<'a> {
    title: String,
    x_title: &'a str,
    steps: Vec<u32>,
    series: Vec<Series>,
}

struct Series {
    name: &'static str,
    colour: &'static str,
    values: Vec<f64>,
}

impl<'a> Plot<'a> {
    fn new(
        report: &Report,
        title: &str,
        x_title: &'a str,
        bench: &str,
        x: impl Fn(&Row) -> u32,
    ) -> Option<Self> {
        let steps: Vec<u32> = report.all(bench, "rust").map(&x).collect();
        let mut series = Vec::new();
        for (by, name, colour) in SERIES {
            let values: Vec<f64> = report.all(bench, by).map(|row| row.value).collect();
            if values.len() == steps.len() {
                series.push(Series {
                    name,
                    colour,
                    values,
                });
            }
        }
        let unit = report.all(bench, "rust").next()?.unit;
        let unit = match unit {
            Unit::Instructions => "instructions",
            Unit::Nanoseconds => "ns, noisy",
            Unit::Bytes => "bytes",
        };
        (steps.len() > 1).then(|| Self {
            title: format!("{title} ({unit})"),
            x_title,
            steps,
            series,
        })
    }

    fn svg(&self) -> String {
        let highest = self.series.iter().flat_map(|series| &series.values);
        let highest = highest.copied().fold(0.0, f64::max);
        let tick = nice_tick(highest);
        let top = (highest / tick).ceil() * tick;
        let x = |i: usize| LEFT + (RIGHT - LEFT) * i as f64 / (self.steps.len() - 1) as f64;
        let y = |value: f64| BOTTOM - (BOTTOM - TOP) * value / top;

        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
             font-family=\"system-ui, sans-serif\" font-size=\"13\">\n\
             <title>{title}</title>\n\
             <style>text {{ fill: #212529 }} .grid {{ stroke: #dee2e6 }} \
             @media (prefers-color-scheme: dark) {{ text {{ fill: #e9ecef }} \
             .grid {{ stroke: #495057 }} }}</style>\n\
             <text x=\"{LEFT}\" y=\"28\" font-size=\"17\" font-weight=\"600\">{title}</text>\n",
            title = self.title,
        );
        for i in 0..=(top / tick).round() as u32 {
            let value = f64::from(i) * tick;
            let y = y(value);
            let _ = writeln!(
                svg,
                "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{RIGHT}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{value}</text>",
                LEFT - 8.0,
                y + 4.0,
            );
        }
        for (i, step) in self.steps.iter().enumerate() {
            let _ = writeln!(
                svg,
                "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{step}</text>",
                x(i),
                BOTTOM + 20.0,
            );
        }
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            (LEFT + RIGHT) / 2.0,
            BOTTOM + 44.0,
            self.x_title,
        );
        // The first series, Rust, is drawn last and dashed, so that one sees what is under it.
        for (at, series) in self.series.iter().enumerate().rev() {
            let points: Vec<String> = series
                .values
                .iter()
                .enumerate()
                .map(|(i, &value)| format!("{:.1},{:.1}", x(i), y(value)))
                .collect();
            let dashes = if at == 0 {
                " stroke-dasharray=\"9 6\""
            } else {
                ""
            };
            let _ = writeln!(
                svg,
                "<polyline points=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"3\"{dashes}/>",
                points.join(" "),
                series.colour,
            );
        }
        for (series, at) in self.series.iter().zip(self.label_heights(y)) {
            let x = RIGHT + 10.0;
            let _ = writeln!(
                svg,
                "<rect x=\"{x}\" y=\"{:.1}\" width=\"12\" height=\"12\" fill=\"{}\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\">{}</text>",
                at - 6.0,
                series.colour,
                x + 18.0,
                at + 4.0,
                series.name,
            );
        }
        svg + "</svg>\n"
    }

    /// Labels stand where their lines end, but not on top of each other.
    fn label_heights(&self, y: impl Fn(f64) -> f64) -> Vec<f64> {
        const APART: f64 = 20.0;
        let mut heights: Vec<f64> = self
            .series
            .iter()
            .map(|series| series.values.last().map_or(BOTTOM, |&value| y(value)))
            .collect();
        let mut order: Vec<usize> = (0..heights.len()).collect();
        order.sort_by(|&a, &b| heights[a].total_cmp(&heights[b]));
        for pair in order.windows(2) {
            heights[pair[1]] = heights[pair[1]].max(heights[pair[0]] + APART);
        }
        heights
    }
}

/// The distance of grid lines: 1, 2 or 5 times a power of ten, so that there are about five.
fn nice_tick(highest: f64) -> f64 {
    let rough = (highest / 5.0).max(1.0);
    let power = 10_f64.powf(rough.log10().floor());
    let nice = [1.0, 2.0, 5.0, 10.0];
    power
        * nice
            .into_iter()
            .find(|n| n * power >= rough)
            .unwrap_or(10.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_numbers() {
        assert_eq!(nice_tick(15_000.0), 5_000.0);
        assert_eq!(nice_tick(9_000.0), 2_000.0);
        assert_eq!(nice_tick(0.0), 1.0);
    }

    #[test]
    fn a_plot_has_a_line_for_everyone_who_was_measured() {
        let lines =
            "row ids rust 32 1 3\nrow ids rust 32 10 4\nrow ids c 32 1 3\nrow ids c 32 10 4\n";
        let (report, _) = Report::from_lines("k", Unit::Instructions, lines).unwrap();
        let plots = all(&report);
        assert_eq!(plots.len(), 1);
        assert_eq!(plots[0].1.matches("<polyline").count(), 2);
    }
}
