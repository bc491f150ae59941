// SPDX-License-Identifier: GPL-2.0

//! Machines of each architecture, and what is built for another one.

use std::env;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use crate::kdir::OTHER;
use crate::machine::{assert_says, failure, folder, functions, harness, program, success, write};

/// A `PATH` with which this machine is another one. Each has a folder of its own: tests run at the same time.
fn path_on(machine: &str) -> String {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let number = NUMBER.fetch_add(1, Relaxed);
    let bin = folder(&format!("uname-{number}"));
    program(bin.join("uname"), &format!("echo {machine}"));
    format!("{}:{}", bin.display(), env::var("PATH").unwrap())
}

/// What a script prints there, with ARCH= or without.
fn there(machine: &str, arch: &str, script: &str) -> String {
    // The shell looks the program up before the script could change PATH.
    success(
        functions(script, &[])
            .env("PATH", path_on(machine))
            .env("ARCH", arch),
    )
}

#[test]
fn every_machine_builds_for_itself_unless_told_otherwise() {
    let script = "check_environment
        echo $arch ${cross:-native} ${arch_prefix:-none} $arch_qemu $arch_rust $arch_debian $arch_image [${arch_args[*]}]";
    let x86 = "x86 native none qemu-system-x86_64 x86_64-unknown-linux-gnu amd64 arch/x86/boot/bzImage []\n";
    let arm64 = "arm64 native none qemu-system-aarch64 aarch64-unknown-linux-gnu arm64 arch/arm64/boot/Image []\n";
    let riscv = "riscv native none qemu-system-riscv64 riscv64gc-unknown-linux-gnu riscv64 arch/riscv/boot/Image []\n";
    for (machine, names, said) in [
        ("x86_64", ["", "x86", "x86_64"], x86),
        ("aarch64", ["", "arm64", "aarch64"], arm64),
        ("riscv64", ["", "riscv", "riscv64"], riscv),
    ] {
        for name in names {
            assert_eq!(there(machine, name, script), said, "{machine} {name}");
        }
    }
    let cross = there("x86_64", "aarch64", script);
    assert_says(&cross, "arm64 1 aarch64-linux-gnu- qemu-system-aarch64 ");
    assert_says(&cross, "[ARCH=arm64]");
    let back = there("aarch64", "x86_64", script);
    assert_says(&back, "x86 1 x86_64-linux-gnu- qemu-system-x86_64 ");
    assert_says(&back, "[ARCH=x86]");
}

#[test]
fn a_kernel_is_made_of_what_its_architecture_adds() {
    // Kernels that are in a cache stay good.
    let script = "kernel_fragments; echo $kernel_flavor ${fragments[@]#$top/tests/}";
    for (machine, arch, flavor, core, said) in [
        ("x86_64", "", "", "", "base config"),
        ("x86_64", "x86", "debug", "", "debug config config.debug"),
        (
            "x86_64",
            "",
            "",
            "rust",
            "base-core config config-core config-core.base",
        ),
        ("x86_64", "arm64", "", "", "base-arm64 config config-arm64"),
        ("aarch64", "", "", "", "base config config-arm64"),
        (
            "x86_64",
            "riscv",
            "",
            "rust",
            "base-core-riscv config config-core config-core.base config-riscv",
        ),
    ] {
        let script = format!("FLAVOR={flavor} CORE={core}; {script}");
        assert_eq!(
            there(machine, arch, &script),
            format!("{said}\n"),
            "{machine} {arch}"
        );
    }
}

#[test]
fn no_flavour_asks_another_architecture_for_what_only_x86_has() {
    let script = "for FLAVOR in '' debug hardened lto minimal rt; do kernel_fragments; merge_fragments; done |
        sed -n '/^CONFIG_X86_.*=y/p'";
    for arch in ["arm64", "riscv"] {
        assert_eq!(there("x86_64", arch, script), "", "{arch}");
    }
}

#[test]
fn what_it_takes_is_named_as_there() {
    let script = "printf '%s\\n' \"${vm_needs[@]}\" \"${cross_needs[@]}\"";
    let arm64 = there("x86_64", "arm64", script);
    assert_says(&arm64, "qemu-system-aarch64 qemu-system-arm ");
    assert_says(&arm64, "aarch64-linux-gnu-gcc gcc-aarch64-linux-gnu ");
    assert_says(&arm64, "libc6-dev-arm64-cross ");
    assert!(!arm64.contains("opensbi"), "{arm64}");
    let riscv = there("x86_64", "riscv", script);
    assert_says(&riscv, "qemu-system-riscv64 qemu-system-riscv64 ");
    assert_says(&riscv, "firmware opensbi ");
    let x86 = there("aarch64", "x86", script);
    assert_says(&x86, "x86_64-linux-gnu-gcc gcc-x86-64-linux-gnu ");
    assert_says(&x86, "libc6-dev-amd64-cross ");
}

#[test]
fn what_no_other_architecture_has_is_refused() {
    for (goal, variables, part) in [
        (
            "modules",
            [("ARCH", "mips"), ("KERNEL", "")],
            "ARCH=mips: expected one of x86 arm64 riscv",
        ),
        (
            "tools",
            [("ARCH", OTHER), ("KERNEL", "")],
            "make tools is for this machine",
        ),
        (
            "test-goals",
            [("ARCH", OTHER), ("KERNEL", "")],
            "make test-goals is for this machine",
        ),
        (
            "test",
            [("ARCH", OTHER), ("T", "list")],
            "make test T=list runs programs of this machine",
        ),
        (
            "run",
            [("ARCH", OTHER), ("KERNEL", "debian")],
            "KERNEL=debian is for this machine",
        ),
        (
            "run",
            [("ARCH", OTHER), ("TOOLCHAIN", "gcc")],
            "TOOLCHAIN=gcc: a kernel for another architecture is built with llvm",
        ),
    ] {
        let said = failure(harness(goal).envs(variables));
        assert_says(&said, part);
        assert!(!said.contains("[1/"), "{said}");
    }
    let said = failure(harness("modules").env("PATH", path_on("mips64")));
    assert_says(
        &said,
        "this is mips64, and nobody has told this what is called how there",
    );
}

#[test]
fn no_kernel_for_risc_v_is_built_with_gcc_by_default() {
    for (machine, said) in [("x86_64", "gcc"), ("aarch64", "gcc"), ("riscv64", "llvm")] {
        let toolchain = there(machine, "", "KERNEL=7.2; kernel_toolchain");
        assert_eq!(toolchain, format!("{said}\n"), "{machine}");
    }
}

#[test]
fn a_qemu_for_another_architecture_is_refused_before_a_kernel_is_built() {
    let bin = folder("qemus");
    for machine in ["x86_64", "aarch64"] {
        // As it answers, among other lines.
        program(
            bin.join(machine),
            &format!("echo '{{\"return\": {{\"arch\": \"{machine}\"}}}}'"),
        );
    }
    program(bin.join("says-nothing"), "exit 1");
    let script = ". scripts/lib/vm.sh; vm_check; echo fits";
    let check = |qemu: &str, arch: &str| {
        let mut command = functions(script, &[]);
        command
            .env("PATH", path_on("x86_64"))
            .env("ARCH", arch)
            .env("QEMU", bin.join(qemu));
        command
    };
    for (qemu, arch) in [
        ("x86_64", ""),
        ("aarch64", "arm64"),
        ("says-nothing", "arm64"),
    ] {
        assert_eq!(success(&mut check(qemu, arch)), "fits\n", "{qemu} {arch}");
    }
    let said = failure(&mut check("x86_64", "arm64"));
    assert_says(&said, "is a machine of x86_64, and this is for aarch64");
    let said = failure(&mut check("aarch64", ""));
    assert_says(&said, "is a machine of aarch64, and this is for x86_64");
}

#[test]
fn what_an_emulated_machine_takes_longer_for_is_waited_for() {
    let script = ". scripts/lib/vm.sh; step() { :; }; runner() { echo \"$@\"; }; machine=(); step_vm_verdict";
    let patience = |arch, flavor| there("x86_64", arch, &format!("FLAVOR={flavor}; {script}"));
    assert_says(&patience("", ""), "--patience 1 ");
    assert_says(&patience("", "rt"), "--patience 4 ");
    assert_says(&patience("arm64", ""), "--patience 4 ");
}

#[test]
fn the_debugger_is_one_that_knows_the_architecture() {
    let script = ". scripts/lib/vm.sh; kdir=/k; GDB=1; say_gdb";
    assert_says(&there("x86_64", "", script), "gdb /k/vmlinux");
    assert_says(
        &there("x86_64", "arm64", script),
        "gdb-multiarch /k/vmlinux",
    );
}

/// A machine that has all programs, so that the first step succeeds, and an apt that has nothing.
fn path_with_everything(sysroot: &Path) -> String {
    let bin = folder("everything");
    for name in [
        "ld",
        "flex",
        "bison",
        "bc",
        "perl",
        "xz",
        "modinfo",
        "cpio",
        "patch",
        "gpgv",
        "openssl",
        "zstd",
        "cargo",
        "apt-get",
        "apt-cache",
        "clang-40",
        "ld.lld-40",
        "llvm-nm-40",
        "llvm-objcopy-40",
        "qemu-system-x86_64",
        "qemu-system-aarch64",
    ] {
        program(bin.join(name), "");
    }
    // Nothing is got, wherever this should go on to.
    for name in ["curl", "wget"] {
        program(bin.join(name), "exit 1");
    }
    // Whichever file they are asked for.
    for name in ["cc", "x86_64-linux-gnu-gcc", "aarch64-linux-gnu-gcc"] {
        program(bin.join(name), "echo /usr/lib/that-file");
    }
    program(
        bin.join("rustc"),
        &format!(
            "case $2 in sysroot) echo '{}' ;; *) echo rustc 1.95.0 ;; esac",
            sysroot.display()
        ),
    );
    program(
        bin.join("bindgen"),
        "echo bindgen 0.72.1; echo Clang: clang version 19.1.7",
    );
    format!("{}:{}", bin.display(), env::var("PATH").unwrap())
}

#[test]
fn what_a_vm_of_another_architecture_takes_is_missed_before_a_kernel_is_built() {
    let sysroot = folder("sysroot");
    let core = folder("library-of-another-place");
    write(core.join("core/src/lib.rs"), "");
    let path = path_with_everything(&sysroot);
    let run = || {
        let mut command = harness("run");
        command
            .env("PATH", &path)
            .env("ARCH", OTHER)
            .env("RUSTC", "rustc")
            .env("RUST_LIB_SRC", &core)
            .env("SSL_CERT_FILE", "Cargo.toml")
            .env("XDG_CACHE_HOME", folder("cache-without-kernel"));
        failure(&mut command)
    };
    let said = run();
    assert_says(&said, "has neither a standard library for ");
    assert!(!said.contains("[2/"), "{said}");
    write(
        sysroot.join("lib/rustlib/src/rust/library/std/src/lib.rs"),
        "",
    );
    let said = run();
    assert_says(
        &said,
        &format!("programs for a VM of {OTHER} are not to be had: no Debian "),
    );
    assert!(!said.contains("[2/"), "{said}");
}
