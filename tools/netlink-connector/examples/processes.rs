// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Prints which programs are executed and which fail, for ten seconds. The kernel filters.

use std::time::{Duration, Instant};

use netlink_connector::{
    Error, ProcEvents, Result,
    proc::{Events, What},
};

fn main() -> Result<()> {
    let mut events = ProcEvents::subscribe(Events::EXEC | Events::NONZERO_EXIT)?;
    let end = Instant::now() + Duration::from_secs(10);
    loop {
        match events.recv(end) {
            Ok(event) => match event.what {
                What::Exec { task } => println!("{} executes a program", task.pid),
                What::Exit { task, status, .. } => println!("{} failed: {status}", task.pid),
                _ => {}
            },
            Err(Error::Overrun(lost)) => println!("{lost}"),
            Err(Error::TimedOut { .. }) => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}
