// SPDX-License-Identifier: GPL-2.0

//! A bad value is refused by `make test` in one line that says what is expected, before anything is
//! built.

use std::path::Path;
use std::process::Command;

/// The variables that `make test` looks at.
const VARIABLES: [&str; 18] = [
    "T", "RERUN", "REPEAT", "KEEP", "SEED", "MEM", "CPUS", "APPEND", "GDB", "VMS", "KDIR",
    "KERNEL", "FLAVOR", "M", "FILES", "SCRIPT", "CORE", "WEAKEN",
];

/// What `goal` says with these values, where it has no place to build anything.
fn says(goal: &str, values: &[(&str, &str)]) -> String {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut command = Command::new(top.join("scripts/harness"));
    // Root's modules_install must not reach this machine if it is not refused.
    command
        .arg(goal)
        .env("XDG_CACHE_HOME", "/dev/null")
        .env("INSTALL_MOD_PATH", "/dev/null");
    for name in VARIABLES {
        command.env_remove(name);
    }
    let output = command.envs(values.iter().copied()).output();
    let output = output.expect("the script runs");
    assert!(!output.status.success(), "{values:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn bad_values_are_refused() {
    for (name, value, expected) in [
        ("T", "no_such_suite", "there is no such test program"),
        ("T", "no_such_suite:x*", "there is no such test program"),
        ("T", "echo:", "expected a glob of test names"),
        ("T", "echo:\"", "expected a glob of test names"),
        ("RERUN", "all", "expected RERUN=failed"),
        ("KEEP", "yes", "expected KEEP=1"),
        ("SEED", "0x1", "expected a number"),
        ("SEED", "18446744073709551616", "expected a number"),
        ("MEM", "2", "expected a size as in MEM=2G"),
        ("MEM", "lots", "expected a size as in MEM=2G"),
        ("CPUS", "0", "expected a number as in CPUS=4"),
        ("GDB", "0", "expected GDB=1"),
        ("VMS", "0", "expected a number as in VMS=1"),
        ("APPEND", "a\nb", "has several lines"),
    ] {
        let said = says("test", &[(name, value)]);
        let first = said.lines().next().unwrap_or_default();
        assert!(first.starts_with(&format!("error: {name}=")), "{said}");
        assert!(first.contains(expected), "{said}");
    }
}

#[test]
fn values_that_do_not_go_together_are_refused() {
    for (values, expected) in [
        (&[("REPEAT", "3")][..], "REPEAT=3 of what?"),
        // The largest seed is one.
        (
            &[("SEED", "18446744073709551615"), ("REPEAT", "3")],
            "REPEAT=3 of what?",
        ),
        (
            &[("T", "echo"), ("REPEAT", "often")],
            "expected a number as in REPEAT=20",
        ),
        (&[("T", "echo"), ("RERUN", "failed")], "leave out one"),
        (&[("T", "echo"), ("VMS", "2")], "leave it out"),
        (&[("GDB", "1")], "as in T=echo GDB=1"),
        (
            &[("M", "samples/standalone"), ("RERUN", "failed")],
            "RERUN= is for this project's own tests",
        ),
        (
            &[("M", "samples/standalone"), ("KEEP", "1")],
            "KEEP= is for this project's own tests",
        ),
        (
            &[("M", "samples/standalone"), ("VMS", "2")],
            "VMS= is for this project's own tests",
        ),
        (
            &[("M", "samples/standalone"), ("T", "list")],
            "T=list is for this project's own tests",
        ),
    ] {
        let said = says("test", values);
        assert!(
            said.lines()
                .next()
                .is_some_and(|first| first.contains(expected)),
            "{said}"
        );
    }
}

#[test]
fn other_goals_look_at_what_is_for_them() {
    assert!(says("run", &[("MEM", "2")]).contains("expected a size"));
    assert!(says("shell", &[("CPUS", "many")]).contains("expected a number"));
    assert!(says("bench", &[("MEM", "2G")]).contains("leave out MEM="));
    for (name, value) in [("FLAVOR", "debug"), ("CORE", "rust"), ("CLOCK", "wall")] {
        let said = says("bench", &[("UPDATE", "1"), (name, value)]);
        assert!(said.contains("error: UPDATE=1: "), "{said}");
    }
}

#[test]
fn what_there_is_nothing_of_to_break_is_refused() {
    let refused = |goal: &str, values: &[(&str, &str)], expected: &str| {
        let said = says(goal, values);
        assert!(said.starts_with(expected), "{said}");
    };
    refused("mutants", &[("T", "nope")], "error: T=nope: there is no ");
    refused(
        "mutants",
        &[("T", "connector-wire go-silently nope")],
        "error: T=nope: there is no ",
    );
    // Of the other core.
    let other = [("T", "core-unlisted")];
    refused("mutants", &other, "error: T=core-unlisted: there is no ");
    refused("mutants", &[("CORE", "tree")], "error: CORE=tree has no ");
    refused(
        "proofs",
        &[("WEAKEN", "nope.rs")],
        "error: WEAKEN=nope.rs: ",
    );
    // What there is comes as far as the cache.
    let some = [("T", "core-unlisted connector-wire"), ("CORE", "rust")];
    refused("mutants", &some, "error: the cache ");
    for some in ["1", "slot.rs", "src/connector/slot.rs", "exchange"] {
        refused("proofs", &[("WEAKEN", some)], "error: the cache ");
    }
}

#[test]
fn what_a_goal_would_not_look_at_is_refused() {
    for (goal, name, expected) in [
        ("modules", "M", "make -C samples/standalone CONNECTOR="),
        ("run", "M", "make shell, and make test"),
        ("modules_install", "M", "build/connector modules_install"),
        ("modules_uninstall", "M", "make shell, and make test"),
        ("run", "SCRIPT", "make shell"),
        ("test", "SCRIPT", "make shell"),
        ("modules", "FILES", "make shell, and for make test with M="),
        ("run", "FILES", "make shell, and for make test with M="),
        ("test", "FILES", "make shell, and for make test with M="),
    ] {
        let said = says(goal, &[(name, "samples/standalone")]);
        assert!(said.starts_with(&format!("error: {name}=")), "{said}");
        assert!(said.contains(expected), "{goal}: {said}");
    }
}
