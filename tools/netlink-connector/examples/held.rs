// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Futures that are held and not polled keep nothing from those that are: some tasks begin to wait
//! and then do something else for good, and one goes on asking and listening. Load `cn_echo` first,
//! and `cn_test`, as root. Needs the feature `tokio`.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    task::Poll,
    time::Duration,
};

use netlink_connector::{AsyncConnector, CbId, Connector, Group, RecvBatch, Result};

const ECHO: CbId = CbId { idx: 16, val: 1 };

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let group = Group::new(14).expect("14 is a group");
    let socket = AsyncConnector::open(Connector::builder().group(group))?;
    let (mut first, mut last) = (pin!(socket.recv()), pin!(socket.recv()));
    // What has come by now is none of them.
    while !is_pending(first.as_mut()).await {
        first.set(socket.recv());
    }
    for _ in 0..3 {
        let request = socket.header(ECHO);
        let reply = socket.request(&request, b"still there?", Duration::from_secs(60));
        assert_eq!(reply.await?.data, b"still there?");
        let event = tokio::time::timeout(Duration::from_secs(60), socket.recv()).await;
        println!("{:?}", event.expect("a broadcast every second")?);
        // One more that begins to wait, and is last in every row.
        let _ = is_pending(last.as_mut()).await;
    }
    // As many as there are, of which there is at least one.
    let mut batch = RecvBatch::new(8);
    let received = tokio::time::timeout(Duration::from_secs(60), socket.recv_many(&mut batch));
    received.await.expect("a broadcast every second")?;
    for event in batch.drain() {
        println!("{:?}", event?);
    }
    // One that is cancelled takes nothing with it.
    let _ = is_pending(pin!(socket.recv_many(&mut batch))).await;
    for event in batch.drain() {
        println!("{:?}", event?);
    }
    println!("{:?}", socket.recv().await?);
    Ok(())
}

/// Polls a future once.
async fn is_pending<F: Future>(mut future: std::pin::Pin<&mut F>) -> bool {
    poll_fn(|context| Poll::Ready(future.as_mut().poll(context).is_pending())).await
}
