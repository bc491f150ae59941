// SPDX-License-Identifier: GPL-2.0

//! Writing results: text with colours where they are wanted, or JSON objects, a line each. What
//! goes wrong goes to standard error.

use std::{
    fmt::{self, Display},
    io::{self, ErrorKind},
    os::fd::{AsFd, BorrowedFd},
    process,
};

use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};
use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    unistd::write,
};
use serde::{Serialize, Serializer};
use serde_json::ser::{CompactFormatter, Formatter};

use crate::{
    cli::{Global, When},
    escape,
};

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
            When::Auto => AutoStream::choice(&io::stdout()) != ColorChoice::Never,
        };
        Self {
            json: global.json,
            colours: colours && !global.json,
        }
    }

    /// Text without colours.
    #[cfg(test)]
    pub(crate) fn plain() -> Self {
        Self {
            json: false,
            colours: false,
        }
    }

    /// Writes a line. When nobody reads any more (`cnctl … | head`), the program is done.
    pub(crate) fn line(self, line: impl Display) {
        end_if_closed(self.flush(&mut format!("{line}\n")));
    }

    /// Writes what is not one line, at once.
    pub(crate) fn part(self, text: &str) {
        end_if_closed(self.flush(&mut text.to_owned()));
    }

    /// Writes and empties `lines`, by one system call as a rule.
    pub(crate) fn flush(self, lines: &mut String) -> io::Result<()> {
        let stdout = io::stdout().lock();
        let result = write_all(stdout.as_fd(), lines.as_bytes());
        lines.clear();
        result.map_err(|error| match error.kind() {
            // Who sees that knows what it is about.
            ErrorKind::BrokenPipe => error,
            kind => io::Error::new(kind, format!("writing the results: {error}")),
        })
    }

    /// A piece of text in the colour of its meaning.
    pub(crate) fn toned<T: Display>(self, tone: Tone, text: T) -> Toned<T> {
        let style = self.colours.then_some(match tone {
            Tone::Strong => Style::new().bold(),
            Tone::Good => AnsiColor::Green.on_default(),
            Tone::Bad => AnsiColor::Red.on_default(),
        });
        Toned { style, text }
    }
}

/// Says what is wrong with a command, or in general, on standard error.
pub(crate) fn complain(command: &str, what: impl Display) {
    let separator = if command.is_empty() { "" } else { " " };
    aside(format_args!("cnctl{separator}{command}: {what}"));
}

/// Writes a line to standard error. That it cannot be written is no reason to end.
pub(crate) fn aside(line: impl Display) {
    let stderr = io::stderr().lock();
    let _ = write_all(stderr.as_fd(), format!("{line}\n").as_bytes());
}

/// Writes all of it, whether the descriptor is non-blocking or not: that is a matter of whoever
/// shares it, a parent that reads our output for example.
fn write_all(fd: BorrowedFd<'_>, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match write(fd, bytes) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(written) => bytes = &bytes[written..],
            Err(Errno::EAGAIN) => {
                let mut fds = [PollFd::new(fd, PollFlags::POLLOUT)];
                match poll(&mut fds, PollTimeout::NONE) {
                    Ok(_) | Err(Errno::EINTR) => {}
                    Err(errno) => return Err(errno.into()),
                }
            }
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(())
}

/// Ends the program when writing failed: silently if the reader went away.
fn end_if_closed(result: io::Result<()>) {
    match result {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::BrokenPipe => process::exit(0),
        Err(error) => {
            complain("", error);
            process::exit(2);
        }
    }
}

/// A piece of text in a colour.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Toned<T> {
    style: Option<Style>,
    text: T,
}

impl<T: Display> Display for Toned<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.style {
            // The width is the text's: escape sequences take no room.
            Some(style) => {
                write!(f, "{}", style.render())?;
                self.text.fmt(f)?;
                write!(f, "{}", style.render_reset())
            }
            None => self.text.fmt(f),
        }
    }
}

/// A value as JSON, on one line without its end.
pub(crate) fn json(value: &impl Serialize) -> String {
    let mut bytes = Vec::new();
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, ForTerminals);
    // Neither can writing to memory fail, nor the serialization of our own types.
    let _ = value.serialize(&mut serializer);
    String::from_utf8(bytes).unwrap_or_default()
}

/// Escapes also what JSON would allow, and a terminal would obey.
struct ForTerminals;

impl Formatter for ForTerminals {
    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut rest = fragment;
        while let Some(at) = rest.find(escape::is_obeyed) {
            let (before, after) = rest.split_at(at);
            writer.write_all(before.as_bytes())?;
            let mut chars = after.chars();
            // All of them have four digits at most.
            let control = chars.next().map_or(0, u32::from);
            write!(writer, "\\u{control:04x}")?;
            rest = chars.as_str();
        }
        CompactFormatter.write_string_fragment(writer, rest)
    }
}

/// Bytes that are text as a rule: in JSON a string if they are UTF-8, else an array of numbers, so
/// that nothing is lost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bytes<'a>(pub(crate) &'a [u8]);

impl Serialize for Bytes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(self.0) {
            Ok(text) => serializer.serialize_str(text),
            Err(_) => self.0.serialize(serializer),
        }
    }
}

/// A JSON object on one line, built member by member.
#[derive(Debug)]
pub(crate) struct Object(String);

impl Object {
    /// An object whose first member says what kind of line it is.
    pub(crate) fn new(event: &str) -> Self {
        Self(String::new()).value("event", event)
    }

    /// Adds a text.
    pub(crate) fn string(self, name: &str, value: &str) -> Self {
        self.value(name, value)
    }

    /// Adds anything that JSON can say. A number that it has no notation for becomes `null`.
    pub(crate) fn value(mut self, name: &str, value: impl Serialize) -> Self {
        self.0.push(if self.0.is_empty() { '{' } else { ',' });
        self.0.push_str(&json(&name));
        self.0.push(':');
        self.0.push_str(&json(&value));
        self
    }

    /// Adds bytes, as hexadecimal digits.
    pub(crate) fn bytes(self, name: &str, bytes: &[u8]) -> Self {
        self.value(name, hex::encode(bytes))
    }
}

impl Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)?;
        f.write_str("}")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json as value};

    use super::*;

    #[test]
    fn objects_have_their_members_in_order() {
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

    #[test]
    fn what_is_read_again_is_what_was_there_and_no_terminal_obeys_it() {
        for text in [
            "it's",
            "a\\b",
            "caf\u{e9}",
            "\u{1b}[31m\u{7f}\u{9b}\n\"",
            escape::tests::OBEYED,
            "",
        ] {
            let line = json(&Bytes(text.as_bytes()));
            assert_eq!(serde_json::from_str::<Value>(&line).unwrap(), value!(text));
            let obeyed: Vec<_> = escape::tests::OBEYED.chars().collect();
            assert!(!line.contains(&obeyed[..]), "{line}");
        }
        let line = json(&Bytes(b"\xffa"));
        assert_eq!(
            serde_json::from_str::<Value>(&line).unwrap(),
            value!([255, 97])
        );
    }
}
