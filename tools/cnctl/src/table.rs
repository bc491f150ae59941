// SPDX-License-Identifier: GPL-2.0

//! Tables whose columns are as wide as what is in them, as ss(8) has them, and whose lines end where a
//! terminal does. What is of least use there belongs into the last column.

use crate::{
    output::{Output, Tone},
    terminal,
};

/// On which side of its column a text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// A text.
    Left,
    /// A number.
    Right,
}

/// What one line has in one column, and what that means.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    text: String,
    tone: Option<Tone>,
}

impl Cell {
    pub(crate) fn toned(text: impl Into<String>, tone: Tone) -> Self {
        Self {
            text: text.into(),
            tone: Some(tone),
        }
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self {
            text: text.into(),
            tone: None,
        }
    }
}

/// A table that is being put together.
#[derive(Debug)]
pub(crate) struct Table {
    output: Output,
    sides: Vec<Side>,
    /// The first one has the titles.
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// A table with these titles.
    pub(crate) fn new<T: Into<String>>(
        output: Output,
        titles: impl IntoIterator<Item = (T, Side)>,
    ) -> Self {
        let titles = titles.into_iter();
        let (titles, sides) = titles
            .map(|(title, side)| (Cell::toned(title, Tone::Strong), side))
            .unzip();
        Self {
            output,
            sides,
            rows: vec![titles],
        }
    }

    /// Adds a line.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// Shows it.
    pub(crate) fn show(&self) {
        let mut lines = String::new();
        self.append(&mut lines, terminal::columns());
        self.output.part(&lines);
    }

    /// Appends its lines, cut to so many columns.
    pub(crate) fn append(&self, lines: &mut String, columns: Option<usize>) {
        let widths: Vec<_> = (0..self.sides.len())
            .map(|at| {
                let cells = self.rows.iter().filter_map(|row| row.get(at));
                let widths = cells.map(|cell| terminal::width(&cell.text));
                widths.max().unwrap_or(0)
            })
            .collect();
        for row in &self.rows {
            let start = lines.len();
            let mut gap = 0;
            for (at, cell) in row
                .iter()
                .enumerate()
                .filter(|(_, cell)| !cell.text.is_empty())
            {
                // Spaces come before what they are for, so that none end a line.
                let before: usize = widths[..at].iter().map(|width| width + 1).sum();
                let fill = widths[at] - terminal::width(&cell.text);
                let indent = if self.sides[at] == Side::Right {
                    fill
                } else {
                    0
                };
                lines.extend(std::iter::repeat_n(' ', before + indent - gap));
                gap = before + indent + terminal::width(&cell.text);
                match cell.tone {
                    Some(tone) => lines.push_str(&self.output.toned(tone, &cell.text).to_string()),
                    None => lines.push_str(&cell.text),
                }
            }
            lines.push('\n');
            if let Some(columns) = columns {
                terminal::cut(lines, start, columns);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let titles = [("N", Side::Right), ("NAME", Side::Left), ("", Side::Left)];
        let mut table = Table::new(Output::plain(), titles);
        for (number, name, what) in [
            ("1", "a", "first"),
            ("12345", "", "\u{4e2d}"),
            ("7", "longer", ""),
        ] {
            table.row([number, name, what].map(Cell::from));
        }
        table
    }

    #[test]
    fn columns_are_as_wide_as_what_is_in_them_and_no_line_ends_in_spaces() {
        let mut lines = String::new();
        table().append(&mut lines, None);
        assert_eq!(
            lines,
            "    N NAME\n    1 a      first\n12345        \u{4e2d}\n    7 longer\n"
        );
    }

    #[test]
    fn lines_end_where_the_terminal_does() {
        let mut lines = String::new();
        table().append(&mut lines, Some(10));
        assert_eq!(
            lines,
            "    N NAME\n    1 a  \u{2026}\n12345    \u{2026}\n    7 lon\u{2026}\n"
        );
    }
}
