// SPDX-License-Identifier: GPL-2.0

//! Finds the atomic operations in the kernel side's sources: every call whose last argument is an
//! ordering of `kernel::sync::atomic`, and every volatile access.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use anyhow::{Context, Result};
use regex::Regex;

/// An atomic operation.
pub struct Operation {
    /// The last field or variable before the method, `_` if that is something longer.
    pub what: String,
    pub method: String,
    pub ordering: String,
    /// Where the ordering stands in the text.
    pub at: Range<usize>,
}

impl Operation {
    /// As the table has it.
    pub fn name(&self) -> String {
        format!("{}.{} {}", self.what, self.method, self.ordering)
    }
}

static ORDERING: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?:\b(?P<path>\w+)::)?\b(?P<ordering>Relaxed|Acquire|Release|Full)\s*,?\s*\)")
        .expect("it is right")
});

static VOLATILE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?P<what>\w+)\.as_ptr\(\)\s*\.(?P<method>(?:read|write)_volatile)\(")
        .expect("it is right")
});

/// The text with its comments blanked out, so that places stay what they are.
pub fn without_comments(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let end = line.find("//").unwrap_or(line.len());
        code.push_str(&line[..end]);
        code.extend(line[end..].bytes().map(|byte| match byte {
            b'\n' => '\n',
            _ => ' ',
        }));
    }
    code
}

/// All operations in a text.
pub fn operations(text: &str) -> Vec<Operation> {
    let code = without_comments(text);
    let mut found: Vec<_> = ORDERING
        .captures_iter(&code)
        .filter_map(|captures| {
            // Of what else is called so, the path says what it is.
            let path = captures.name("path").map_or("", |path| path.as_str());
            if !["", "atomic", "ordering"].contains(&path) {
                return None;
            }
            let ordering = captures.name("ordering")?;
            let close = captures.get(0)?.end() - 1;
            let before = code[..opening(&code, close)?].trim_end();
            let (rest, method) = last_word(before);
            let what = match rest.trim_end().strip_suffix('.') {
                Some(rest) => last_word(rest.trim_end()).1,
                None => "",
            };
            Some(Operation {
                what: if what.is_empty() { "_" } else { what }.to_owned(),
                method: method.to_owned(),
                ordering: ordering.as_str().to_owned(),
                at: ordering.range(),
            })
        })
        .collect();
    found.extend(VOLATILE.captures_iter(&code).map(|captures| Operation {
        what: captures["what"].to_owned(),
        method: captures["method"].to_owned(),
        ordering: "volatile".to_owned(),
        at: captures.get(0).map_or(0..0, |all| all.range()),
    }));
    found
}

/// Where the parenthesis is opened that is closed there.
fn opening(code: &str, close: usize) -> Option<usize> {
    let mut depth = 0;
    for (at, byte) in code
        .bytes()
        .enumerate()
        .take(close + 1)
        .collect::<Vec<_>>()
        .into_iter()
        .rev()
    {
        depth += match byte {
            b')' => 1,
            b'(' => -1,
            _ => 0,
        };
        if depth == 0 {
            return Some(at);
        }
    }
    None
}

/// The word at the end, and what is before it.
fn last_word(text: &str) -> (&str, &str) {
    let start = text
        .rfind(|c: char| !c.is_alphanumeric() && c != '_')
        .map_or(0, |at| at + 1);
    text.split_at(start)
}

/// The kernel side's sources, by their path below `src`.
pub fn files(top: &Path) -> Result<BTreeMap<String, PathBuf>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![top.join("src")];
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder);
        for entry in entries.with_context(|| format!("cannot read {}", folder.display()))? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|it| it == "rs") {
                let name = path.strip_prefix(top.join("src"))?;
                files.insert(name.display().to_string(), path);
            }
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        operations(text).iter().map(Operation::name).collect()
    }

    #[test]
    fn every_way_to_write_one_is_found() {
        assert_eq!(names("self.a.load(Relaxed)"), ["a.load Relaxed"]);
        assert_eq!(
            names("A\n    .fetch_add(f(1), Full,\n)"),
            ["A.fetch_add Full"]
        );
        assert_eq!(
            names("x.map(|x| &x.y)\n.store(1, ordering::Release)"),
            ["_.store Release"]
        );
        assert_eq!(
            names("a.store(b.load(Relaxed), kernel::sync::atomic::Release)"),
            ["b.load Relaxed", "a.store Release"]
        );
        assert_eq!(names("fence(Full)"), ["_.fence Full"]);
        assert_eq!(
            names("A.as_ptr().read_volatile()"),
            ["A.read_volatile volatile"]
        );
    }

    #[test]
    fn what_is_none_is_not() {
        assert!(names("// a.load(Relaxed)\nErr(SendError::Full)").is_empty());
        assert!(names("use atomic::{Relaxed, Full};").is_empty());
    }
}
