// SPDX-License-Identifier: GPL-2.0

//! Machines that lack something, with apt and without.

use crate::kdir::OTHER;
use crate::machine::{
    assert_says, failure, folder, functions, harness, only, program, success, write,
};

#[test]
fn nothing_is_installed_where_that_is_not_wanted() {
    let bin = folder("apt");
    program(bin.join("apt-get"), "exit 1");
    let said = failure(&mut functions(
        "PATH=$1:$PATH; need 'no-such-program no-such-package tests'",
        &[&bin],
    ));
    assert_says(&said, "these packages are missing: no-such-package");
    assert_says(
        &said,
        "apt-get install --no-install-recommends no-such-package",
    );
}

#[test]
fn without_apt_all_that_is_missing_is_named_by_what_it_is() {
    let bin = only("no-apt", &["bash", "cat", "dirname", "sed"]);
    let said = failure(&mut functions(
        "PATH=$1; needs=(\"${base_needs[@]}\" \"${vm_needs[@]}\" \"${guest_needs[@]}\"); want_llvm; want_rust; need \"${needs[@]}\"",
        &[&bin],
    ));
    for thing in [
        "make",
        "cc",
        "gelf.h",
        "flex",
        "busybox",
        "libc.a",
        &format!("qemu-system-{}", std::env::consts::ARCH),
        "ld.lld",
        "rustc",
    ] {
        assert_says(&said, &format!("\n         {thing} "));
    }
    for package in ["libelf-dev", "libc6-dev", "busybox-static"] {
        assert!(
            !said.contains(package),
            "{package} is Debian's name\n{said}"
        );
    }
    assert_says(&said, "README.md has a table");
}

#[test]
fn without_apt_llvm_is_called_as_other_distributions_call_it() {
    let said = |name: &str, version: &str, others: &[&str]| {
        let bin = only(name, &["bash", "cat", "sed"]);
        program(
            bin.join("clang"),
            &format!("echo clang version {version}.1.7"),
        );
        for name in others {
            program(bin.join(name), "");
        }
        let script =
            "PATH=$1; needs=(); want_llvm; need \"${needs[@]}\"; echo $(llvm_number $llvm)";
        let output = functions(script, &[&bin]).output().unwrap();
        let said = [output.stderr, output.stdout].concat();
        let said = String::from_utf8(said).unwrap();
        let named = said.lines().filter(|line| line.starts_with("         "));
        let named = named.map(|line| line.split_whitespace().next().unwrap().to_owned());
        (named.collect::<Vec<_>>().join(" "), said)
    };
    let all = ["ld.lld", "llvm-nm", "llvm-objcopy"];
    assert_eq!(said("llvm-whole", "19", &all).1, "19\n");
    assert_eq!(said("llvm-no-lld", "19", &all[1..]).0, "ld.lld");
    assert_eq!(
        said("llvm-clang-only", "19", &[]).0,
        "ld.lld llvm-nm llvm-objcopy"
    );
    let (named, said) = said("llvm-old", "14", &all);
    assert_eq!(named, "clang");
    assert_says(&said, "version 17 or newer");
}

/// Whatever name it goes by: a flavour, a core, or one that somebody makes next.
#[test]
fn what_a_kernels_options_take_is_asked_for_before_it_is_built() {
    let signs = ["openssl/opensslv.h", "openssl"];
    let versions = ["dwarf.h"];
    let compresses = ["zstd"];
    for (settings, asked) in [
        ("FLAVOR= CORE=", vec![]),
        ("FLAVOR= CORE=rust", vec![&versions[..]]),
        ("FLAVOR=debug CORE=rust", vec![]),
        (
            "FLAVOR=hardened CORE=",
            vec![&versions[..], &signs, &compresses],
        ),
        // A root has its own.
        ("FLAVOR=hardened CORE=rust TOOLCHAIN=sid-llvm", vec![]),
    ] {
        let script =
            format!("{settings}; needs=(); kernel_needs; printf '%s\n' \"${{needs[@]%% *}}\"");
        let said = success(&mut functions(&script, &[]));
        let mut said: Vec<&str> = said
            .split_whitespace()
            .map(|need| need.trim_start_matches("header:"))
            .collect();
        let mut asked = asked.concat();
        said.sort_unstable();
        asked.sort_unstable();
        assert_eq!(said, asked, "{settings}");
    }
    let said = failure(harness("run").env("CORE", "rust"));
    assert_says(&said, "\n         dwarf.h ");
}

#[test]
fn what_only_debian_has_is_refused_where_it_is_not() {
    for (goal, name, value) in [
        ("modules", "KERNEL", "debian"),
        ("modules", "KERNEL", "99.1.2+deb13-amd64"),
        ("modules", "TOOLCHAIN", "sid-gcc"),
        ("run", "ARCH", OTHER),
    ] {
        let said = failure(harness(goal).env(name, value));
        assert_says(
            &said,
            "takes packages of Debian's, and there is no apt here\n",
        );
        // Before the first step.
        assert!(!said.contains("[1/"), "{said}");
    }
    // Nor does it have everything.
    let said = failure(harness("modules").env("KERNEL", "99.1.2"));
    assert_says(&said, "error: KERNEL=99.1.2: Debian has no kernel ");
    assert_says(&said, "make KERNEL=99.1;");
    // What is in the cache already takes none.
    let said = success(&mut functions(
        "PATH=; check_debian it \"$1/*\" next",
        &[&folder("debian").join("..")],
    ));
    assert_eq!(said, "");
}

#[test]
fn a_compiler_for_programs_is_not_installed_if_it_is_too_old() {
    let bin = folder("old-rust");
    program(bin.join("rustc"), "echo rustc 1.63.0");
    program(bin.join("cargo"), "");
    program(bin.join("apt-get"), "exit 1");
    program(
        bin.join("apt-cache"),
        "case $2 in rustc) v=1.63.0+dfsg1-2 ;; *) v=$WEB ;; esac; echo \"Candidate: $v\"",
    );
    let script = "bin=$1 PATH=$1:$PATH; rustc_candidates() { echo $bin/rustc; }; step_cargo";
    let said = failure(functions(script, &[&bin]).env("WEB", "1.96.0+dfsg1-1"));
    assert_says(&said, "these packages are missing: rustc-web cargo-web ");
    // None is new enough.
    let said = failure(functions(script, &[&bin]).env("WEB", "1.70.0"));
    assert_says(&said, "rustc is version 1.63.0, the programs need 1.85.0");
    assert_says(&said, "package rustc-web: 1.70.0");
}

#[test]
fn what_makes_packages_is_missed_before_programs_are_built() {
    let said = failure(harness("deb").env("INSTALL_PACKAGES", "n"));
    assert_says(&said, "dpkg-buildpackage");
    assert!(!said.contains("cargo"), "{said}");
}

#[test]
fn the_mirror_is_known_before_any_list_was_read() {
    let bin = folder("no-lists");
    // Without that it names what it has lists of, which is nothing.
    program(
        bin.join("apt-get"),
        "case \" $* \" in *' --no-release-info '*) echo http://mirror.example/debian/ ;; esac",
    );
    let said = success(&mut functions("PATH=$1:$PATH; debian_mirror", &[&bin]));
    assert_eq!(said.trim(), "http://mirror.example/debian/");
}

#[test]
fn an_old_compiler_does_not_hide_a_new_one() {
    let folder = folder("two-rustcs");
    for (name, version) in [("old", "1.63.0"), ("new", "1.95.0")] {
        let sysroot = folder.join(name);
        program(
            sysroot.join("bin/rustc"),
            &format!(
                "case $1 in --print) echo {} ;; *) echo rustc {version} ;; esac",
                sysroot.display()
            ),
        );
        program(sysroot.join("bin/cargo"), "");
        write(
            sysroot.join("lib/rustlib/src/rust/library/core/src/lib.rs"),
            "",
        );
    }
    for find in ["find_rustc", "rust_tried=(); find_cargo"] {
        let said = success(&mut functions(
            &format!("cache=$1 PATH=$1/old/bin:$1/new/bin:$PATH; {find}; echo ${{rustc#$1/}}"),
            &[&folder],
        ));
        assert_eq!(said, "new/bin/rustc\n", "{find}");
    }
}

#[test]
fn headers_and_libraries_are_where_the_compiler_finds_them() {
    let said = success(&mut functions(
        "have header:stdlib.h && have library:libc.a && ! have header:no-such.h && ! have library:no-such.a",
        &[],
    ));
    assert_eq!(said, "");
}

#[test]
fn a_libclang_is_what_bindgen_loads() {
    let bin = folder("bindgen");
    // It finds an old one by itself, and what LIBCLANG_PATH= names.
    program(
        bin.join("bindgen"),
        "echo bindgen 0.72.1; echo \"Clang: Some clang version ${LIBCLANG_PATH:-14}.0.6 (1)\"",
    );
    program(
        bin.join("none"),
        "echo bindgen 0.72.1; echo Unable to find libclang >&2; exit 101",
    );
    let script = "bindgen=$1; have libclang && echo yes || echo no";
    for (program, path, answer) in [("bindgen", "19", "yes"), ("none", "", "no")] {
        let said = success(functions(script, &[&bin.join(program)]).env("LIBCLANG_PATH", path));
        assert_eq!(said, format!("{answer}\n"), "{program} {path}");
    }
    // Too old, wherever it looks.
    program(
        bin.join("old"),
        "echo bindgen 0.72.1; echo 'Clang: Debian clang version 14.0.6'",
    );
    let said = success(&mut functions(script, &[&bin.join("old")]));
    assert_eq!(said, "no\n");
}
