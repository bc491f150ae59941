// SPDX-License-Identifier: GPL-2.0

//! Litmus tests, by herd7 with the kernel's memory model.
//!
//! A test's condition must never be fulfilled, without a data race. Each line `Weaker: OLD => NEW` in
//! its comment makes a twin of it, with that one ordering weakened, in which it must be: or else the
//! ordering is not needed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{bail, ensure, Context, Result};

use crate::report::{Outcome, Report};

const SUITE: &str = "lkmm";

struct Litmus {
    name: String,
    path: PathBuf,
    text: String,
    /// The first sentence of its comment.
    property: String,
    /// What is weakened, to what.
    twins: Vec<(String, String)>,
}

impl Litmus {
    fn read(path: PathBuf) -> Result<Self> {
        let text = fs::read_to_string(&path)?;
        let name = path
            .file_stem()
            .context("no name")?
            .to_string_lossy()
            .into_owned();
        ensure!(
            text.starts_with(&format!("C {name}\n")),
            "{}: it begins with another name",
            path.display()
        );
        let comment = text
            .split_once("(*")
            .and_then(|(_, rest)| rest.split_once("*)"))
            .with_context(|| format!("{}: it has no comment", path.display()))?
            .0;
        let lines = comment
            .lines()
            .map(|line| line.trim().trim_start_matches('*').trim());
        let twins = lines
            .clone()
            .filter_map(|line| line.strip_prefix("Weaker: ")?.split_once(" => "))
            .map(|(old, new)| (old.to_owned(), new.to_owned()))
            .collect();
        let words: Vec<_> = lines.filter(|line| !line.is_empty()).collect();
        let words = words.join(" ");
        let property = words.split(['.', ':', ';']).next().unwrap_or_default();
        Ok(Self {
            name,
            property: property.to_owned(),
            twins,
            path,
            text,
        })
    }
}

fn all(top: &Path) -> Result<Vec<Litmus>> {
    let mut all = Vec::new();
    for entry in fs::read_dir(top.join("tests/proofs/litmus"))? {
        all.push(Litmus::read(entry?.path())?);
    }
    all.sort_by(|a, b| a.name.cmp(&b.name));
    ensure!(!all.is_empty(), "there are no litmus tests");
    Ok(all)
}

/// What they are called.
pub fn names(top: &Path) -> Result<Vec<String>> {
    Ok(all(top)?.into_iter().map(|test| test.name).collect())
}

/// Notes that they could not be run.
pub fn skip(top: &Path, why: &str, report: &mut Report) -> Result<()> {
    report.suite(SUITE);
    for test in all(top)? {
        report.add(&test.name, &test.property, Outcome::Skipped(why.to_owned()));
    }
    Ok(())
}

struct Herd<'a> {
    command: &'a [String],
    model: &'a Path,
}

impl Herd<'_> {
    /// Runs a test. Returns whether nothing is wrong in it, and what herd said.
    fn run(&self, path: &Path) -> Result<(bool, String)> {
        let [program, arguments @ ..] = self.command else {
            bail!("no herd7");
        };
        let output = Command::new(program)
            .args(arguments)
            .args(["-conf", "linux-kernel.cfg"])
            .arg(path)
            // The model's files are found here.
            .current_dir(self.model)
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("cannot run {program} in {}", self.model.display()))?;
        let said = format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        // "Observation slot-drain Never 0 4"
        let observation = said
            .lines()
            .find_map(|line| line.strip_prefix("Observation ")?.split(' ').nth(1));
        let is_racy = said.lines().any(|line| line.starts_with("Flag "));
        match observation {
            Some("Never") => Ok((!is_racy, said)),
            Some("Sometimes" | "Always") => Ok((false, said)),
            _ => bail!("herd7 did not run {}: {said}", path.display()),
        }
    }
}

pub fn check(
    top: &Path,
    keep: &Path,
    model: &Path,
    command: &[String],
    report: &mut Report,
) -> Result<()> {
    report.suite(SUITE);
    let herd = Herd { command, model };
    let twins = std::path::absolute(keep)?.join("twins");
    fs::create_dir_all(&twins)?;
    for test in all(top)? {
        let outcome = match check_one(&test, &herd, &twins)? {
            None => Outcome::Proved(format!("broken by each of {}", test.twins.len())),
            Some(wrong) => Outcome::Broken(wrong),
        };
        report.add(&test.name, &test.property, outcome);
    }
    Ok(())
}

/// What is wrong with a test.
fn check_one(test: &Litmus, herd: &Herd<'_>, twins: &Path) -> Result<Option<String>> {
    let (holds, said) = herd.run(&std::path::absolute(&test.path)?)?;
    if !holds {
        return Ok(Some(format!("herd7 finds:\n{said}")));
    }
    if test.twins.is_empty() {
        return Ok(Some(
            "it has no twin that is wrong: it shows nothing".to_owned(),
        ));
    }
    let code = test.text.find("*)").unwrap_or_default();
    for (number, (old, new)) in test.twins.iter().enumerate() {
        let (comment, code) = test.text.split_at(code);
        ensure!(
            code.contains(old),
            "{}: there is no {old}",
            test.path.display()
        );
        let name = format!("{}+{}", test.name, number + 1);
        let text = format!("{comment}{}", code.replace(old, new));
        let text = text.replacen(&test.name, &name, 1);
        let path = twins.join(format!("{name}.litmus"));
        fs::write(&path, text)?;
        let (holds, _) = herd.run(&path)?;
        if holds {
            return Ok(Some(format!(
                "it holds with {new}, too: nothing here needs {old} ({})",
                path.display()
            )));
        }
    }
    Ok(None)
}
