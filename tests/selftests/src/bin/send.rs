// SPDX-License-Identifier: GPL-2.0

//! Sending from a module: every destination, with and without somebody there, from the handler and
//! from softirq.
//!
//! `ct_send` sends what it is told to and answers with what came of it. The groups are even ones,
//! and `30` is also the `idx` of all ids.

use std::process::ExitCode;

use anyhow::{Context as _, Result, ensure};
use nix::errno::Errno;
use selftests::{
    CbId, Client, Datagram, Module, Suite, core_is_ours, in_time, notify::PROCESS_EVENTS,
};

const SEND: CbId = CbId { idx: 30, val: 7 };
/// The group of [`SEND`].
const OWN_GROUP: u32 = 30;
const GROUP: u32 = 8;
const SEQ: u32 = 4711;

/// Where a message is sent from.
#[derive(Clone, Copy)]
enum Context {
    Handler,
    HandlerAtomic,
    Softirq,
}

/// [`connector::Destination`] with numbers.
#[derive(Clone, Copy)]
enum To {
    Registered,
    Port(u32),
    Group(u32),
    PortAndGroup(u32, u32),
}

/// What the module is to send.
#[derive(Clone, Copy)]
enum What {
    /// One message with so much data.
    Message(u32),
    /// A batch of so many messages with so much data each.
    Batch(u32, u32),
    /// One message, to the socket in a group that [`Test::remember`] was called with.
    Filtered(u32),
}

/// `ct_send`, told what to do through a socket that takes no part in it.
struct Test {
    orders: Client,
    _send: Module,
    _connector: Module,
    context: Context,
    val: u32,
}

impl Test {
    fn begin(context: Context) -> Result<Self> {
        let (connector, send) = Module::load_with_connector("ct_send", "")?;
        Ok(Self {
            orders: Client::open()?,
            _send: send,
            _connector: connector,
            context,
            val: SEND.val,
        })
    }

    /// Sends; returns how often a filter was asked, or the error.
    fn send(&self, what: What, to: To) -> Result<Result<u32, Errno>> {
        let (what, len, count) = match what {
            What::Message(len) => (0, len, 1),
            What::Batch(count, len) => (1, len, count),
            What::Filtered(len) => (2, len, 1),
        };
        let (to, port, group) = match to {
            To::Registered => (0, 0, 0),
            To::Port(port) => (1, port, 0),
            To::Group(group) => (2, 0, group),
            To::PortAndGroup(port, group) => (3, port, group),
        };
        let order = [
            what,
            self.context as u32,
            to,
            port,
            group,
            len,
            count,
            self.val,
        ];
        order_through(&self.orders, order)
    }

    /// Makes `client` the one that a filter lets through.
    fn remember(&self, client: &Client) -> Result<()> {
        order_through(client, [3, 0, 0, 0, 0, 0, 0, 0])?.context("remember")?;
        Ok(())
    }

    /// Sends, which has to fail.
    fn expect_error(&self, what: What, to: To, expected: Errno) -> Result<()> {
        let outcome = self.send(what, to)?;
        ensure!(
            outcome == Err(expected),
            "should be {expected}, and is {outcome:?}"
        );
        Ok(())
    }

    /// Sends, which has to succeed.
    fn expect_sent(&self, what: What, to: To) -> Result<()> {
        let outcome = self.send(what, to)?;
        ensure!(outcome.is_ok(), "failed: {outcome:?}");
        Ok(())
    }

    /// Fails unless `client` got one message with so much data, and nothing else.
    fn expect_got(&self, client: &Client, len: u32) -> Result<()> {
        self.expect_got_batch(client, 1, len)
    }

    /// Fails unless `client` got one datagram, with so many messages of so much data.
    fn expect_got_batch(&self, client: &Client, count: u32, len: u32) -> Result<()> {
        let Datagram { netlink, messages } =
            heard(client)?.with_context(|| format!("port {} got nothing", client.portid()))?;
        ensure!((netlink.kind, netlink.seq) == (3, SEQ), "{netlink:?}");
        ensure!(
            messages.len() == count as usize,
            "{} messages",
            messages.len()
        );
        let data: Vec<u8> = (0..len).map(|at| (at * 7) as u8).collect();
        for (number, message) in (0..).zip(messages) {
            let header = message.header;
            ensure!(
                (
                    header.id.idx,
                    header.id.val,
                    header.seq,
                    header.ack,
                    header.flags
                ) == (SEND.idx, self.val, SEQ, number, 0),
                "message {number} has the header {header:?}"
            );
            ensure!(message.data == data, "message {number} has other data");
        }
        let more = heard(client)?;
        ensure!(
            more.is_none(),
            "nothing more should have come, but this did: {more:?}"
        );
        Ok(())
    }
}

fn order_through(client: &Client, order: [u32; 8]) -> Result<Result<u32, Errno>> {
    let bytes: Vec<u8> = order.iter().flat_map(|n| n.to_ne_bytes()).collect();
    let answer = client.ask(&Client::header(SEND, SEQ, 0), &bytes)?.data;
    let number = |at: usize| -> Result<i32> {
        let bytes = answer.get(at..at + 4).context("a short answer")?;
        Ok(i32::from_ne_bytes(bytes.try_into()?))
    };
    Ok(match number(0)? {
        0 => Ok(number(4)? as u32),
        errno => Err(Errno::from_raw(-errno)),
    })
}

/// A port that was one of ours and is closed.
fn closed_port() -> Result<u32> {
    Ok(Client::open()?.portid())
}

fn to_port(context: Context) -> Result<()> {
    let test = Test::begin(context)?;
    let client = Client::open()?;
    let bystander = Client::open_in(GROUP)?;
    for len in [0, 1, 107, 108, 109, 4096] {
        test.expect_sent(What::Message(len), To::Port(client.portid()))?;
        test.expect_got(&client, len)?;
    }
    bystander.expect_nothing()
}

fn to_closed_port(context: Context) -> Result<()> {
    let test = Test::begin(context)?;
    test.expect_error(
        What::Message(10),
        To::Port(closed_port()?),
        Errno::ECONNREFUSED,
    )
}

fn to_full_port(context: Context) -> Result<()> {
    // The module's send would have to wait for us to read.
    in_time("sending to a full port blocks", move || fill_port(context))
}

fn fill_port(context: Context) -> Result<()> {
    let test = Test::begin(context)?;
    let client = Client::open()?;
    let mut sent = 0;
    let errno = loop {
        match test.send(What::Message(4096), To::Port(client.portid()))? {
            Ok(_) if sent < 10_000 => sent += 1,
            Ok(_) => anyhow::bail!("{sent} messages found room"),
            Err(errno) => break errno,
        }
    };
    ensure!(errno == Errno::EAGAIN, "{errno}");
    let told = client.recv_raw().map_err(|error| error.raw_os_error());
    ensure!(told == Err(Some(Errno::ENOBUFS as i32)), "recv: {told:?}");
    for _ in 0..sent {
        client.recv_now()?;
    }
    client.expect_nothing()?;
    test.expect_sent(What::Message(1), To::Port(client.portid()))?;
    test.expect_got(&client, 1)
}

fn to_group(context: Context) -> Result<()> {
    let test = Test::begin(context)?;
    let bystander = Client::open_in(GROUP + 2)?;
    test.expect_error(What::Message(10), To::Group(GROUP), Errno::ESRCH)?;
    let listeners = [Client::open_in(GROUP)?, Client::open_in(GROUP)?];
    for len in [0, 108, 109, 4096] {
        test.expect_sent(What::Message(len), To::Group(GROUP))?;
        for listener in &listeners {
            test.expect_got(listener, len)?;
        }
    }
    bystander.expect_nothing()?;
    drop(listeners);
    test.expect_error(What::Message(10), To::Group(GROUP), Errno::ESRCH)
}

/// What came, without waiting. The kernel's process events, which go to group 1, are passed over.
fn heard(client: &Client) -> Result<Option<Datagram>> {
    let is_ours = |datagram: &Datagram| {
        let mut ids = datagram.messages.iter().map(|message| message.header.id);
        ids.any(|id| id != PROCESS_EVENTS)
    };
    loop {
        match client.try_recv()? {
            Some(datagram) if !is_ours(&datagram) => {}
            ours => return Ok(ours),
        }
    }
}

fn to_every_group() -> Result<()> {
    let test = Test::begin(Context::Handler)?;
    for group in 1..=32 {
        let listener = Client::open_in(group)?;
        test.expect_sent(What::Message(3), To::Group(group))?;
        test.expect_got(&listener, 3)?;
        drop(listener);
        test.expect_error(What::Message(3), To::Group(group), Errno::ESRCH)?;
    }
    // Our own connector has as many as it was asked for.
    let beyond = Client::open()?
        .join(if core_is_ours() { 16385 } else { 33 })
        .map_err(|error| error.raw_os_error());
    ensure!(beyond == Err(Some(Errno::EINVAL as i32)), "{beyond:?}");
    Ok(())
}

fn to_full_listener(context: Context) -> Result<()> {
    let test = Test::begin(context)?;
    let full = Client::open_in(GROUP)?;
    let fill = || -> Result<Errno> {
        for _ in 0..10_000 {
            if let Err(errno) = test.send(What::Message(4096), To::Group(GROUP))? {
                return Ok(errno);
            }
        }
        anyhow::bail!("10000 messages found room");
    };
    let errno = fill()?;
    ensure!(errno == Errno::ESRCH, "the only listener is full: {errno}");
    // Another one is served nevertheless.
    let other = Client::open_in(GROUP)?;
    test.expect_sent(What::Message(1), To::Group(GROUP))?;
    test.expect_got(&other, 1)?;
    // One that wants the sender to know makes it fail, though the other one is served.
    full.set_broadcast_error()?;
    test.expect_error(What::Message(2), To::Group(GROUP), Errno::ENOBUFS)?;
    test.expect_got(&other, 2)?;
    let told = full.recv_raw().map_err(|error| error.raw_os_error());
    ensure!(told == Err(Some(Errno::ENOBUFS as i32)), "recv: {told:?}");
    Ok(())
}

fn to_registered(context: Context) -> Result<()> {
    let mut test = Test::begin(context)?;
    test.expect_error(What::Message(10), To::Registered, Errno::ESRCH)?;
    let listener = Client::open_in(OWN_GROUP)?;
    let bystander = Client::open_in(GROUP)?;
    test.expect_sent(What::Message(10), To::Registered)?;
    test.expect_got(&listener, 10)?;
    bystander.expect_nothing()?;
    // It is the id that counts, and not the group.
    test.val = 12345;
    test.expect_error(What::Message(10), To::Registered, Errno::ENODEV)?;
    test.expect_error(What::Batch(2, 10), To::Registered, Errno::ENODEV)?;
    listener.expect_nothing()
}

fn to_port_and_group(context: Context) -> Result<()> {
    let test = Test::begin(context)?;
    let member = Client::open_in(GROUP)?;
    let others = [Client::open_in(GROUP)?, Client::open_in(GROUP)?];
    let outsider = Client::open()?;
    let bystander = Client::open_in(GROUP + 2)?;

    // The port is of the group: it gets the message once, like all others.
    test.expect_sent(What::Message(10), To::PortAndGroup(member.portid(), GROUP))?;
    test.expect_got(&member, 10)?;
    others
        .iter()
        .try_for_each(|other| test.expect_got(other, 10))?;

    // It is not.
    test.expect_sent(
        What::Message(11),
        To::PortAndGroup(outsider.portid(), GROUP),
    )?;
    test.expect_got(&outsider, 11)?;
    test.expect_got(&member, 11)?;
    others
        .iter()
        .try_for_each(|other| test.expect_got(other, 11))?;

    // A batch goes the same way.
    test.expect_sent(What::Batch(2, 5), To::PortAndGroup(member.portid(), GROUP))?;
    test.expect_got_batch(&member, 2, 5)?;
    others
        .iter()
        .try_for_each(|other| test.expect_got_batch(other, 2, 5))?;
    bystander.expect_nothing()
}

fn to_port_and_group_in_part(context: Context) -> Result<()> {
    let test = Test::begin(context)?;
    let gone = closed_port()?;
    let client = Client::open()?;

    // Neither: the port's error.
    test.expect_error(
        What::Message(1),
        To::PortAndGroup(gone, GROUP),
        Errno::ECONNREFUSED,
    )?;
    // The port alone.
    test.expect_error(
        What::Message(2),
        To::PortAndGroup(client.portid(), GROUP),
        Errno::ESRCH,
    )?;
    test.expect_got(&client, 2)?;
    // The port alone, which is the group.
    client.join(GROUP)?;
    test.expect_error(
        What::Message(3),
        To::PortAndGroup(client.portid(), GROUP),
        Errno::ESRCH,
    )?;
    test.expect_got(&client, 3)?;
    // The group alone.
    test.expect_error(
        What::Message(4),
        To::PortAndGroup(gone, GROUP),
        Errno::ECONNREFUSED,
    )?;
    test.expect_got(&client, 4)
}

fn largest(context: Context) -> Result<()> {
    let test = Test::begin(context)?;
    let client = Client::open()?;
    let to = To::Port(client.portid());
    test.expect_sent(What::Message(65535), to)?;
    test.expect_got(&client, 65535)?;
    test.expect_error(What::Message(65536), to, Errno::EMSGSIZE)?;
    client.expect_nothing()
}

/// What fits into a batch: 65555 bytes, headers of 20 bytes included.
const FULL_BATCHES: [(u32, u32); 3] = [(3277, 0), (3121, 1), (1, 65535)];

fn batches(context: Context) -> Result<()> {
    let test = Test::begin(context)?;
    let client = Client::open()?;
    let listener = Client::open_in(OWN_GROUP)?;
    let mut cases = vec![(1, 0), (1, 10), (2, 0), (2, 10), (2, 1000)];
    cases.extend(FULL_BATCHES);
    for (count, len) in cases {
        let what = What::Batch(count, len);
        for to in [
            To::Port(client.portid()),
            To::Group(OWN_GROUP),
            To::Registered,
        ] {
            test.expect_sent(what, to)?;
            let receiver = match to {
                To::Port(_) => &client,
                _ => &listener,
            };
            test.expect_got_batch(receiver, count, len)
                .with_context(|| format!("{count} messages of {len} bytes"))?;
        }
    }
    client.expect_nothing()?;
    listener.expect_nothing()
}

fn too_large_batches(context: Context) -> Result<()> {
    let test = Test::begin(context)?;
    let client = Client::open()?;
    let to = To::Port(client.portid());
    for (count, len) in FULL_BATCHES {
        test.expect_error(What::Batch(count + 1, len), to, Errno::EMSGSIZE)?;
    }
    client.expect_nothing()
}

fn empty_batch(context: Context) -> Result<()> {
    let test = Test::begin(context)?;
    let client = Client::open()?;
    let listener = Client::open_in(OWN_GROUP)?;
    for to in [
        To::Port(client.portid()),
        To::Group(OWN_GROUP),
        To::Registered,
    ] {
        test.expect_sent(What::Batch(0, 0), to)?;
    }
    client.expect_nothing()?;
    listener.expect_nothing()
}

fn filter_passes_one(context: Context) -> Result<()> {
    let test = Test::begin(context)?;
    let listeners = [
        Client::open_in(GROUP)?,
        Client::open_in(GROUP)?,
        Client::open_in(GROUP)?,
    ];
    let bystander = Client::open_in(GROUP + 2)?;
    for chosen in &listeners {
        test.remember(chosen)?;
        let asked = test.send(What::Filtered(10), To::Group(GROUP))?;
        ensure!(asked == Ok(3), "the filter was asked: {asked:?}");
        test.expect_got(chosen, 10)?;
        listeners.iter().try_for_each(Client::expect_nothing)?;
    }
    bystander.expect_nothing()
}

fn filter_passes_none(context: Context) -> Result<()> {
    let test = Test::begin(context)?;
    test.remember(&test.orders)?;
    test.expect_error(What::Filtered(10), To::Group(GROUP), Errno::ESRCH)?;
    let listener = Client::open_in(GROUP)?;
    test.expect_error(What::Filtered(10), To::Group(GROUP), Errno::ESRCH)?;
    listener.expect_nothing()
}

/// What every context is tested for.
type FromAnywhere = fn(Context) -> Result<()>;

fn main() -> ExitCode {
    let tests: [(&str, FromAnywhere); 14] = [
        ("a message to a port reaches it and nobody else", to_port),
        ("a message to a closed port is ECONNREFUSED", to_closed_port),
        (
            "a message to a full port is EAGAIN at once, the port is told by ENOBUFS and reachable when it has read",
            to_full_port,
        ),
        (
            "a message to a group reaches all who joined it, and is ESRCH without any",
            to_group,
        ),
        (
            "a full listener is left out: ESRCH if there is no other, ENOBUFS if it wants that",
            to_full_listener,
        ),
        (
            "a message to Registered reaches the group of the id's idx, is ESRCH without listeners and ENODEV for an unknown id",
            to_registered,
        ),
        (
            "a message to a port and a group reaches everybody once",
            to_port_and_group,
        ),
        (
            "if it reaches only one of the two the other's error is returned",
            to_port_and_group_in_part,
        ),
        (
            "65535 bytes of data can be sent, one more is EMSGSIZE",
            largest,
        ),
        (
            "batches of 1, 2 and as many messages as fit arrive in one datagram",
            batches,
        ),
        (
            "a batch with one message too many is EMSGSIZE",
            too_large_batches,
        ),
        (
            "an empty batch is sent to nobody, and no error",
            empty_batch,
        ),
        (
            "a filter is asked for each of three listeners and lets one through",
            filter_passes_one,
        ),
        (
            "a filter that lets nobody through is ESRCH",
            filter_passes_none,
        ),
    ];
    let mut suite = Suite::new();
    for (name, test) in tests {
        for (from, context) in [
            ("from the handler", Context::Handler),
            ("from the handler with GFP_ATOMIC", Context::HandlerAtomic),
            ("from softirq", Context::Softirq),
        ] {
            suite = suite.test(format!("{name} ({from})"), move || test(context));
        }
    }
    suite
        .test(
            "groups 1 to 32 exist, and one beyond those that there are does not",
            to_every_group,
        )
        .run()
}
