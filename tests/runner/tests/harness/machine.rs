// SPDX-License-Identifier: GPL-2.0

//! Folders, programs and commands of a machine that is not this one.

use std::{
    env, fs,
    io::Write,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::OnceLock,
};

/// The project's folder.
pub fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}

/// An empty folder of that name.
pub fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// Writes a file, and makes the folders above it.
pub fn write(file: impl AsRef<Path>, content: impl AsRef<[u8]>) {
    let file = file.as_ref();
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, content).unwrap();
}

/// A shell script that can be called. Another program writes it: while this one has it open for that, whoever
/// forks has it, too, and it is busy.
pub fn program(file: impl AsRef<Path>, script: &str) {
    let file = file.as_ref();
    let mut install = Command::new("install")
        .args(["-D", "-m", "0755", "/dev/stdin"])
        .arg(file)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = install.stdin.take().unwrap();
    writeln!(input, "#!/bin/sh\n{script}").unwrap();
    drop(input);
    assert!(install.wait().unwrap().success(), "{}", file.display());
}

/// A folder for `PATH` with these programs of this machine and no others.
pub fn only(name: &str, programs: &[&str]) -> PathBuf {
    let bin = folder(name);
    for program in programs {
        let path = env::var_os("PATH").unwrap();
        let found = env::split_paths(&path)
            .chain(["/usr/sbin".into(), "/sbin".into()])
            .map(|folder| folder.join(program))
            .find(|file| file.exists())
            .unwrap_or_else(|| panic!("there is no {program}"));
        symlink(found, bin.join(program)).unwrap();
    }
    bin
}

/// A command without what `make test` was told.
pub fn command(program: impl AsRef<Path>) -> Command {
    let mut command = Command::new(program.as_ref());
    for name in [
        "KDIR",
        "KERNEL",
        "FLAVOR",
        "CORE",
        "TOOLCHAIN",
        "KSRC",
        "T",
        "V",
        "CC",
        "LLVM",
        "ARCH",
        "RUSTC",
        "BINDGEN",
        "JOBS",
        "RERUN",
        "REPEAT",
        "INSTALL_MOD_PATH",
    ] {
        command.env_remove(name);
    }
    command.current_dir(top()).env("INSTALL_PACKAGES", "n");
    command
}

/// `scripts/harness GOAL` on a machine that has nothing to build with, and an empty cache: who comes so
/// far that he asks for it was not stopped by what is wrong.
pub fn harness(goal: &str) -> Command {
    harness_in(&top(), goal)
}

/// That of another folder.
pub fn harness_in(clone: &Path, goal: &str) -> Command {
    let mut command = command("bash");
    command
        .arg(clone.join("scripts/harness"))
        .arg(goal)
        .env("PATH", bare_bin())
        .env(
            "XDG_CACHE_HOME",
            Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache"),
        );
    command
}

/// What the harness takes for its checks.
fn bare_bin() -> &'static Path {
    static BIN: OnceLock<PathBuf> = OnceLock::new();
    BIN.get_or_init(|| {
        only(
            "bare-bin",
            &[
                "awk",
                "bash",
                "cat",
                "chmod",
                "cut",
                "dd",
                "df",
                "dirname",
                "find",
                "grep",
                "head",
                "id",
                "mkdir",
                "nproc",
                "od",
                "readlink",
                "realpath",
                "rm",
                "sed",
                "sh",
                "sha256sum",
                "stat",
                "tail",
                "tr",
                "uname",
            ],
        )
    })
}

/// A script that has the functions of `scripts/lib`, with `arguments` as `$1` and so on.
pub fn functions(script: &str, arguments: &[&Path]) -> Command {
    let mut command = command("bash");
    let before = "
        umask 077
        set -euo pipefail
        shopt -s inherit_errexit
        top=$PWD build=$PWD/build jobs=1 goal=modules boots=
        for file in environment arch ui lock cache packages debian rust source kernel stock kdir modules install tools; do
            . scripts/lib/$file.sh
        done
        KDIR=${KDIR:-}
        ";
    command
        .args(["-c", &format!("{before}\n{script}"), "bash"])
        .args(arguments);
    command
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stderr[..], &output.stdout].concat()).into_owned()
}

/// Runs the command, which fails, and returns what it says.
pub fn failure(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let said = said(&output);
    assert!(!output.status.success(), "{said}");
    // bash's own complaints are ours to prevent.
    assert!(!said.contains(": line "), "{said}");
    said
}

/// Runs the command, which succeeds, and returns what it says.
pub fn success(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let said = said(&output);
    assert!(output.status.success(), "{said}");
    said
}

/// Fails unless this is part of what was said.
#[track_caller]
pub fn assert_says(said: &str, part: &str) {
    assert!(said.contains(part), "no '{part}' in:\n{said}");
}
