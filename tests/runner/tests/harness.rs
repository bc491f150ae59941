// SPDX-License-Identifier: GPL-2.0

//! What `scripts/harness` says before it builds anything.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The project's folder.
fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// An empty folder of that name.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// A command without what `make test` was told.
fn command(program: impl AsRef<Path>) -> Command {
    let mut command = Command::new(program.as_ref());
    for name in [
        "KDIR",
        "KERNEL",
        "FLAVOR",
        "TOOLCHAIN",
        "KSRC",
        "T",
        "V",
        "CC",
        "LLVM",
    ] {
        command.env_remove(name);
    }
    command
}

/// Runs the command, which fails, and returns what it says.
fn failure(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "{said}");
    said
}

#[test]
fn a_kernel_that_is_too_old_is_refused() {
    let kdir = folder("old-kernel");
    for (name, text) in [
        (".config", "CONFIG_RUST=y\n"),
        ("include/config/auto.conf", ""),
        ("include/config/kernel.release", "6.17.3-generic\n"),
    ] {
        let file = kdir.join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }
    let said = failure(
        command(top().join("scripts/harness"))
            .arg("modules")
            .env("KDIR", &kdir)
            .env("INSTALL_PACKAGES", "n"),
    );
    assert!(
        said.contains("is Linux 6.17.3-generic; the oldest that this can be built for is 7.2"),
        "{said}"
    );
}

#[test]
fn a_folder_that_make_cannot_name_is_refused() {
    let clone = folder("my code");
    let copied = command("cp")
        .arg("-r")
        .arg(top().join("scripts"))
        .arg(&clone)
        .status()
        .unwrap();
    assert!(copied.success());
    let said = failure(command(clone.join("scripts/harness")).arg("modules"));
    assert!(
        said.contains("no folder with a space or a colon in its name; this clone is in '"),
        "{said}"
    );
    let said = failure(
        command(top().join("scripts/harness"))
            .arg("modules")
            .env("KDIR", "/my kernels/linux"),
    );
    assert!(said.contains("KDIR is in '/my kernels/linux'"), "{said}");
}

/// What `kdir_compiler` says and chooses for a kernel that was built with this machine's gcc.
fn compiler_for_gcc_kernel(variables: &[(&str, &str)]) -> String {
    let kdir = folder(&format!("gcc-kernel-{}", variables.len()));
    let script = "
        shopt -s inherit_errexit; set -euo pipefail
        for file in ui cache rust source kdir; do . scripts/lib/$file.sh; done
        kdir=$1 asked_llvm=${LLVM:-}
        echo CONFIG_GCC_VERSION=$(gcc -dumpversion | cut -d. -f1)0200 >$kdir/.config
        kdir_compiler
        printf '%s\\n' \"${cc_args[@]}\"";
    let output = command("bash")
        .args(["-c", script, "bash"])
        .arg(&kdir)
        .current_dir(top())
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&[output.stderr, output.stdout].concat()).into_owned()
}

#[test]
fn a_compiler_of_several_words_is_passed_on() {
    let said = compiler_for_gcc_kernel(&[("CC", "env gcc")]);
    assert_eq!(said, "CC=env gcc\n");
}

#[test]
fn a_compiler_that_does_not_fit_the_kernel_is_named() {
    let said = compiler_for_gcc_kernel(&[("CC", "no-such-gcc"), ("LLVM", "1")]);
    assert!(said.contains("LLVM=1 is not taken: "), "{said}");
    assert!(said.contains("CC=no-such-gcc is not taken: "), "{said}");
    assert!(said.ends_with("CC=gcc\n"), "{said}");
}

#[test]
fn dkms_asks_for_the_same_kernels() {
    let conf = fs::read_to_string(top().join("dkms.conf")).unwrap();
    let source = fs::read_to_string(top().join("scripts/lib/source.sh")).unwrap();
    let oldest = source
        .lines()
        .find_map(|line| line.strip_prefix("oldest_kernel="))
        .and_then(|value| value.split(' ').next())
        .unwrap();
    assert!(
        conf.contains(&format!("\nBUILD_EXCLUSIVE_KERNEL_MIN=\"{oldest}\"")),
        "dkms.conf does not have {oldest}"
    );
}

#[test]
fn nothing_is_installed_where_that_is_not_wanted() {
    let script = ". scripts/lib/ui.sh; . scripts/lib/packages.sh
        need 'no-such-program no-such-package tests'";
    let said = failure(
        command("bash")
            .args(["-c", script])
            .current_dir(top())
            .env("INSTALL_PACKAGES", "n"),
    );
    assert!(
        said.contains("these packages are missing: no-such-package"),
        "{said}"
    );
}
