// SPDX-License-Identifier: GPL-2.0

//! Finds the atomic operations in the kernel side's sources: every call whose last argument is an
//! ordering of `kernel::sync::atomic`, and every volatile access to a field or variable, in C as well, where
//! a function that adds to a field is one, too.
//! Whatever else looks like one has to be written so.

use std::collections::BTreeMap;
use std::ffi::OsStr;
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
    Regex::new(r"(?P<what>\w+)(?:\.as_ptr\(\)|\))\s*\.(?P<method>(?:read|write)_volatile)\(")
        .expect("it is right")
});

static VOLATILE_IN_C: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(concat!(
        r"\b(?:(?P<method>READ_ONCE|refcount_read)\(&?|(?P<function>atomic_(?:add|sub)\w*)\([\w>.-]+, &)",
        r"(?:\w+(?:->|\.))*(?P<what>\w+)\)",
    ))
    .expect("it is right")
});

/// What is an atomic operation in Rust, or becomes one, however it is written.
static ANY: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(concat!(
        r"(?:\b(?P<path>\w+)::)?\b(?:Relaxed|Acquire|Release|Full)\b(?: as \w+)?",
        r"|\b(?:core|std)::sync\b|\b(?:SeqCst|AcqRel)\b|\b(?:read|write)_volatile\b",
        r"|\batomic(?:::ordering)?(?:::\*| as \w+)|\b(?:compiler_)?fence\b|\bimpl_has_atomic\w*",
        r"|\bbindings::(?:\w*(?:atomic|refcount|kref|xchg)\w*|smp_\w+|\w*_(?:set|clear|test)_bit\w*)",
    ))
    .expect("it is right")
});

/// The same in C, where ours has none but such accesses.
static ANY_IN_C: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(concat!(
        r"\b(?:raw_)?(?:atomic|atomic64|atomic_long|refcount|kref)_\w+|\bsmp_\w+|\b\w*xchg\w*",
        r"|\b(?:READ|WRITE)_ONCE\b|\bvolatile\b|\b(?:test_and_)?(?:set|clear|change)_bit\w*",
        r"|\brcu_(?:dereference|assign_pointer)\w*|\bbarrier\b|\b[rw]?mb\b|\bthis_cpu_\w+|\b__(?:sync|atomic)_\w+",
    ))
    .expect("it is right")
});

/// The text with its comments and what is in quotes blanked out, so that places stay what they are.
pub fn without_comments(text: &str) -> String {
    let mut code = text.as_bytes().to_vec();
    let mut at = 0;
    while at < code.len() {
        let rest = &text.as_bytes()[at..];
        let (len, keep) = match rest {
            [b'/', b'/', ..] => (rest.iter().position(|it| *it == b'\n'), 0),
            [b'/', b'*', ..] => (
                rest.windows(2)
                    .position(|it| it == b"*/")
                    .map(|end| end + 2),
                0,
            ),
            // A character, or else a lifetime.
            [b'\'', b'\\', _, b'\'', ..] => (Some(4), 1),
            [b'\'', _, b'\'', ..] => (Some(3), 1),
            [b'"', ..] => (end_of_quote(rest), 1),
            _ => {
                at += 1;
                continue;
            }
        };
        let end = at + len.unwrap_or(rest.len());
        for byte in &mut code[at + keep..end - keep] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
        at = end;
    }
    String::from_utf8_lossy(&code).into_owned()
}

/// How long what is in quotes is, with these.
fn end_of_quote(text: &[u8]) -> Option<usize> {
    let mut at = 1;
    loop {
        match text.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

/// What looks like an atomic operation and is none that [`operations`] finds: each has to be written so that
/// it does.
pub fn unclear(file: &str, text: &str) -> Vec<String> {
    let code = without_comments(text);
    let found = operations(text);
    if !file.ends_with(".rs") {
        let is_known = |at| found.iter().any(|it| it.at.contains(&at));
        let others = ANY_IN_C.find_iter(&code).filter(|it| !is_known(it.start()));
        return others.map(|it| it.as_str().to_owned()).collect();
    }
    let imports = IMPORT.find_iter(&code).map(|it| it.range());
    let imports: Vec<_> = imports.collect();
    let is_known = |place: &Range<usize>| {
        let in_operation = |it: &Operation| it.at.start < place.end && place.start < it.at.end;
        found.iter().any(in_operation)
    };
    ANY.captures_iter(&code)
        .filter_map(|captures| {
            let all = captures.get(0)?;
            let path = captures.name("path").map_or("", |path| path.as_str());
            let word = all.as_str();
            // Of what else is called so, the path says what it is; and it is imported by its own name.
            let is_imported = || imports.iter().any(|it| has_word(&code[it.clone()], word));
            let is_other = match path {
                "atomic" | "ordering" | "Ordering" => false,
                "" => ORDERINGS.contains(&word) && !is_imported(),
                _ => true,
            };
            let is_import = imports.iter().any(|it| it.contains(&all.start()))
                && !word.contains([' ', '*'])
                && !word.ends_with("::sync");
            let is_one = is_known(&all.range());
            (!is_other && !is_import && !is_one).then(|| word.to_owned())
        })
        .collect()
}

const ORDERINGS: [&str; 4] = ["Relaxed", "Acquire", "Release", "Full"];

fn has_word(text: &str, word: &str) -> bool {
    text.split(|c: char| !c.is_alphanumeric())
        .any(|it| it == word)
}

static IMPORT: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?m)^\s*(?:pub(?:\(\w+\))? )?use [^;]*;").expect("it is right"));

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
    let volatile = VOLATILE.captures_iter(&code);
    let volatile = volatile.chain(VOLATILE_IN_C.captures_iter(&code));
    found.extend(volatile.filter_map(|captures| {
        let function = captures.name("function");
        let method = function.or(captures.name("method"))?.as_str();
        let ordering = if function.is_some() { "C" } else { "volatile" };
        Some(Operation {
            what: captures["what"].to_owned(),
            method: method.to_owned(),
            ordering: ordering.to_owned(),
            at: captures.get(0)?.range(),
        })
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
            } else if path
                .extension()
                .is_some_and(|it| ["rs", "c", "h"].map(OsStr::new).contains(&it))
            {
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
        assert_eq!(names("READ_ONCE(a->b.c)"), ["c.READ_ONCE volatile"]);
        assert_eq!(names("refcount_read(&a->b)"), ["b.refcount_read volatile"]);
        assert_eq!(
            names("atomic_add_return(a->b, &c->d)"),
            ["d.atomic_add_return C"]
        );
        assert_eq!(
            names("A.as_ptr().read_volatile()"),
            ["A.read_volatile volatile"]
        );
        assert_eq!(
            names("(&raw const (*raw).kp.b).read_volatile()"),
            ["b.read_volatile volatile"]
        );
        assert_eq!(names("f(\"//\"); a.load(Relaxed)"), ["a.load Relaxed"]);
    }

    #[test]
    fn no_other_way_to_write_one_is_left_out() {
        for (text, word) in [
            (
                "use kernel::sync::atomic::Relaxed;\nlet o = Relaxed;\na.store(true, o);",
                "Relaxed",
            ),
            ("use kernel::sync::atomic::{Relaxed as R};", "Relaxed as R"),
            ("use kernel::sync::atomic::*;", "atomic::*"),
            ("a.swap(1, atomic::Ordering::SeqCst)", "SeqCst"),
            (
                "let a = core::sync::atomic::AtomicU64::new(0);",
                "core::sync",
            ),
            ("a.load(Ordering::Relaxed)", "Ordering::Relaxed"),
            ("core::ptr::read_volatile(a)", "read_volatile"),
            ("bindings::refcount_inc(a)", "bindings::refcount_inc"),
            ("bindings::atomic_inc(a)", "bindings::atomic_inc"),
        ] {
            assert_eq!(unclear("a.rs", text), [word], "{text}");
        }
        assert_eq!(unclear("a.c", "/* xchg */ atomic_inc(&a);"), ["atomic_inc"]);
        assert_eq!(
            unclear("a.c", "READ_ONCE(*a) + READ_ONCE(a->b)"),
            ["READ_ONCE"]
        );
        for text in [
            "use kernel::sync::atomic::{Relaxed, Full};\na.load(Relaxed)",
            "// SendError::Full\nErr(SendError::Full)",
            "enum SendError {\n    Full,\n}",
        ] {
            assert!(unclear("a.rs", text).is_empty(), "{text}");
        }
    }

    #[test]
    fn what_is_none_is_not() {
        assert!(names("// a.load(Relaxed)\nErr(SendError::Full)").is_empty());
        assert!(names("use atomic::{Relaxed, Full};").is_empty());
    }
}
