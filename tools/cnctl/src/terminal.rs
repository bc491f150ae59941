// SPDX-License-Identifier: GPL-2.0

//! How wide the terminal is, and lines that end there, so that one thing takes one line.

use std::io;

use terminal_size::{Width, terminal_size_of};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// What stands for what was cut off.
const MORE: char = '\u{2026}';

/// How wide the terminal is that standard output is, if it is one and tells.
pub(crate) fn columns() -> Option<usize> {
    let (Width(columns), _) = terminal_size_of(io::stdout())?;
    Some(columns.into())
}

/// How many columns a text without colours takes.
pub(crate) fn width(text: &str) -> usize {
    match text.is_ascii() {
        true => text.len(),
        false => text.width(),
    }
}

/// Cuts the last line of `lines`, which begins at `start` and has its end, to so many columns.
pub(crate) fn cut(lines: &mut String, start: usize, columns: usize) {
    // The end of a line takes no column, and a byte at most one.
    if lines.len() - start <= columns + 1 {
        return;
    }
    let line = &lines[start..];
    let mut used = 0;
    let mut last = None;
    let (mut colour, mut in_escape) = (false, false);
    for (at, c) in line.char_indices() {
        if in_escape {
            in_escape = c != 'm';
            // Ends with the one that has no colour.
            colour = !line[..at].ends_with("\x1b[0");
            continue;
        }
        match c {
            '\x1b' => in_escape = true,
            '\n' => return,
            _ => {
                // There is room for one column more, which the mark takes if it comes to that.
                if used < columns {
                    last = Some((at, colour));
                }
                used += c.width().unwrap_or(0);
                if used > columns {
                    break;
                }
            }
        }
    }
    if let Some((at, colour)) = last {
        lines.truncate(start + at);
        lines.push(MORE);
        if colour {
            lines.push_str("\x1b[0m");
        }
        lines.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, columns: usize) -> String {
        let mut lines = format!("before\n{text}\n");
        cut(&mut lines, "before\n".len(), columns);
        lines
            .strip_prefix("before\n")
            .and_then(|line| line.strip_suffix('\n'))
            .unwrap()
            .to_owned()
    }

    #[test]
    fn a_line_that_fits_stays() {
        for text in [
            "",
            "1234",
            "12\u{e9}4",
            "\u{4e2d}\u{6587}",
            "\x1b[32m1234\x1b[0m",
        ] {
            assert_eq!(shown(text, 4), text);
        }
    }

    #[test]
    fn a_line_that_does_not_ends_at_the_edge() {
        assert_eq!(shown("12345", 4), "123\u{2026}");
        assert_eq!(shown("12\u{e9}45", 4), "12\u{e9}\u{2026}");
        assert_eq!(
            shown("\x1b[32m12\x1b[0m345", 4),
            "\x1b[32m12\x1b[0m3\u{2026}"
        );
        assert_eq!(
            shown("\x1b[32m12345\x1b[0m", 4),
            "\x1b[32m123\u{2026}\x1b[0m"
        );
    }

    #[test]
    fn wide_characters_are_not_cut_in_two() {
        assert_eq!(width("\u{4e2d}x"), 3);
        assert_eq!(shown("\u{4e2d}\u{6587}\u{4e2d}", 4), "\u{4e2d}\u{2026}");
        assert_eq!(
            shown("\u{4e2d}\u{6587}\u{4e2d}", 5),
            "\u{4e2d}\u{6587}\u{2026}"
        );
    }
}
