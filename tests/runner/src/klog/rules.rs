// SPDX-License-Identifier: GPL-2.0

//! What the kernel prints when it finds a defect: taken from the source of Linux 7.3, file by file.
//!
//! Most rules hold at the start of a message only: programs and modules may use the words in
//! passing. A WARN() or BUG() with words of its own (`refcount_t: ...`, `ODEBUG: ...`) is known by
//! its frame, `cut here`; the words are here as well, for a log that has lost the frame.

use std::sync::LazyLock;

use regex::{RegexSet, RegexSetBuilder};

/// What a line is in a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A trouble of its own.
    Headline,
    /// A trouble, too; but the headlines up to its stack dump belong to it.
    Announcement,
    /// Follows from the trouble that is being reported; without one it is a trouble.
    Consequence,
    /// The first line of a stack dump: part of a report, and without one a trouble.
    Dump,
    /// Begins what was asked for, if it is no part of a report.
    Provoked,
    /// The double line around a report.
    Frame,
}

use Role::{Announcement, Consequence, Dump, Frame, Headline, Provoked};

/// The first rule that matches holds.
#[rustfmt::skip] // One rule a line.
pub const RULES: &[(Role, &str)] = &[
    // lib/fault-inject.c; mm/page_alloc.c, mm/vmalloc.c in the test program `faults`, which makes
    // allocations fail; mm/show_mem.c, which others ask for, too.
    (Provoked, r"^FAULT_INJECTION: forcing a failure"),
    (Provoked, r"^faults: (?:page allocation failure|vmalloc error)"),
    (Provoked, r"^Mem-Info:$"),
    // kernel/panic.c and lib/bug.c: WARN(), BUG(), and what frames their words.
    (Announcement, r"^-+\[ cut here \]-+"),
    (Headline, r"^WARNING: "),
    (Headline, r"^[Kk]ernel BUG at "),
    (Consequence, r"^Kernel panic - not syncing"),
    (Consequence, r"^Disabling lock debugging due to kernel taint"),
    (Dump, r"^CPU: \d+ (?:UID|PID): \d+ "),
    // rust/kernel/lib.rs: the panic handler, which ends in BUG().
    (Announcement, r"^rust_kernel: panicked at "),
    // Exceptions. arch/x86: mm/fault.c, mm/extable.c, kernel/{dumpstack,traps,nmi,irq,cet}.c,
    // entry/entry_fred.c (whose others begin with BUG:), kernel/cpu/mce/core.c.
    (Announcement, r"^kernel tried to execute NX-protected page"),
    (Announcement, r"^unable to execute userspace code \(SM[EA]P\?\)"),
    (Announcement, r"^.+: Corrupted page table at address "),
    (Announcement, r"^(?:traps: )?PANIC: (?:double fault|early exception)"),
    (Announcement, r"^(?:traps: )?Missing ENDBR: "),
    (Consequence, r"^Oops: "),
    (Consequence, r"^Thread overran stack, or stack corrupted"),
    (Headline, r"^unchecked MSR access error: "),
    (Headline, r"^(?:x86/)?(?:\w+: )?Uhhuh\. NMI received for unknown reason"),
    (Headline, r"^NMI: (?:PCI system error|IOCK error)"),
    (Headline, r"\[Hardware Error\]: CPU \d+: Machine Check"),
    // arch/arm64 and arch/riscv: mm/fault.c, kernel/{traps,entry-common}.c.
    (Announcement, r"^Unable to handle kernel .+ at virtual address "),
    (Announcement, r"^Insufficient stack space to handle exception!"),
    (Announcement, r"^Unhandled .+ exception on CPU\d+"),
    (Announcement, r"^SError Interrupt on CPU\d+"),
    (Consequence, r"^Internal error: .+ \[#\d+\]"),
    (Consequence, r"^(?:Oops|Kernel BUG)\b.* \[#\d+\]$"),
    // kernel/cfi.c
    (Announcement, r"^CFI failure at "),
    // kernel/exit.c
    (Consequence, r"^note: .+\[\d+\] exited with (?:preempt_count|irqs disabled)"),
    (Consequence, r"^Fixing recursive fault but reboot is needed!"),
    // mm/kasan, mm/kfence, mm/kmsan, kernel/kcsan and mm/slub.c all begin with BUG: or BUG and a name;
    // so do kernel/sched/core.c (scheduling while atomic, sleeping in atomic context),
    // lib/smp_processor_id.c, kernel/workqueue.c, kernel/locking/spinlock_debug.c, mm/page_alloc.c,
    // mm/memory.c, mm/filemap.c, kernel/fork.c, and lockdep when it has no room left.
    (Frame, r"^={20,}$"),
    (Announcement, r"^BUG .+ \((?:Not tainted|Tainted: )"),
    (Consequence, r"^FIX .+: (?:Restoring|Marking|Freelist|Number of|Object) "),
    (Headline, r"^BUG[: ]"),
    (Consequence, r"^KASAN: .+ in range \["),
    (Headline, r"^UBSAN: "),
    (Headline, r"^SLUB:? .*counted but counter="),
    (Headline, r"^Unexpected gfp: .+ Fix your code!"),
    // kernel/locking/lockdep.c: all its WARNING: are above.
    (Headline, r"^\[ BUG: .+ \]"),
    (Headline, r"^INFO: trying to register non-static key"),
    (Headline, r"^INFO: possible "),
    (Headline, r"^CPU \d+ left hardirqs enabled!"),
    (Consequence, r"^turning off the locking correctness validator"),
    (Consequence, r"^INFO: lockdep is turned off"),
    // kernel/rcu: stalls, callbacks that are queued twice.
    (Headline, r"^(?:rcu: )?INFO: \w+ (?:self-)?detected (?:expedited )?stalls?\b"),
    (Consequence, r"^(?:rcu: )?INFO: (?:Expedited stall|Stall) ended "),
    (Consequence, r"^rcu: .+ kthread (?:starved for|timer wakeup didn't happen for) "),
    (Headline, r"\bDouble-freed CB "),
    (Headline, r"\bpercpu_ref underflow"),
    // kernel/watchdog.c, kernel/hung_task.c, kernel/workqueue.c, kernel/smp.c: what does not get on.
    (Headline, r"^watchdog: BUG: soft lockup"),
    (Headline, r"\bWatchdog detected hard LOCKUP on cpu"),
    (Consequence, r"^CPU#\d+ (?:Utilization every|Detect HardIRQ Time exceeds)"),
    (Consequence, r"^(?:Sending NMI from CPU|NMI backtrace for cpu) "),
    (Consequence, r"^INFO: task .+ (?:is )?blocked on an? (?:mutex|semaphore|rw-semaphore)"),
    (Headline, r"^INFO: task .+ blocked(?: in I/O wait)? for more than \d+ seconds"),
    (Headline, r"^INFO: The task .+ has been waiting for writeback"),
    (Headline, r"^workqueue .+ isn't complete after \d+ tries"),
    (Headline, r"^\w+: \S+ has the following busy pwq"),
    (Headline, r"^smp: csd: .+ non-responsive CSD lock"),
    // kernel/softirq.c, kernel/time/tick-sched.c
    (Headline, r"^softirq: huh, entered softirq "),
    (Headline, r"^NOHZ tick-stop error: local softirq work is pending"),
    // kernel/irq/spurious.c, arch/x86/kernel/irq.c
    (Headline, r"^irq \d+: nobody cared"),
    (Headline, r"^irq event \d+: bogus return value"),
    // lib: refcount.c, list_debug.c, debugobjects.c, kobject.c, ref_tracker.c, stackdepot.c
    (Headline, r"^refcount_t: "),
    (Announcement, r"^list_(?:add|del) (?:corruption|double add)"),
    (Headline, r"^ODEBUG: (?:.+ \(active state \d+\) |object |Out of memory)"),
    (Headline, r"^kobject: .*(?:something is seriously wrong|is not initialized, yet|must have a ktype)"),
    (Consequence, r"^kobject: \w+ failed for "),
    (Headline, r"^ref_tracker: (?:reference already released|.* has \d+/\d+ users at)"),
    (Headline, r"^stackdepot: .+ failed, disabling"),
    // mm: page_alloc.c, vmalloc.c, oom_kill.c, usercopy.c, debug.c, kmemleak.c (which only counts
    // its findings in the log: the test program `kmemleak` reads and judges them)
    (Headline, r"^.+: (?:page allocation failure: order:|page allocation stall for|vmalloc error: size) ?\d+"),
    (Headline, r"^.+ invoked oom-killer: gfp_mask="),
    (Headline, r"^Out of memory and no killable processes"),
    (Headline, r"^Huh VM_FAULT_OOM leaked out"),
    (Consequence, r"^oom-kill:constraint="),
    (Consequence, r"^(?:Memory cgroup out|Out) of memory(?: \(oom_kill_allocating_task\))?: (?:Killed process|OOM victim)"),
    (Announcement, r"^usercopy: Kernel memory (?:exposure|overwrite) attempt detected"),
    (Consequence, r"^page dumped because: "),
    (Headline, r"^(?:kmemleak: )?unreferenced object .*0x"),
    (Headline, r"^kmemleak: (?:Cannot insert |Cannot allocate a kmemleak_object |Memory pool empty|Found object by alias|(?:Partially freeing|Not scanning|Not resetting .*|Adding scan area to|Setting excess_ref on|Updating stack trace for) .*unknown object|Scan area larger)"),
    (Consequence, r"^kmemleak: (?:Kernel memory leak detector disabled|Kmemleak disabled without)"),
    // kernel/module/main.c
    (Headline, r"^\S+: (?:gave up waiting for init of module|init suspiciously returned) "),
    // kernel/kprobes.c, arch/x86/kernel/kprobes/core.c
    (Announcement, r"^(?:kprobes: )?(?:Unrecoverable kprobe detected|kretprobe: Return address not found)"),
    // net: core/{dev,skbuff,rtnetlink,neighbour,sock}.c, netlink/af_netlink.c, ipv4/af_inet.c
    (Headline, r"^unregister_netdevice: waiting for .+ to become free"),
    (Headline, r"^RTNL(?:_NET)?: assertion failed"),
    (Announcement, r"^skbuff: skb_(?:over|under)_panic: "),
    (Headline, r"\bhw csum failure$"),
    (Headline, r"^protocol [0-9a-f]{4} is buggy, dev "),
    (Headline, r"^(?:Freeing alive netlink|Attempt to release (?:alive|TCP)(?: inet)?) socket"),
    (Headline, r"^(?:neighbour: )?(?:Destroying alive neighbour|neighbour leakage|NEIGH: BUG)"),
    // fs: sysfs/dir.c, debugfs/inode.c, proc/{generic,proc_sysctl}.c
    (Headline, r"^sysfs: cannot create duplicate filename "),
    (Headline, r"^debugfs: .*already (?:exists in|present!)"),
    (Headline, r"^proc_dir_entry '.+' already registered"),
    (Headline, r"^sysctl (?:duplicate entry|table check failed): "),
    // init/main.c, init/do_mounts.c
    (Headline, r"^VFS: (?:Unable to mount root fs|Cannot open root device)"),
    (Headline, r"^Failed to execute /\S+ \(error "),
    // kernel/printk: what is lost may be what mattered.
    (Headline, r"^\*\* \d+ printk messages dropped \*\*"),
];

/// So many bytes hold what the rules have come to on any log; with the crate's default, which they
/// outgrow, a log full of reports takes ten times as long.
const AUTOMATON: usize = 32 << 20;

/// What this message is in a report, if anything.
pub fn role(message: &str) -> Option<Role> {
    static SET: LazyLock<RegexSet> = LazyLock::new(|| {
        RegexSetBuilder::new(RULES.iter().map(|(_, pattern)| pattern))
            .dfa_size_limit(AUTOMATON)
            .build()
            .expect("they are constants")
    });
    let first = SET.matches(message).into_iter().next()?;
    Some(RULES[first].0)
}
