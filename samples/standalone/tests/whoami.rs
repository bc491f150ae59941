// SPDX-License-Identifier: GPL-2.0

//! What `cn_whoami` promises. Runs in a VM, as root, with the modules in its folder `modules`.

use std::process::ExitCode;

use anyhow::{Result, ensure};
use selftests::{CbId, Client, Module, Suite};

const WHOAMI: CbId = CbId { idx: 30, val: 1 };

fn who_asks_is_told() -> Result<()> {
    // Unloaded when they are dropped, the last one first.
    let (_connector, _module) = Module::load_with_connector("cn_whoami", "")?;
    let client = Client::open()?;
    let reply = client.ask(&Client::header(WHOAMI, 1, 0), b"")?;
    let expected = format!(
        "portid={} pid={} uid=0 gid=0 net_admin=yes asked=1",
        client.portid(),
        std::process::id()
    );
    ensure!(
        reply.data == expected.as_bytes(),
        "{:?}",
        reply.data.escape_ascii()
    );
    Ok(())
}

fn all_are_told_who_asked() -> Result<()> {
    let (_connector, _module) = Module::load_with_connector("cn_whoami", "")?;
    let listener = Client::open_in(WHOAMI.idx)?;
    let client = Client::open()?;
    for seq in 0..3 {
        client.ask(&Client::header(WHOAMI, 1, 0), b"")?;
        let told = listener.recv_now()?;
        let expected = format!("portid={}", client.portid());
        ensure!(
            told.header.seq == seq && told.data == expected.as_bytes(),
            "the {seq}th broadcast is {:?} {}",
            told.header,
            told.data.escape_ascii()
        );
    }
    Ok(())
}

fn main() -> ExitCode {
    Suite::new()
        .test("who asks is told who it is", who_asks_is_told)
        .test("who listens is told who asked", all_are_told_who_asked)
        .run()
}
