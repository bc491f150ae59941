// SPDX-License-Identifier: GPL-2.0

//! Threads that ask and receive on one socket.

use std::rc::Rc;

use connector_wire::{CbId, Header};
use kernel::Model;
use loom::thread::{self, JoinHandle};
use rustix::io::Errno;

use crate::{
    Connector,
    deadline::Deadline,
    error::Error,
    event::Event,
    socket::{self, Waited},
};

/// All of them.
pub const MODELS: &[Model] = &[
    Model {
        name: "client-requests",
        property: "each of two threads that ask at once gets its own reply",
        cpus: 2,
        preemptions: Some(3),
        run: requests,
    },
    Model {
        name: "client-late",
        property: "each of two threads gets its own reply, whoever receives it, and none sleeps on",
        cpus: 2,
        preemptions: Some(2),
        run: late,
    },
    Model {
        name: "client-inbox",
        property: "who asks gets the reply, and who receives gets all else",
        cpus: 2,
        preemptions: Some(2),
        run: inbox,
    },
    Model {
        name: "client-leaves",
        property: "when who receives for all stops, another thread does",
        cpus: 2,
        preemptions: Some(2),
        run: leaves,
    },
    Model {
        name: "client-fails",
        property: "a request that fails leaves nobody behind who would take the next one's reply",
        cpus: 1,
        preemptions: None,
        run: fails,
    },
    Model {
        name: "client-reply-wakes",
        property: "who waits for a message holds up nobody who asks, and hands over the reply",
        cpus: 2,
        preemptions: Some(3),
        run: reply_wakes,
    },
    Model {
        name: "client-news-wake",
        property: "who receives has what comes though who receives it for all goes on to wait",
        cpus: 2,
        preemptions: Some(3),
        run: news_wake,
    },
];

const ID: CbId = CbId { idx: 16, val: 1 };

fn connector(answers_later: bool) -> Rc<Connector> {
    socket::answers_later(answers_later);
    Rc::new(Connector::open().expect("there is a socket"))
}

/// Asks, and gets the reply to that.
fn ask(connector: &Rc<Connector>) -> JoinHandle<()> {
    let connector = connector.clone();
    thread::spawn(move || {
        let request = connector.header(ID);
        let reply = connector.request(&request, b"", Deadline::NEVER);
        let reply = reply.expect("a reply comes");
        assert!(reply.header.is_reply_to(&request), "it is another one's");
    })
}

fn requests() {
    let connector = connector(false);
    let threads = [ask(&connector), ask(&connector)];
    for thread in threads {
        thread.join().expect("it ends");
    }
    drop(connector);
    socket::end();
}

fn late() {
    let connector = connector(true);
    let threads = [ask(&connector), ask(&connector)];
    socket::answer();
    socket::answer();
    for thread in threads {
        thread.join().expect("it ends");
    }
    drop(connector);
    socket::end();
}

fn fails() {
    let connector = connector(true);
    let request = connector.header(ID);
    let ask = |data: &[u8]| connector.request(&request, data, Deadline::NEVER);
    let succeeds = || {
        socket::answers_later(false);
        let reply = ask(b"").expect("a reply comes");
        assert!(reply.header.is_reply_to(&request));
        socket::answers_later(true);
    };
    assert!(ask(&[0; u16::MAX as usize]).is_err(), "it is too large");
    succeeds();
    socket::next_wait(Err(Errno::IO));
    assert!(matches!(ask(b""), Err(Error::Io { .. })));
    succeeds();
    socket::next_wait(Ok(Waited::Interrupted));
    assert!(matches!(ask(b""), Err(Error::Interrupted)));
    succeeds();
    drop(connector);
    socket::end();
}

/// A message that replies to nothing.
const NEWS: Header = Header {
    id: ID,
    seq: 0x7777_0000,
    ack: 0,
    len: 0,
    flags: 0,
};

fn inbox() {
    let connector = connector(false);
    let asks = ask(&connector);
    let service = thread::spawn(|| socket::bring(&NEWS));
    let event = connector.recv(Deadline::NEVER).expect("news come");
    assert!(matches!(event, Event::Message(message) if message.header == NEWS));
    asks.join().expect("it ends");
    service.join().expect("it ends");
    drop(connector);
    socket::end();
}

fn leaves() {
    let connector = connector(true);
    let asks = ask(&connector);
    let other = {
        let connector = connector.clone();
        thread::spawn(move || match connector.recv(Deadline::NOW) {
            Err(Error::TimedOut { .. }) => {}
            other => panic!("there is nothing to receive: {other:?}"),
        })
    };
    socket::answer();
    asks.join().expect("it ends");
    other.join().expect("it ends");
    drop(connector);
    socket::end();
}

fn reply_wakes() {
    let connector = connector(false);
    let asks = {
        let asks = ask(&connector);
        // What the other one waits for comes after the reply is there.
        thread::spawn(move || {
            asks.join().expect("it ends");
            socket::bring(&NEWS);
        })
    };
    let event = connector.recv(Deadline::NEVER).expect("news come");
    assert!(matches!(event, Event::Message(message) if message.header == NEWS));
    asks.join().expect("it ends");
    drop(connector);
    socket::end();
}

fn news_wake() {
    let connector = connector(true);
    let asks = ask(&connector);
    let service = thread::spawn(|| socket::bring(&NEWS));
    connector.recv(Deadline::NEVER).expect("news come");
    // What the other one waits for comes after that.
    socket::answer();
    asks.join().expect("it ends");
    service.join().expect("it ends");
    drop(connector);
    socket::end();
}
