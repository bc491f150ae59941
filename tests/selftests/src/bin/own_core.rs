// SPDX-License-Identifier: GPL-2.0

//! What the connector can that is this project's own, `cn.ko` or a part of the kernel, beyond the one in C: acknowledgements,
//! several messages in a datagram, as many groups as one likes, and closed ones.

use std::{
    fs,
    process::{Child, Command, ExitCode},
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use anyhow::{Context, Result, bail, ensure};
use nix::errno::Errno;
use selftests::{
    CbId, Client, ECHO, Header, Module, NlHeader, Setting, Stats, Suite,
    ack::{self, Ack},
    core_is_ours, datagram,
    notify::{Change, Ids, Listener, expect_done},
    pattern, require_unloadable, steps, times, wait_for,
};

/// Nobody registers it.
const NOBODY: CbId = CbId { idx: 99, val: 99 };
/// Those of `ct_gate`.
const WAITER: CbId = CbId { idx: 30, val: 1 };
const OPENER: CbId = CbId { idx: 30, val: 2 };
/// The step that [`send_two_to_the_gate`] is.
const SEND_TWO: &str = "send-two-to-the-gate";
const CALLBACK: CbId = CbId { idx: 12345, val: 7 };

fn header_of(datagram: &[u8]) -> NlHeader {
    NlHeader::parse(datagram).expect("it begins with one")
}

fn handled() -> Result<()> {
    let (_connector, _echo) = Module::load_with_connector("cn_echo", "")?;
    let client = Client::open()?;
    for (seq, len) in (1..).zip([0, 1, 2, 3, 4, 31, 4096, 8000, 16000]) {
        let data = pattern(seq, len);
        let header = Client::header(ECHO, seq, 5);
        let request = ack::asking(&header, &data);
        client.send_raw(&request)?;
        let reply = client.recv_now()?;
        // CAST: Small.
        ensure!(
            reply.header == header.reply(len as u16) && reply.data == data,
            "of {len} bytes: {:?} with {} bytes",
            reply.header,
            reply.data.len()
        );
        // Also where the reply might have been made of what the acknowledgement is about.
        let ack = Ack::receive(&client)?;
        ack.expect(&client, None, &header_of(&request))?;
        ensure!(ack.payload.is_empty() && ack.text.is_none(), "{ack:?}");
        client.expect_nothing()?;
    }
    Ok(())
}

/// A message that is not handled, why, how much of it the answer repeats, and a word of the text.
struct Refused {
    what: &'static str,
    datagram: Vec<u8>,
    errno: Errno,
    header: NlHeader,
    repeats: bool,
    word: &'static str,
}

impl Refused {
    fn new(
        what: &'static str,
        datagram: Vec<u8>,
        errno: Errno,
        repeats: bool,
        word: &'static str,
    ) -> Self {
        let datagram = ack::with_flag(&datagram);
        let mut header = header_of(&datagram);
        if !repeats {
            // What cannot be repeated is not announced.
            header.len = NlHeader::SIZE as u32;
        }
        Self {
            what,
            datagram,
            errno,
            header,
            repeats,
            word,
        }
    }

    fn check(&self, client: &Client, wants_text: bool) -> Result<()> {
        client.send_raw(&self.datagram)?;
        let ack = Ack::receive(client)?;
        ack.expect(client, Some(self.errno), &self.header)?;
        let payload = match self.repeats {
            true => &self.datagram[NlHeader::SIZE..self.header.len as usize],
            false => &[],
        };
        ensure!(
            ack.payload == payload,
            "repeats {} bytes",
            ack.payload.len()
        );
        match (wants_text, &ack.text) {
            (true, Some(text)) => ensure!(text.contains(self.word), "the text is `{text}`"),
            (false, None) => {}
            other => bail!("the text is {other:?}"),
        }
        client.expect_nothing()?;
        // Who does not ask is told nothing.
        let mut silent = self.datagram.clone();
        silent[6..8].fill(0);
        client.send_raw(&silent)?;
        client.expect_nothing()
    }
}

/// A datagram whose netlink header announces `len` bytes.
fn announcing(len: u32, mut datagram: Vec<u8>) -> Vec<u8> {
    datagram[..4].copy_from_slice(&len.to_ne_bytes());
    datagram
}

fn refused() -> Result<()> {
    let (_connector, _echo) = Module::load_with_connector("cn_echo", "")?;
    let header = Client::header(ECHO, 8, 5);
    let whole = datagram(&header, b"four");
    // CAST: Small.
    let len = whole.len() as u32;
    let mut longer = whole.clone();
    longer[NlHeader::SIZE + 16..][..2].copy_from_slice(&5_u16.to_ne_bytes());
    let largest = datagram(&header, &vec![7; 16384 - Header::SIZE]);
    let too_large = datagram(&header, &vec![7; 16384 - Header::SIZE + 1]);
    let cases = [
        Refused::new(
            "an id that nobody has",
            datagram(&Client::header(NOBODY, 3, 1), b"data"),
            Errno::ENODEV,
            true,
            "registered",
        ),
        Refused::new(
            "more data announced than there are",
            longer,
            Errno::EINVAL,
            true,
            "data",
        ),
        Refused::new(
            "less than a connector header",
            announcing(len - 5, whole[..len as usize - 5].to_vec()),
            Errno::EINVAL,
            true,
            "cn_msg",
        ),
        Refused::new(
            "no connector header at all",
            announcing(16, whole.clone()[..16].to_vec()),
            Errno::EINVAL,
            true,
            "cn_msg",
        ),
        Refused::new(
            "a netlink message longer than the datagram",
            announcing(len + 1, whole.clone()),
            Errno::EINVAL,
            false,
            "nlmsg_len",
        ),
        Refused::new(
            "a netlink message shorter than its header",
            announcing(15, whole.clone()),
            Errno::EINVAL,
            false,
            "nlmsg_len",
        ),
        Refused::new(
            "a message too large by one byte",
            too_large,
            Errno::EMSGSIZE,
            false,
            "16384",
        ),
    ];
    for wants_text in [false, true] {
        let client = Client::open()?;
        if wants_text {
            client.set_ext_ack()?;
        }
        for case in &cases {
            case.check(&client, wants_text).context(case.what)?;
        }
        client.send_raw(&ack::with_flag(&largest))?;
        client.recv_now().context("of 16384 bytes")?;
        Ack::receive(&client)?.expect(&client, None, &header_of(&ack::with_flag(&largest)))?;
    }
    Ok(())
}

/// Netlink messages behind each other, each but the last one padded.
fn behind_each_other(messages: &[Vec<u8>]) -> Vec<u8> {
    let mut all = Vec::<u8>::new();
    for message in messages {
        all.resize(all.len().next_multiple_of(4), 0xee);
        all.extend(message);
    }
    all
}

fn several() -> Result<()> {
    let (_connector, _echo) = Module::load_with_connector("cn_echo", "")?;
    let client = Client::open()?;
    for round in 0..times(200) {
        let count = 1 + round % 17;
        let data: Vec<_> = (0..count)
            .map(|n| pattern(n, (n * 7 + round) as usize % 61))
            .collect();
        let messages: Vec<_> = (0..count)
            .zip(&data)
            .map(|(n, data)| datagram(&Client::header(ECHO, n, round), data))
            .collect();
        client.send_raw(&behind_each_other(&messages))?;
        for (n, data) in (0..count).zip(&data) {
            let reply = client
                .recv_now()
                .with_context(|| format!("{n} of {count}"))?;
            ensure!(
                reply.header.is_reply_to(&Client::header(ECHO, n, round)) && reply.data == *data,
                "{n} of {count}: {reply:?}"
            );
        }
        client.expect_nothing()?;
    }
    Ok(())
}

fn several_with_mistakes() -> Result<()> {
    let (_connector, _echo) = Module::load_with_connector("cn_echo", "")?;
    let client = Client::open()?;
    let good = |seq| datagram(&Client::header(ECHO, seq, 1), b"hello");
    let unknown = ack::with_flag(&datagram(&Client::header(NOBODY, 2, 1), b"data"));
    // Whoever follows one that is refused is handled. What is no message is nothing, and so is what
    // comes behind it.
    let last = ack::with_flag(&announcing(9, good(5)));
    let all = behind_each_other(&[
        good(1),
        unknown.clone(),
        ack::with_flag(&good(3)),
        last,
        good(6),
    ]);
    client.send_raw(&all)?;
    ensure!(client.recv_now()?.header.seq == 1, "the first");
    Ack::receive(&client)?.expect(&client, Some(Errno::ENODEV), &header_of(&unknown))?;
    ensure!(client.recv_now()?.header.seq == 3, "the third");
    Ack::receive(&client)?.expect(&client, None, &header_of(&ack::with_flag(&good(3))))?;
    client.expect_nothing()?;
    // What is too short to be a message is nothing.
    for rest in 1..NlHeader::SIZE {
        client.send_raw(&behind_each_other(&[good(7), vec![0xff; rest]]))?;
        ensure!(client.recv_now()?.header.seq == 7, "before {rest} bytes");
        client.expect_nothing()?;
    }
    Ok(())
}

/// As the connector's documentation has it: `nl_groups = 12345` in `bind(2)`, and then
/// `NETLINK_ADD_MEMBERSHIP` with the same number.
fn documented_group() -> Result<()> {
    let _connector = Module::load("rust_connector", "groups=16384")?;
    let _callback = Module::load("ct_callback", "idx=12345 val=7")?;
    let client = Client::open_bound_to_groups(12345)?;
    client.join(12345)?;
    let other = Client::open_in(12344)?;
    let sender = Client::open()?;
    sender.send(&Client::header(CALLBACK, 3, 4), b"b")?;
    let message = client.recv_now()?;
    ensure!(
        (message.header.id, message.header.seq, message.header.ack) == (CALLBACK, 3, 5),
        "{message:?}"
    );
    client.expect_nothing()?;
    other.expect_nothing()?;
    sender.expect_nothing()
}

fn as_many_groups_as_asked_for() -> Result<()> {
    require_unloadable()?;
    for (parameters, last) in [("", 32), ("groups=16384", 16384), ("groups=65536", 65536)] {
        let _connector = Module::load("rust_connector", parameters)?;
        Client::open_in(last).context(parameters)?;
        let beyond = Client::open()?.join(last + 1);
        let errno = beyond.err().and_then(|error| error.raw_os_error());
        ensure!(
            errno == Some(Errno::EINVAL as i32),
            "{parameters}: {errno:?}"
        );
    }
    for parameters in ["groups=31", "groups=65537", "groups=0"] {
        match Module::try_load("rust_connector", parameters)? {
            Ok(_) => bail!("{parameters} was accepted"),
            Err(errno) => ensure!(errno == Errno::EINVAL, "{parameters}: {errno}"),
        }
    }
    Ok(())
}

/// Who has a file of a module open does not keep the module from going if it could not be initialised.
fn no_file_before_all_is_there() -> Result<()> {
    require_unloadable()?;
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let seen = scope.spawn(|| {
            let mut seen = 0;
            while !done.load(Ordering::Relaxed) {
                seen += u32::from(fs::File::open("/sys/kernel/debug/rust_connector/stats").is_ok());
            }
            seen
        });
        let refused = (0..times(100)).try_for_each(|_| {
            match Module::try_load("rust_connector", "groups=1")? {
                Ok(_) => bail!("groups=1 was accepted"),
                Err(_) => Ok(()),
            }
        });
        done.store(true, Ordering::Relaxed);
        let seen = seen.join().expect("it does not panic");
        ensure!(
            seen == 0,
            "a file of a module that was not loaded was open {seen} times"
        );
        refused
    })
}

/// The client's side: joins groups, as a user or not, and says which it could; or sends to the gate.
fn take(groups: impl Iterator<Item = String>) -> Result<()> {
    let mut joined = Vec::new();
    for group in groups {
        match &group[..] {
            "become-user" => {
                steps::become_user(1000, 1000)?;
                continue;
            }
            SEND_TWO => return send_two_to_the_gate(),
            _ => {}
        }
        let group: u32 = group.parse().context("a group")?;
        let client = Client::open()?;
        match client.join(group) {
            Ok(()) => joined.push(group.to_string()),
            Err(error) => ensure!(error.raw_os_error() == Some(Errno::EPERM as i32), "{error}"),
        }
        // The same by the other way.
        let mask = 1_u32.checked_shl(group - 1).unwrap_or(0);
        if mask != 0 {
            let bound = Client::open_bound_to_groups(mask);
            ensure!(
                bound.is_ok() == (joined.last() == Some(&group.to_string())),
                "bind to {group}"
            );
        }
    }
    print!("{}", joined.join(" "));
    Ok(())
}

/// The client's side of the next test: does not return from its `sendmsg(2)` before the gate was opened.
fn send_two_to_the_gate() -> Result<()> {
    let two = [&b"wait"[..], b"no wait"].map(|data| datagram(&Client::header(WAITER, 1, 0), data));
    Ok(Client::open()?.send_raw(&behind_each_other(&two))?)
}

/// How many of the two are handled if something is done to the sender while the first one is.
fn handled_of_two(meanwhile: impl FnOnce(&mut Child) -> Result<()>) -> Result<u64> {
    let (_connector, _gate) = Module::load_with_connector("ct_gate", "")?;
    let mut sender = Command::new("/proc/self/exe").arg(SEND_TWO).spawn()?;
    wait_for("the first is being handled", || {
        Ok((Stats::of(WAITER)?.running == 1).then_some(()))
    })?;
    meanwhile(&mut sender)?;
    Client::open()?.send(&Client::header(OPENER, 0, 0), b"open")?;
    sender.wait()?;
    Ok(Stats::of(WAITER)?.received)
}

fn killed_between_messages() -> Result<()> {
    let handled = handled_of_two(|_| Ok(()))?;
    ensure!(handled == 2, "of a sender that is left alone: {handled}");
    let handled = handled_of_two(|sender| Ok(sender.kill()?))?;
    ensure!(handled == 1, "of a sender that was killed: {handled}");
    Ok(())
}

fn who_may_join() -> Result<()> {
    const GROUPS: &str = "1 2 3 5 6 7 15 31 32 33 12345";
    let connector = Module::load("rust_connector", "groups=16384")?;
    let open = |expected: &str, when: &str| -> Result<()> {
        let joined = steps::process(&format!("become-user {GROUPS}"))?;
        ensure!(joined == expected, "{when}, a user joined {joined}");
        Ok(())
    };
    ensure!(steps::process(GROUPS)? == GROUPS, "root joins all of them");
    open("1", "with no service")?;
    let service = Module::load("ct_open", "")?;
    open("1 6 31", "with a service that opens 6 and 31")?;
    service.unload()?;
    open("1", "after it")?;
    connector.unload()
}

fn stays_while_open() -> Result<()> {
    require_unloadable()?;
    let connector = Module::load("rust_connector", "")?;
    let client = Client::open()?;
    let (connector, errno) = match connector.try_unload() {
        Ok(()) => bail!("cn went away under an open socket"),
        Err(refused) => refused,
    };
    ensure!(errno == Errno::EWOULDBLOCK, "rmmod cn: {errno}");
    // It is as before.
    client.send_raw(&ack::asking(&Client::header(NOBODY, 1, 1), b""))?;
    ensure!(Ack::receive(&client)?.error == -(Errno::ENODEV as i32));
    drop(client);
    connector.unload()?;
    let gone = Client::open()
        .err()
        .context("a socket without a connector")?;
    ensure!(
        format!("{gone:#}").contains("os error 93"),
        "without the connector: {gone:#}"
    );
    Ok(())
}

fn told_without_probes() -> Result<()> {
    let (_connector, _notify) = Module::load_with_connector("cn_notify", "")?;
    let _probes_off = Setting::change("/sys/kernel/debug/kprobes/enabled", "0")?;
    let client = Client::open()?;
    let mut listener = Listener::new(2)?;
    let id = CbId { idx: 40, val: 1 };
    expect_done(&client, &Ids::one(id), 2)?;
    let probes = fs::read_to_string("/sys/kernel/debug/kprobes/list")?;
    ensure!(
        !probes.contains("cn_add_callback"),
        "there is a probe: {probes}"
    );
    Module::load("ct_peer", "")?.unload()?;
    // All that was before is told before the answer.
    expect_done(&client, &Ids::one(id), 2)?;
    listener.expect(&[Change::Came(id), Change::Went(id)])
}

fn listed_in_order() -> Result<()> {
    let _connector = Module::load("rust_connector", "")?;
    // What the kernel has built in comes first.
    let before = fs::read_to_string("/proc/net/connector")?;
    ensure!(before.starts_with("Name            ID\n"), "{before}");
    let _echo = Module::load("cn_echo", "")?;
    let _peer = Module::load("ct_peer", "idx=4000000000 val=4000000001")?;
    let _open = Module::load("ct_open", "")?;
    let text = fs::read_to_string("/proc/net/connector")?;
    let expected = format!(
        "{before}\
                    cn_echo         16:1\n\
                    ct_peer         4000000000:4000000001\n\
                    ct_open         36:1\n"
    );
    ensure!(text == expected, "/proc/net/connector says:\n{text}");
    Ok(())
}

fn main() -> ExitCode {
    if let Some(code) = steps::taken_by(|mut steps| take(&mut steps)) {
        return code;
    }
    let lacking = (!core_is_ours()).then_some("the connector is the kernel's own");
    Suite::new()
        .skip_if(lacking)
        .test("who asks is told that a message was handled, after its reply", handled)
        .test("who asks is told why a message was not handled, and nobody else is", refused)
        .test("all messages of a datagram are handled, in their order", several)
        .test(
            "a message behind one that was refused is handled, and none behind one whose length lies",
            several_with_mistakes,
        )
        .test("who is killed has no more messages of a datagram handled", killed_between_messages)
        .test("the documentation's group 12345 can be joined as it says, and receives", documented_group)
        .test("there are as many groups as the module was asked for", as_many_groups_as_asked_for)
        .test("a module that cannot be initialised shows no file", no_file_before_all_is_there)
        .test("a user may join group 1, and those that a service opens while it is there", who_may_join)
        .test("cn cannot be unloaded while a socket is open, and can afterwards", stays_while_open)
        .test("ids of C modules are told of without a probe", told_without_probes)
        .test("/proc/net/connector lists the ids as the kernel's own core does", listed_in_order)
        .run()
}
