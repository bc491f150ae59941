// SPDX-License-Identifier: GPL-2.0

//! A TAP stream, version 13, as kselftest wants it.
//!
//! The environment's `TESTS` picks some of a program's tests by globs, `echo:*seq* echo:a?reply*`
//! being words for the program `echo`; a program without a word runs all. `list` has it print the
//! tests' names and nothing else.
//!
//! The producers on crates.io know neither plans nor skipped tests, or print when all is over; a
//! machine that crashes must have said before what it was doing.

use std::{
    any::Any,
    env, fmt,
    panic::{self, AssertUnwindSafe},
    process::ExitCode,
};

use anyhow::{Context, Error, Result};
use glob::Pattern;
use nix::unistd::Uid;

/// kselftest's exit codes.
const PASS: u8 = 0;
const FAIL: u8 = 1;
const SKIP: u8 = 4;

/// The tests of one program.
#[derive(Default)]
#[must_use]
pub struct Suite<'a> {
    tests: Vec<(String, Test<'a>)>,
    lacking: Option<&'static str>,
    in_sequence: bool,
}

type Test<'a> = Box<dyn FnOnce() -> Result<()> + 'a>;

/// Why a test could not be run.
#[derive(Debug)]
struct Skipped(String);

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Skipped {}

/// Ends a test that cannot be run here: `return skip("the kernel has no process events")`.
pub fn skip<T>(reason: impl Into<String>) -> Result<T> {
    Err(Error::new(Skipped(reason.into())))
}

impl<'a> Suite<'a> {
    /// A suite without tests.
    pub fn new() -> Self {
        Self::default()
    }

    /// Skips the suite if something is lacking that every test needs: this, if it is given.
    pub fn skip_if(self, lacking: Option<&'static str>) -> Self {
        Self { lacking, ..self }
    }

    /// Each test goes on from what the one before it left: all of them run, or none.
    pub fn in_sequence(self) -> Self {
        Self {
            in_sequence: true,
            ..self
        }
    }

    /// Adds a test; its name says how the module behaves.
    pub fn test(mut self, name: impl Into<String>, test: impl FnOnce() -> Result<()> + 'a) -> Self {
        self.tests.push((name.into(), Box::new(test)));
        self
    }

    /// Runs all tests, in order, and returns what `main` has to.
    pub fn run(mut self) -> ExitCode {
        let wanted = env::var("TESTS").unwrap_or_default();
        if wanted == "list" {
            for (name, _) in self.tests {
                println!("{name}");
            }
            return PASS.into();
        }
        println!("TAP version 13");
        if let Err(error) = self.pick(&wanted) {
            println!("Bail out! {error:#}");
            return FAIL.into();
        }
        if !Uid::effective().is_root() {
            println!("1..0 # SKIP modules can be loaded by root alone");
            return SKIP.into();
        }
        if let Some(lacking) = self.lacking {
            println!("1..0 # SKIP {lacking}");
            return SKIP.into();
        }
        println!("1..{}", self.tests.len());
        panic::set_hook(Box::new(|info| diagnose(info)));
        let mut failed = 0;
        let mut skipped = 0;
        let total = self.tests.len();
        for (number, (name, test)) in (1..).zip(self.tests) {
            match panic::catch_unwind(AssertUnwindSafe(test)).unwrap_or_else(|e| Err(panicked(&*e)))
            {
                Ok(()) => println!("ok {number} {name}"),
                Err(error) => match error.downcast_ref::<Skipped>() {
                    Some(reason) => {
                        skipped += 1;
                        println!("ok {number} {name} # SKIP {reason}");
                    }
                    None => {
                        failed += 1;
                        diagnose(format_args!("{error:#}"));
                        println!("not ok {number} {name}");
                    }
                },
            }
        }
        match (failed, skipped) {
            (0, skipped) if skipped == total => SKIP,
            (0, _) => PASS,
            _ => FAIL,
        }
        .into()
    }
}

impl Suite<'_> {
    /// Leaves out the tests that `TESTS` does not ask for.
    fn pick(&mut self, wanted: &str) -> Result<()> {
        let program = env::args().next().unwrap_or_default();
        let program = program.rsplit('/').next().unwrap_or_default();
        let patterns = patterns(wanted, program)?;
        if patterns.is_empty() || self.in_sequence {
            return Ok(());
        }
        let all = std::mem::take(&mut self.tests);
        let (picked, others) = all
            .into_iter()
            .partition(|(name, _)| patterns.iter().any(|pattern| pattern.matches(name)));
        self.tests = picked;
        if self.tests.is_empty() {
            let others: Vec<(String, Test<'_>)> = others;
            for (name, _) in others {
                diagnose(name);
            }
            anyhow::bail!("TESTS={wanted}: {program} has no such test, but those above");
        }
        Ok(())
    }
}

/// The globs for a program; none if it is to run all of its tests.
fn patterns(wanted: &str, program: &str) -> Result<Vec<Pattern>> {
    let words = wanted.split_whitespace();
    let globs = words.filter_map(|word| word.strip_prefix(program)?.strip_prefix(':'));
    globs
        .map(|glob| {
            Pattern::new(glob).with_context(|| format!("TESTS={wanted}: {glob} is no glob"))
        })
        .collect()
}

/// Prints lines that are no result.
fn diagnose(text: impl fmt::Display) {
    for line in text.to_string().lines() {
        println!("# {line}");
    }
}

/// What is left to say of a panic: the hook has printed the message.
fn panicked(_: &(dyn Any + Send)) -> Error {
    Error::msg("the test panicked")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn globs(wanted: &str) -> Vec<String> {
        let patterns = patterns(wanted, "echo").expect("they are globs");
        patterns
            .iter()
            .map(|pattern| pattern.as_str().to_owned())
            .collect()
    }

    #[test]
    fn a_program_takes_the_words_for_it() {
        assert_eq!(globs("echo:a* ids:b echoes:c echo:d:e"), ["a*", "d:e"]);
        assert!(globs("echo ids:b").is_empty());
        assert!(globs("").is_empty());
        patterns("echo:[", "echo").expect_err("it is not closed");
    }

    /// The tests that are left.
    fn left(suite: Suite<'_>, pattern: &str) -> Result<Vec<String>> {
        let program = env::args().next().unwrap_or_default();
        let program = program.rsplit('/').next().unwrap_or_default().to_owned();
        let mut suite = suite
            .test("a reply comes", || Ok(()))
            .test("none comes", || Ok(()));
        suite.pick(&format!("{program}:{pattern}"))?;
        Ok(suite.tests.into_iter().map(|(name, _)| name).collect())
    }

    #[test]
    fn the_others_are_left_out() {
        let suite = Suite::new;
        assert_eq!(
            left(suite(), "a?reply*").expect("it is there"),
            ["a reply comes"]
        );
        assert_eq!(left(suite(), "*comes").expect("they are there").len(), 2);
        assert_eq!(
            left(suite().in_sequence(), "a?reply*").expect("all").len(),
            2
        );
        left(suite(), "x*").expect_err("there is none");
    }
}
