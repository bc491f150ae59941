// SPDX-License-Identifier: GPL-2.0

//! Asks `cn_whoami` who this is; with `listen`, prints who asks.

use std::{env, process::ExitCode, time::Duration};

use netlink_connector::{CbId, Connector, Deadline, Error, Group};

const WHOAMI: CbId = CbId { idx: 30, val: 1 };

fn main() -> ExitCode {
    let result = match env::args().nth(1).as_deref() {
        None => ask(),
        Some("listen") => listen(),
        Some(_) => {
            eprintln!("Usage: askwho [listen]");
            return ExitCode::from(2);
        }
    };
    if let Err(error) = result {
        eprintln!("askwho: {error}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn ask() -> Result<(), Error> {
    let connector = Connector::open()?;
    let request = connector.header(WHOAMI);
    let reply = connector.request(&request, b"", Duration::from_secs(5))?;
    println!("{}", reply.data.escape_ascii());
    Ok(())
}

fn listen() -> Result<(), Error> {
    let group = Group::of(WHOAMI).expect("30 is a group");
    let connector = Connector::builder().group(group).open()?;
    loop {
        let message = connector.recv(Deadline::NEVER)?.into_message()?;
        println!("{} {}", message.header.seq, message.data.escape_ascii());
    }
}
