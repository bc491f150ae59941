// SPDX-License-Identifier: GPL-2.0

//! `Connector::request`: each gets its own reply, whatever else comes; or is told that none came.

use std::{
    os::fd::{AsRawFd, OwnedFd},
    process::ExitCode,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, bail, ensure};
use netlink_connector::{Cause, Connector, Core, Deadline, Error, Event, Message, RecvBatch};
use nix::{
    libc,
    sys::socket::{MsgFlags, NetlinkAddr, sendto, setsockopt, sockopt::SetStruct},
};
use selftests::{
    CbId, ECHO, Header, Module, PATIENCE, Stats, Suite, core_is_ours, datagram, debugfs,
    puppet::{PUPPET, Puppet, STRINGS, To, order},
    times,
};

/// The flag of a netlink message that asks for an acknowledgement.
const NLM_F_ACK: u16 = 4;

/// `NETLINK_CAP_ACK`: an error repeats the header of a message and not the rest.
#[derive(Clone, Copy)]
struct CapAck;
nix::setsockopt_impl!(
    CapAck,
    libc::SOL_NETLINK,
    libc::NETLINK_CAP_ACK,
    u32,
    SetStruct<'_, u32>
);

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
        puppet.wait_for_requests(REQUESTS)?;
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
    if debugfs::is_there()? {
        let stats = Stats::of(ECHO)?;
        let expected = u64::from(THREADS * each);
        ensure!(
            (stats.received, stats.replied, stats.dropped()) == (expected, expected, 0),
            "the counters say {stats:?}"
        );
    }
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
                acknowledged,
            },
        ) => {
            let text = error.to_string();
            let seq = format!("seq {}", request.seq);
            ensure!(of == request, "the time-out is that of {of:?}");
            // The service is there; only a core that acknowledges says so.
            ensure!(acknowledged == core_is_ours(), "{error:?}");
            ensure!(text.contains("nobody registered") != acknowledged, "{text}");
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
    let request = connector.header(nobody);
    // On a core that acknowledges the reply could take as long as it likes.
    let deadline = if core_is_ours() { PATIENCE } else { SHORT };
    match (connector.request(&request, b"", deadline), core_is_ours()) {
        (Err(Error::TimedOut { overrun: false, .. }), false) => {}
        (Err(error @ Error::NotRegistered { .. }), true) => not_registered(&error, &request)?,
        (other, _) => bail!("nobody has this id, but {other:?}"),
    }
    expect_nothing(&connector)
}

/// Fails unless it is a good error for a request to an id that nobody has.
fn not_registered(error: &Error, request: &Header) -> Result<()> {
    let text = error.to_string();
    let words = "(the connector says: nobody has registered this id)";
    ensure!(
        matches!(error, Error::NotRegistered { request: of, .. } if of == request)
            && text.contains(&request.id.to_string())
            && text.contains(words)
            && text.contains("load the module"),
        "{error:?}: {text}"
    );
    Ok(())
}

/// Requests of which each has its acknowledgement before the reply, behind it, or instead of it, all at
/// the same time over one socket.
fn acknowledgements_among_threads() -> Result<()> {
    let puppet = Puppet::load()?;
    let echo = Module::load("cn_echo", "")?;
    let connector = Connector::open()?;
    let nobody = CbId { idx: 77, val: 77 };
    let deadline = if core_is_ours() { PATIENCE } else { SHORT };
    let later = connector.header(PUPPET);
    thread::scope(|scope| {
        let waiting = scope.spawn(|| connector.request(&later, b"", PATIENCE));
        puppet.wait_for_requests(1)?;
        let others: Vec<_> = (0..REQUESTS)
            .map(|number| {
                let connector = &connector;
                scope.spawn(move || match number % 2 {
                    0 => {
                        let request = connector.header(ECHO);
                        let reply = connector.request(&request, b"echo", PATIENCE)?;
                        ensure!(reply.data == b"echo", "{reply:?}");
                        Ok(())
                    }
                    _ => {
                        let request = connector.header(nobody);
                        match connector.request(&request, b"", deadline) {
                            Err(Error::TimedOut { .. }) if !core_is_ours() => Ok(()),
                            Err(error) => not_registered(&error, &request),
                            other => bail!("nobody has this id, but {other:?}"),
                        }
                    }
                })
            })
            .collect();
        for other in others {
            other.join().map_err(|_| anyhow!("a thread panicked"))??;
        }
        puppet.send(To::Port(connector.portid()), &[(later.reply(0), b"later")])?;
        let reply = waiting.join().map_err(|_| anyhow!("a thread panicked"))??;
        ensure!(reply.data == b"later", "{reply:?}");
        anyhow::Ok(())
    })?;
    expect_nothing(&connector)?;
    drop(connector);
    echo.unload()
}

/// Whoever polls the socket, or receives from it, sees nothing of acknowledgements.
fn nothing_is_left() -> Result<()> {
    let (_connector, _echo) = Module::load_with_connector("cn_echo", "")?;
    let connector = Connector::open()?;
    let queued = || -> Result<u32> {
        let portid = connector.portid();
        let socket = netlink_connector::sockets()?;
        let socket = socket.into_iter().find(|socket| socket.portid == portid);
        Ok(socket
            .context("the socket is not in the list")?
            .receive_queue)
    };
    // The first one asks for an acknowledgement, which comes behind the reply.
    for _ in 0..2 {
        connector.request(&connector.header(ECHO), b"", PATIENCE)?;
        ensure!(queued()? == 0, "something is left to be received");
    }
    // Nobody waited for this one: it is there until somebody receives, and then nothing.
    let mut asking = datagram(&Header::request(ECHO, 1), b"");
    asking[6..8].copy_from_slice(&NLM_F_ACK.to_ne_bytes());
    connector.send_raw(&asking)?;
    let echoed = message(connector.recv(Deadline::NOW)?)?;
    ensure!(echoed.header.seq == 1, "{echoed:?}");
    expect_nothing(&connector)?;
    // The same for who receives several at a time.
    connector.send_raw(&asking)?;
    connector.send_raw(&asking)?;
    let mut batch = RecvBatch::new(8);
    connector.recv_many(&mut batch, Deadline::NOW)?;
    let events: Vec<_> = batch.drain().collect::<Result<_, _>>()?;
    ensure!(events.len() == 2, "{events:?}");
    ensure!(queued()? == 0, "something is left to be received");
    Ok(())
}

/// What a process sends is no acknowledgement, also where processes are listened to.
fn forged() -> Result<()> {
    let puppet = Puppet::load()?;
    let connector = Connector::builder().accept_processes().open()?;
    let forger = Connector::builder().accept_processes().open()?;
    let request = connector.header(PUPPET);
    thread::scope(|scope| {
        let waiting = scope.spawn(|| connector.request(&request, b"", PATIENCE));
        puppet.wait_for_requests(1)?;
        let asked = datagram(&request, b"");
        // An NLMSG_ERROR that repeats the message, with ENODEV.
        let mut forged = [&asked[..16], &(-19_i32).to_ne_bytes(), &asked].concat();
        let len = u32::try_from(forged.len())?;
        forged[..4].copy_from_slice(&len.to_ne_bytes());
        forged[4..6].copy_from_slice(&2_u16.to_ne_bytes());
        send_to(&forger, connector.portid(), &forged)?;
        puppet.send(To::Port(connector.portid()), &[(request.reply(0), b"true")])?;
        let reply = waiting.join().map_err(|_| anyhow!("a thread panicked"))??;
        ensure!(reply.data == b"true", "{reply:?}");
        anyhow::Ok(())
    })?;
    match connector.recv(Deadline::NOW) {
        Err(Error::Malformed(_)) => expect_nothing(&connector),
        other => bail!("a forged acknowledgement was received, and shown as {other:?}"),
    }
}

/// Sends a datagram to another process's socket.
fn send_to(from: &Connector, portid: u32, datagram: &[u8]) -> Result<()> {
    let to = NetlinkAddr::new(portid, 0);
    sendto(from.as_raw_fd(), datagram, &to, MsgFlags::empty())?;
    Ok(())
}

/// Somebody else's socket may have been told to leave out what an error is about.
fn adopted() -> Result<()> {
    let _core = Module::load_core()?;
    let nobody = CbId { idx: 77, val: 77 };
    for capped in [false, true] {
        let fd = OwnedFd::from(Connector::open()?);
        setsockopt(&fd, CapAck, &capped.into())?;
        let connector = Connector::try_from(fd)?;
        let request = connector.header(nobody);
        let deadline = if core_is_ours() { PATIENCE } else { SHORT };
        match connector.request(&request, b"data", deadline) {
            Err(Error::TimedOut { .. }) if !core_is_ours() => {}
            Err(error) => not_registered(&error, &request)?,
            other => bail!("nobody has this id, but {other:?}"),
        }
    }
    Ok(())
}

/// A service that answers is not asked about again, until it does not.
fn gone() -> Result<()> {
    let (_core, echo) = Module::load_with_connector("cn_echo", "")?;
    let connector = Connector::open()?;
    let ask = |deadline| connector.request(&connector.header(ECHO), b"", deadline);
    ask(PATIENCE)?;
    echo.unload()?;
    match ask(SHORT) {
        Err(Error::TimedOut { .. }) => {}
        other => bail!("the service is gone, but {other:?}"),
    }
    match ask(if core_is_ours() { PATIENCE } else { SHORT }) {
        Err(Error::TimedOut { .. }) if !core_is_ours() => {}
        Err(Error::NotRegistered { .. }) if core_is_ours() => {}
        other => bail!("the service is gone, but {other:?}"),
    }
    let _echo = Module::load("cn_echo", "")?;
    ask(PATIENCE)?;
    Ok(())
}

fn sent_and_acknowledged() -> Result<()> {
    let (_core, _echo) = Module::load_with_connector("cn_echo", "")?;
    let connector = Connector::open()?;
    let core = Core::find()?;
    ensure!((core == Core::RustConnector) == core_is_ours(), "{core:?}");
    let send = |header: &Header| connector.send_acknowledged(header, b"data", Deadline::NOW);
    let acknowledged = send(&connector.header(ECHO))?;
    ensure!(acknowledged == core_is_ours(), "{acknowledged}");
    // The reply is nobody's, and kept.
    ensure!(message(connector.recv(Deadline::NOW)?)?.data == b"data");
    let request = connector.header(CbId { idx: 77, val: 77 });
    match send(&request) {
        Ok(false) if !core_is_ours() => {}
        Err(error) => not_registered(&error, &request)?,
        other => bail!("nobody has this id, but {other:?}"),
    }
    expect_nothing(&connector)
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
    // The acknowledgement as well, where the core gives one.
    let all = u64::from(SENT) + 1 + u64::from(core_is_ours());
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
            "a request to an id that nobody has is an error at once if the core says so, else a time-out",
            nobody_there,
        )
        .test(
            "acknowledgements before, behind and instead of replies reach their requests among threads",
            acknowledgements_among_threads,
        )
        .test(
            "who receives or polls meets no acknowledgement, whether it was waited for or not",
            nothing_is_left,
        )
        .test("a process cannot acknowledge", forged)
        .test(
            "a socket that was handed in gets its errors with the settings that it has",
            adopted,
        )
        .test(
            "a service that has gone is a time-out once, and then known to be gone",
            gone,
        )
        .test(
            "send_acknowledged tells whether a message was handled, where the core does",
            sent_and_acknowledged,
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
