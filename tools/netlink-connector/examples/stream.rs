// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Prints which programs are executed, as an asynchronous stream, for so many seconds as the
//! argument says, or ten. Then the stream is dropped, and the kernel told. Needs the feature `tokio`.

use std::{env, future::poll_fn, pin::Pin, time::Duration};

use futures_core::Stream;
use netlink_connector::{
    ProcEventStream, Result,
    proc::{Events, What},
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let seconds = env::args()
        .nth(1)
        .map_or(10, |number| number.parse().expect("not a number"));
    let mut events = ProcEventStream::subscribe(Events::EXEC).await?;
    println!("listening");
    let print = async {
        // With the trait `StreamExt` of tokio-stream or futures: `events.next().await`.
        while let Some(event) = poll_fn(|context| Pin::new(&mut events).poll_next(context)).await {
            if let What::Exec { task } = event?.what {
                println!("{} executes a program", task.pid);
            }
        }
        Ok(())
    };
    tokio::time::timeout(Duration::from_secs(seconds), print)
        .await
        .unwrap_or(Ok(()))
}
