// SPDX-License-Identifier: GPL-2.0

//! What a `Connector` receives besides replies: broadcasts, losses and gaps at their place, batches;
//! and what it is refused.

use std::{
    fs,
    os::fd::{AsFd, OwnedFd},
    process::ExitCode,
    thread,
    time::Duration,
};

use anyhow::{Context, Result, anyhow, bail, ensure};
use netlink_connector::{
    Batch, Builder, Cause, Connector, Deadline, Error, Event, Gaps, Group, Message, RecvBatch,
};
use netlink_sys::{Socket, SocketAddr};
use nix::{
    sched::{CloneFlags, unshare},
    unistd::{Uid, seteuid},
};
use selftests::{
    CbId, ECHO, Header, Module, NlHeader, PATIENCE, Stats, Suite, core_is_ours, datagram, debugfs,
    procfs,
    puppet::{PUPPET, Puppet, To},
};

/// A group that anybody may join.
const OPEN: u32 = 3;
/// A group that takes a capability.
const CLOSED: u32 = 14;

fn group(number: u32) -> Result<Group> {
    Group::new(number).context("no group")
}

fn listener() -> Result<Builder> {
    Ok(Connector::builder().group(group(OPEN)?))
}

fn broadcast(seq: u32) -> Header {
    Header {
        id: PUPPET,
        seq,
        ..Header::default()
    }
}

fn message(event: Event) -> Result<Message> {
    match event {
        Event::Message(message) => Ok(message),
        other => bail!("this is no message: {other:?}"),
    }
}

/// Everything that can be received now, one by one.
fn events_one_by_one(connector: &Connector) -> Result<Vec<Event>> {
    let mut events = Vec::new();
    loop {
        match connector.recv(Deadline::NOW) {
            Ok(event) => events.push(event),
            Err(error) if error.is_timeout() => return Ok(events),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Everything that can be received now, several by one call.
fn events_in_batches(connector: &Connector) -> Result<Vec<Event>> {
    let mut batch = RecvBatch::new(8);
    let mut events = Vec::new();
    loop {
        match connector.recv_many(&mut batch, Deadline::NOW) {
            Ok(()) => events.extend(batch.drain().collect::<Result<Vec<_>, _>>()?),
            Err(error) if error.is_timeout() => return Ok(events),
            Err(error) => return Err(error.into()),
        }
    }
}

fn slow_reader(read: impl Fn(&Connector) -> Result<Vec<Event>>) -> Result<()> {
    const SENT: u32 = 500;
    let puppet = Puppet::load()?;
    let connector = listener()?.receive_buffer(0).open()?;
    let mut gaps = Gaps::default();
    let mut seq = 1;
    // Each loss is told once, and after it all is as before.
    for round in 1..=3 {
        let data = [0; 200];
        puppet.repeat(To::Group(OPEN), SENT, &[(broadcast(seq), &data)])?;
        let mut events = read(&connector)?;
        let last = events.pop();
        let Some(Event::Overrun(overrun)) = last else {
            bail!("round {round}: the loss should be the last event, which is {last:?}");
        };
        let kept = events.len() as u32;
        for (event, due) in events.into_iter().zip(seq..) {
            let message = message(event).context("there was one loss, at the end")?;
            ensure!(message.header.seq == due, "{message:?}, not {due}");
            gaps.check(&message);
        }
        let lost = SENT - kept;
        ensure!(
            kept > 0 && overrun.cause == Cause::ReceiveBuffer && overrun.lost == Some(lost.into()),
            "round {round}: {kept} of {SENT} came, and the loss is {overrun:?}"
        );

        seq += SENT;
        puppet.send(To::Group(OPEN), &[(broadcast(seq), b"after")])?;
        let events = read(&connector)?;
        let [Event::Message(after)] = &events[..] else {
            bail!("round {round}: after the loss, one message should come, not {events:?}");
        };
        ensure!(
            after.header.seq == seq && after.data == b"after",
            "{after:?}"
        );
        let gap = gaps.check(after).context("no gap")?;
        ensure!(gap.missing == lost, "{gap:?}, but {lost} were lost");
        seq += 1;
    }
    Ok(())
}

fn gaps() -> Result<()> {
    let puppet = Puppet::load()?;
    let connector = listener()?.open()?;
    let other = CbId { idx: 3, val: 3 };
    // The number, and how many are missing before it.
    let numbers = [
        (PUPPET, 5, None),
        (PUPPET, 6, None),
        (other, 900, None),
        (PUPPET, 9, Some(2)),
        (other, 901, None),
        (PUPPET, u32::MAX, None), // It started anew.
        (PUPPET, 2, Some(2)),
        (other, 1902, Some(1000)),
    ];
    let mut gaps = Gaps::default();
    for (id, seq, expected) in numbers {
        let header = Header {
            id,
            ..broadcast(seq)
        };
        puppet.send(To::Group(OPEN), &[(header, b"")])?;
        // What is sent to this socket alone does not count.
        puppet.send(To::Port(connector.portid()), &[(broadcast(77), b"")])?;
        let message_in_group = message(connector.recv(Deadline::NOW)?)?;
        ensure!(message_in_group.group == Some(group(OPEN)?));
        let missing = gaps.check(&message_in_group).map(|gap| gap.missing);
        ensure!(missing == expected, "{id} {seq}: {missing:?} are missing");
        let message = message(connector.recv(Deadline::NOW)?)?;
        ensure!(message.group.is_none() && gaps.check(&message).is_none());
    }
    Ok(())
}

fn batches_from_the_kernel() -> Result<()> {
    let puppet = Puppet::load()?;
    let connector = listener()?.open()?;
    let texts = [&b"first"[..], b"", b"the third"];
    let datagram: Vec<_> = (1..).map(broadcast).zip(texts).collect();
    let check = |events: Vec<Event>| -> Result<()> {
        ensure!(events.len() == 60, "{} events", events.len());
        for (number, event) in events.into_iter().enumerate() {
            let message = message(event)?;
            let (sent, text) = datagram[number % 3];
            let seq = sent.seq + number as u32 / 3;
            ensure!(
                message.header.seq == seq && message.data == text,
                "{number}: {message:?}"
            );
        }
        Ok(())
    };
    puppet.repeat(To::Group(OPEN), 20, &datagram)?;
    check(events_one_by_one(&connector)?)?;

    // One call, one system call: all that fits.
    puppet.repeat(To::Group(OPEN), 20, &datagram)?;
    let mut batch = RecvBatch::new(32);
    connector.recv_many(&mut batch, Deadline::NOW)?;
    check(batch.drain().collect::<Result<_, _>>()?)?;
    ensure!(events_one_by_one(&connector)?.is_empty());

    // What a request finds before its reply is one of three.
    let request = connector.header(PUPPET);
    let three = [
        (broadcast(1), &b"before"[..]),
        (request.reply(0), b"the reply"),
        (broadcast(2), b"behind"),
    ];
    thread::scope(|scope| {
        let waiting = scope.spawn(|| connector.request(&request, b"", PATIENCE));
        puppet.wait_for_requests(1)?;
        puppet.send(To::Port(connector.portid()), &three)?;
        let reply = waiting.join().map_err(|_| anyhow!("a thread panicked"))??;
        ensure!(reply.data == b"the reply", "{reply:?}");
        anyhow::Ok(())
    })?;
    let others: Vec<_> = events_one_by_one(&connector)?
        .into_iter()
        .map(message)
        .collect::<Result<_>>()?;
    ensure!(
        others.len() == 2 && others[0].data == b"before" && others[1].data == b"behind",
        "{others:?}"
    );
    Ok(())
}

fn batches_to_the_kernel() -> Result<()> {
    // More than one system call takes.
    const MANY: u32 = 2500;
    let (_connector, _echo) = Module::load_with_connector("cn_echo", "")?;
    let connector = Connector::builder().receive_buffer(8 << 20).open()?;
    let data: Vec<_> = (0..MANY).map(u32::to_ne_bytes).collect();
    let messages: Vec<_> = data
        .iter()
        .map(|data| (connector.header(ECHO), &data[..]))
        .collect();
    let sent = connector.send_many(&messages)?;
    ensure!(sent == messages.len(), "{sent} were sent");
    for (number, (request, data)) in messages.iter().enumerate() {
        let reply = message(connector.recv(Deadline::NOW)?)?;
        ensure!(
            reply.header.is_reply_to(request) && reply.data == data,
            "{number}: {reply:?}"
        );
    }
    if debugfs::is_there()? {
        ensure!(Stats::of(ECHO)?.received == u64::from(MANY));
    }

    // The core goes by the first message of a datagram.
    let mut batch = Batch::new();
    let first = connector.header(ECHO);
    batch.push(&first, b"first")?;
    batch.push(&connector.header(ECHO), b"second")?;
    connector.send_batch(&batch)?;
    let events = events_one_by_one(&connector)?;
    let [Event::Message(reply)] = &events[..] else {
        bail!("one reply should come: {events:?}");
    };
    ensure!(reply.header.is_reply_to(&first) && reply.data == b"first");
    Ok(())
}

fn receive_buffer() -> Result<()> {
    let _core = Module::load_core()?;
    let most: usize = fs::read_to_string("/proc/sys/net/core/rmem_max")?
        .trim()
        .parse()?;
    let connector = Connector::open()?;
    for wanted in [most / 2, most * 4] {
        let granted = connector.set_receive_buffer(wanted)?;
        ensure!(
            granted == 2 * wanted && connector.receive_buffer()? == granted,
            "root asked for {wanted} and got {granted}"
        );
    }
    as_user(|| {
        let connector = Connector::open()?;
        let granted = connector.set_receive_buffer(most * 4)?;
        ensure!(
            granted == 2 * most && connector.receive_buffer()? == granted,
            "without privilege, {most} is the most, and {granted} was granted"
        );
        Ok(())
    })
}

/// Does something with the privileges of uid 1000.
fn as_user<T>(f: impl FnOnce() -> Result<T>) -> Result<T> {
    seteuid(Uid::from_raw(1000))?;
    let result = f();
    seteuid(Uid::from_raw(0))?;
    result
}

fn without_privilege() -> Result<()> {
    let (_connector, _echo) = Module::load_with_connector("cn_echo", "")?;
    as_user(|| {
        let connector = Connector::open()?;
        match connector.join(group(CLOSED)?) {
            Err(ref error @ Error::NotPermitted { groups }) if groups == 1 << (CLOSED - 1) => {
                ensure!(error.to_string().contains("CAP_NET_ADMIN"), "{error}");
            }
            other => bail!("joining an even group: {other:?}"),
        }
        // The kernel's own connector opens all odd groups, ours the first.
        let open = group(if core_is_ours() { 1 } else { OPEN })?;
        let both = group(CLOSED)?.mask() | open.mask();
        match Connector::builder().groups(both).open() {
            Err(Error::NotPermitted { groups }) if groups == both => {}
            other => bail!("opening with an even group: {other:?}"),
        }
        // All else works.
        connector.join(open)?;
        connector.leave(open)?;
        let reply = connector.request(&connector.header(ECHO), b"user", PATIENCE)?;
        ensure!(reply.data == b"user");
        Ok(())
    })?;
    Connector::builder().group(group(CLOSED)?).open()?;
    Ok(())
}

fn other_namespace() -> Result<()> {
    procfs::require_namespaces("net")?;
    let (_connector, _echo) = Module::load_with_connector("cn_echo", "")?;
    let inside = thread::spawn(|| -> Result<()> {
        unshare(CloneFlags::CLONE_NEWNET)?;
        // Who only listens would wait for good.
        for builder in [Connector::builder(), listener()?] {
            let opened = builder.open();
            ensure!(matches!(opened, Err(Error::Refused)), "{opened:?}");
        }
        // Processes may send to each other there.
        let connector = Connector::builder().accept_processes().open()?;
        let header = connector.header(ECHO);
        let messages = [(header, &b"x"[..])];
        for result in [
            connector.send(&header, b"small"),
            connector.send(&header, &[0; 4096]),
            connector.send_many(&messages).map(drop),
            connector.request(&header, b"", PATIENCE).map(drop),
        ] {
            ensure!(matches!(result, Err(Error::Refused)), "{result:?}");
        }
        Ok(())
    });
    inside.join().map_err(|_| anyhow!("a thread panicked"))?
}

/// Those who wait are told, and if nobody does, the next who would; what is there comes all the
/// same.
fn interrupted() -> Result<()> {
    // Somebody who does not answer.
    let _puppet = Puppet::load()?;
    let _echo = Module::load("cn_echo", "")?;
    let connector = Connector::open()?;
    let interrupter = connector.interrupter()?;
    let silent = connector.header(PUPPET);
    thread::scope(|scope| {
        let mut waiting: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| connector.recv(Deadline::NEVER).map(drop)))
            .collect();
        waiting.push(scope.spawn(|| {
            let never = Deadline::NEVER;
            connector.request(&silent, b"", never).map(drop)
        }));
        for thread in waiting {
            // Each may begin to wait after the others were told.
            while !thread.is_finished() {
                interrupter.interrupt();
                thread::yield_now();
            }
            let result = thread.join().map_err(|_| anyhow!("a thread panicked"))?;
            ensure!(matches!(result, Err(Error::Interrupted)), "{result:?}");
        }
        anyhow::Ok(())
    })?;
    interrupter.interrupt();
    let reply = connector.request(&connector.header(ECHO), b"there", PATIENCE)?;
    ensure!(reply.data == b"there");
    let result = connector.recv(PATIENCE);
    ensure!(matches!(result, Err(Error::Interrupted)), "{result:?}");
    let result = connector.recv(Duration::from_millis(20));
    ensure!(matches!(result, Err(Error::TimedOut { .. })), "{result:?}");
    Ok(())
}

/// A socket that somebody else opened, bound and made non-blocking; and one that is handed on.
fn handed_over() -> Result<()> {
    let puppet = Puppet::load()?;
    let (socket, port) = forger()?;
    socket.set_non_blocking(true)?;
    let fd = socket.as_fd().try_clone_to_owned()?;
    drop(socket);
    let connector = Connector::builder().group(group(OPEN)?).adopt(fd)?;
    ensure!(connector.portid() == port, "it got another port");
    let waited = connector.recv(Duration::from_millis(20));
    ensure!(matches!(waited, Err(Error::TimedOut { .. })), "{waited:?}");
    thread::scope(|scope| {
        let waiting = scope.spawn(|| connector.recv(Deadline::NEVER));
        puppet.send(To::Group(OPEN), &[(broadcast(1), b"first")])?;
        let first = waiting.join().map_err(|_| anyhow!("a thread panicked"))??;
        ensure!(message(first)?.data == b"first");
        anyhow::Ok(())
    })?;
    puppet.send(To::Group(OPEN), &[(broadcast(2), b"second")])?;
    let connector = Connector::try_from(OwnedFd::from(connector))?;
    ensure!(message(connector.recv(Deadline::NOW)?)?.data == b"second");

    for other in [
        OwnedFd::from(fs::File::open("/dev/null")?),
        std::os::unix::net::UnixDatagram::unbound()?.into(),
        unbound(0)?,
    ] {
        let adopted = Connector::try_from(other);
        ensure!(matches!(adopted, Err(Error::NotASocket)), "{adopted:?}");
    }
    let adopted = Connector::try_from(unbound(connector_wire::netlink::PROTOCOL)?)?;
    ensure!(adopted.portid() != 0, "it was not bound");
    Ok(())
}

/// A netlink socket that was opened and nothing else.
fn unbound(protocol: u8) -> Result<OwnedFd> {
    let socket = Socket::new(protocol.into())?;
    Ok(socket.as_fd().try_clone_to_owned()?)
}

/// A plain socket that sends to sockets of other processes, and its port.
fn forger() -> Result<(Socket, u32)> {
    let mut socket = Socket::new(connector_wire::netlink::PROTOCOL.into())?;
    let own = socket.bind_auto()?;
    Ok((socket, own.port_number()))
}

fn forged() -> Result<()> {
    let puppet = Puppet::load()?;
    let (forger, port) = forger()?;
    let forged = datagram(&broadcast(1), b"forged");
    let connector = listener()?.open()?;

    let refused = forger.send_to(&forged, &SocketAddr::new(connector.portid(), 0), 0);
    ensure!(
        refused.is_err(),
        "the kernel lets others send to the socket"
    );
    forger.send_to(&forged, &SocketAddr::new(0, 1 << (OPEN - 1)), 0)?;
    match connector.recv(Deadline::NOW) {
        Err(Error::ForeignSender { portid }) if portid == port => {}
        other => bail!("this is forged: {other:?}"),
    }
    puppet.send(To::Group(OPEN), &[(broadcast(2), b"genuine")])?;
    ensure!(message(connector.recv(Deadline::NOW)?)?.data == b"genuine");

    let trusting = listener()?.accept_processes().open()?;
    forger.send_to(&forged, &SocketAddr::new(trusting.portid(), 0), 0)?;
    let trusted = message(trusting.recv(Deadline::NOW)?)?;
    ensure!(
        trusted.data == b"forged" && trusted.portid == port,
        "{trusted:?}"
    );
    Ok(())
}

fn malformed() -> Result<()> {
    let _core = Module::load_core()?;
    let (forger, _) = forger()?;
    let connector = Connector::builder().accept_processes().open()?;
    let to = SocketAddr::new(connector.portid(), 0);
    let good = datagram(&broadcast(1), b"good");
    let mut lying = good.clone();
    // `len` of `struct cn_msg`.
    lying[NlHeader::SIZE + 16] = 200;
    for wrong in [&good[..7], &good[..NlHeader::SIZE + 10], &lying] {
        forger.send_to(wrong, &to, 0)?;
        forger.send_to(&good, &to, 0)?;
        match connector.recv(Deadline::NOW) {
            Err(Error::Malformed(_)) => {}
            other => bail!("{wrong:?} is malformed, but {other:?}"),
        }
        ensure!(message(connector.recv(Deadline::NOW)?)?.data == b"good");
    }
    Ok(())
}

fn main() -> ExitCode {
    Suite::new()
        .test(
            "a slow reader gets what fitted, learns once how much is lost, and then what is new",
            || slow_reader(events_one_by_one),
        )
        .test(
            "a slow reader that receives in batches learns of each loss once, too",
            || slow_reader(events_in_batches),
        )
        .test(
            "gaps of a broadcaster are reported with the number missing, also where seq wraps",
            gaps,
        )
        .test(
            "several messages in a datagram, and several datagrams, come apart in order",
            batches_from_the_kernel,
        )
        .test(
            "2500 datagrams sent at once all arrive in order, and of a batch the first message",
            batches_to_the_kernel,
        )
        .test(
            "the receive buffer is as large as was asked for, or as rmem_max allows, and says so",
            receive_buffer,
        )
        .test(
            "without privilege even groups are refused with the reason, and requests work",
            without_privilege,
        )
        .test(
            "in another network namespace opening and sending are refused, however they are done",
            other_namespace,
        )
        .test("waits are interrupted, and nothing else", interrupted)
        .test(
            "a socket can be taken over, and handed on with what is in it",
            handed_over,
        )
        .test(
            "what another process sends is refused, unless it was asked for",
            forged,
        )
        .test(
            "a malformed datagram is an error, and the next one is received",
            malformed,
        )
        .run()
}
