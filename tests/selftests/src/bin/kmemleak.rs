// SPDX-License-Identifier: GPL-2.0

//! What was allocated and is referred to by nobody any more: kmemleak's findings since the machine
//! came up, which is why this runs after all other programs (scripts/guest/init).

use std::{fs, path::Path, process::ExitCode, thread, time::Duration};

use anyhow::{Result, ensure};
use selftests::{Suite, procfs, skip};

const KMEMLEAK: &str = "/sys/kernel/debug/kmemleak";

/// kmemleak takes nothing for a leak that is younger than five seconds.
const AGE: Duration = Duration::from_secs(6);

/// Leaks that are not ours: those of the programs that have modules forget what they made, to see
/// what comes of it; and what the kernel's own `cn_proc` notes about a listener, which it frees
/// only if the socket is closed in the group (`cn_release()`).
const KNOWN: [&str; 4] = [
    "comm \"leak\"",
    "comm \"periodic\"",
    "comm \"soundness\"",
    "cn_proc_mcast_ctl",
];

fn no_leaks() -> Result<()> {
    if !Path::new(KMEMLEAK).exists() {
        return skip("the kernel lacks CONFIG_DEBUG_KMEMLEAK");
    }
    ensure!(
        !procfs::is_loaded("rust_connector")? && !procfs::is_loaded("cn")?,
        "what a loaded module leaks is not seen"
    );
    thread::sleep(AGE);
    // An object that changes is in use: it takes a second look to find out.
    for _ in 0..2 {
        fs::write(KMEMLEAK, "scan")?;
    }
    let found = fs::read_to_string(KMEMLEAK)?;
    // A finding begins at the left, and goes on indented.
    let mut leaks = Vec::<String>::new();
    for line in found.lines() {
        match leaks.last_mut() {
            Some(leak) if line.starts_with(' ') => *leak += &format!("\n{line}"),
            _ => leaks.push(line.to_owned()),
        }
    }
    leaks.retain(|leak| !KNOWN.iter().any(|known| leak.contains(known)));
    ensure!(
        leaks.is_empty(),
        "{} leaks:\n{}",
        leaks.len(),
        leaks.join("\n")
    );
    Ok(())
}

fn main() -> ExitCode {
    Suite::new()
        .test("all tests together leaked no memory", no_leaks)
        .run()
}
