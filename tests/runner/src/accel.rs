// SPDX-License-Identifier: GPL-2.0

//! KVM or software emulation. `/dev/kvm` may exist and yet not run an ordinary guest
//! (nested and filtered hypervisors), so KVM is used only after a boot under it
//! has succeeded. The verdict is kept for this boot of the host.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use crate::vm::{Boot, Ending, Image};

/// How QEMU runs the guest's CPUs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accel {
    /// On the host's CPUs.
    Kvm,
    /// In software.
    Tcg,
    /// In software, one CPU, and the guest's clock counts its instructions: one is a nanosecond.
    /// The guest sees nothing that differs from one run to the next.
    Counting,
}

/// Under KVM a guest is up in two or three seconds; one that takes longer than this
/// is not faster than emulation.
const PROBE_LIMIT: Duration = Duration::from_secs(10);

impl Accel {
    /// QEMU's options for it.
    pub fn qemu_args(self) -> impl Iterator<Item = &'static str> {
        let args = match self {
            Accel::Kvm => "-smp 2 -accel kvm -cpu host",
            Accel::Tcg => "-smp 2 -accel tcg,thread=multi -cpu max",
            // The plainest CPU copies by ordinary instructions. Where `rep movsb` is fast, the
            // kernel uses that, and QEMU counts an instruction for every byte.
            Accel::Counting => {
                "-smp 1 -accel tcg,thread=single -cpu qemu64 -icount shift=0,sleep=off \
                 -seed 1 -rtc base=2026-01-01,clock=vm"
            }
        };
        args.split_whitespace()
    }

    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Accel::Kvm => "KVM",
            Accel::Tcg => "software emulation (no KVM that runs an ordinary guest)",
            Accel::Counting => "software emulation that counts instructions",
        }
    }

    /// The one to use for this kernel on this host.
    pub fn choose(image: &Image, verdicts: &Path, keep: &Path) -> Result<Self> {
        let usable = fs::OpenOptions::new()
            .read(true)
            .write(true)
            .open("/dev/kvm")
            .is_ok();
        if !usable {
            return Ok(Accel::Tcg);
        }
        let key = verdict_key(image);
        let file = verdicts.join("kvm");
        if let Ok(known) = fs::read_to_string(&file) {
            if let Some(verdict) = known.lines().find_map(|line| line.strip_prefix(&key)) {
                return Ok(if verdict.trim() == "works" {
                    Accel::Kvm
                } else {
                    Accel::Tcg
                });
            }
        }
        let boot = Boot {
            image,
            accel: Accel::Kvm,
            mode: "probe",
            append: String::new(),
            keep,
            console: "kvm-probe.log",
            silence: PROBE_LIMIT,
            limit: PROBE_LIMIT,
        };
        let works = matches!(boot.run(|_| ())?, Ending::Done(_));
        // Losing the verdict costs a probe, nothing else.
        let known = fs::read_to_string(&file).unwrap_or_default();
        let boot_id = boot_id();
        let still_true = known.lines().filter(|line| line.starts_with(&boot_id));
        let verdict = format!("{key} {}", if works { "works" } else { "fails" });
        let lines: Vec<&str> = still_true.chain([verdict.as_str()]).collect();
        let _ = fs::create_dir_all(verdicts);
        let _ = fs::write(&file, lines.join("\n") + "\n");
        Ok(if works { Accel::Kvm } else { Accel::Tcg })
    }
}

fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .unwrap_or_default()
        .trim()
        .to_owned()
}

/// What the verdict depends on: this boot of the host, this QEMU, this kernel.
fn verdict_key(image: &Image) -> String {
    let qemu = Command::new("qemu-system-x86_64").arg("--version").output();
    let qemu = qemu.map_or(String::new(), |output| {
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.lines().next().unwrap_or_default().replace(' ', "_")
    });
    let kernel = image.kernel.display().to_string().replace(' ', "_");
    let meta = fs::metadata(&image.kernel);
    let stamp = meta.map_or(0, |meta| {
        let time = meta.modified().ok();
        let time = time.and_then(|t| t.duration_since(std::time::UNIX_EPOCH).ok());
        time.unwrap_or_default().as_secs()
    });
    format!("{} {qemu} {kernel} {stamp}", boot_id())
}
