// SPDX-License-Identifier: GPL-2.0 OR MIT

//! 100 threads ask the echo service 1000 times each, or as often as the argument says, over one
//! socket. Each gets its own replies, whichever thread received them. Load `cn_echo` first.

use std::{env, thread, time::Duration};

use netlink_connector::{CbId, Connector, Result};

const ECHO: CbId = CbId { idx: 16, val: 1 };

fn main() -> Result<()> {
    let each = env::args()
        .nth(1)
        .map_or(1000, |number| number.parse().expect("not a number"));
    let connector = Connector::open()?;
    thread::scope(|scope| -> Result<()> {
        let threads: Vec<_> = (0..100u32)
            .map(|number| {
                let connector = &connector;
                scope.spawn(move || ask(connector, number, each))
            })
            .collect();
        for thread in threads {
            thread.join().expect("a thread panicked")?;
        }
        Ok(())
    })?;
    println!("{} replies, none mixed up", 100 * each);
    Ok(())
}

fn ask(connector: &Connector, thread: u32, requests: u32) -> Result<()> {
    for number in 0..requests {
        let data = [thread.to_ne_bytes(), number.to_ne_bytes()].concat();
        let reply = connector.request(&connector.header(ECHO), &data, Duration::from_secs(30))?;
        assert_eq!(reply.data, data, "a reply to somebody else");
    }
    Ok(())
}
