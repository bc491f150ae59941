// SPDX-License-Identifier: GPL-2.0

//! Names that somebody else chose, shown so that a terminal obeys nothing in them.

use std::fmt::Write;

/// Whether a terminal may do something else with a character than to show it at its place: control
/// characters, and those that turn the direction of a line.
pub(crate) fn is_obeyed(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}' | '\u{2029}'
        )
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Appends bytes as text without anything in it that a terminal would obey.
pub(crate) fn append(out: &mut String, bytes: &[u8]) {
    // As nearly all of them are, however long.
    if let (true, Ok(text)) = (
        bytes.iter().all(|b| matches!(b, b' '..=b'~')),
        std::str::from_utf8(bytes),
    ) {
        return out.push_str(text);
    }
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match is_obeyed(c) {
                true => out.extend(c.escape_default()),
                false => out.push(c),
            }
        }
        for byte in chunk.invalid() {
            // Writing to a String cannot fail.
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
}

/// Bytes as text without anything in it that a terminal would obey.
pub(crate) fn shown(bytes: &[u8]) -> String {
    let mut out = String::new();
    append(&mut out, bytes);
    out
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Unicode's Bidi_Control, and what ends a line, beside the control characters.
    pub(crate) const OBEYED: &str = "\u{61c}\u{200e}\u{200f}\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\
        \u{2066}\u{2067}\u{2068}\u{2069}\u{2028}\u{2029}\u{0}\u{7}\u{8}\n\r\t\u{1b}\u{7f}\u{80}\u{85}\u{9b}\u{9f}";

    #[test]
    fn nothing_shown_is_obeyed_by_a_terminal_or_lost() {
        assert_eq!(
            shown(b"a\x1b[31m\xff\xc3\xa9\x9b\n"),
            "a\\u{1b}[31m\\xff\u{e9}\\x9b\\n"
        );
        // Shown from right to left, it would read as another name.
        assert_eq!(shown("a\u{202e}b".as_bytes()), "a\\u{202e}b");
        for c in OBEYED.chars() {
            let shown = shown(format!("a{c}b").as_bytes());
            let inner = shown
                .strip_prefix('a')
                .and_then(|rest| rest.strip_suffix('b'));
            assert!(
                inner.unwrap().chars().all(|c| c.is_ascii_graphic()),
                "{shown:?}"
            );
        }
    }
}
