// SPDX-License-Identifier: GPL-2.0

//! Troubles that are made up: what a kernel says in each, at each place where it may say it. The
//! guest writes them to the kernel's log, and the runner must blame the right suite for every one.

use std::fmt::{self, Display};
use std::str::FromStr;

/// Where in a run the kernel's words come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// While the suite runs.
    During,
    /// As the very last that the suite does.
    End,
    /// The same, with every CPU busy.
    Busy,
    /// From a process on another CPU, for whose end the suite waits.
    OtherCpu,
    /// After the suite's end, before the next one begins.
    Between,
    /// After the last suite.
    Last,
    /// After the guest said that all is done.
    Late,
}

impl Place {
    /// All of them.
    pub const ALL: [Place; 7] = [
        Place::During,
        Place::End,
        Place::Busy,
        Place::OtherCpu,
        Place::Between,
        Place::Last,
        Place::Late,
    ];

    /// Whether a suite is to blame; else it is the VM itself.
    pub fn in_suite(self) -> bool {
        !matches!(self, Place::Between | Place::Last | Place::Late)
    }

    fn name(self) -> &'static str {
        match self {
            Place::During => "during",
            Place::End => "end",
            Place::Busy => "busy",
            Place::OtherCpu => "other_cpu",
            Place::Between => "between",
            Place::Last => "last",
            Place::Late => "late",
        }
    }
}

/// What kernels say, with `{}` for where: a name that nobody can mistake. The level comes first.
const KINDS: &[(&str, &[&str])] = &[
    (
        "kasan",
        &[
            "<3>==================================================================",
            "<3>BUG: KASAN: slab-use-after-free in {}+0x1c/0x40 [cn_echo]",
            "<3>Read of size 8 at addr ffff888003c0a010 by task x/77",
        ],
    ),
    (
        "warning",
        &[
            "<4>------------[ cut here ]------------",
            "<4>WARNING: net/x.c:1 at {}+0x1c/0x40, CPU#1: x/77",
            "<4>---[ end trace 0000000000000000 ]---",
        ],
    ),
    (
        "null",
        &["<1>BUG: kernel NULL pointer dereference, address: 0000000000000000 ({})"],
    ),
    (
        "slub",
        &[
            "<3>=============================================================================",
            "<3>BUG kmalloc-64 ({}): Right Redzone overwritten",
        ],
    ),
    (
        "ubsan",
        &[
            "<3>------------[ cut here ]------------",
            "<3>UBSAN: array-index-out-of-bounds in {}.c:1:1",
        ],
    ),
    (
        "atomic",
        &["<3>BUG: scheduling while atomic: {}/77/0x00000002"],
    ),
    (
        "sleeping",
        &["<3>BUG: sleeping function called from invalid context at {}.c:1"],
    ),
    (
        "lockdep",
        &[
            "<4>======================================================",
            "<4>WARNING: possible circular locking dependency detected",
            "<4>{}/77 is trying to acquire lock:",
        ],
    ),
    (
        "hung",
        &["<3>INFO: task {}:77 blocked for more than 600 seconds."],
    ),
    (
        "lockup",
        &["<0>watchdog: BUG: soft lockup - CPU#0 stuck for 122s! [{}:77]"],
    ),
    (
        "rcu",
        &[
            "<3>rcu: INFO: rcu_preempt self-detected stall on CPU",
            "<3>rcu: \t1-....: (1 GPs behind) {}",
        ],
    ),
    (
        "leak",
        &[
            "<5>unreferenced object 0xffff888003c0a000 (size 64):",
            "<5>  comm \"{}\", pid 77, jiffies 4294667296",
        ],
    ),
    (
        "refcount",
        &["<4>refcount_t: underflow; use-after-free. {}"],
    ),
    ("panicked", &["<0>rust_kernel: panicked at {}.rs:1:1:"]),
    (
        "odebug",
        &["<3>ODEBUG: free active (active state 0) object: 00000000 {}"],
    ),
    ("list", &["<3>list_add corruption. prev->next should be {}"]),
    (
        "fault",
        &["<1>BUG: unable to handle page fault for address: ffffc90000000000 ({})"],
    ),
    (
        "oom",
        &["<3>Out of memory: Killed process 77 ({}) total-vm:1kB"],
    ),
];

/// One trouble, once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Injection {
    /// Where it is written.
    pub place: Place,
    kind: usize,
    round: usize,
}

impl Injection {
    /// Each kind at each of these places, so many times.
    pub fn all(rounds: usize) -> impl Iterator<Item = Self> {
        let one = |place, round| move |kind| Self { place, kind, round };
        (0..rounds).flat_map(move |round| {
            Place::ALL
                .into_iter()
                .flat_map(move |place| (0..KINDS.len()).map(one(place, round)))
        })
    }

    /// What is found in the log if it was found: no other trouble has it.
    pub fn sign(&self) -> String {
        format!(
            "inject_{}_{}_{}_",
            self.place.name(),
            KINDS[self.kind].0,
            self.round
        )
    }

    /// What the kernel is made to say: lines that begin with their level.
    pub fn text(&self) -> impl Iterator<Item = String> {
        let sign = self.sign();
        KINDS[self.kind]
            .1
            .iter()
            .map(move |line| line.replace("{}", &sign))
    }
}

/// The name of the suite that makes it.
impl Display for Injection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = KINDS[self.kind].0;
        write!(f, "{}:{kind}:{}", self.place.name(), self.round)
    }
}

/// A name that is none.
#[derive(Debug)]
pub struct Unknown;

impl FromStr for Injection {
    type Err = Unknown;

    fn from_str(name: &str) -> Result<Self, Unknown> {
        let mut words = name.split(':');
        let mut word = || words.next().ok_or(Unknown);
        let (place, kind, round) = (word()?, word()?, word()?);
        Ok(Self {
            place: *Place::ALL
                .iter()
                .find(|known| known.name() == place)
                .ok_or(Unknown)?,
            kind: KINDS
                .iter()
                .position(|known| known.0 == kind)
                .ok_or(Unknown)?,
            round: round.parse().map_err(|_| Unknown)?,
        })
    }
}

/// What a suite can leave behind, or do otherwise that no result line tells.
pub const LEFT: [&str; 10] = [
    "process", "thread", "helper", "result", "module", "mount", "setting", "file", "program",
    "time",
];

/// The suites that make all of this, in their order. After each that is to fail comes a good one
/// now and then: nobody else may be blamed.
pub fn suites(rounds: usize) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for left in LEFT {
        names.push(format!("left:{left}"));
        names.push(format!("good:{left}"));
    }
    for (number, injection) in Injection::all(rounds).enumerate() {
        if matches!(injection.place, Place::Last | Place::Late) {
            continue;
        }
        names.push(injection.to_string());
        if number % 8 == 0 {
            names.push(format!("good:{number}"));
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for injection in Injection::all(2) {
            let name = injection.to_string();
            assert_eq!(name.parse::<Injection>().ok(), Some(injection));
        }
        assert!("good:1".parse::<Injection>().is_err());
        assert!("end:kasan".parse::<Injection>().is_err());
        assert!("end:nothing:1".parse::<Injection>().is_err());
    }

    #[test]
    fn every_trouble_has_a_sign_of_its_own() {
        let mut signs: Vec<_> = Injection::all(12).map(|one| one.sign()).collect();
        for one in Injection::all(1) {
            assert!(one.text().any(|line| line.contains(&one.sign())));
        }
        let all = signs.len();
        signs.sort();
        signs.dedup();
        assert_eq!(signs.len(), all);
        // None is a part of another one.
        assert!(signs.windows(2).all(|two| !two[1].starts_with(&two[0])));
    }
}
