// SPDX-License-Identifier: GPL-2.0

//! Showing the data of a message: as text where it is text, otherwise as a hex dump.

use std::fmt::Write;

use crate::cli::Form;

/// How data is shown.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Payload {
    form: Form,
    /// How many bytes a line of a hex dump has.
    row: usize,
}

impl Payload {
    /// In this form, with lines that a terminal of so many columns has the room for.
    pub(crate) fn new(form: Form, columns: Option<usize>) -> Self {
        let fits = |row: &usize| columns.is_none_or(|columns| 11 + 4 * row <= columns);
        let row = [16, 8].into_iter().find(fits).unwrap_or(4);
        Self { form, row }
    }

    /// Appends `data` to a line that has been begun: text behind it, a hex dump below.
    pub(crate) fn append(self, out: &mut String, data: &[u8]) {
        match (self.form, text(data)) {
            (Form::None, _) => {}
            _ if data.is_empty() => {}
            (Form::Text, _) => quoted(out, &String::from_utf8_lossy(data)),
            (Form::Auto, Some(text)) => quoted(out, text),
            (Form::Auto | Form::Hex, _) => hex_dump(out, data, self.row),
        }
    }
}

/// The data as text, if it is printable. A NUL at its end, as C programs send it, is left out.
fn text(data: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(data.strip_suffix(&[0]).unwrap_or(data)).ok()?;
    let odd = |c: char| c.is_control() && !matches!(c, '\n' | '\t' | '\r');
    (!text.contains(odd)).then_some(text)
}

fn quoted(out: &mut String, text: &str) {
    out.push_str(" \"");
    out.extend(text.escape_debug());
    out.push('"');
}

fn hex_dump(out: &mut String, data: &[u8], width: usize) {
    for (row, bytes) in data.chunks(width).enumerate() {
        // Writing to a String cannot fail.
        let _ = write!(out, "\n    {:04x} ", row * width);
        for at in 0..width {
            match bytes.get(at) {
                Some(byte) => {
                    let _ = write!(out, " {byte:02x}");
                }
                None => out.push_str("   "),
            }
        }
        out.push_str("  ");
        out.extend(bytes.iter().map(|byte| match byte {
            b' '..=b'~' => char::from(*byte),
            _ => '.',
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(data: &[u8], form: Form) -> String {
        let mut out = String::new();
        Payload::new(form, None).append(&mut out, data);
        out
    }

    #[test]
    fn a_dump_has_the_room_that_the_terminal_has() {
        for (columns, widest) in [(80, 75), (75, 75), (74, 43), (43, 43), (40, 27), (1, 27)] {
            let mut out = String::new();
            Payload::new(Form::Hex, Some(columns)).append(&mut out, &[0; 64]);
            let widths: Vec<_> = out
                .trim_start()
                .lines()
                .map(|line| line.trim_start().len() + 4)
                .collect();
            assert!(
                widths.iter().all(|width| *width == widest),
                "{columns}: {widths:?}"
            );
        }
    }

    #[test]
    fn text_is_quoted_and_the_nul_of_c_left_out() {
        assert_eq!(show(b"counter = 7\0", Form::Auto), " \"counter = 7\"");
        assert_eq!(show(b"a\nb\"", Form::Auto), r#" "a\nb\"""#);
        assert_eq!(show(b"", Form::Auto), "");
    }

    #[test]
    fn what_is_no_text_is_dumped() {
        assert_eq!(
            show(b"\x1b[31m", Form::Auto),
            "\n    0000  1b 5b 33 31 6d                                   .[31m"
        );
        let dump = show(&[0x41; 17], Form::Hex);
        assert_eq!(dump.lines().count(), 3);
        assert!(dump.ends_with("  A"));
        assert!(dump.contains("\n    0010  41 "));
    }

    #[test]
    fn text_on_demand_has_nothing_a_terminal_would_obey() {
        let shown = show(b"\x1b[31m\xff\0", Form::Text);
        assert!(!shown.contains(char::is_control), "{shown:?}");
        assert_eq!(show(b"abc", Form::None), "");
    }
}
