// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Prints which programs are executed and which fail, for ten seconds. The kernel filters.

use std::time::{Duration, Instant};

use connector_client::{
    Connector, Error, ProcEvent, Result,
    proc::{Events, What},
};

fn main() -> Result<()> {
    let connector = Connector::open()?;
    let wanted = Events::EXEC | Events::NONZERO_EXIT;
    connector.subscribe_proc(wanted, Duration::from_secs(1))?;
    let end = Instant::now() + Duration::from_secs(10);
    loop {
        let message = match connector.recv(end) {
            Err(Error::TimedOut { .. }) => break,
            event => event?.into_message()?,
        };
        let Some(event) = ProcEvent::parse(&message).transpose()? else {
            continue;
        };
        match event.what {
            _ if !wanted.wants(&event) => {}
            What::Exec { task } => println!("{} executes a program", task.pid),
            What::Exit { task, status, .. } => println!("{} failed: {status}", task.pid),
            _ => {}
        }
    }
    connector.unsubscribe_proc()
}
