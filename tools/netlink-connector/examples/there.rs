// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Says whether anybody is at an id, as far as the connector tells: `there 16:1`. A second argument is
//! for how many seconds to wait for a reply. Needs the feature `tokio`.

use std::{env, time::Duration};

use netlink_connector::{AsyncConnector, CbId, Connector, Core, Error, Result};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let mut arguments = env::args().skip(1);
    let id: CbId = arguments
        .next()
        .and_then(|id| id.parse().ok())
        .expect("not an id, such as 16:1");
    let seconds = arguments
        .next()
        .map_or(1.0, |number| number.parse().expect("not a number"));
    let limit = Duration::from_secs_f64(seconds);

    let connector = AsyncConnector::new(Connector::open()?)?;
    let header = connector.header(id);
    let short = limit.min(Duration::from_secs(1));
    let said = match connector.send_acknowledged(&header, b"sent", short).await {
        Ok(true) => "handled it",
        Ok(false) => "does not say",
        Err(Error::NotRegistered { .. }) => "nobody is there",
        Err(error) => return Err(error),
    };
    println!("{}: {said}", Core::find()?);

    match connector
        .request(&connector.header(id), b"sent", limit)
        .await
    {
        Ok(reply) => println!("its reply has {} bytes", reply.data.len()),
        Err(Error::NotRegistered { .. }) => println!("and so says a request"),
        Err(Error::TimedOut { .. }) => println!("no reply in time"),
        Err(error) => return Err(error),
    }
    Ok(())
}
