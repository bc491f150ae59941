// SPDX-License-Identifier: GPL-2.0

//! What a person sees: one line per suite, more where something failed.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use crate::summary;
use crate::tap::{Count, Outcome, Test};

/// Standard output, with or without colour and lines that replace each other.
#[derive(Debug)]
pub struct Screen {
    tty: bool,
    colour: bool,
    verbose: bool,
    dark: bool,
}

impl Screen {
    /// Looks at where the output goes. `verbose` shows what programs print, too.
    pub fn new(verbose: bool) -> Self {
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        let tty = std::io::stdout().is_terminal() && !dumb;
        let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self {
            tty,
            colour: tty && !no_colour,
            verbose,
            dark: false,
        }
    }

    /// Shows nothing: what a test of ours shows would be taken for a result of its own.
    #[cfg(test)]
    pub fn dark() -> Self {
        Self {
            dark: true,
            ..Self::new(false)
        }
    }

    /// Whether colour is wanted.
    pub fn colour(&self) -> bool {
        self.colour
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.colour {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    fn line(&self, text: &str) {
        if self.dark {
            return;
        }
        let mut out = std::io::stdout().lock();
        let clear = if self.tty { "\r\x1b[K" } else { "" };
        let _ = writeln!(out, "{clear}{text}");
        let _ = out.flush();
    }

    /// A line that the next one replaces; nothing where lines stay.
    pub fn progress(&self, text: &str) {
        if self.tty && !self.verbose && !self.dark {
            let mut out = std::io::stdout().lock();
            let _ = write!(out, "\r\x1b[K      {}", self.paint("2", text));
            let _ = out.flush();
        }
    }

    /// What a program printed; shown only with V=1.
    pub fn detail(&self, text: &str) {
        if self.verbose {
            self.line(&self.paint("2", &format!("      | {text}")));
        }
    }

    /// A suite's result.
    pub fn suite(&self, place: &str, name: &str, count: Count, took: Option<Duration>) {
        let state = if count.failed > 0 {
            self.paint("31;1", "FAIL")
        } else if count.passed == 0 {
            self.paint("33", "skip")
        } else {
            self.paint("32", "  ok")
        };
        let mut parts = Vec::new();
        for (number, what) in [
            (count.passed, "passed"),
            (count.failed, "failed"),
            (count.skipped, "skipped"),
        ] {
            if number > 0 {
                parts.push(format!("{number} {what}"));
            }
        }
        let took = took.map_or(String::new(), |took| format!("{:>10}", length(took)));
        let text = format!("{place:<5} {name:<38} {:<28}{took}", parts.join(", "));
        self.line(&format!("{state}  {}", text.trim_end()));
    }

    /// Those tests of the suite above that did not pass, with what they printed.
    pub fn tests(&self, tests: &[Test]) {
        for test in tests {
            match &test.outcome {
                Outcome::Passed => {}
                Outcome::Failed => {
                    self.test("failed", &test.name);
                    self.quote(&test.log);
                }
                Outcome::Skipped(reason) if reason.is_empty() => self.test("skipped", &test.name),
                Outcome::Skipped(reason) => {
                    self.test("skipped", &format!("{}: {reason}", test.name));
                }
            }
        }
    }

    /// Once more, in one line and another one that says why, what failed before.
    pub fn failure(&self, suite: &summary::Suite, case: &summary::Case) {
        let step = suite.step.as_deref().unwrap_or_default();
        let place = format!("{step} {}", suite.place);
        let name = suite.full_name();
        self.line(&format!("  {:<5} {name}: {}", place.trim(), case.name));
        self.quote(case.reason.as_slice());
    }

    fn test(&self, what: &str, name: &str) {
        let colour = if what == "skipped" { "33" } else { "31" };
        self.line(&format!("        {} {name}", self.paint(colour, what)));
    }

    /// Lines that explain it; long ones are cut in the middle.
    pub fn quote(&self, lines: &[String]) {
        const HEAD: usize = 30;
        const TAIL: usize = 20;
        for (at, text) in lines.iter().enumerate() {
            if lines.len() > HEAD + TAIL && (HEAD..lines.len() - TAIL).contains(&at) {
                if at == HEAD {
                    let left_out = lines.len() - HEAD - TAIL;
                    self.line(&format!("          … {left_out} more lines …"));
                }
                continue;
            }
            self.line(&self.paint("2", &format!("          {text}")));
        }
    }

    /// A remark.
    pub fn note(&self, text: &str) {
        self.line(&format!("      {text}"));
    }

    /// A line of the demonstration, or the last line of a run.
    pub fn plain(&self, text: &str) {
        self.line(text);
    }

    /// What the lines below are.
    pub fn heading(&self, text: &str) {
        self.line(&self.paint("1", text));
    }

    /// Success or failure of a whole run.
    pub fn verdict(&self, good: bool, text: &str) {
        let colour = if good { "32;1" } else { "31;1" };
        self.line(&self.paint(colour, text));
    }
}

/// A length of time, for people: `1.5 s`, `2 min 5 s`.
pub fn length(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 60.. => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{:.1} s", time.as_secs_f64()),
    }
}
