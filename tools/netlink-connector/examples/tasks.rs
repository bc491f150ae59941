// SPDX-License-Identifier: GPL-2.0 OR MIT

//! 100 tasks ask the echo service 1000 times each, or as often as the argument says, over one
//! socket, on one thread. Load `cn_echo` first. Needs the feature `tokio`.

use std::{env, sync::Arc, time::Duration};

use netlink_connector::{AsyncConnector, CbId, Connector, Result};

const ECHO: CbId = CbId { idx: 16, val: 1 };

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let each = env::args()
        .nth(1)
        .map_or(1000, |number| number.parse().expect("not a number"));
    let connector = Arc::new(AsyncConnector::new(Connector::open()?)?);
    let tasks: Vec<_> = (0..100u32)
        .map(|number| tokio::spawn(ask(Arc::clone(&connector), number, each)))
        .collect();
    for task in tasks {
        task.await.expect("a task panicked")?;
    }
    println!("{} replies, none mixed up", 100 * each);
    Ok(())
}

async fn ask(connector: Arc<AsyncConnector>, task: u32, requests: u32) -> Result<()> {
    for number in 0..requests {
        let data = [task.to_ne_bytes(), number.to_ne_bytes()].concat();
        let request = connector.header(ECHO);
        let reply = connector.request(&request, &data, Duration::from_secs(30));
        assert_eq!(reply.await?.data, data, "a reply to somebody else");
    }
    Ok(())
}
