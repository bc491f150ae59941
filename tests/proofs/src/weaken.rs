// SPDX-License-Identifier: GPL-2.0

//! Whether the models need all of the shipped files: weakens each ordering in turn, and swaps each
//! two statements that follow each other, in a copy of the project, and runs the models on that.
//!
//! What breaks no model, nor a test of the crate that needs no kernel, has survived. That needs a reason, in
//! README.md's table of survivors.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{bail, ensure, Context, Result};

use crate::{loom, source, table};

/// Where the models say which of the kernel side's files they run.
const INCLUDED: [&str; 2] = ["tests/proofs/src/lib.rs", "tests/proofs/src/changes.rs"];

/// The client's files in which threads meet.
const OF_CLIENT: [&str; 3] = [
    "tools/netlink-connector/src/exchange.rs",
    "tools/netlink-connector/src/receive.rs",
    "tools/netlink-connector/src/request.rs",
];

/// What the models run.
fn files(top: &Path) -> Result<Vec<String>> {
    let mut files = Vec::new();
    for place in INCLUDED {
        let text = fs::read_to_string(top.join(place))?;
        let paths = text.lines().filter_map(|line| {
            let path = line.strip_prefix("#[path = \"")?.strip_suffix("\"]")?;
            Some(path.trim_start_matches("../").to_owned())
        });
        files.extend(paths);
    }
    files.extend(OF_CLIENT.map(str::to_owned));
    Ok(files)
}

/// A way to break a file.
struct Change {
    /// What was done, as the table of survivors has it.
    what: String,
    /// Whether it may be something that does not compile.
    may_not_compile: bool,
    text: String,
}

/// What an ordering can be weakened to.
fn weaker(ordering: &str) -> &'static [&'static str] {
    match ordering {
        "Full" => &["Acquire", "Release", "Relaxed"],
        "Acquire" | "Release" => &["Relaxed"],
        _ => &[],
    }
}

fn weakenings(text: &str) -> Vec<Change> {
    let mut changes = Vec::new();
    for operation in source::operations(text) {
        for ordering in weaker(&operation.ordering) {
            let line = text[..operation.at.start].matches('\n').count() + 1;
            let mut weakened = text.to_owned();
            // As a path, which may be imported or not.
            let path = format!("kernel::sync::atomic::{ordering}");
            weakened.replace_range(operation.at.clone(), &path);
            changes.push(Change {
                what: format!("{line}: {} to {ordering}", operation.name()),
                may_not_compile: false,
                text: weakened,
            });
        }
    }
    changes
}

/// Whether a line is a whole statement, by which something happens.
fn is_statement(line: &str) -> bool {
    let code = line.trim();
    let is_start = !code.starts_with(['.', '}', ')', '/', '#']);
    let is_none = [
        "use ",
        "return",
        "let _guard",
        "const ",
        "type ",
        "continue",
    ]
    .iter()
    .any(|word| code.starts_with(word));
    let is_balanced =
        code.matches(['(', '{', '[']).count() == code.matches([')', '}', ']']).count();
    is_start && !is_none && is_balanced && code.ends_with(';') && code.contains(['(', '='])
}

/// What a statement stores to, if it does nothing but that, and calls nothing.
fn assigned(line: &str) -> Option<&str> {
    let code = line.trim();
    let (to, _) = code.split_once(" = ").or_else(|| code.split_once(" += "))?;
    let to = to.strip_prefix("let ").unwrap_or(to);
    let to = to.strip_prefix("mut ").unwrap_or(to);
    (!line.contains('(') && !to.contains(' ')).then_some(to)
}

/// Whether two statements only store to memory that the task has for itself, each to another place. Atomic
/// variables are not stored to without a call.
fn are_independent(first: &str, second: &str) -> bool {
    match (assigned(first), assigned(second)) {
        (Some(to), Some(other)) => !second.contains(to) && !first.contains(other),
        _ => false,
    }
}

fn swaps(text: &str) -> Vec<Change> {
    // The models do not have a file's own tests.
    let shipped = text.split("\n#[cfg(test)]").next().unwrap_or(text);
    let lines: Vec<&str> = shipped.split_inclusive('\n').collect();
    let indent = |line: &str| line.len() - line.trim_start().len();
    let statements: Vec<usize> = (0..lines.len())
        .filter(|at| is_statement(&source::without_comments(lines[*at])))
        .collect();
    statements
        .windows(2)
        .filter_map(|pair| {
            let [first, second] = *pair else { return None };
            // Only comments between the two.
            let between = &lines[first + 1..second];
            let is_next = between
                .iter()
                .all(|line| line.trim_start().starts_with("//"));
            if !is_next
                || indent(lines[first]) != indent(lines[second])
                || are_independent(lines[first], lines[second])
            {
                return None;
            }
            let mut swapped = lines.clone();
            swapped.swap(first, second);
            let (before, after) = (lines[first].trim(), lines[second].trim());
            Some(Change {
                what: format!("{}: `{after}` before `{before}`", first + 1),
                may_not_compile: true,
                text: swapped.concat() + &text[shipped.len()..],
            })
        })
        .collect()
}

/// The reason for a survivor: a row of the table with three cells, whose second is what was done
/// without the number of the line, and whose third is why that is no loss.
fn reason<'a>(reasons: &'a [Row], file: &str, what: &str) -> Option<&'a Row> {
    let what = what.split_once(": ")?.1.replace('`', "");
    reasons.iter().find(|(name, cells)| {
        file.ends_with(name) && cells.len() == 3 && cells[0].replace('`', "") == what
    })
}

/// A row of a table in README.md.
type Row = (String, Vec<String>);

fn copy(top: &Path, tree: &Path) -> Result<()> {
    let list = Command::new("git")
        .args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ])
        .current_dir(top)
        .output()
        .context("cannot run git")?;
    ensure!(
        list.status.success(),
        "git does not list the files of {}",
        top.display()
    );
    for name in list.stdout.split(|byte| *byte == 0) {
        let name = Path::new(std::str::from_utf8(name)?);
        let (from, to) = (top.join(name), tree.join(name));
        if name.as_os_str().is_empty() || !from.is_file() {
            continue;
        }
        fs::create_dir_all(to.parent().context("no folder")?)?;
        fs::copy(from, to)?;
    }
    Ok(())
}

/// Builds the copy. Returns the program, or `None` if it does not compile.
fn build(cargo: &Path, tree: &Path, target: &Path) -> Result<Option<PathBuf>> {
    let output = Command::new(cargo)
        .args([
            "build",
            "--release",
            "--locked",
            "-q",
            "-p",
            "proofs",
            "--target-dir",
        ])
        .arg(target)
        .current_dir(tree)
        .stdin(Stdio::null())
        .output()
        .context("cannot run cargo")?;
    fs::write(tree.join("build.log"), &output.stderr)?;
    Ok(output
        .status
        .success()
        .then(|| target.join("release/proofs")))
}

/// Whether the tests of the crate that the file is of find it. Those of the kernel's crates need a kernel.
fn breaks_own_tests(cargo: &Path, tree: &Path, target: &Path, file: &str) -> Result<bool> {
    let Some(package) = file
        .strip_prefix("tools/")
        .and_then(|file| file.split('/').next())
    else {
        return Ok(false);
    };
    let status = Command::new(cargo)
        .args([
            "test",
            "--locked",
            "-q",
            "-p",
            package,
            "--lib",
            "--all-features",
            "--target-dir",
        ])
        .arg(target)
        .current_dir(tree)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .context("cannot run cargo")?;
    Ok(!status.success())
}

pub fn run(top: &Path, keep: &Path, only: &str, cargo: &Path) -> Result<bool> {
    let keep = std::path::absolute(keep)?;
    let (tree, target) = (keep.join("tree"), keep.join("target"));
    if tree.exists() {
        fs::remove_dir_all(&tree)?;
    }
    copy(top, &tree)?;
    eprintln!("building the models as they are");
    let program = build(cargo, &tree, &target)?;
    let program =
        program.with_context(|| format!("it does not compile: {}/build.log", tree.display()))?;
    if let Some(broken) = loom::first_broken(&program)? {
        bail!("{broken} is broken without any change");
    }
    let reasons = table::rows(top)?;
    let (mut broken, mut survived, mut unexplained) = (0, 0, 0);
    let files = files(top)?;
    let files: Vec<_> = files.iter().filter(|file| file.contains(only)).collect();
    ensure!(
        !files.is_empty(),
        "the models run no file of which the name has {only}"
    );
    // What nothing was done of.
    let mut stale: Vec<_> = reasons
        .iter()
        .filter(|(_, cells)| cells.len() == 3)
        .collect();
    stale.retain(|(name, _)| files.iter().any(|file| file.ends_with(name)));
    for file in files {
        let path = tree.join(file);
        let text = fs::read_to_string(&path)?;
        let mut changes = weakenings(&text);
        changes.extend(swaps(&text));
        for change in changes {
            fs::write(&path, &change.text)?;
            let verdict = match build(cargo, &tree, &target)? {
                None if change.may_not_compile => "does not compile".to_owned(),
                None => {
                    unexplained += 1;
                    format!("DOES NOT COMPILE: {}/build.log", tree.display())
                }
                Some(program) => match loom::first_broken(&program)? {
                    Some(model) => {
                        broken += 1;
                        format!("breaks {model}")
                    }
                    None if breaks_own_tests(cargo, &tree, &target, file)? => {
                        broken += 1;
                        "breaks the crate's own tests".to_owned()
                    }
                    None => {
                        survived += 1;
                        match reason(&reasons, file, &change.what) {
                            Some(row) => {
                                stale.retain(|other| *other != row);
                                format!("survives: {}", row.1[1])
                            }
                            None => {
                                unexplained += 1;
                                "SURVIVES, without a reason in the table".to_owned()
                            }
                        }
                    }
                },
            };
            println!("{file}:{}\n    {verdict}", change.what);
        }
        fs::write(&path, text)?;
    }
    for (file, cells) in &stale {
        println!(
            "{file}: {}\n    IN THE TABLE of survivors, and is none",
            cells[0]
        );
    }
    println!(
        "\n{broken} broken, {survived} survived, {unexplained} without a reason; {} reasons for nothing",
        stale.len()
    );
    Ok(unexplained == 0 && stale.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_ordering_is_weakened_in_each_way() {
        let changes = weakenings("a.load(Acquire);\nb.fetch_add(1, Full);\nc.load(Relaxed);\n");
        let whats: Vec<_> = changes.iter().map(|change| &change.what[..]).collect();
        assert_eq!(
            whats,
            [
                "1: a.load Acquire to Relaxed",
                "2: b.fetch_add Full to Acquire",
                "2: b.fetch_add Full to Release",
                "2: b.fetch_add Full to Relaxed"
            ]
        );
        assert!(changes[0]
            .text
            .starts_with("a.load(kernel::sync::atomic::Relaxed);\n"));
    }

    #[test]
    fn what_nobody_else_sees_in_between_is_not_swapped() {
        assert!(swaps("    self.a = 1;\n    self.b = NOBODY;\n").is_empty());
        assert!(swaps("    let mut a = 1;\n    self.b += other.b;\n").is_empty());
        assert!(swaps("x();\n#[cfg(test)]\nmod tests {\n    a();\n    b();\n}\n").is_empty());
        for seen in [
            "    self.a = 1;\n    self.b = self.a;\n",
            "    self.a = 1;\n    self.a = 2;\n",
            "    self.a = 1;\n    self.look();\n",
        ] {
            assert_eq!(swaps(seen).len(), 1, "{seen}");
        }
    }

    #[test]
    fn statements_that_follow_each_other_are_swapped() {
        let changes = swaps("    a();\n    // Why.\n    b();\n        c();\n    d(\n    e);\n");
        let texts: Vec<_> = changes.iter().map(|change| &change.text[..]).collect();
        assert_eq!(
            texts,
            ["    b();\n    // Why.\n    a();\n        c();\n    d(\n    e);\n"]
        );
    }
}
