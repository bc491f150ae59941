// SPDX-License-Identifier: GPL-2.0

//! Writing results: text with colours where they are wanted, or JSON objects, a line each.

use std::{
    fmt::{self, Display, Write as _},
    io::{self, IsTerminal, Write},
    process,
};

use crate::cli::{Global, When};

/// Where results go: standard output.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    /// Whether to write JSON.
    pub(crate) json: bool,
    colours: bool,
}

/// What a piece of text means, which decides its colour.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Tone {
    /// It is what one looks for first.
    Strong,
    /// All is well, or something came.
    Good,
    /// Something is wrong, or something went.
    Bad,
}

impl Output {
    pub(crate) fn new(global: &Global) -> Self {
        let colours = match global.color {
            When::Always => true,
            When::Never => false,
            When::Auto => {
                io::stdout().is_terminal()
                    && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
            }
        };
        Self {
            json: global.json,
            colours: colours && !global.json,
        }
    }

    /// Writes a line. When nobody reads any more (`cnctl … | head`), the program is done.
    pub(crate) fn line(self, line: impl Display) {
        end_if_closed(writeln!(io::stdout().lock(), "{line}"));
    }

    /// Writes a part of a line, at once.
    pub(crate) fn part(self, text: &str) {
        let mut out = io::stdout().lock();
        end_if_closed(out.write_all(text.as_bytes()).and_then(|()| out.flush()));
    }

    /// Writes and empties `lines`, by one system call as a rule.
    pub(crate) fn flush(self, lines: &mut String) -> io::Result<()> {
        let result = io::stdout().lock().write_all(lines.as_bytes());
        lines.clear();
        result
    }

    /// A piece of text in the colour of its meaning.
    pub(crate) fn toned<T: Display>(self, tone: Tone, text: T) -> Toned<T> {
        Toned {
            escape: self.colours.then_some(match tone {
                Tone::Strong => "\x1b[1m",
                Tone::Good => "\x1b[32m",
                Tone::Bad => "\x1b[31m",
            }),
            text,
        }
    }
}

/// Ends the program when writing failed: silently if the reader went away.
fn end_if_closed(result: io::Result<()>) {
    match result {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => process::exit(0),
        Err(error) => {
            eprintln!("cnctl: writing the results: {error}");
            process::exit(2);
        }
    }
}

/// A piece of text in a colour.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Toned<T> {
    escape: Option<&'static str>,
    text: T,
}

impl<T: Display> Display for Toned<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.escape {
            // The width is the text's: escape sequences take no room.
            Some(escape) => {
                f.write_str(escape)?;
                self.text.fmt(f)?;
                f.write_str("\x1b[0m")
            }
            None => self.text.fmt(f),
        }
    }
}

/// A JSON object on one line, built member by member.
#[derive(Debug)]
pub(crate) struct Object(String);

impl Object {
    /// An object whose first member says what kind of line it is.
    pub(crate) fn new(event: &str) -> Self {
        Self(String::from("{")).string("event", event)
    }

    /// Adds a text.
    pub(crate) fn string(mut self, name: &str, value: &str) -> Self {
        self.name(name);
        quote(&mut self.0, value);
        self
    }

    /// Adds a number, `true` or `false`. Numbers that JSON has no notation for become `null`.
    pub(crate) fn value(mut self, name: &str, value: impl Display) -> Self {
        self.name(name);
        let start = self.0.len();
        // Writing to a String cannot fail.
        let _ = write!(self.0, "{value}");
        if matches!(&self.0[start..], "NaN" | "inf" | "-inf") {
            self.0.truncate(start);
            self.0.push_str("null");
        }
        self
    }

    /// Adds bytes, as hexadecimal digits.
    pub(crate) fn bytes(mut self, name: &str, bytes: &[u8]) -> Self {
        self.name(name);
        self.0.push('"');
        self.0.extend(bytes.iter().flat_map(|byte| {
            let digit = |nibble: u8| char::from(b"0123456789abcdef"[usize::from(nibble)]);
            [digit(byte >> 4), digit(byte & 15)]
        }));
        self.0.push('"');
        self
    }

    fn name(&mut self, name: &str) {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        quote(&mut self.0, name);
        self.0.push(':');
    }
}

impl Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)?;
        f.write_str("}")
    }
}

/// Appends a JSON string.
fn quote(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            // Control characters must be escaped; DEL and those above are kept from terminals.
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_escape_what_json_wants_escaped() {
        let object = Object::new("x")
            .string("te\"xt", "a\\b\n\u{1}\u{7f}é")
            .value("number", 1.5)
            .value("none", f64::NAN)
            .value("truth", true)
            .bytes("data", &[0, 0x1f, 0xff]);
        assert_eq!(
            object.to_string(),
            r#"{"event":"x","te\"xt":"a\\b\n\u0001\u007fé","number":1.5,"none":null,"truth":true,"data":"001fff"}"#
        );
    }
}
