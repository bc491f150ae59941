// SPDX-License-Identifier: GPL-2.0

//! `Connector::request`: each gets its own reply, whatever else comes; or is told that none came.

use std::{
    process::ExitCode,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, bail, ensure};
use netlink_connector::{Cause, Connector, Deadline, Error, Event, Message};
use selftests::{
    CbId, ECHO, Header, Module, PATIENCE, Stats, Suite,
    puppet::{PUPPET, Puppet, STRINGS, To, order},
    times,
};

const REQUESTS: u32 = 16;
const THREADS: u32 = 100;
const EACH: u32 = 1000;

/// Enough to be sure that nobody will answer, since answers come while the request is sent.
const SHORT: Duration = Duration::from_millis(50);

fn message(event: Event) -> Result<Message> {
    match event {
        Event::Message(message) => Ok(message),
        other => bail!("this is no message: {other:?}"),
    }
}

/// The reply to `request`, and messages that differ from it in one thing each.
fn reply_and_strangers(request: &Header) -> (Header, [Header; 4]) {
    let reply = request.reply(0);
    let strangers = [
        Header {
            ack: request.ack,
            ..reply
        },
        Header {
            // By neither reading of the rule.
            ack: request.ack.wrapping_add(2),
            ..reply
        },
        Header {
            seq: request.seq.wrapping_sub(1000),
            ..reply
        },
        Header {
            id: CbId { idx: 30, val: 10 },
            ..reply
        },
    ];
    (reply, strangers)
}

fn out_of_order() -> Result<()> {
    let puppet = Puppet::load()?;
    let connector = Connector::open()?;
    let requests: Vec<_> = (0..REQUESTS)
        .map(|number| Header {
            // Some that wrap.
            ack: u32::MAX.wrapping_add(number % 3),
            ..connector.header(PUPPET)
        })
        .collect();
    let strangers = thread::scope(|scope| {
        let waiting: Vec<_> = requests
            .iter()
            .map(|request| scope.spawn(|| connector.request(request, b"", PATIENCE)))
            .collect();
        puppet.wait_for_requests(REQUESTS.into())?;
        let to = To::Port(connector.portid());
        let mut strangers = Vec::new();
        // An order that is neither theirs nor the reverse.
        for number in (0..REQUESTS).map(|number| (number * 7 + 3) % REQUESTS) {
            let (reply, others) = reply_and_strangers(&requests[number as usize]);
            for other in others {
                puppet.send(to, &[(other, b"stranger")])?;
                strangers.push(other);
            }
            puppet.send(to, &[(reply, &number.to_ne_bytes())])?;
        }
        for (number, waiting) in (0..REQUESTS).zip(waiting) {
            let reply = waiting.join().map_err(|_| anyhow!("a thread panicked"))?;
            let reply = reply.with_context(|| format!("request {number}"))?;
            ensure!(
                reply.header.is_reply_to(&requests[number as usize])
                    && reply.data == number.to_ne_bytes(),
                "request {number} got {reply:?}"
            );
        }
        anyhow::Ok(strangers)
    })?;
    for expected in strangers {
        let stranger = message(connector.recv(Deadline::NOW)?)?;
        let got = Header {
            len: 0,
            ..stranger.header
        };
        ensure!(
            got == expected && stranger.data == b"stranger",
            "{stranger:?} came where {expected:?} was due"
        );
    }
    expect_nothing(&connector)
}

fn expect_nothing(connector: &Connector) -> Result<()> {
    match connector.recv(Deadline::NOW) {
        Err(error) if error.is_timeout() => Ok(()),
        other => bail!("nothing should have come, but this did: {other:?}"),
    }
}

/// What services answer that read the rule in the other way.
fn other_reading() -> Result<()> {
    let puppet = Puppet::load()?;
    let connector = Connector::open()?;
    let request = Header {
        ack: 0,
        ..connector.header(PUPPET)
    };
    let reply = Header {
        ack: request.seq.wrapping_add(1),
        ..request
    };
    thread::scope(|scope| {
        let waiting = scope.spawn(|| connector.request(&request, b"", PATIENCE));
        puppet.wait_for_requests(1)?;
        puppet.send(To::Port(connector.portid()), &[(reply, b"other")])?;
        let reply = waiting.join().map_err(|_| anyhow!("a thread panicked"))??;
        ensure!(reply.data == b"other", "{reply:?}");
        anyhow::Ok(())
    })?;
    // A new request leaves no choice.
    let new = connector.header(PUPPET);
    ensure!(new.ack == new.seq, "{new:?}");
    expect_nothing(&connector)
}

fn hundred_threads() -> Result<()> {
    let (_connector, _echo) = Module::load_with_connector("cn_echo", "")?;
    let connector = Connector::open()?;
    let each = times(EACH);
    let ask = |number: u32| -> Result<()> {
        for n in 0..each {
            let data = [number, n].map(u32::to_ne_bytes).concat();
            let request = connector.header(ECHO);
            let reply = connector.request(&request, &data, PATIENCE)?;
            ensure!(
                reply.header.is_reply_to(&request) && reply.data == data,
                "thread {number} got {reply:?} to its request {n}"
            );
        }
        Ok(())
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|number| scope.spawn(move || ask(number)))
            .collect();
        threads.into_iter().try_for_each(|thread| {
            let result = thread.join().map_err(|_| anyhow!("a thread panicked"))?;
            result.context("one of the threads")
        })
    })?;
    let stats = Stats::of(ECHO)?;
    let expected = u64::from(THREADS * each);
    ensure!(
        (stats.received, stats.replied, stats.dropped()) == (expected, expected, 0),
        "the counters say {stats:?}"
    );
    expect_nothing(&connector)
}

fn no_reply() -> Result<()> {
    let puppet = Puppet::load()?;
    let connector = Connector::open()?;
    let request = connector.header(PUPPET);
    let start = Instant::now();
    match connector.request(&request, b"anyone?", SHORT) {
        Err(
            ref error @ Error::TimedOut {
                request: Some(of),
                overrun: false,
            },
        ) => {
            let text = error.to_string();
            let seq = format!("seq {}", request.seq);
            ensure!(of == request, "the time-out is that of {of:?}");
            ensure!(text.contains("30:8") && text.contains(&seq), "{text}");
        }
        other => bail!("there is no reply to wait for: {other:?}"),
    }
    ensure!(start.elapsed() >= SHORT, "it gave up too early");

    // The reply comes after all, when nobody waits for it.
    let to = To::Port(connector.portid());
    puppet.send(to, &[(request.reply(0), b"late")])?;
    let late = message(connector.recv(Deadline::NOW)?)?;
    ensure!(
        late.header.is_reply_to(&request) && late.data == b"late",
        "{late:?}"
    );
    expect_nothing(&connector)
}

fn nobody_there() -> Result<()> {
    let _core = Module::load_core()?;
    let connector = Connector::open()?;
    let nobody = CbId { idx: 77, val: 77 };
    match connector.request(&connector.header(nobody), b"", SHORT) {
        Err(Error::TimedOut { overrun: false, .. }) => expect_nothing(&connector),
        other => bail!("nobody has this id, but {other:?}"),
    }
}

fn lost_reply() -> Result<()> {
    const SENT: u32 = 300;
    let _puppet = Puppet::load()?;
    let connector = Connector::builder().receive_buffer(0).open()?;
    // While the request is sent, so much comes that its reply finds no room.
    let other = Header {
        id: PUPPET,
        ..Header::default()
    };
    let to = To::Port(connector.portid());
    let order = order(to, SENT, &[(other, &[0; 500])]);
    let request = connector.header(STRINGS);
    match connector.request(&request, &order, SHORT) {
        Err(ref error @ Error::TimedOut { overrun: true, .. }) => {
            ensure!(error.to_string().contains("overran"), "{error}");
        }
        other => bail!("the reply was lost in an overrun, but {other:?}"),
    }
    // What came before it was kept, and what did not is counted: one of them was the reply.
    let mut kept = 0;
    let lost = loop {
        match connector.recv(Deadline::NOW)? {
            Event::Message(message) => {
                let seq = message.header.seq;
                ensure!(seq == kept, "{seq} came where {kept} was due");
                kept += 1;
            }
            Event::Overrun(overrun) => {
                ensure!(overrun.cause == Cause::ReceiveBuffer, "{overrun:?}");
                break overrun.lost.context("how many were lost is known")?;
            }
            other => bail!("{other:?}"),
        }
    };
    let all = u64::from(SENT) + 1;
    ensure!(
        kept > 0 && u64::from(kept) + lost == all,
        "{kept} came and {lost} were lost of {all}"
    );
    expect_nothing(&connector)
}

fn full_inbox() -> Result<()> {
    const SENT: u32 = 100;
    let _puppet = Puppet::load()?;
    let connector = Connector::builder().inbox(4096).open()?;
    let other = Header {
        id: PUPPET,
        ..Header::default()
    };
    let to = To::Port(connector.portid());
    let order = order(to, SENT, &[(other, &[0; 100])]);
    // The reply is behind more messages than are kept.
    let reply = connector.request(&connector.header(STRINGS), &order, PATIENCE)?;
    ensure!(reply.data == SENT.to_ne_bytes(), "{reply:?}");
    let mut kept = 0;
    let lost = loop {
        match connector.recv(Deadline::NOW)? {
            Event::Message(message) if message.header.seq == kept => kept += 1,
            Event::Overrun(overrun) if overrun.cause == Cause::Inbox => {
                break overrun.lost.context("how many were dropped is known")?;
            }
            other => bail!("{other:?} after {kept} messages"),
        }
    };
    ensure!(
        kept > 0 && u64::from(kept) + lost == u64::from(SENT),
        "{kept} were kept and {lost} lost of {SENT}"
    );
    expect_nothing(&connector)
}

fn main() -> ExitCode {
    Suite::new()
        .test(
            "16 threads get their replies in any order, and strangers in between stay for recv",
            out_of_order,
        )
        .test(
            "a reply by the other reading of the rule reaches its request, too",
            other_reading,
        )
        .test(
            "100 threads with 1000 requests each over one socket all get their own replies",
            hundred_threads,
        )
        .test(
            "a request without a reply is a time-out that names it, and a late reply is kept",
            no_reply,
        )
        .test(
            "a request to an id that nobody has is a time-out",
            nobody_there,
        )
        .test(
            "a time-out says that the receive buffer overran, and recv how much was lost and where",
            lost_reply,
        )
        .test(
            "an inbox that is full tells once, at its end, how much was dropped",
            full_inbox,
        )
        .run()
}
