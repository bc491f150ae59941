// SPDX-License-Identifier: GPL-2.0

//! The last line of .ci/run is the truth about all that it ran. It runs here in a folder of its own,
//! with a `make` that does nothing but end as it is told.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

struct Clone(PathBuf);

impl Clone {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("ci-{}-{name}", std::process::id()));
        let clone = Self(folder);
        for folder in [".ci", "bin", "build/host"] {
            fs::create_dir_all(clone.path(folder)).expect("there is room for folders");
        }
        // Links, and no copies: a program that was just written is busy if another test forked meanwhile.
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        for (link, program) in [
            (".ci/run", here.join("../../.ci/run")),
            ("bin/make", here.join("tests/ci/make")),
            ("build/host/runner", env!("CARGO_BIN_EXE_runner").into()),
        ] {
            symlink(program, clone.path(link)).expect("a link");
        }
        clone.leave("left-proofs", 1, 0, 0);
        clone
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("there is room for a file");
    }

    /// Has a run of the tests leave these numbers.
    fn leave(&self, folder: &str, passed: u32, failed: u32, skipped: u32) {
        fs::create_dir_all(self.path(folder)).expect("there is room for a folder");
        let counts = format!(r#""passed":{passed},"failed":{failed},"skipped":{skipped}"#);
        let tests: Vec<String> = [("passed", passed), ("failed", failed), ("skipped", skipped)]
            .into_iter()
            .flat_map(|(outcome, count)| (0..count).map(move |n| (outcome, n)))
            .map(|(outcome, n)| format!(r#"{{"name":"{outcome} {n}","outcome":"{outcome}"}}"#))
            .collect();
        let tests = tests.join(",");
        let suite =
            format!(r#"{{"place":"vm","name":"echo","seconds":1,{counts},"tests":[{tests}]}}"#);
        let run = r#""format":1,"kernel":"k","flavor":"base","started":"then","complete":true"#;
        let text = format!(r#"{{{run},"seconds":1,{counts},"suites":[{suite}]}}"#);
        self.write(&format!("{folder}/summary.json"), &text);
    }

    /// Runs it; returns its last line and whether it succeeded.
    fn run(&self) -> (String, bool) {
        let path = std::env::var("PATH").unwrap_or_default();
        let path = format!("{}:{path}", self.path("bin").display());
        let output = Command::new(self.path(".ci/run"))
            .env("PATH", path)
            .output()
            .expect("it runs");
        let text = String::from_utf8_lossy(&output.stdout);
        let last = text.lines().last().unwrap_or_default().to_owned();
        (last, output.status.success())
    }
}

impl Drop for Clone {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn all_is_well() {
    let clone = Clone::new("well");
    clone.leave("left", 10, 0, 2);
    clone.leave("left-debug", 20, 0, 1);
    clone.leave("left-core", 30, 0, 4);
    // Four steps have no tests, and there is a proof.
    assert_eq!(
        clone.run(),
        ("65 passed, 0 failed, 7 skipped".to_owned(), true)
    );
    assert!(clone.path("build/ci/junit.xml").exists());
    assert!(clone.path("build/ci/default/summary.json").exists());
}

#[test]
fn a_benchmark_that_failed_is_a_failure() {
    let clone = Clone::new("bench");
    clone.leave("left", 10, 0, 0);
    clone.leave("left-debug", 20, 0, 0);
    clone.leave("left-core", 30, 0, 0);
    clone.write("status-bench", "2\n");
    assert_eq!(
        clone.run(),
        ("64 passed, 1 failed, 0 skipped".to_owned(), false)
    );
}

#[test]
fn a_flavor_that_was_not_built_is_a_failure() {
    let clone = Clone::new("flavor");
    clone.leave("left", 10, 0, 0);
    clone.write("status-test", "2\n");
    // The one left results that do not go with its status, the others none.
    assert_eq!(
        clone.run(),
        ("15 passed, 3 failed, 0 skipped".to_owned(), false)
    );
}

#[test]
fn tests_that_failed_are_failures() {
    let clone = Clone::new("tests");
    clone.leave("left", 10, 3, 0);
    clone.leave("left-debug", 20, 1, 0);
    clone.leave("left-core", 30, 2, 0);
    clone.write("status-test", "1\n");
    assert_eq!(
        clone.run(),
        ("65 passed, 6 failed, 0 skipped".to_owned(), false)
    );
}

#[test]
fn a_proof_that_fails_is_a_failure() {
    let clone = Clone::new("proof");
    clone.leave("left", 10, 0, 0);
    clone.leave("left-debug", 20, 0, 0);
    clone.leave("left-core", 30, 0, 0);
    clone.leave("left-proofs", 4, 1, 2);
    clone.write("status-proofs", "1\n");
    assert_eq!(
        clone.run(),
        ("68 passed, 1 failed, 2 skipped".to_owned(), false)
    );
}

#[test]
fn nothing_at_all_is_a_failure() {
    let clone = Clone::new("nothing");
    fs::remove_file(clone.path("build/host/runner")).expect("it is there");
    assert_eq!(
        clone.run(),
        ("0 passed, 8 failed, 0 skipped".to_owned(), false)
    );
}
