// SPDX-License-Identifier: GPL-2.0

//! `make modules_install` and `make modules_uninstall`, by whoever is root.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use crate::machine::{assert_says, command, failure, folder, only, program, success, top, write};

/// A clone in which `make` was called.
fn clone(name: &str) -> PathBuf {
    let clone = folder(name);
    success(
        command("cp")
            .arg("-r")
            .arg(top().join("scripts"))
            .arg(top().join("Makefile"))
            .arg(&clone),
    );
    for file in [
        "modules/rust_connector.ko",
        "modules/cn_echo.ko",
        "modules/ct_leak.ko",
        "modules/connector_kunit.ko",
        "connector/connector.mk",
        "connector/Module.symvers",
    ] {
        write(clone.join("build").join(file), file);
    }
    write(clone.join("build/modules/.kernel"), "7.3.4-abc\n");
    write(clone.join("build/modules/.release"), "7.3.4\n");
    write(clone.join("build/modules/.asked"), "KERNEL=7.3 FLAVOR=rt\n");
    clone
}

/// make in that clone, on a machine with these programs and nothing else: sudo's environment, a strict
/// umask, and no compiler, cargo or network.
fn make(clone: &Path, goal: &str, to: &Path) -> Command {
    let bin = only(
        &format!("{}-bin", clone.file_name().unwrap().to_string_lossy()),
        &[
            "bash", "sh", "make", "cat", "dirname", "find", "grep", "id", "install", "nproc",
            "realpath", "rm", "rmdir", "sed", "stat", "tr", "uname",
        ],
    );
    program(bin.join("depmod"), "echo \"$*\" >\"${0%/*}/depmod.said\"");
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", "umask 077; exec \"$@\"", "sh"])
        .arg(bin.join("make"))
        .arg("-C")
        .arg(clone)
        .arg(goal)
        .env_clear()
        .env("PATH", &bin)
        .env("INSTALL_MOD_PATH", to);
    command
}

/// Every file and folder below this one, with its mode.
fn files(folder: &Path) -> BTreeMap<PathBuf, u32> {
    let mut all = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).unwrap() {
            let entry = entry.unwrap();
            let path = entry.path();
            let metadata = entry.metadata().unwrap();
            all.insert(
                path.strip_prefix(folder).unwrap().to_owned(),
                metadata.permissions().mode() & 0o7777,
            );
            if metadata.is_dir() {
                folders.push(path);
            }
        }
    }
    all
}

#[test]
fn installing_copies_what_was_built_and_does_nothing_else() {
    let clone = clone("install");
    let to = folder("install-to");
    let before = files(&clone);
    success(&mut make(&clone, "modules_install", &to));
    assert_eq!(files(&clone), before);

    let modules = "lib/modules/7.3.4";
    let expected: BTreeMap<PathBuf, u32> = [
        ("lib", 0o755),
        ("lib/modules", 0o755),
        (modules, 0o755),
        ("lib/modules/7.3.4/updates", 0o755),
        ("lib/modules/7.3.4/updates/cn_echo.ko", 0o644),
        ("lib/modules/7.3.4/updates/rust_connector.ko", 0o644),
        ("lib/modules/7.3.4/rust_connector", 0o755),
        ("lib/modules/7.3.4/rust_connector/connector.mk", 0o644),
        ("lib/modules/7.3.4/rust_connector/Module.symvers", 0o644),
        ("lib/modules/7.3.4/rust_connector/modules", 0o644),
    ]
    .map(|(file, mode)| (file.into(), mode))
    .into();
    assert_eq!(files(&to), expected);
    let depmod =
        fs::read_to_string(clone.parent().unwrap().join("install-bin/depmod.said")).unwrap();
    assert_eq!(depmod, format!("-b {} -a 7.3.4\n", to.display()));

    // What others put there stays.
    write(to.join(modules).join("updates/other.ko"), "");
    success(&mut make(&clone, "modules_uninstall", &to));
    let left: Vec<_> = files(&to).into_keys().collect();
    assert_eq!(
        left.last().unwrap(),
        &Path::new(modules).join("updates/other.ko")
    );
    assert_eq!(left.len(), 5, "{left:?}");
    assert_says(
        &failure(&mut make(&clone, "modules_uninstall", &to)),
        "nothing of this is installed in",
    );
}

#[test]
fn what_was_built_for_another_kernel_is_not_installed() {
    let clone = clone("install-other");
    let to = folder("install-other-to");
    let said = failure(make(&clone, "modules_install", &to).env("KERNEL", "debian"));
    assert_says(
        &said,
        "what is built is for 7.3.4 (7.3.4-abc), not for KERNEL=debian",
    );
    assert_says(&said, "make KERNEL=debian\n");
    success(
        make(&clone, "modules_install", &to)
            .env("KERNEL", "7.3")
            .env("FLAVOR", "rt"),
    );
    fs::remove_dir_all(clone.join("build")).unwrap();
    let said = failure(&mut make(&clone, "modules_install", &to));
    assert_says(&said, "no modules are built");
    assert!(!clone.join("build").exists());
}

#[test]
fn only_what_is_in_the_list_of_modules_is_taken_away() {
    let clone = clone("uninstall");
    let to = folder("uninstall-to");
    success(&mut make(&clone, "modules_install", &to));
    write(
        to.join("lib/modules/7.3.4/rust_connector/modules"),
        "../../../precious\n",
    );
    write(to.join("lib/precious"), "");
    let said = failure(&mut make(&clone, "modules_uninstall", &to));
    assert_says(&said, "which is no module's name");
    assert!(to.join("lib/precious").exists());
}

#[test]
fn the_cache_is_removed_where_it_is_looked_for() {
    // With an rm that removes nothing: without a HOME it is that of the user.
    let bin = only("clean-cache-bin", &["bash", "make", "sh"]);
    program(bin.join("rm"), "echo removes \"$@\"");
    let says = |name: &str, value: &str| {
        let mut make = Command::new(bin.join("make"));
        make.arg("-C").arg(top()).arg("clean-cache").env_clear();
        success(make.env("PATH", &bin).env(name, value))
    };
    assert_says(
        &says("XDG_CACHE_HOME", "/x y"),
        "removes -rf /x y/rust-connector\n",
    );
    assert_says(
        &says("HOME", "/h"),
        "removes -rf /h/.cache/rust-connector\n",
    );
    let said = says("NO_HOME", "");
    assert_says(&said, "/.cache/rust-connector\n");
    assert!(!said.contains('~'), "{said}");
}
