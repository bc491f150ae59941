// SPDX-License-Identifier: GPL-2.0

//! Looks for trouble in a kernel log, whatever the tests themselves said.

/// A kernel that is in trouble says one of these. Some are looked for at the start
/// of a message only: programs and modules may use the words in passing.
const ANYWHERE: &[&str] = &[
    "Kernel panic",
    "Oops:",
    "general protection fault",
    "unable to handle page fault",
    "unable to handle kernel",
    "kernel BUG at",
    "rcu: INFO:",
    "RCU Stall",
    "detected stalls on CPU",
    "self-detected stall on CPU",
    "blocked for more than",
    "soft lockup",
    "hard LOCKUP",
    "Bad page state",
    "scheduling while atomic",
    "sleeping function called from invalid context",
    "unreferenced object 0x",
    "Unable to mount root fs",
    "Out of memory: Killed",
    "refcount_t:",
];
const AT_START: &[&str] = &[
    "BUG:",
    "BUG ",
    "WARNING:",
    "KASAN:",
    "UBSAN:",
    "KCSAN:",
    "KFENCE:",
    "INFO: possible",
    "INFO: task",
    "INFO: rcu",
    "INFO: trying to register non-static key",
    "ODEBUG:",
    "rust_kernel: panicked",
    "list_add corruption",
    "list_del corruption",
    "slab ",
    "Internal error:",
];

/// The text after the `[   12.345678] ` or `[   12.345678][  T42] ` of a line, as well
/// as after a level prefix.
fn message(line: &str) -> &str {
    let mut rest = line;
    while let Some(inner) = rest.strip_prefix('[') {
        match inner.split_once(']') {
            Some((stamp, after)) if stamp.len() < 24 => rest = after.trim_start(),
            _ => break,
        }
    }
    rest
}

/// Whether this line of the kernel log tells of trouble.
pub fn is_trouble(line: &str) -> bool {
    let message = message(line.trim_end_matches('\r'));
    // Not a splat but a report of one that a test provoked on purpose (KUnit prints it so).
    if message.starts_with('#') {
        return false;
    }
    AT_START.iter().any(|pattern| {
        message.starts_with(pattern) && (*pattern != "slab " || message.contains("corrupt"))
    }) || ANYWHERE.iter().any(|pattern| message.contains(pattern))
}

/// The parts of the log worth showing: each trouble with what follows it, at most
/// `lines` lines each; overlapping ones are one.
pub fn troubles(log: &str, lines: usize) -> Vec<String> {
    let log: Vec<&str> = log
        .lines()
        .map(|line| line.trim_end_matches('\r'))
        .collect();
    let mut found = Vec::new();
    let mut next = 0;
    for (at, line) in log.iter().enumerate() {
        if at < next || !is_trouble(line) {
            continue;
        }
        // A splat often opens with a line of dashes or equals signs.
        let start = if at > 0 && message(log[at - 1]).starts_with("---") {
            at - 1
        } else {
            at
        };
        next = (at + lines).min(log.len());
        if let Some(end) = log[at..next]
            .iter()
            .position(|line| message(line).starts_with("---[ end"))
        {
            next = at + end + 1;
        }
        found.push(log[start..next].join("\n"));
    }
    found
}

/// What the taint flags say that the log may have lost. Out-of-tree and unsigned
/// modules taint too; that is what is tested here.
pub fn bad_taint(tainted: u64) -> Option<&'static str> {
    const BAD: &[(u64, &str)] = &[
        (1 << 4, "machine check"),
        (1 << 5, "bad page"),
        (1 << 7, "oops"),
        (1 << 9, "warning"),
        (1 << 14, "soft lockup"),
    ];
    BAD.iter()
        .find(|(bit, _)| tainted & bit != 0)
        .map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splats_are_trouble() {
        for line in [
            "[    2.5] BUG: kernel NULL pointer dereference, address: 0000000000000000",
            "[    2.5] BUG: KASAN: slab-use-after-free in cn_rx_skb+0x1/0x2",
            "[    2.5][   T1] BUG: sleeping function called from invalid context at mm/x.c:1",
            "WARNING: CPU: 1 PID: 77 at kernel/softirq.c:1 x+0x1/0x2",
            "[    2.5] WARNING: possible circular locking dependency detected",
            "[    2.5] WARNING: kernel/softirq.c:182 at __local_bh_enable_ip+0x1/0x2, CPU#1: x/77",
            "[    2.5] Oops: 0000 [#1] SMP",
            "[    2.5] Oops: general protection fault, probably for non-canonical address",
            "[    2.5] Kernel panic - not syncing: Fatal exception",
            "[    2.5] INFO: possible recursive locking detected",
            "[    2.5] INFO: task insmod:77 blocked for more than 30 seconds.",
            "[    2.5] rcu: INFO: rcu_preempt self-detected stall on CPU",
            "[    2.5] watchdog: BUG: soft lockup - CPU#0 stuck for 26s!",
            "unreferenced object 0xffff888003c0 (size 64):",
            "[    2.5] refcount_t: underflow; use-after-free.",
            "[    2.5] rust_kernel: panicked at src/x.rs:1:",
        ] {
            assert!(is_trouble(line), "{line}");
        }
    }

    #[test]
    fn ordinary_lines_are_not() {
        for line in [
            "[    0.0] Linux version 7.3.4 (x) (clang) #1 SMP PREEMPT",
            "[    0.1] Spectre V2 : Mitigation: Retpolines",
            "[    0.5] rcu: Hierarchical SRCU implementation.",
            "[    1.0] cn_echo: loading out-of-tree module taints kernel.",
            "[    1.0] rust_connector: the id 16:1 is taken (WARNING is not this)",
            "[    1.0] Unknown kernel command line parameters \"rc_mode=test\", will be passed to user space.",
            "[    1.0] lockdep is turned off; DEBUG: x",
            "[    1.0]     # a_kunit_case: BUG: expected by the test",
        ] {
            assert!(!is_trouble(line), "{line}");
        }
    }

    #[test]
    fn a_trouble_comes_with_what_follows() {
        let log = "[ 1.0] fine\n[ 1.1] ------------[ cut here ]------------\n[ 1.1] WARNING: x\n[ 1.1] Call Trace:\n[ 1.1] ---[ end trace 0 ]---\n[ 1.2] fine again\n";
        let found = troubles(log, 40);
        assert_eq!(found.len(), 1);
        assert!(found[0].starts_with("[ 1.1] ------------[ cut here"));
        assert!(found[0].ends_with("end trace 0 ]---"));
    }

    #[test]
    fn taint_of_an_out_of_tree_module_is_fine() {
        assert_eq!(bad_taint((1 << 12) | (1 << 13)), None);
        assert_eq!(bad_taint((1 << 12) | (1 << 9)), Some("warning"));
        assert_eq!(bad_taint(1 << 7), Some("oops"));
    }
}
