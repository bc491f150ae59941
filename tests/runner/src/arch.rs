// SPDX-License-Identifier: GPL-2.0

//! The architectures: what QEMU calls the machine of each, and by which serial ports the guest talks.
//! What is built for one is in scripts/lib/arch.sh.
//!
//! Whatever the machine, programs print to ttyS1, records of the kernel's log go to ttyS2, and a terminal
//! is at ttyS3. The kernel's log is on the machine's own port, which is there before any bus is.

use std::env::consts;
use std::ffi::OsString;
use std::path::Path;

use crate::accel::Accel;

/// What a kernel is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Arch {
    /// x86-64.
    X86,
    /// AArch64.
    Arm64,
    /// RISC-V of 64 bits.
    Riscv,
}

/// Where a serial port ends outside.
#[derive(Clone, Copy, Debug)]
pub enum Port<'a> {
    /// What is written goes to this file.
    File(&'a Path),
    /// An inherited socket.
    Socket(i32),
}

impl Arch {
    /// Whether this program's CPU is one.
    pub fn is_host(self) -> bool {
        let name = match self {
            Arch::X86 => "x86_64",
            Arch::Arm64 => "aarch64",
            Arch::Riscv => "riscv64",
        };
        name == consts::ARCH
    }

    /// The machine's own port, as Linux calls it.
    pub fn console(self) -> &'static str {
        match self {
            Arch::X86 | Arch::Riscv => "ttyS0",
            Arch::Arm64 => "ttyAMA0",
        }
    }

    /// QEMU's options for the machine and its CPUs.
    pub fn machine(self, accel: Accel) -> impl Iterator<Item = &'static str> {
        let machine = match (self, accel) {
            (Arch::X86, _) => "",
            // What interrupts its CPUs is the host's.
            (Arch::Arm64, Accel::Kvm) => "-machine virt,gic-version=host",
            (Arch::Arm64, _) => "-machine virt,gic-version=3",
            (Arch::Riscv, _) => "-machine virt",
        };
        machine
            .split_whitespace()
            .chain(self.cpu(accel).split_whitespace())
    }

    /// That for the CPUs.
    pub fn cpu(self, accel: Accel) -> &'static str {
        match (self, accel) {
            (_, Accel::Kvm) => "-cpu host",
            // The plainest CPU copies by ordinary instructions. Where `rep movsb` is fast, the
            // kernel uses that, and QEMU counts an instruction for every byte.
            (Arch::X86, Accel::Counting) => "-cpu qemu64",
            // Without la57: while the kernel identifies its first CPU it forgets for a moment that page
            // tables have five levels, and KASAN takes an interrupt's accesses for wild ones.
            (Arch::X86, _) => "-cpu max,la57=off",
            // Its counter is as fine as that of the others: an instruction.
            (Arch::Arm64, Accel::Counting) => "-cpu cortex-a57,cntfrq=1000000000",
            // Pointers are signed by a hash that QEMU has to compute: a cheaper one will do.
            (Arch::Arm64, _) => "-cpu max,pauth-impdef=on",
            (Arch::Riscv, _) => "-cpu rv64",
        }
    }

    /// What its kernels have to be told.
    pub fn command_line(self) -> &'static str {
        match self {
            // On a busy host an emulated timer can miss the moment in which the kernel looks whether it
            // works, and the kernel panics.
            Arch::X86 => "no_timer_check",
            Arch::Arm64 | Arch::Riscv => "",
        }
    }

    /// QEMU's options for the serial ports: the kernel's log, and ttyS1 and those after it.
    pub fn ports(self, log: &Path, others: &[Port<'_>]) -> Vec<OsString> {
        let mut args = Vec::new();
        let mut add = |option: &str, value: String| {
            args.extend([OsString::from(option), OsString::from(value)]);
        };
        add("-serial", format!("file:{}", log.display()));
        for (number, port) in (1..).zip(others) {
            add("-chardev", chardev(number, *port));
            if self == Arch::X86 {
                add("-serial", format!("chardev:port{number}"));
            }
        }
        // On the others the machine has one port, and a card has more.
        let mut card = "pci-serial-4x".to_owned();
        let first = match self {
            Arch::X86 => return args,
            // The card's first one is ttyS0, which nobody uses.
            Arch::Arm64 => 2,
            Arch::Riscv => 1,
        };
        for place in 1..=4 {
            let number = (place + 1_usize)
                .checked_sub(first)
                .filter(|n| (1..=others.len()).contains(n));
            let id = match number {
                Some(number) => format!("port{number}"),
                None => {
                    add("-chardev", format!("null,id=unused{place}"));
                    format!("unused{place}")
                }
            };
            card += &format!(",chardev{place}={id}");
        }
        add("-device", card);
        args
    }
}

/// A comma in a path is doubled, since one ends it.
fn chardev(number: usize, port: Port<'_>) -> String {
    match port {
        Port::File(path) => {
            let path = path.display().to_string().replace(',', ",,");
            format!("file,id=port{number},path={path}")
        }
        Port::Socket(fd) => format!("socket,id=port{number},mux=on,fd={fd}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ports(arch: Arch) -> String {
        let ports = [
            Port::File(Path::new("/a,b/port")),
            Port::File(Path::new("records")),
            Port::Socket(7),
        ];
        let args = arch.ports(Path::new("/a,b/log"), &ports);
        let args: Vec<_> = args.iter().map(|arg| arg.to_string_lossy()).collect();
        args.join(" ")
    }

    const FILES: &str = "-serial file:/a,b/log -chardev file,id=port1,path=/a,,b/port";

    #[test]
    fn programs_have_the_same_ports_on_each_machine() {
        let x86 = ports(Arch::X86);
        assert!(x86.starts_with(FILES), "{x86}");
        assert!(
            x86.ends_with("-chardev socket,id=port3,mux=on,fd=7 -serial chardev:port3"),
            "{x86}"
        );
        for (arch, card) in [
            (
                Arch::Arm64,
                "chardev1=unused1,chardev2=port1,chardev3=port2,chardev4=port3",
            ),
            (
                Arch::Riscv,
                "chardev1=port1,chardev2=port2,chardev3=port3,chardev4=unused4",
            ),
        ] {
            let args = ports(arch);
            assert!(args.starts_with(FILES), "{args}");
            let options = args.split(' ').filter(|arg| *arg == "-serial");
            assert_eq!(options.count(), 1, "{args}");
            assert!(
                args.ends_with(&format!("-device pci-serial-4x,{card}")),
                "{args}"
            );
        }
    }

    #[test]
    fn this_machine_is_one_of_them_or_none() {
        let hosts = [Arch::X86, Arch::Arm64, Arch::Riscv]
            .into_iter()
            .filter(|arch| arch.is_host());
        assert!(hosts.count() <= 1);
    }
}
