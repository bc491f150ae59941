// SPDX-License-Identifier: GPL-2.0

//! A module that was built in a tree of its own works like any other.
//!
//! It is `samples/standalone`, which tells every sender who it is. The harness builds it outside of
//! the project's tree, with nothing but what `build/connector` has.

use std::process::ExitCode;

use anyhow::{Result, ensure};
use nix::unistd::{getgid, getpid, getuid};
use selftests::{CbId, Client, Module, Suite};

const WHOAMI: CbId = CbId { idx: 30, val: 1 };

fn whoami() -> Result<()> {
    let (_connector, _whoami) = Module::load_with_connector("cn_whoami", "")?;
    let client = Client::open()?;
    let reply = client.ask(&Client::header(WHOAMI, 7, 3), b"")?;
    let expected = format!(
        "portid={} pid={} uid={} gid={} net_admin=yes asked=1",
        client.portid(),
        getpid(),
        getuid(),
        getgid()
    );
    let said = String::from_utf8_lossy(&reply.data);
    ensure!(said == expected, "it said `{said}`, not `{expected}`");
    Ok(())
}

fn main() -> ExitCode {
    Suite::new()
        .test(
            "the sample in a tree of its own answers who its sender is",
            whoami,
        )
        .run()
}
