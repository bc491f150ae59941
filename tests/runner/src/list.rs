// SPDX-License-Identifier: GPL-2.0

//! `make test T=list`: the test programs, what each is about, and its tests. No VM is needed: a
//! program in Rust says its tests' names when `TESTS` is `list`. A shell script cannot be asked.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::screen::Screen;

/// Shows the programs of a folder; `sources` is tests/selftests.
pub fn show(programs: &Path, names: &[String], sources: &Path, screen: &Screen) -> Result<()> {
    for name in names {
        let source = source_of(name, sources)?;
        screen.heading(name);
        screen.plain(&format!("    {}", about(&source)));
        if !name.ends_with(".sh") {
            for test in tests_of(&programs.join(name))? {
                screen.plain(&format!("      {test}"));
            }
        }
    }
    Ok(())
}

fn source_of(name: &str, sources: &Path) -> Result<String> {
    let path = match name.ends_with(".sh") {
        true => sources.join(name),
        false => sources.join(format!("src/bin/{name}.rs")),
    };
    fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
}

/// The first sentence of the comment by which a source opens.
fn about(source: &str) -> String {
    let lines = source
        .lines()
        .map(|line| line.trim_start_matches(['/', '!', '#']).trim());
    let paragraph = lines
        .skip(1)
        .skip_while(|line| line.is_empty() || line.starts_with("SPDX"))
        .take_while(|line| !line.is_empty());
    let text = paragraph.collect::<Vec<_>>().join(" ");
    match text.split_once(". ") {
        Some((first, _)) => format!("{first}."),
        None => text,
    }
}

/// What a program calls its tests. It is run without any privilege: it is not the moment to load
/// modules, whatever it makes of `TESTS`.
fn tests_of(program: &Path) -> Result<Vec<String>> {
    let mut command = if is_root() {
        let mut command = Command::new("setpriv");
        command
            .args([
                "--bounding-set=-all",
                "--inh-caps=-all",
                "--no-new-privs",
                "--",
            ])
            .arg(program);
        command
    } else {
        Command::new(program)
    };
    let output = command
        .env("TESTS", "list")
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot run {}", program.display()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    ensure!(
        output.status.success() && !text.is_empty(),
        "{} does not say what tests it has: {}{text}",
        program.display(),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(text.lines().map(str::to_owned).collect())
}

fn is_root() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let capabilities = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    capabilities.is_none_or(|set| !set.trim().trim_matches('0').is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_says_what_it_is_about() {
        let rust = "// SPDX-License-Identifier: GPL-2.0\n\n//! Replies of every\n//! make. Not more.\n//!\n//! x\n";
        assert_eq!(about(rust), "Replies of every make.");
        let shell = "#!/bin/sh\n# SPDX-License-Identifier: GPL-2.0\n#\n# Installs\n# it.\n\necho\n";
        assert_eq!(about(shell), "Installs it.");
    }

    #[test]
    fn every_program_says_what_it_is_about() {
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../selftests");
        let folder = fs::read_dir(sources.join("src/bin")).expect("the folder is there");
        for entry in folder {
            let name = entry.expect("it is an entry").file_name();
            let name = name.to_string_lossy().replace(".rs", "");
            let about = about(&source_of(&name, &sources).expect("it can be read"));
            assert!(
                about.ends_with(['.', ':']) && about.len() > 20,
                "{name}: {about}"
            );
        }
    }
}
