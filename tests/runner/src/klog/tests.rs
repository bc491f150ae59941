// SPDX-License-Identifier: GPL-2.0

//! The samples: `samples/trouble/*.log` are one trouble each, `samples/harmless/*.log` none. They
//! are in the format of Linux 7.3, cut to the lines that matter.

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use regex::Regex;

use super::rules::{RULES, Role};
use super::{line, troubles};

/// The samples of this kind: name and text.
fn samples(kind: &str) -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("samples")
        .join(kind);
    let mut samples: Vec<_> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, fs::read_to_string(path).unwrap())
        })
        .collect();
    samples.sort();
    assert!(samples.len() > 5, "no samples in {}", folder.display());
    samples
}

/// The stamp of each line, and the space that ends the prefix.
static PREFIX: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"(?m)^(\[ *\d+\.\d{6}\]) ").unwrap());

/// The same text as other kernels and consoles would print it.
fn variants(log: &str) -> Vec<(&'static str, String)> {
    let prefixed = |prefix| PREFIX.replace_all(log, prefix).into_owned();
    vec![
        ("as it is", log.to_owned()),
        ("with CRLF", log.replace('\n', "\r\n")),
        ("with CR twice", log.replace('\n', "\r\r\n")),
        ("without the last line's end", log.trim_end().to_owned()),
        ("without stamps", prefixed("")),
        ("with callers", prefixed("$1[   T77] ")),
        ("with priorities", prefixed("<6>$1 ")),
    ]
}

#[test]
fn every_trouble_is_found_once() {
    for (name, log) in samples("trouble") {
        for (how, log) in variants(&log) {
            let found = troubles(&log, usize::MAX);
            assert_eq!(found.len(), 1, "{name}, {how}: {found:#?}");
            assert_eq!(troubles(&log, 1).len(), 1, "{name}, {how}, one line");
        }
    }
}

#[test]
fn a_trouble_comes_with_all_its_lines() {
    for (name, log) in samples("trouble") {
        let found = troubles(&log, usize::MAX);
        // A blank line may come before the double one.
        let wanted = line::lines(&log).filter(|line| !line.message.is_empty());
        for line::Line { text: line, .. } in wanted {
            assert!(
                found[0].contains(line),
                "{name}: `{line}` is missing in\n{}",
                found[0]
            );
        }
    }
}

#[test]
fn a_trouble_that_was_cut_off_is_found() {
    for (name, log) in samples("trouble") {
        // Wherever the power went, after the first line that tells of it: in the middle of a line, or at
        // its end.
        let ends: Vec<usize> = log.match_indices('\n').map(|(at, _)| at + 1).collect();
        let first = *ends
            .iter()
            .find(|&&end| !troubles(&log[..end], 1).is_empty())
            .unwrap_or_else(|| panic!("{name}"));
        let middles = ends.windows(2).map(|pair| pair[0].midpoint(pair[1]));
        for end in ends
            .iter()
            .copied()
            .chain(middles)
            .filter(|&end| end >= first)
        {
            let found = troubles(&log[..end], usize::MAX);
            assert_eq!(found.len(), 1, "{name}, {end} bytes: {found:#?}");
        }
    }
}

#[test]
fn nothing_is_found_in_harmless_logs() {
    for (name, log) in samples("harmless") {
        for (how, log) in variants(&log) {
            let found = troubles(&log, usize::MAX);
            assert!(found.is_empty(), "{name}, {how}: {found:#?}");
        }
    }
}

#[test]
fn every_rule_has_a_sample() {
    let mut logs = samples("trouble");
    logs.extend(samples("harmless"));
    for (role, pattern) in RULES {
        let rule = Regex::new(pattern).unwrap();
        let known = logs
            .iter()
            .any(|(_, log)| line::lines(log).any(|line| rule.is_match(line.message)));
        assert!(known, "no sample has {pattern} ({role:?})");
    }
}

#[test]
fn two_samples_in_a_row_are_two_troubles() {
    let samples = samples("trouble");
    let roles = |log: &str| -> Vec<Role> {
        line::lines(log)
            .filter_map(|line| super::rules::role(line.message))
            .collect()
    };
    for (first, second) in samples.iter().zip(samples.iter().cycle().skip(7)) {
        let (before, after) = (roles(&first.1), roles(&second.1));
        // What announces a report goes with the next headline, what follows from one with the last.
        if before == [Role::Announcement] || matches!(after[0], Role::Consequence | Role::Dump) {
            continue;
        }
        let found = troubles(&format!("{}{}", first.1, second.1), usize::MAX);
        assert_eq!(found.len(), 2, "{} and {}: {found:#?}", first.0, second.0);
    }
}

#[test]
fn troubles_of_two_cpus_are_told_apart() {
    let samples = samples("trouble");
    let as_caller = |log: &str, caller: &str| {
        let prefix = format!("$1[{caller:>6}] ");
        let log = PREFIX.replace_all(log, prefix);
        // Some lines have no prefix, so no caller either.
        let lines = log.lines().filter(|line| line.contains(caller));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    for (first, second) in samples.iter().zip(samples.iter().cycle().skip(3)) {
        let ours = as_caller(&first.1, "T11");
        let theirs = as_caller(&second.1, "C1");
        let whole = |lines: &[String]| troubles(&lines.join("\n"), usize::MAX);
        let (ours_alone, theirs_alone) = (whole(&ours), whole(&theirs));
        let mut log = String::new();
        for at in 0..ours.len().max(theirs.len()) {
            for lines in [&ours, &theirs] {
                if let Some(line) = lines.get(at) {
                    log += line;
                    log.push('\n');
                }
            }
        }
        let found = troubles(&log, usize::MAX);
        let begins_alone = |log: &str| {
            let first = line::lines(log).find_map(|line| super::rules::role(line.message));
            !matches!(first, Some(Role::Consequence | Role::Dump))
        };
        for alone in ours_alone.iter().chain(&theirs_alone) {
            assert!(
                // What follows from something follows from the other's here.
                found.contains(alone) || !begins_alone(&first.1) || !begins_alone(&second.1),
                "{} and {}: {alone}\n is missing in {found:#?}",
                first.0,
                second.0
            );
            let headline = alone.lines().next().unwrap();
            assert!(found.iter().any(|found| found.contains(headline)));
        }
    }
}

#[test]
fn another_cpu_s_backtrace_is_part_of_the_report() {
    let log = "[    1.000000][    C0] rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:\n\
               [    1.000000][    C0] Sending NMI from CPU 0 to CPUs 1:\n\
               [    1.100000][    C1] NMI backtrace for cpu 1\n\
               [    1.100000][    C1] CPU: 1 UID: 0 PID: 77 Comm: x Not tainted 7.3.4 #1 PREEMPT\n\
               [    1.100000][    C1] RIP: 0010:ct_misuse_init+0x1c/0x30 [ct_misuse]\n\
               [    1.200000][   T78] cn_test: something else\n";
    let found = troubles(log, 40);
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!(found[0].lines().count(), 5);
}

#[test]
fn a_double_line_begins_a_report_of_its_own() {
    let log = "[    1.000000] ------------[ cut here ]------------\n\
               [    1.100000] ==================================================================\n\
               [    1.100000] BUG: KASAN: slab-use-after-free in f+0x1/0x2\n";
    assert_eq!(troubles(log, 40).len(), 2);
}

#[test]
fn a_report_without_end_has_one() {
    let endless = "[    1.000000] BUG: x\n".to_owned() + &"[    1.000000] y\n".repeat(500);
    let dump = "[    2.000000] CPU: 1 UID: 0 PID: 77 Comm: x Not tainted 7.3.4 #1 PREEMPT\n";
    assert_eq!(troubles(&(endless + dump), 40).len(), 2);
}

#[test]
fn at_most_so_many_lines_are_shown() {
    let log = "[    1.000000] BUG: x\n[    1.000000] a\n[    1.000000] b\n";
    assert_eq!(
        troubles(log, 2),
        ["[    1.000000] BUG: x\n[    1.000000] a"]
    );
}

#[test]
fn a_report_ends_where_it_says_so() {
    let log = "[    1.000000] before\n\
               [    1.100000] ------------[ cut here ]------------\n\
               [    1.100000] WARNING: x.c:1 at f+0x1/0x2, CPU#1: x/77\n\
               [    1.100000] CPU: 1 UID: 0 PID: 77 Comm: x Not tainted 7.3.4 #1 PREEMPT\n\
               [    1.100000] ---[ end trace 0000000000000000 ]---\n\
               [    1.200000] after\n";
    let found = troubles(log, 40);
    assert_eq!(found.len(), 1);
    assert!(found[0].starts_with("[    1.100000] ------------[ cut here"));
    assert!(found[0].ends_with("end trace 0000000000000000 ]---"));
}

#[test]
fn a_trouble_within_another_is_not_lost() {
    let log = "[    1.000000] INFO: task insmod:77 blocked for more than 30 seconds.\n\
               [    1.000000] task:insmod          state:D stack:0     pid:77\n\
               [    1.100000] BUG: sleeping function called from invalid context at x.c:1\n\
               [    1.100000] CPU: 1 UID: 0 PID: 78 Comm: y Not tainted 7.3.4 #1 PREEMPT\n";
    let found = troubles(log, 40);
    assert_eq!(found.len(), 2, "{found:#?}");
}

#[test]
fn a_trouble_of_one_program_is_not_continued_by_the_next() {
    let log = "[    1.000000] BUG: x\n\
               [    1.100000] rust-connector: end a 0\n\
               [    1.200000] rust-connector: begin b\n\
               [    1.300000] Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000100\n";
    assert_eq!(troubles(log, 40).len(), 2);
}

#[test]
fn a_line_that_is_torn_by_another_is_found() {
    let log = "[    1.000000] cn_test: a long mess[    1.000100] BUG: spinlock bad magic on CPU#1, x/77\nage\n";
    let found = troubles(log, 40);
    assert_eq!(found.len(), 1);
    assert!(found[0].starts_with("[    1.000100] BUG: spinlock"));
}

#[test]
fn a_stack_dump_that_nobody_announced_is_trouble() {
    let dump = "CPU: 0 UID: 0 PID: 1 Comm: init Not tainted 7.3.4 #1 PREEMPT\nCall Trace:\n <TASK>\n </TASK>\n";
    assert_eq!(troubles(dump, 40).len(), 1);
    let provoked =
        format!("FAULT_INJECTION: forcing a failure.\nname failslab, interval 1\n{dump}");
    assert!(troubles(&provoked, 40).is_empty());
    assert_eq!(troubles(&format!("{provoked}{dump}"), 40).len(), 1);
    let torn = provoked.replace(" </TASK>\n", "");
    assert_eq!(troubles(&format!("{torn}{dump}"), 40).len(), 1);
    assert_eq!(
        troubles(&format!("{provoked}Oops: 0000 [#1] SMP\n"), 40).len(),
        1
    );
}

#[test]
fn what_comes_after_a_failure_that_was_asked_for_is_looked_at() {
    let asked = "<5>[    1.000000] FAULT_INJECTION: forcing a failure.\n\
                 <5>[    1.000000] name failslab, interval 1\n";
    assert!(troubles(asked, 40).is_empty());
    let error = "<3>[    1.000000] some driver: it is broken\n";
    assert_eq!(troubles(&format!("{asked}{error}"), 40).len(), 1);
    // Nor is a dump its own that comes much later.
    let other = "<6>[    2.000000] some driver: ready\n".repeat(20);
    let dump = "<4>[    3.000000] CPU: 0 UID: 0 PID: 1 Comm: init Not tainted 7.3.4 #1 PREEMPT\n";
    assert!(troubles(&format!("{asked}{dump}"), 40).is_empty());
    let other = other.replace("[    2.000000]", "[    2.000000][    T9]");
    let asked = asked.replace("[    1.000000]", "[    1.000000][    T8]");
    let dump = dump.replace("[    3.000000]", "[    3.000000][    T8]");
    assert_eq!(troubles(&format!("{asked}{other}{dump}"), 40).len(), 1);
}

#[test]
fn an_unknown_warning_is_trouble_where_levels_are_known() {
    let log = "<6>[    1.000000] some driver: ready\n\
               <4>[    1.100000] some driver: odd\n\
               <4>[    1.100000]   and how\n\
               <5>[    1.200000] some driver: noted\n\
               <4>[    1.300000] some driver: odd again\n\
               <3>[    1.300000][    T1] some driver: failed\n";
    assert_eq!(
        troubles(log, 40),
        [
            "<4>[    1.100000] some driver: odd\n<4>[    1.100000]   and how",
            "<4>[    1.300000] some driver: odd again",
            "<3>[    1.300000][    T1] some driver: failed"
        ]
    );
}

#[test]
fn a_warning_that_is_known_to_be_harmless_is_none() {
    let log = "<4>[    1.000000] cn_echo: loading out-of-tree module taints kernel.\n\
               <4>[    1.000000] rust_connector: a module goes and left a Watch\n\
               <4>[    1.000000] rust_kernel: ct_watch id goes and left 42:30 registered: it was never dropped\n\
               <3>[    1.000000] ct_puppet: cannot register\n\
               <4>[    1.000000] workqueue: psi_avgs_work hogged CPU for >10000us 4 times, consider switching to WQ_UNBOUND\n\
               <4>[    1.000000] \n\
               <12>[    1.000000] rust-connector: begin echo\n\
               <12>[    1.000000] what a program writes has no level\n";
    assert_eq!(troubles(log, 40), Vec::<String>::new());
}

#[test]
fn what_others_of_the_kernel_s_rust_warn_of_is_not_known() {
    let log = "<4>[    1.000000] rust_kernel: something goes wrong\n";
    assert_eq!(troubles(log, 40).len(), 1);
}

#[test]
fn a_program_s_word_for_a_splat_counts() {
    let log = "<12>[    1.000000] BUG: KASAN: slab-use-after-free in y\n";
    assert_eq!(troubles(log, 40).len(), 1);
}
