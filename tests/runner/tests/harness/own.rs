// SPDX-License-Identifier: GPL-2.0

//! A module of somebody's own: what `M=` makes of it, and what `samples/standalone` is built with.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    kdir::{Kernel, that_signs},
    machine::{assert_says, command, failure, folder, functions, only, success, top, write},
};

/// What `own_modules` makes of the module in `$1/mine` for the kernel `$2`, by a kbuild that is made up.
const OWN_MODULES: &str = "
    . scripts/lib/own.sh
    kdir=$2 build=$1/build own=$1/mine kernel_id=7.3.4-abc log=/dev/null V=
    inside=() cc_args=() rust_args=()
    mkdir -p $build/own/modules $build/log
    run_logged() {
        local word
        for word in \"$@\"; do
            [[ $word = M=* ]] || continue
            echo cn_mine.o >${word#M=}/modules.order
            (cd ${word#M=} && echo *.rs >cn_mine.ko)
        done
    }
    own_modules
    cat $build/own/modules/cn_mine.ko
";

#[test]
fn a_module_of_somebodys_own_is_signed_as_ours_are() {
    let kdir = that_signs(Kernel::new("signs"));
    let place = folder("own-signed");
    write(place.join("mine/cn_mine.rs"), "");
    let own_modules = || success(&mut functions(OWN_MODULES, &[&place, &kdir]));
    assert_eq!(own_modules(), "cn_mine.rs\n");
    write(kdir.join("certs/signing_key.pem"), "");
    assert_eq!(own_modules(), "cn_mine.rs\nsigned sha512\n");
}

#[test]
fn what_is_gone_from_a_folder_of_somebodys_own_is_not_built_any_more() {
    let kdir = Kernel::new("gone").make();
    let place = folder("own-gone");
    write(place.join("mine/cn_mine.rs"), "");
    write(place.join("mine/store.rs"), "");
    let own_modules = || success(&mut functions(OWN_MODULES, &[&place, &kdir]));
    assert_eq!(own_modules(), "cn_mine.rs store.rs\n");
    fs::remove_file(place.join("mine/store.rs")).unwrap();
    assert_eq!(own_modules(), "cn_mine.rs\n");
}

#[test]
fn a_script_of_somebodys_own_is_a_test_if_nobody_made_it_executable() {
    let place = folder("own-script");
    write(place.join("mine/tests/mine.sh"), "#!/bin/sh\necho ok\n");
    write(place.join("build/own/selftests/other"), "");
    let script = "
        . scripts/lib/own.sh
        build=$1/build own=$1/mine
        own_scripts
        $build/own/selftests/mine.sh
        echo ${own_suites[*]}";
    assert_eq!(
        success(&mut functions(script, &[&place])),
        "ok\nmine.sh other\n"
    );
}

/// What `samples/standalone` takes for a rust_connector.
fn connector(name: &str) -> PathBuf {
    let connector = folder(name);
    write(connector.join("connector.mk"), "");
    connector
}

/// `make` there, with this folder for that variable.
fn standalone(variable: &str, folder: &Path) -> Command {
    let mut make = command("make");
    make.arg("-C").arg(top().join("samples/standalone"));
    make.arg(format!("{variable}={}", folder.display()));
    make
}

/// A kernel whose kbuild says what it was told, and builds nothing.
fn that_says(name: &'static str, what: &str) -> PathBuf {
    let kdir = Kernel::new(name).make();
    write(
        kdir.join("Makefile"),
        format!("modules: ; @echo \"{what}\"\n"),
    );
    kdir
}

#[test]
fn a_module_of_somebodys_own_says_what_it_does_not_find() {
    let kdir = Kernel::new("standalone").make();
    let said =
        |kdir: &Path| failure(standalone("KDIR", kdir).arg("INSTALL_MOD_PATH=/no/such/stage"));
    assert_says(
        &said(&kdir),
        "\"/no/such/stage/lib/modules/7.3.4/rust_connector\", for the kernel \"7.3.4\" in /",
    );
    assert_says(
        &said(Path::new("/no/such/kdir")),
        "no kernel was built in \"/no/such/kdir\": ",
    );
}

#[test]
fn a_module_of_somebodys_own_is_built_with_what_the_kernel_was_built_with() {
    let kdir = that_says("tools", "LLVM is '$(LLVM)', RUSTC is '$(RUSTC)'");
    let connector = connector("connector-of-tools");
    let said = |arguments: &[&str]| {
        let mut make = standalone("CONNECTOR", &connector);
        make.arg(format!("KDIR={}", kdir.display()));
        success(make.args(arguments))
    };
    // Nothing is known of it.
    assert_says(&said(&[]), "LLVM is '', RUSTC is ''");
    write(
        connector.join("kernel.mk"),
        "# A kernel.\nKDIR := /no/such/kdir\nTOOLS := LLVM=-19 RUSTC=/bin/sh\n",
    );
    assert_says(&said(&[]), "LLVM is '-19', RUSTC is '/bin/sh'");
    assert_says(&said(&["LLVM=1"]), "LLVM is '1', RUSTC is ''");
}

#[test]
fn a_compiler_of_several_words_is_one_to_modules_of_somebodys_own() {
    let kdir = that_says("ccache", "CC is '$(CC)'");
    let connector = connector("connector-ccache");
    let script =
        "kdir=$1 cc_args=('CC=env gcc') rust_args=(RUSTC=/bin/sh); kernel_mk >$2/kernel.mk";
    success(&mut functions(script, &[&kdir, &connector]));
    let said = success(&mut standalone("CONNECTOR", &connector));
    assert_says(&said, "CC is 'env gcc'");
}

#[test]
fn why_programs_of_somebodys_own_are_not_built_is_said() {
    let place = folder("own-programs");
    write(place.join("mine/Cargo.toml"), "");
    let said = |cargo_says: &str| {
        let script = "
            . scripts/lib/own.sh
            build=$1/build own=$1/mine log=$1/log step_name='your module' asked_m=mine
            own_cargo() { echo \"$said\"; return 101; }
            own_programs";
        let _ = fs::remove_file(place.join("log"));
        failure(functions(script, &[&place]).env("said", cargo_says))
    };
    let lost = said("failed to read `/clone/tests/selftests/Cargo.toml`");
    assert_says(&lost, "paths to this clone have to lead to /");
    let mistake = said("error[E0425]: cannot find value `x` in this scope");
    assert_says(&mistake, "the compiler's messages are above");
    assert!(!mistake.contains("have to lead to"), "{mistake}");
}

#[test]
fn a_module_of_somebodys_own_is_not_built_in_another_folder() {
    let kdir = Kernel::new("blank").make();
    write(kdir.join("Makefile"), "modules: ; @echo kbuild in '$(M)'\n");
    let connector = connector("connector-blank");
    let says = |mine: &str, variable: &str, value: &str| {
        let mine = folder(mine).join("standalone");
        success(
            command("cp")
                .arg("-r")
                .arg(top().join("samples/standalone"))
                .arg(&mine),
        );
        let mut make = command("make");
        make.arg("-C").arg(mine);
        make.arg(format!("KDIR={}", kdir.display()));
        make.arg(format!("CONNECTOR={}", connector.display()));
        let output = make.arg(format!("{variable}={value}")).output().unwrap();
        String::from_utf8_lossy(&[output.stderr, output.stdout].concat()).into_owned()
    };
    for (variable, what) in [
        ("KDIR", "KDIR"),
        ("CONNECTOR", "CONNECTOR"),
        ("INSTALL_MOD_PATH", "INSTALL_MOD_PATH"),
        ("V", "CURDIR"),
    ] {
        let mine = if variable == "V" {
            "own mine"
        } else {
            "own-mine"
        };
        let said = says(mine, variable, "/my own/folder");
        assert_says(&said, "no folder with ' ' in its name; ");
        assert_says(&said, &format!("{what} is '"));
        assert!(!said.contains("kbuild in "), "{said}");
    }
    // Where it goes to work in any case is there.
    assert_says(&says("own;mine", "V", ""), "/own;mine/standalone\n");
}

#[test]
fn a_module_of_somebodys_own_says_that_its_kernel_or_compiler_is_gone() {
    let connector = connector("connector-of-gone");
    let make = |tools: &str, kdir: &Path, goal: &str| {
        let text = format!("KDIR := {}\nTOOLS := {tools}\n", kdir.display());
        write(connector.join("kernel.mk"), text);
        let mut make = standalone("CONNECTOR", &connector);
        // As sudo has it.
        make.arg(goal).env(
            "PATH",
            only("no-rustc", &["cat", "echo", "make", "sed", "sh"]),
        );
        make
    };
    let said = failure(&mut make("", Path::new("/no/such/kdir"), "modules"));
    assert_says(&said, "no kernel was built in \"/no/such/kdir\": ");
    let kdir = Kernel::new("no-rustc").make();
    write(
        kdir.join("Makefile"),
        "modules clean: ; @echo $@ with $(RUSTC)\n",
    );
    let said = failure(&mut make("", &kdir, "modules"));
    assert_says(&said, "there is no \"rustc\" here ");
    success(&mut make("", &kdir, "clean"));
    let said = failure(&mut make("RUSTC=/no/such/rustc", &kdir, "modules"));
    assert_says(&said, "there is no \"/no/such/rustc\" here ");
    let said = success(&mut make("RUSTC=/bin/sh", &kdir, "modules"));
    assert_says(&said, "modules with /bin/sh");
}
