// SPDX-License-Identifier: GPL-2.0

//! KVM or software emulation. `/dev/kvm` may exist and yet not run an ordinary guest
//! (nested and filtered hypervisors), so KVM is used only after a boot under it
//! has succeeded. The verdict is kept for this boot of the host, but one slow boot is no verdict:
//! the host may have been busy.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use crate::arch::Arch;
use crate::recording::Ending;
use crate::ticks;
use crate::vm::{Boot, Image};

/// How QEMU runs the guest's CPUs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accel {
    /// On the host's CPUs.
    Kvm,
    /// In software, each CPU in a thread of its own.
    Tcg,
    /// In software, all CPUs in one thread, in turns.
    ///
    /// Before QEMU 8.1 a CPU in a thread of its own could execute an instruction that another one
    /// had already replaced in memory. When Linux patches its own code, which it does for static
    /// branches and for probes, that is now and then an `Oops: int3`.
    TcgInTurns,
    /// In software, one CPU, and the guest's clock counts its instructions: one is a nanosecond.
    /// The guest sees nothing that differs from one run to the next.
    Counting,
}

/// Under KVM a guest is up in two or three seconds; one that takes longer than this is not faster
/// than emulation, or the host is busy.
const PROBE_LIMIT: Duration = Duration::from_secs(30);
/// So many probes that were slow are a verdict.
const SLOW_PROBES: usize = 3;

/// What is known about KVM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Works,
    Fails,
    /// That many boots were slow.
    Slow(usize),
}

impl Verdict {
    fn to_words(self) -> String {
        match self {
            Verdict::Works => "works".to_owned(),
            Verdict::Fails => "fails".to_owned(),
            Verdict::Slow(times) => format!("slow {times}"),
        }
    }

    fn from_words(words: &str) -> Option<Self> {
        match words.trim().split_once(' ').unwrap_or((words.trim(), "")) {
            ("works", "") => Some(Verdict::Works),
            ("fails", "") => Some(Verdict::Fails),
            ("slow", times) => Some(Verdict::Slow(times.parse().ok()?)),
            _ => None,
        }
    }

    /// With what came of one more probe.
    fn and(known: Option<Self>, ending: Ending) -> Self {
        let slow = match known {
            Some(Verdict::Slow(times)) => times,
            _ => 0,
        };
        match ending {
            Ending::Done => Verdict::Works,
            Ending::Silent(_) | Ending::TimedOut(_) | Ending::Stayed(_) => Verdict::Slow(slow + 1),
            Ending::Died | Ending::QemuFailed(_) | Ending::Unseen => Verdict::Fails,
        }
    }

    /// Whether to use KVM; `None` if that takes another probe.
    fn answer(self) -> Option<bool> {
        match self {
            Verdict::Works => Some(true),
            Verdict::Fails => Some(false),
            Verdict::Slow(times) => (times >= SLOW_PROBES).then_some(false),
        }
    }
}

impl Accel {
    /// QEMU's options for it.
    pub fn qemu_args(self) -> impl Iterator<Item = &'static str> {
        let args = match self {
            Accel::Kvm => "-smp 2 -accel kvm",
            Accel::Tcg => "-smp 2 -accel tcg,thread=multi",
            Accel::TcgInTurns => "-smp 2 -accel tcg,thread=single",
            Accel::Counting => {
                "-smp 1 -accel tcg,thread=single -icount shift=0,sleep=off \
                 -seed 1 -rtc base=2026-01-01,clock=vm"
            }
        };
        args.split_whitespace()
    }

    /// What the kernel has to be told.
    pub fn command_line(self, arch: Arch) -> String {
        let khz = match (self, arch) {
            (Accel::Tcg | Accel::TcgInTurns, Arch::X86) => ticks::khz(),
            _ => None,
        };
        // Nor is it to doubt it because an emulated timer was late.
        khz.map_or(String::new(), |khz| {
            format!("tsc_early_khz={khz} tsc=reliable")
        })
    }

    /// For people.
    pub fn name(self, arch: Arch) -> &'static str {
        match self {
            Accel::Kvm => "KVM",
            Accel::Tcg | Accel::TcgInTurns if !arch.is_host() => {
                "software emulation (of another architecture)"
            }
            Accel::Tcg | Accel::TcgInTurns => {
                "software emulation (no KVM that runs an ordinary guest)"
            }
            Accel::Counting => "software emulation that counts instructions",
        }
    }

    /// The one to use for this kernel on this host.
    pub fn choose(image: &Image, verdicts: &Path, keep: &Path) -> Result<Self> {
        let arch = image.arch;
        let usable = arch.is_host()
            && fs::OpenOptions::new()
                .read(true)
                .write(true)
                .open("/dev/kvm")
                .is_ok();
        let emulation = match version_in(&qemu_says(&image.qemu)) {
            Some(version) if version < (8, 1) => Accel::TcgInTurns,
            _ => Accel::Tcg,
        };
        if !usable {
            return Ok(emulation);
        }
        let key = verdict_key(image);
        let file = verdicts.join("kvm");
        let text = fs::read_to_string(&file).unwrap_or_default();
        let known = text
            .lines()
            .filter_map(|line| Verdict::from_words(line.strip_prefix(&key)?))
            .next_back();
        let choice = |works| if works { Accel::Kvm } else { emulation };
        if let Some(works) = known.and_then(Verdict::answer) {
            return Ok(choice(works));
        }
        let boot = Boot {
            image,
            accel: Accel::Kvm,
            mode: "probe",
            append: String::new(),
            suites: &[],
            tap: false,
            keep,
            console: "kvm-probe.log",
            silence: PROBE_LIMIT,
            limit: PROBE_LIMIT,
            terminal: None,
        };
        let verdict = Verdict::and(known, boot.run(|_| ())?.ending);
        // Losing the verdict costs a probe, nothing else.
        let boot_id = boot_id();
        let others = text
            .lines()
            .filter(|line| line.starts_with(&boot_id) && !line.starts_with(&key));
        let line = format!("{key} {}", verdict.to_words());
        let lines: Vec<&str> = others.chain([line.as_str()]).collect();
        let _ = fs::create_dir_all(verdicts);
        let _ = fs::write(&file, lines.join("\n") + "\n");
        Ok(choice(verdict == Verdict::Works))
    }
}

fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .unwrap_or_default()
        .trim()
        .to_owned()
}

/// What QEMU says of its version, in one line.
fn qemu_says(qemu: &str) -> String {
    let output = Command::new(qemu).arg("--version").output();
    output.map_or(String::new(), |output| {
        let text = String::from_utf8_lossy(&output.stdout);
        text.lines().next().unwrap_or_default().to_owned()
    })
}

/// `QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18)` is 7.2.
fn version_in(says: &str) -> Option<(u32, u32)> {
    let version = says.split_once("version ")?.1;
    let mut numbers = version.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// What the verdict depends on: this boot of the host, this QEMU, this kernel.
fn verdict_key(image: &Image) -> String {
    let qemu = qemu_says(&image.qemu).replace(' ', "_");
    let kernel = image.kernel.display().to_string().replace(' ', "_");
    let meta = fs::metadata(&image.kernel);
    let stamp = meta.map_or(0, |meta| {
        let time = meta.modified().ok();
        let time = time.and_then(|t| t.duration_since(std::time::UNIX_EPOCH).ok());
        time.unwrap_or_default().as_secs()
    });
    format!("{} {qemu} {kernel} {stamp}", boot_id())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_slow_probe_is_no_verdict() {
        let slow = Ending::TimedOut(PROBE_LIMIT);
        let mut known = None;
        for _ in 1..SLOW_PROBES {
            known = Some(Verdict::and(known, slow));
            assert_eq!(known.and_then(Verdict::answer), None, "{known:?}");
        }
        let once_more = Verdict::and(known, slow);
        assert_eq!(once_more.answer(), Some(false));
        assert_eq!(Verdict::and(known, Ending::Done).answer(), Some(true));
        assert_eq!(Verdict::and(None, Ending::Died).answer(), Some(false));
        for verdict in [Verdict::Works, Verdict::Fails, once_more] {
            assert_eq!(Verdict::from_words(&verdict.to_words()), Some(verdict));
        }
    }

    #[test]
    fn versions_are_found() {
        let says = "QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18+b3)";
        assert_eq!(version_in(says), Some((7, 2)));
        assert_eq!(version_in("QEMU emulator version 10.0.2"), Some((10, 0)));
        assert_eq!(version_in(""), None);
    }
}
