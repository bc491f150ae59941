// SPDX-License-Identifier: GPL-2.0

//! Other people's shells: what they export, and what their folders are called.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
};

use crate::kdir::Kernel;
use crate::machine::{
    assert_says, command, failure, folder, functions, harness, harness_in, only, program, success,
    top, write,
};

/// A folder of that name with the scripts and nothing else.
fn only_scripts(name: &str) -> PathBuf {
    let clone = folder(name);
    let scripts = top().join("scripts");
    success(command("cp").arg("-r").arg(scripts).arg(&clone));
    clone
}

#[test]
fn a_folder_that_make_cannot_name_is_refused() {
    for (name, what) in [
        ("my code", " "),
        ("a:b", ":"),
        ("100%", "%"),
        ("a$b", "$"),
        ("it's", "'"),
        ("a[1]", "["),
        ("#1", "#"),
    ] {
        let clone = only_scripts(name);
        let said = failure(
            command("bash")
                .arg(clone.join("scripts/harness"))
                .arg("modules"),
        );
        assert_says(
            &said,
            &format!("no folder with '{what}' in its name; this clone is in '"),
        );
    }
    for (variable, what) in [
        ("KDIR", "KDIR"),
        ("KSRC", "KSRC"),
        ("XDG_CACHE_HOME", "the cache"),
    ] {
        let said = failure(harness("modules").env(variable, "/my kernels/linux"));
        assert_says(&said, &format!("in its name; {what}"));
        assert_says(&said, "is in '/my kernels/linux");
    }
}

#[test]
fn other_folders_are_taken() {
    // As tried with kbuild.
    for name in ["été", "a+b~c@d", "a,b=c", "-x", "{a}^!"] {
        let said = success(&mut functions(
            "check_folder 'this clone' \"$1\"",
            &[Path::new(name)],
        ));
        assert_eq!(said, "");
    }
}

#[test]
fn programs_are_built_in_any_folder() {
    let clone = only_scripts("my own code");
    fs::create_dir(clone.join("tests")).unwrap();
    let says = |goal: &str, cache: &str| {
        let mut harness = harness_in(&clone, goal);
        // What is looked at behind the folders.
        harness.env("JOBS", "many");
        failure(harness.env("XDG_CACHE_HOME", clone.join(cache)))
    };
    for goal in ["tools", "deb", "install"] {
        assert_says(&says(goal, "my cache"), "JOBS=many: expected a number");
    }
    // Where programs look for libraries, it is between two folders.
    assert_says(
        &says("tools", "a:b"),
        "error: cargo takes no folder with ':' ",
    );
}

#[test]
fn the_source_of_the_dkms_package_says_what_it_is_for() {
    let source = only_scripts("dkms-source");
    let says = |goal: &str, kdir: &Path| failure(harness_in(&source, goal).env("KDIR", kdir));
    let kdir = Kernel::new("dkms").make();
    for (goal, kdir) in [
        ("modules", Path::new("")),
        ("tools", Path::new("")),
        ("test", &kdir),
    ] {
        let said = says(goal, kdir);
        assert_says(&said, "error: this is the source of the DKMS package, ");
        assert_says(&said, "make KDIR=");
    }
    assert_says(&says("modules", &kdir), "error: these are missing here:");
    assert_says(
        &says("modules_install", Path::new("")),
        "no modules are built",
    );
    // It has no programs.
    let script = ". scripts/lib/userspace.sh; top=$1 cache=$1/cache; own_cargo_target rustc; ls $1";
    assert_eq!(
        success(&mut functions(script, &[&source])),
        "build\nscripts\n"
    );
}

#[test]
fn a_clone_in_which_nothing_was_built_is_nobody_elses() {
    let build = folder("build-of-whom");
    let script = "id() { echo 54321; }; check_own $1";
    let said = success(&mut functions(script, &[&build.join("none")]));
    assert_eq!(said, "");
    let said = failure(&mut functions(script, &[&build]));
    assert_says(&said, "build-of-whom is not yours");
}

#[test]
fn no_run_ends_without_a_word() {
    let said = failure(&mut functions("f() { false; }; step building; f", &[]));
    assert_says(&said, "error: building: this failed: false (");
    // Also what was said in a subshell was said.
    let said = failure(&mut functions("x=$(die cause next)", &[]));
    assert_eq!(said, "error: cause\n       next\n");
    // Nor is there one of what is expected to fail.
    let said = success(&mut functions("f() { return 3; }; f || x=$?; echo $x", &[]));
    assert_eq!(said, "3\n");
    let said = failure(&mut functions("f() { return 3; }; f || exit", &[]));
    assert_eq!(said, "");
}

/// What `make` takes for a mistake among what was typed.
fn unknown(typed: &[String]) -> String {
    let mut make = command("make");
    make.args([
        "-s",
        "--eval",
        "unknown: ; @echo $(asked_unknown)",
        "unknown",
    ]);
    success(make.args(typed).env_remove("MAKELEVEL"))
}

#[test]
fn a_variable_that_nothing_looks_at_is_refused() {
    assert_eq!(unknown(&["FLAVOUR=debug".into()]), "FLAVOUR\n");
    assert_eq!(unknown(&["kdir=/linux".into(), "V=1".into()]), "kdir\n");
    let said = failure(harness("run").env("asked_unknown", "FLAVOUR kdir"));
    assert_says(&said, "error: FLAVOUR= is nothing that make knows here\n");
    // A value may look like one.
    assert_eq!(unknown(&["APPEND=a b=c".into()]), "\n");
}

#[test]
fn every_variable_that_is_written_about_is_known() {
    let mut found = Vec::new();
    for file in [
        "scripts/help.txt",
        "README.md",
        "tests/README.md",
        "dkms.conf",
    ] {
        let text = fs::read_to_string(top().join(file)).unwrap();
        for line in text.lines().filter(|line| !line.contains("make -C")) {
            let after = |(_, after)| after;
            let line = match file {
                "scripts/help.txt" => line,
                _ => line.split_once("make ").map_or("", after),
            };
            for word in line.split(|c: char| !(c.is_ascii_uppercase() || c == '_' || c == '=')) {
                let name = word.split_once('=').map_or("", |(name, _)| name);
                if name.len() > 1 && !name.starts_with("CONFIG_") {
                    found.push(format!("{name}=x"));
                }
            }
        }
    }
    // What dkms(8), dh_auto_install(1) and RPM's %make_build add to the command.
    let added = [
        "KERNELRELEASE",
        "LLVM",
        "INSTALL",
        "AM_UPDATE_INFO_DIR",
        "VERBOSE",
    ];
    found.extend(added.map(|name| format!("{name}=x")));
    assert!(found.len() > 60, "{found:?}");
    assert_eq!(unknown(&found), "\n");
}

#[test]
fn a_target_that_is_none_is_named() {
    let said = failure(command("make").arg("tst"));
    assert_says(
        &said,
        "error: there is no target 'tst'\n       those that there are: make help",
    );
}

#[test]
fn two_runs_in_one_clone_write_one_after_the_other() {
    let place = folder("locked");
    let script = "
        build=$1/build top=$1
        rm -rf $build
        (
            lock_build
            touch $build/begun
            sleep 0.5
            echo first
        ) &
        until [[ -e $build/begun ]]; do sleep 0.01; done
        $2
        echo second
        wait";
    for then in ["lock_build", "clean"] {
        let mut command = functions(script.replace("$2", then).as_str(), &[&place]);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{then}: {output:?}");
        assert_eq!(String::from_utf8_lossy(&output.stdout), "first\nsecond\n");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(said, "waiting for another run in this clone\n");
    }
}

#[test]
fn the_sum_of_several_kernels_is_the_last_word() {
    let script = "
        . scripts/lib/vm.sh
        . scripts/lib/test-all.sh
        build=$1 T= RERUN=
        test_check() { :; }
        test_all_one() { return 1; }
        CONFIGS=default test_all";
    let said = failure(&mut functions(script, &[&folder("sum-of-all")]));
    assert_says(&said, "\n0 passed, 1 failed, 0 skipped\n");
    assert!(!said.contains("error: "), "{said}");
}

#[test]
fn what_took_no_time_worth_a_word_before_the_tests_is_not_told_behind_their_sum() {
    let script = |before: u32| {
        format!(
            "SECONDS=0 ui_said=0 ui_times=(\"one 4 s\" \"two 5 s\")
            SECONDS={before}; say_times; echo sum >&2; SECONDS=60; say_times"
        )
    };
    let said = |before| {
        let output = functions(&script(before), &[]).output().expect("it runs");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    assert_eq!(said(9), "sum\n");
    assert_eq!(said(11), "11 s: one 4 s, two 5 s\nsum\n");
}

#[test]
fn a_folder_that_nothing_can_be_built_in_is_refused() {
    let said = failure(&mut functions(
        "check_place 'the cache' /proc/no/folder 'put it elsewhere'",
        &[],
    ));
    assert_eq!(
        said,
        "error: the cache /proc/no/folder cannot be written to\n       put it elsewhere\n"
    );
    let place = folder("place");
    // As on a file system that is mounted so.
    let said = failure(&mut functions(
        "chmod() { :; }; check_place 'the cache' $1 'put it elsewhere'",
        &[&place],
    ));
    assert_says(&said, "nothing can be run in the cache ");
    let said = success(&mut functions("check_place it $1/new next", &[&place]));
    assert_eq!(said, "");
    assert_eq!(fs::read_dir(&place).unwrap().count(), 1);
    assert_eq!(fs::read_dir(place.join("new")).unwrap().count(), 0);
    // Before the first step.
    let said = failure(harness("modules").env("XDG_CACHE_HOME", "/proc"));
    assert_says(&said, "the cache /proc/rust-connector cannot be written to");
    // Before anything is read that would be kept there.
    let script = "
        . scripts/lib/own.sh
        vm_check() { :; }
        goal=shell build=/proc/build
        shell_check";
    let said = failure(functions(script, &[]).stdin(Stdio::null()));
    assert_says(
        &said,
        "error: the build folder /proc/build cannot be written to",
    );
    assert!(!said.contains("[1/"), "{said}");
}

#[test]
fn the_cache_is_the_same_from_every_folder() {
    let script = "echo $cache";
    let said = success(functions(script, &[]).env("XDG_CACHE_HOME", "mine"));
    assert_eq!(said, format!("{}/mine/rust-connector\n", top().display()));
}

#[test]
fn what_stops_any_program_is_named() {
    let script = "log=$1/log; echo 'No space left on device' >$log
        step building; run_logged work $log 'try again' bash -c \"echo '$2'; sleep 0.3; exit 1\"";
    let log = folder("known-causes");
    for (printed, cause) in [
        (
            "write error: No space left on device",
            ": no space left on the disk",
        ),
        (
            "E: dpkg was interrupted, you must",
            ": dpkg was interrupted before",
        ),
        (
            "[6] Could not resolve host: crates.io",
            ": there is no network",
        ),
        (
            "E: Release file is not valid yet",
            ": a signature or certificate is not of",
        ),
        (
            "fatal: detected dubious ownership in repository at /c",
            ": git reads no clone of another user",
        ),
        // That there was no space was another time.
        ("anything else", " (status 1)"),
    ] {
        let said = failure(&mut functions(script, &[&log, Path::new(printed)]));
        assert_says(&said, &format!("error: building: work failed{cause}"));
    }
}

#[test]
fn what_was_asked_for_in_vain_is_said_before_the_first_step() {
    for (variable, value, part) in [
        ("JOBS", "many", "JOBS=many: expected a number"),
        (
            "FLAVOR",
            "nonsense",
            "FLAVOR=nonsense: there is no tests/config.nonsense",
        ),
        ("TOOLCHAIN", "tcc", "TOOLCHAIN=tcc: expected llvm or gcc"),
        (
            "TOOLCHAIN",
            "buster-llvm",
            "TOOLCHAIN=trixie-llvm, trixie-gcc, sid-llvm, sid-gcc",
        ),
        ("KSRC", "/no/such/linux", "is not a kernel source tree"),
        (
            "RUST_LIB_SRC",
            "/no/such/library",
            "RUST_LIB_SRC=/no/such/library has no core/src/lib.rs",
        ),
    ] {
        let said = failure(harness("modules").env(variable, value));
        assert_says(&said, part);
        assert!(!said.contains("[1/"), "{said}");
    }
}

#[test]
fn a_bare_environment_is_enough() {
    let said = failure(
        harness("no-such-goal")
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"),
    );
    assert_says(&said, "there is no target 'no-such-goal'");
    let said = failure(harness("no-such-goal").env("CDPATH", "/usr:/"));
    assert_says(&said, "there is no target 'no-such-goal'");
}

#[test]
fn what_is_exported_for_other_programs_stays_outside() {
    let said = success(
        functions(
            "echo ${LLVM-} ${ARCH-} ${W-} ${LDFLAGS-} ${CARGO_BUILD_TARGET-} ${KCFLAGS-} ok; umask",
            &[],
        )
        .envs([
            ("LLVM", "1"),
            ("ARCH", "arm64"),
            ("W", "1"),
            ("LDFLAGS", "-flto"),
            ("CARGO_BUILD_TARGET", "wasm32-unknown-unknown"),
            ("KCFLAGS", "-Werror"),
        ]),
    );
    assert_eq!(said, "ok\n0022\n");
}

#[test]
fn who_names_a_kernel_as_kbuild_has_it_does_not_get_another_one() {
    // That nothing is made in any case.
    let make = || {
        let mut make = command("make");
        make.args(["setup", "JOBS=many"]);
        make
    };
    let said = failure(make().arg("O=/k/linux"));
    assert_says(&said, "O=/k/linux is not looked at");
    assert_says(&said, "make KDIR=/k/linux …");
    let said = failure(make().env("O", "/k/linux"));
    assert_says(&said, "JOBS=many: expected a number");
}

/// What `kdir_compiler` says and chooses for a kernel that was built with this machine's gcc.
fn compiler_for_gcc_kernel(variables: &[(&str, &str)]) -> String {
    let kdir = folder(&format!("gcc-kernel-{}", variables.len()));
    let script = "
        mkdir -p $1/include/config
        kdir=$1
        echo CONFIG_GCC_VERSION=$(gcc -dumpversion | cut -d. -f1)0200 >$kdir/include/config/auto.conf
        kdir_compiler
        printf '%s\\n' \"${cc_args[@]}\"";
    success(functions(script, &[&kdir]).envs(variables.iter().copied()))
}

#[test]
fn a_compiler_of_several_words_is_passed_on() {
    let said = compiler_for_gcc_kernel(&[("CC", "env gcc")]);
    assert_eq!(said, "CC=env gcc\n");
    // To the project's own kernel, which is the same that it is without.
    let script =
        "kernel_compiler; echo \"${cc_args[*]}\"; [[ $cc_id = \"$(gcc --version | sed -n 1p)\" ]]";
    let said = success(functions(script, &[]).envs([("CC", "env gcc"), ("TOOLCHAIN", "gcc")]));
    assert_eq!(said, "CC=env gcc\n");
}

#[test]
fn a_compiler_that_does_not_fit_the_kernel_is_named() {
    let said = compiler_for_gcc_kernel(&[("CC", "no-such-gcc"), ("LLVM", "1")]);
    assert_says(&said, "LLVM=1 is not taken: ");
    assert_says(&said, "CC=no-such-gcc is not taken: ");
    assert!(said.ends_with("CC=gcc\n"), "{said}");
    // A clang that calls itself as the kernel's compiler is called.
    let bin = folder("clang").join("bin");
    program(
        bin.join("clang-19"),
        "case $1 in -dumpversion) echo 19.1.7 ;; *) echo clang version 19.1.7 ;; esac",
    );
    let said = success(
        functions(
            "PATH=$1:$PATH llvm=-19; kernel_compiler; echo \"${cc_args[*]}\"",
            &[&bin],
        )
        .env("CC", "gcc"),
    );
    assert_says(&said, "CC=gcc is not taken: it is not clang 19");
    assert!(said.ends_with("\nLLVM=-19\n"), "{said}");
}

/// LLVM 19 under these names: the clang's, and the others'.
fn llvm(name: &str, clang: &[&str], others: &[&str]) -> PathBuf {
    let bin = folder(name).join("bin");
    let macros = "echo '#define __clang_major__ 19'; echo '#define __clang_minor__ 1'";
    for name in clang {
        program(bin.join(name), macros);
    }
    for name in others {
        program(bin.join(name), "");
    }
    bin
}

#[test]
fn a_kernel_of_llvm_is_built_for_by_the_names_that_llvm_has_here() {
    let kdir = folder("llvm-kernel");
    let config = kdir.join("include/config/auto.conf");
    let clang = "CONFIG_CC_IS_CLANG=y\nCONFIG_CLANG_VERSION=190107\n";
    write(&config, format!("{clang}CONFIG_LD_IS_LLD=y\n"));
    let plain = &["ld.lld", "llvm-nm", "llvm-objcopy"];
    let versioned = &["ld.lld-19", "llvm-nm-19", "llvm-objcopy-19"];
    let debian = llvm("llvm-debian", &["clang-19"], versioned);
    let fedora = llvm("llvm-fedora", &["clang", "clang-19"], plain);
    let none = llvm("llvm-none", &["clang", "clang-19"], &["ld.lld"]);
    let away = format!("{}/", llvm("llvm-away", &["clang"], plain).display());
    let command = |bin: &Path, asked: &str| {
        let tools = only("llvm-tools", &["bash", "grep", "sed", "tr"]);
        let script = "PATH=$2:$3; kdir=$1; kdir_compiler; echo \"${cc_args[*]}\"";
        let mut command = functions(script, &[&kdir, bin, &tools]);
        command.env("LLVM", asked);
        command
    };
    let chosen = |bin: &Path, asked: &str| success(&mut command(bin, asked));
    assert_eq!(chosen(&debian, ""), "LLVM=-19\n");
    assert_eq!(chosen(&fedora, "1"), "LLVM=1\n");
    assert_eq!(chosen(&debian, "-19"), "LLVM=-19\n");
    let said = chosen(&fedora, "-18");
    assert_says(&said, "LLVM=-18 is not taken: ");
    assert!(said.ends_with("LLVM=1\n"), "{said}");
    assert_eq!(chosen(&none, &away), format!("LLVM={away}\n"));
    let said = chosen(&debian, "/no/such/llvm/");
    assert_says(&said, "LLVM=/no/such/llvm/ is not taken: ");
    assert!(said.ends_with("LLVM=-19\n"), "{said}");
    let said = failure(&mut command(&none, ""));
    assert_says(&said, "clang 19, which is not here with its ld.lld and");
    // Linked by GNU's ld, it needs no other.
    write(&config, clang);
    assert_eq!(chosen(&none, ""), "CC=clang-19\n");
}

#[test]
fn no_word_for_the_kernel_may_hide_what_it_says() {
    for word in ["quiet", "loglevel=4", "printk.time=0", "printk.time=off"] {
        let said = failure(harness("run").env("APPEND", format!("a=b {word}")));
        assert_says(&said, &format!("APPEND={word} hides what the kernel says"));
    }
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
    assert_says(&conf, &format!("\nBUILD_EXCLUSIVE_KERNEL_MIN=\"{oldest}\""));
}

#[test]
fn every_target_is_made_by_something() {
    let read = |file: &str| fs::read_to_string(top().join(file)).unwrap();
    let makefile = read("Makefile").replace("\\\n", " ");
    let goals = makefile
        .lines()
        .find_map(|line| line.strip_prefix("goals := "))
        .unwrap();
    let help = read("scripts/help.txt");
    let ci = read(".ci/run");
    let all = read("scripts/lib/test-all.sh");
    let list = read("scripts/lib/goals.sh");
    let list = list
        .split_once("test_goals=(")
        .unwrap()
        .1
        .split_once("\n)")
        .unwrap()
        .0;
    for goal in goals.split_whitespace() {
        assert!(
            help.contains(goal) || ["fmt-check", "modules"].contains(&goal),
            "make help does not have {goal}"
        );
        let made = ci.contains(&format!(" make {goal}"))
            || list.split_whitespace().any(|word| word == goal)
            || all.contains(&format!("goals={goal}\n"))
            // By hand: hours, or the whole of it.
            || ["clean", "test-all", "test-readme", "test-verdict", "mutants"].contains(&goal);
        assert!(made, "nothing makes {goal}");
    }
}

/// Or a kernel in the cache would be taken for one that another compiler has built.
#[test]
fn each_toolchain_is_known_by_its_own_compiler() {
    let root = folder("toolchain-root").join("enter");
    program(&root, "echo \"$1 of that root\"");
    let script = "use_root() { inside=(\"$root\"); }
        enter_root() { :; }
        ksrc=/ root=$1 llvm='' kernel_compiler
        echo \"$cc_id\"";
    for (toolchain, compiler) in [("sid-gcc", "gcc"), ("sid-llvm", "clang")] {
        let said = success(functions(script, &[&root]).env("TOOLCHAIN", toolchain));
        assert_eq!(said, format!("{compiler} of that root\n"));
    }
}
