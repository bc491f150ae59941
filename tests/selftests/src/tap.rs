// SPDX-License-Identifier: GPL-2.0

//! A TAP stream, version 13, as kselftest wants it.
//!
//! The producers on crates.io know neither plans nor skipped tests, or print when all is over; a
//! machine that crashes must have said before what it was doing.

use std::{
    any::Any,
    fmt,
    panic::{self, AssertUnwindSafe},
    process::ExitCode,
};

use anyhow::{Error, Result};
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

    /// Adds a test; its name says how the module behaves.
    pub fn test(mut self, name: impl Into<String>, test: impl FnOnce() -> Result<()> + 'a) -> Self {
        self.tests.push((name.into(), Box::new(test)));
        self
    }

    /// Runs all tests, in order, and returns what `main` has to.
    pub fn run(self) -> ExitCode {
        println!("TAP version 13");
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
