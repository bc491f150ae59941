// SPDX-License-Identifier: GPL-2.0

//! Folders that look like a kernel that was built, and what is said of each.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use crate::machine::{assert_says, failure, folder, functions, harness, program, success, write};

const RUSTC: &str = "rustc 1.95.0 (59807616e 2026-04-14)";

/// What an architecture's kernels have, and no other's.
struct Of {
    arch: &'static str,
    option: &'static str,
    image: &'static str,
    consoles: &'static [&'static str],
}

const X86: Of = Of {
    arch: "x86",
    option: "X86_64",
    image: "arch/x86/boot/bzImage",
    consoles: &["SERIAL_8250_CONSOLE"],
};
const ARM64: Of = Of {
    arch: "arm64",
    option: "ARM64",
    image: "arch/arm64/boot/Image",
    consoles: &[
        "SERIAL_AMBA_PL011_CONSOLE",
        "PCI_HOST_GENERIC",
        "SERIAL_8250_PCI",
    ],
};
const RISCV: Of = Of {
    arch: "riscv",
    option: "ARCH_RV64I",
    image: "arch/riscv/boot/Image",
    consoles: &[
        "SERIAL_8250_CONSOLE",
        "SERIAL_OF_PLATFORM",
        "PCI_HOST_GENERIC",
        "SERIAL_8250_PCI",
    ],
};

/// This machine's, and another one's.
const HERE: Of = if cfg!(target_arch = "aarch64") {
    ARM64
} else if cfg!(target_arch = "riscv64") {
    RISCV
} else {
    X86
};
const THERE: Of = if cfg!(target_arch = "aarch64") {
    X86
} else {
    ARM64
};
/// What the other one is called.
pub(super) const OTHER: &str = THERE.arch;

/// All that is looked for in one.
pub(super) struct Kernel {
    name: &'static str,
    arch: &'static str,
    image: &'static str,
    release: &'static str,
    options: Vec<(&'static str, &'static str)>,
    symbols: Vec<&'static str>,
    rustc: &'static str,
}

impl Kernel {
    pub(super) fn new(name: &'static str) -> Self {
        Self {
            name,
            arch: HERE.arch,
            image: HERE.image,
            release: "7.3.4",
            options: [
                "MODULES",
                "MODULE_UNLOAD",
                "RUST",
                "NET",
                "CONNECTOR",
                "PREEMPTION",
                "TASKS_RCU",
                "BLK_DEV_INITRD",
                "BINFMT_ELF",
                "BINFMT_SCRIPT",
                "DEVTMPFS",
                "PROC_FS",
                "SYSFS",
                "SYSCTL",
                "TTY",
                "PRINTK",
                "FUTEX",
                HERE.option,
            ]
            .iter()
            .chain(HERE.consoles)
            .map(|name| (*name, "y"))
            .chain([
                ("SERIAL_8250_RUNTIME_UARTS", "4"),
                (
                    "RUSTC_VERSION_TEXT",
                    "\"rustc 1.95.0 (59807616e 2026-04-14)\"",
                ),
            ])
            .collect(),
            symbols: vec![
                "cn_add_callback",
                "cn_del_callback",
                "cn_netlink_send_mult",
                "netlink_unicast",
                "netlink_register_notifier",
                "_RNvNtCs1peUGmbrgHn_6kernel5printk9call_printk",
            ],
            rustc: RUSTC,
        }
    }

    /// The same of another architecture.
    fn of(mut self, of: &Of) -> Self {
        self.arch = of.arch;
        self.image = of.image;
        let gone = |name: &str| name == HERE.option || HERE.consoles.contains(&name);
        self.options.retain(|(name, _)| !gone(name));
        let come = [of.option].into_iter().chain(of.consoles.iter().copied());
        self.options.extend(come.map(|name| (name, "y")));
        self
    }

    pub(super) fn with(mut self, option: &'static str, value: &'static str) -> Self {
        self.options.push((option, value));
        self
    }

    fn without(mut self, option: &str) -> Self {
        self.options.retain(|(name, _)| *name != option);
        self
    }

    pub(super) fn make(&self) -> PathBuf {
        let kdir = folder(&format!("kdir-{}", self.name));
        let options: Vec<String> = self
            .options
            .iter()
            .map(|(name, value)| format!("CONFIG_{name}={value}\n"))
            .collect();
        let options = options.concat();
        let head = format!(
            "#\n# Linux/{} {} Kernel Configuration\n#\n",
            self.arch, self.release
        );
        for file in [".config", "include/config/auto.conf"] {
            write(kdir.join(file), format!("{head}{options}"));
        }
        write(
            kdir.join("include/config/kernel.release"),
            format!("{}\n", self.release),
        );
        write(kdir.join("Makefile"), "");
        write(kdir.join(self.image), "");
        program(kdir.join("scripts/mod/modpost"), "");
        let connector = self
            .options
            .iter()
            .rev()
            .find(|(name, _)| *name == "CONNECTOR");
        let symbol = |name: &&str| {
            let place = match connector.map(|(_, value)| *value) {
                None if name.starts_with("cn_") => return String::new(),
                Some("m") if name.starts_with("cn_") => "drivers/connector/cn",
                _ => "vmlinux",
            };
            format!("0x00000000\t{name}\t{place}\tEXPORT_SYMBOL_GPL\t\n")
        };
        let symbols: Vec<String> = self.symbols.iter().map(symbol).collect();
        let symbols = symbols.concat();
        write(kdir.join("Module.symvers"), symbols);
        let mut metadata = b"rust\0\0\0\x0a\x46\xe5\x6e\0\0\0\0\0".to_vec();
        metadata.push(self.rustc.len() as u8);
        metadata.extend_from_slice(self.rustc.as_bytes());
        metadata.extend_from_slice(b"\xc1\x02\xfb(\x04)");
        write(kdir.join("rust/libkernel.rmeta"), metadata);
        kdir
    }
}

/// What is said of it when modules are built, and when it is booted as well.
fn refused(kdir: &Path, goal: &str) -> String {
    let said = failure(harness(goal).env("KDIR", kdir));
    // Before the first step.
    assert!(!said.contains("[1/"), "{said}");
    said
}

fn accepted(kdir: &Path) -> String {
    success(&mut functions(
        "kdir=$1 KDIR=$1
        check_kdir
        check_kdir_boots
        kdir_rustc",
        &[kdir],
    ))
}

#[test]
fn a_tree_that_has_all_is_taken_whatever_its_release_is_called() {
    for release in [
        "7.3.4",
        "7.3.0-rc1",
        "7.3.4+deb13-amd64",
        "7.2.9_1",
        "7.4.0-next-20261101",
        "8.0.0arch1-1",
    ] {
        let mut kernel = Kernel::new("whole");
        kernel.release = release;
        assert_eq!(accepted(&kernel.make()), format!("{RUSTC}\n"));
    }
}

#[test]
fn a_kernel_that_is_too_old_is_refused() {
    let mut kernel = Kernel::new("old");
    for release in ["6.17.3-generic", "7.1.12", "garbage"] {
        kernel.release = release;
        let said = refused(&kernel.make(), "modules");
        assert_says(
            &said,
            &format!("is Linux {release}; the oldest that this can be built for is 7.2"),
        );
    }
}

#[test]
fn a_kernel_of_another_architecture_is_taken_if_it_is_asked_for() {
    let kdir = Kernel::new("there").of(&THERE).make();
    let arch = THERE.arch;
    let said = refused(&kdir, "modules");
    assert_says(
        &said,
        &format!("is a kernel for {arch}, and this machine is "),
    );
    assert_says(&said, &format!(" ARCH={arch} …"));
    let script = "kdir=$1 KDIR=$1; check_kdir; check_kdir_boots; echo ${image#$kdir/}";
    let said = success(functions(script, &[&kdir]).env("ARCH", arch));
    assert_eq!(said, format!("{}\n", THERE.image));
    // It is for nothing else, and nothing else is for that.
    for (kdir, asked) in [(kdir, RISCV.arch), (Kernel::new("here").make(), arch)] {
        let said = failure(harness("modules").env("KDIR", kdir).env("ARCH", asked));
        assert_says(
            &said,
            &format!(", and ARCH={asked} is another architecture"),
        );
        assert!(!said.contains("[1/"), "{said}");
    }
    // What shows the log differs.
    for missing in THERE.consoles {
        let kdir = Kernel::new("no-console").of(&THERE).without(missing).make();
        let said = failure(harness("run").env("KDIR", kdir).env("ARCH", arch));
        assert_says(&said, &format!("lacks CONFIG_{missing}"));
    }
}

#[test]
fn a_kernel_of_an_architecture_that_nobody_knows_is_refused() {
    // With another machine around it, and of 32 bits.
    let mut um = Kernel::new("um").of(&X86).with("UML", "y");
    um.arch = "um";
    let i386 = Kernel::new("i386").of(&X86).without("X86_64");
    let mut arm = Kernel::new("arm").of(&ARM64).without("ARM64");
    arm.arch = "arm";
    let riscv32 = Kernel::new("riscv32").of(&RISCV).without("ARCH_RV64I");
    for (kernel, name) in [
        (um, "um"),
        (i386, "i386"),
        (arm, "arm"),
        (riscv32, "riscv32"),
    ] {
        assert_says(
            &refused(&kernel.make(), "modules"),
            &format!("is a kernel for {name}; this builds for x86 arm64 riscv only"),
        );
    }
}

#[test]
fn what_a_kernel_lacks_is_named() {
    let kdir = Kernel::new("no-rust").without("RUST").without("NET").make();
    assert_says(&refused(&kdir, "modules"), "lacks CONFIG_RUST CONFIG_NET");
    let kdir = Kernel::new("no-rcu").without("TASKS_RCU").make();
    assert_says(&refused(&kdir, "modules"), "lacks CONFIG_TASKS_RCU\n");
    // It is needed beside the kernel's connector.
    for kernel in [
        Kernel::new("no-connector").without("CONNECTOR"),
        Kernel::new("connector-m")
            .without("CONNECTOR")
            .with("CONNECTOR", "m"),
        Kernel::new("in-tree").with("RUST_CONNECTOR_ABSTRACTIONS", "y"),
        Kernel::new("not-preemptible").without("PREEMPTION"),
    ] {
        accepted(&kernel.without("TASKS_RCU").make());
    }
    let kdir = Kernel::new("no-initrd").without("BLK_DEV_INITRD").make();
    assert_says(&refused(&kdir, "run"), "lacks CONFIG_BLK_DEV_INITRD");
    let kdir = Kernel::new("no-sysctl").without("SYSCTL").make();
    assert_says(&refused(&kdir, "run"), "lacks CONFIG_SYSCTL");
    let kdir = Kernel::new("no-uarts")
        .without("SERIAL_8250_RUNTIME_UARTS")
        .make();
    assert_says(&refused(&kdir, "run"), "fewer than two serial ports");
}

#[test]
fn all_that_a_kernel_lacks_is_named_at_once() {
    let kernel = Kernel::new("lacks-much").without("RUST").without("SYSCTL");
    let kernel = kernel
        .without("TASKS_RCU")
        .without("SERIAL_8250_RUNTIME_UARTS");
    let kdir = kernel.make();
    let said = refused(&kdir, "run");
    let names = "CONFIG_RUST CONFIG_SYSCTL CONFIG_TASKS_RCU CONFIG_SERIAL_8250_RUNTIME_UARTS\n";
    assert_says(&said, &format!("lacks {names}"));
    let words = "-e RUST -e SYSCTL -e KPROBES --set-val SERIAL_8250_RUNTIME_UARTS 4 && make";
    assert_says(&said, words);
    assert_says(&said, "make rustavailable");
    let said = refused(&kdir, "modules");
    assert_says(&said, "lacks CONFIG_RUST CONFIG_TASKS_RCU\n");
    assert_says(&said, "or CONFIG_CONNECTOR=m");
}

#[test]
fn what_a_kernel_lacks_is_said_before_it_is_built_in_vain() {
    let unbuilt = |kernel: Kernel| {
        let kdir = kernel.make();
        fs::remove_dir_all(kdir.join("include/config")).unwrap();
        refused(&kdir, "run")
    };
    let said = unbuilt(Kernel::new("unbuilt").without("SYSCTL"));
    assert_says(&said, "lacks CONFIG_SYSCTL\n");
    assert_says(&unbuilt(Kernel::new("unbuilt")), "configured but not built");
}

#[test]
fn a_configuration_that_was_not_written_to_its_end_is_none() {
    let kdir = Kernel::new("cut").make();
    for cut in ["", "#\n# Linux/x86 7.3.4 Kernel Configuration\n#\n"] {
        write(kdir.join("include/config/auto.conf"), cut);
        assert_says(&refused(&kdir, "modules"), "is configured but not built");
    }
    write(kdir.join(".config"), "");
    assert_says(&refused(&kdir, "modules"), "is not configured");
}

#[test]
fn a_kernel_that_is_not_where_it_was_built_is_refused() {
    let kdir = Kernel::new("moved").make();
    let makefile = |output: &Path| {
        let output = output.display();
        let text = format!("export KBUILD_OUTPUT = {output}\ninclude /src/linux/Makefile\n");
        write(kdir.join("Makefile"), text);
    };
    for elsewhere in [folder("kdir-from-there"), kdir.join("gone")] {
        makefile(&elsewhere);
        let said = refused(&kdir, "modules");
        assert_says(&said, &format!("was built as {}", elsewhere.display()));
        assert_says(&said, &format!("make -C /src/linux O={}", kdir.display()));
    }
    // By another name is where it was built.
    let link = folder("kdir-link").join("link");
    symlink(&kdir, &link).unwrap();
    makefile(&link);
    accepted(&kdir);
}

#[test]
fn what_was_configured_since_it_was_built_does_not_count() {
    let kernel = Kernel::new("configured").without("NET");
    let kdir = kernel.make();
    let config = kdir.join(".config");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, format!("{text}CONFIG_NET=y\n")).unwrap();
    let said = refused(&kdir, "modules");
    assert_says(
        &said,
        "lacks CONFIG_NET: its .config has that, but was not built since",
    );
    assert_says(&said, "run make there first");
    assert!(!said.contains("switch on"), "{said}");
}

#[test]
fn what_tests_may_skip_is_asked_of_the_kernel_that_was_built() {
    let kdir = Kernel::new("skips").make();
    let config = kdir.join(".config");
    let script = "
        . scripts/lib/vm.sh
        kdir=$1 kernel_id=
        test_of_kernel
        grep -c CONFIG_FUTEX=y \"${of_kernel[3]}\"";
    fs::write(&config, "# CONFIG_FUTEX is not set\n").unwrap();
    assert_eq!(success(&mut functions(script, &[&kdir])), "1\n");
}

#[test]
fn a_connector_that_went_elsewhere_since_the_kernel_was_built_is_told_of() {
    let kernel = |value| {
        let kernel = Kernel::new("went").without("CONNECTOR");
        kernel.with("CONNECTOR", value)
    };
    let kdir = kernel("m").make();
    let symbols = |kdir: &Path| fs::read(kdir.join("Module.symvers")).unwrap();
    let as_module = symbols(&kdir);
    let kdir = kernel("y").make();
    let built_in = symbols(&kdir);
    for (kernel, symbols) in [
        (kernel("y"), &as_module),
        (kernel("m"), &built_in),
        (Kernel::new("went").without("CONNECTOR"), &as_module),
    ] {
        let kdir = kernel.make();
        write(kdir.join("Module.symvers"), symbols);
        assert_says(
            &refused(&kdir, "modules"),
            "was built before CONFIG_CONNECTOR was changed",
        );
    }
}

#[test]
fn symbols_that_were_trimmed_are_named() {
    let mut kernel = Kernel::new("trimmed").with("TRIM_UNUSED_KSYMS", "y");
    kernel
        .symbols
        .retain(|name| *name != "cn_netlink_send_mult");
    let said = refused(&kernel.make(), "modules");
    assert_says(
        &said,
        "does not export what modules take: cn_netlink_send_mult\n",
    );
    assert_says(&said, "CONFIG_TRIM_UNUSED_KSYMS leaves out");
    kernel.symbols.retain(|name| !name.starts_with("_R"));
    assert_says(
        &refused(&kernel.make(), "modules"),
        "cn_netlink_send_mult those of Rust\n",
    );
    // One that has kept them is as good as any other.
    accepted(
        &Kernel::new("trimmed-list")
            .with("TRIM_UNUSED_KSYMS", "y")
            .make(),
    );
}

#[test]
fn a_kernel_that_loads_signed_modules_only_needs_its_key() {
    let kernel = Kernel::new("signed")
        .with("MODULE_SIG_FORCE", "y")
        .with("MODULE_SIG_KEY", "\"certs/signing_key.pem\"");
    let kdir = kernel.make();
    assert_says(
        &refused(&kdir, "run"),
        "loads signed modules only, and its key (certs/signing_key.pem) is not here",
    );
    // For building them it is enough to say so.
    let said = success(&mut functions("kdir=$1 KDIR=$1; check_kdir", &[&kdir]));
    assert_says(&said, "sign them yourself");
    program(kdir.join("scripts/sign-file"), "");
    write(kdir.join("certs/signing_key.x509"), "");
    assert_says(&refused(&kdir, "run"), "is not here");
    write(kdir.join("certs/signing_key.pem"), "");
    assert_eq!(accepted(&kdir), format!("{RUSTC}\n"));
}

#[test]
fn a_kernel_with_checkers_has_the_time_that_they_take() {
    let time = |kdir: &Path, flavor: &str| {
        let script = "
            . scripts/lib/vm.sh
            kdir=$1 KDIR=${2:+$1}
            test_patience
            echo $patience $slowness";
        let own = if flavor.is_empty() { "1" } else { "" };
        let mut command = functions(script, &[kdir, Path::new(own)]);
        success(command.env("FLAVOR", flavor))
    };
    let plain = Kernel::new("plain").make();
    assert_eq!(time(&plain, ""), time(&plain, "rt"));
    assert_eq!(time(&plain, "base"), "1 1\n");
    for checker in ["KASAN", "PROVE_LOCKING", "DEBUG_KMEMLEAK", "KCSAN"] {
        let kdir = Kernel::new("checks").with(checker, "y").make();
        assert_eq!(time(&kdir, ""), time(&kdir, "debug"));
    }
}

/// A kernel that signs modules, by a line at their end, and lacks its key.
pub(super) fn that_signs(kernel: Kernel) -> PathBuf {
    let kdir = kernel
        .with("MODULE_SIG", "y")
        .with("MODULE_SIG_HASH", "\"sha512\"")
        .with("MODULE_SIG_KEY", "\"certs/signing_key.pem\"")
        .make();
    program(
        kdir.join("scripts/sign-file"),
        "echo \"signed $1\" >>\"$4\"",
    );
    write(kdir.join("certs/signing_key.x509"), "");
    kdir
}

#[test]
fn what_to_do_about_a_key_that_does_not_sign_is_said() {
    let kdir = that_signs(Kernel::new("signs-not"));
    write(kdir.join("certs/signing_key.pem"), "");
    program(kdir.join("scripts/sign-file"), "exit 1");
    let script = "kdir=$1 build=$1/build; mkdir -p $build/log; sign_modules $1/cn.ko";
    let said = failure(&mut functions(script, &[&kdir]));
    assert_says(&said, "error: cn.ko cannot be signed with ");
    assert_says(&said, "KBUILD_SIGN_PIN=");
}

#[test]
fn the_kernels_own_modules_are_signed_where_tests_load_them() {
    let kernel = Kernel::new("signs-its-own").without("CONNECTOR");
    let kdir = that_signs(kernel.with("CONNECTOR", "m"));
    write(kdir.join("certs/signing_key.pem"), "");
    write(kdir.join("drivers/connector/cn.ko"), "cn\n");
    let place = folder("signed-stage");
    write(place.join("modules/.release"), "7.3.4\n");
    write(place.join("log/modules.log"), "");
    let script = "
        kdir=$1 build=$2 arch_prefix=
        objcopy() { cp \"$2\" \"$3\"; }
        stage_kernels
        cat $build/stage/lib/modules/7.3.4/kernel/drivers/connector/cn.ko";
    let said = success(&mut functions(script, &[&kdir, &place]));
    assert_eq!(said, "cn\nsigned sha512\n");
}

#[test]
fn a_tree_that_is_not_whole_says_what_to_make() {
    let kdir = Kernel::new("no-symvers").make();
    fs::remove_file(kdir.join("Module.symvers")).unwrap();
    assert_says(
        &refused(&kdir, "modules"),
        "is not built completely (no Module.symvers)",
    );

    let kdir = Kernel::new("no-release").make();
    fs::remove_file(kdir.join("include/config/kernel.release")).unwrap();
    assert_says(&refused(&kdir, "modules"), "is configured but not built");

    let kdir = Kernel::new("no-modpost").make();
    fs::remove_file(kdir.join("scripts/mod/modpost")).unwrap();
    assert_says(&refused(&kdir, "modules"), "make modules_prepare");

    let kdir = Kernel::new("no-source").make();
    symlink("/no/such/linux", kdir.join("source")).unwrap();
    assert_says(
        &refused(&kdir, "modules"),
        "has lost its source, /no/such/linux",
    );

    let kdir = Kernel::new("no-metadata").make();
    for left in ["", "hello"] {
        write(kdir.join("rust/libkernel.rmeta"), left);
        let said = refused(&kdir, "modules");
        assert_says(&said, "has a rust/libkernel.rmeta that is none");
    }

    let mut odd = Kernel::new("odd-release");
    for release in ["7.3.4 foo", "7.3.4-a/../../x", "7.3.4\n7.3.5"] {
        odd.release = release;
        let said = refused(&odd.make(), "modules");
        assert_says(&said, "which can be no folder's name");
    }

    let said = refused(Path::new("/no/such/kdir"), "modules");
    assert_says(&said, "no such directory");
    assert!(!said.contains("begins with a slash"), "{said}");
    let said = refused(Path::new("../no-such-kdir"), "modules");
    assert_says(&said, "the path is one from ");
    assert_says(
        &refused(&folder("kdir-empty"), "modules"),
        "is not configured (no .config)",
    );
}

#[test]
fn a_build_that_was_stopped_is_told_from_one_that_was_not() {
    let kdir = Kernel::new("stopped").make();
    let order = [
        "include/config/auto.conf",
        "rust/libkernel.rmeta",
        "vmlinux.o",
        "Module.symvers",
        "vmlinux",
        HERE.image,
    ];
    let touch = |file: &str, second: u64| {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000 + second);
        let file = fs::File::options()
            .append(true)
            .create(true)
            .open(kdir.join(file))
            .unwrap();
        file.set_modified(time).unwrap();
    };
    let built = || {
        for (second, file) in order.iter().enumerate() {
            touch(file, second as u64);
        }
    };
    built();
    assert_eq!(accepted(&kdir), format!("{RUSTC}\n"));
    // What make had come to when it was stopped.
    for (new, goal, part) in [
        (
            1,
            "modules",
            "its vmlinux.o is older than its rust/libkernel.rmeta",
        ),
        (
            2,
            "modules",
            "its Module.symvers is older than its vmlinux.o",
        ),
        (3, "run", "its vmlinux is older than its vmlinux.o"),
        (
            4,
            "run",
            &format!("its {} is older than its vmlinux", HERE.image),
        ),
    ] {
        built();
        for file in &order[..=new] {
            touch(file, 60);
        }
        assert_says(&refused(&kdir, goal), part);
    }
    // A kernel that is not booted need not be linked.
    success(&mut functions("kdir=$1 KDIR=$1; check_kdir", &[&kdir]));
    built();
    touch(order[0], 60);
    assert_says(&accepted(&kdir), "was configured after it was built");
}

#[test]
fn headers_without_metadata_name_what_makes_it() {
    let kdir = Kernel::new("headers").make();
    fs::remove_file(kdir.join("rust/libkernel.rmeta")).unwrap();
    assert_says(&refused(&kdir, "modules"), "has no rust/libkernel.rmeta");
    assert_says(&refused(&kdir, "modules"), "these are headers");
    write(kdir.join(".kernelvariables"), "");
    assert_says(&refused(&kdir, "modules"), "make KERNEL=7.3.4");
    // Those of the kernel's own packages have no .config.
    fs::remove_file(kdir.join(".kernelvariables")).unwrap();
    fs::remove_file(kdir.join(".config")).unwrap();
    assert_says(&refused(&kdir, "modules"), "these are headers");
    // A tree whose crates are not made yet.
    write(kdir.join("init/main.c"), "");
    let said = refused(&kdir, "modules");
    assert_says(&said, "run make there first");
    assert!(!said.contains("these are headers"), "{said}");
}

#[test]
fn what_goes_with_no_kdir_is_said() {
    let kdir = Kernel::new("flavor").make();
    let said = failure(harness("modules").env("KDIR", &kdir).env("FLAVOR", "debug"));
    assert_says(
        &said,
        "is built already: FLAVOR=, TOOLCHAIN= and KSRC= do not go with it",
    );
}

/// A rustc that says this of itself.
fn rustc(name: &str, version: &str) -> PathBuf {
    let bin = folder(name).join("bin");
    program(
        bin.join("rustc"),
        &format!(
            "case $1 in --version) echo '{version}' ;; --print) dirname '{}' ;; esac",
            bin.display()
        ),
    );
    bin
}

#[test]
fn the_rustc_that_built_the_kernel_is_found_by_all_that_it_says() {
    let other = rustc(
        "rustc-other",
        "rustc 1.95.0 (59807616e 2026-04-14) (Arch Linux rust 1:1.95.0-1)",
    );
    let same = rustc("rustc-same", RUSTC);
    let script = "
        kdir=$1 KDIR=$1
        PATH=$2:$3:$PATH RUSTUP_HOME=$4
        rustc_wanted=$(kdir_rustc)
        find_rustc
        echo \"$rustc\"";
    let kdir = Kernel::new("rustc").make();
    let none = folder("rustup-none");
    let said = success(&mut functions(script, &[&kdir, &other, &same, &none]));
    assert_eq!(said, format!("{}/rustc\n", same.display()));

    // The number is the same, the build is not. What is here is told.
    let mut kernel = Kernel::new("rustc-elsewhere");
    kernel.rustc = "rustc 1.95.0 (59807616e 2026-04-14) (built by somebody else)";
    let kdir = kernel.make();
    let said = failure(&mut functions(script, &[&kdir, &other, &same, &none]));
    assert_says(&said, "(built by somebody else) is not here, which KDIR=");
    assert_says(&said, "(Arch Linux rust 1:1.95.0-1): ");

    // Who names another one is not told that the right one is not here.
    let said = failure(
        functions(script, &[&kdir, &other, &same, &none]).env("RUSTC", other.join("rustc")),
    );
    assert_says(&said, "is another than KDIR=");
    assert_says(&said, "leave out RUSTC= to have that one looked for");
    assert!(!said.contains("is not here"), "{said}");

    // In a toolchain that is not the default one.
    let toolchain = folder("rustup").join("toolchains/old/bin");
    program(
        toolchain.join("rustc"),
        &format!(
            "case $1 in --version) echo '{}' ;; --print) dirname '{}' ;; esac",
            kernel.rustc,
            toolchain.display()
        ),
    );
    let rustup = toolchain.ancestors().nth(3).unwrap();
    let said = success(&mut functions(script, &[&kdir, &other, &same, rustup]));
    assert_eq!(said, format!("{}/rustc\n", toolchain.display()));
}

#[test]
fn a_release_is_told_from_a_series() {
    for (kernel, release) in [
        ("", ""),
        ("7.3", ""),
        ("debian", "newest"),
        ("7.3.4", "7.3.4"),
        ("7.3.0-rc2", "7.3.0-rc2"),
        ("7.3.4+deb13-amd64", "7.3.4+deb13-amd64"),
        ("7.3.4_1", "7.3.4_1"),
    ] {
        let said = success(functions("stock_wanted", &[]).env("KERNEL", kernel));
        assert_eq!(said.trim_end(), release, "{kernel}");
    }
    for (kernel, part) in [
        (
            "nonsense",
            "expected a series such as 7.3, debian, running, or a release",
        ),
        ("6.17", "is Linux 6.17; the oldest"),
        (
            "6.12.48+deb13-amd64",
            "is Linux 6.12.48+deb13-amd64; the oldest",
        ),
    ] {
        let said = failure(harness("modules").env("KERNEL", kernel));
        assert_says(&said, part);
        assert!(!said.contains("[1/"), "{said}");
    }
}

#[test]
fn another_kernel_than_the_one_asked_for_is_refused() {
    let kdir = Kernel::new("asked").make();
    let own = Kernel::new("asked-own").with("CONNECTOR", "m");
    let own = Kernel {
        options: own
            .options
            .iter()
            .copied()
            .filter(|option| *option != ("CONNECTOR", "y"))
            .collect(),
        ..own
    }
    .make();
    for (kdir, name, value, part) in [
        (
            &kdir,
            "KERNEL",
            "7.2",
            "is Linux 7.3.4, and KERNEL=7.2 is another kernel",
        ),
        (
            &kdir,
            "KERNEL",
            "7.3.40",
            "is Linux 7.3.4, and KERNEL=7.3.40 is another",
        ),
        (
            &kdir,
            "KERNEL",
            "debian",
            "and KERNEL=debian are two kernels",
        ),
        (
            &kdir,
            "CORE",
            "rust",
            "is a kernel of CORE=c, by its configuration",
        ),
        (
            &own,
            "CORE",
            "c",
            "is a kernel of CORE=rust, by its configuration",
        ),
        (
            &own,
            "CORE",
            "tree",
            "is a kernel of CORE=rust, by its configuration",
        ),
    ] {
        let said = failure(harness("modules").env("KDIR", kdir).env(name, value));
        assert_says(&said, part);
        assert!(!said.contains("[1/"), "{said}");
    }
    // As DKMS says it, or to be sure.
    let script = "kdir=$1 KDIR=$1; check_kdir";
    for (kdir, name, value) in [
        (&kdir, "KERNEL", "7.3.4"),
        (&kdir, "KERNEL", "7.3"),
        (&kdir, "CORE", "c"),
        (&own, "CORE", "rust"),
    ] {
        let said = success(functions(script, &[kdir]).env(name, value));
        assert_eq!(said, "", "{name}={value}");
    }
}

#[test]
fn who_leaves_out_the_kernel_that_was_built_for_last_is_told() {
    let build = folder("asked-last");
    let said = |variable: &str| {
        let mut command = functions("build=$1; say_kdir_left_out", &[&build]);
        success(command.env(variable, "debug"))
    };
    assert_eq!(said("X"), "");
    let asked = build.join("modules/.asked");
    write(&asked, "\n");
    assert_eq!(said("X"), "");
    write(&asked, "KDIR=/k/linux ARCH=riscv\n");
    assert_says(
        &said("X"),
        "for another one: make KDIR=/k/linux ARCH=riscv …",
    );
    assert_eq!(said("FLAVOR"), "");
}

#[test]
fn a_link_to_a_kernel_that_is_gone_is_told_from_a_typing_error() {
    let folder = folder("gone");
    let link = folder.join("build");
    symlink("/usr/src/no-such-kernel", &link).unwrap();
    let said = refused(&link, "modules");
    assert_says(
        &said,
        "leads to /usr/src/no-such-kernel, which is not there",
    );
    let said = refused(&folder.join("typo"), "modules");
    assert_says(&said, "typo: no such directory");
}

#[test]
fn a_link_is_taken_for_what_it_leads_to() {
    let place = folder("links to kernels");
    let kdir = Kernel::new("linked").make();
    let link = place.join("linux");
    symlink(&kdir, &link).unwrap();
    let said = failure(harness("modules").env("KDIR", &link));
    assert!(!said.contains("take no folder"), "{said}");
    let far = place.join("far");
    fs::create_dir(&far).unwrap();
    let link = folder("link-to-far").join("linux");
    symlink(&far, &link).unwrap();
    assert_says(&refused(&link, "modules"), "in its name; KDIR is in '");
    let said = failure(harness("modules").env("KSRC", &link));
    assert_says(&said, "in its name; KSRC is in '");
}
