// SPDX-License-Identifier: GPL-2.0

//! Sockets that a reply comes to, as they can be: connected, here or elsewhere, with a filter, being
//! waited on, full. A reply in place, one with memory of its own and one of a module in C come to all of
//! them as netlink would bring them.

use std::{
    os::fd::{AsFd, AsRawFd},
    process::ExitCode,
    thread,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::socket::{NetlinkAddr, connect},
};
use selftests::{
    CbId, Client, ECHO, Header, Module, NlHeader, Stats, Suite, core_is_ours, datagram, debugfs,
    procfs,
};
use socket2::{SockFilter, SockRef};

/// `ct_reply`, which answers what begins with this with so many bytes that it allocates, and once more.
const COPY: CbId = CbId { idx: 30, val: 6 };
const ALLOCATED: u32 = 4;
const COPIED: u32 = 24;

/// `ct_callback`, which is a module in C.
const CALLBACK: CbId = CbId { idx: 50, val: 1 };

/// The services, as long as they are there.
struct Services {
    _modules: Vec<Module>,
    _connector: Module,
}

impl Services {
    fn begin() -> Result<Self> {
        let (connector, echo) = Module::load_with_connector("cn_echo", "")?;
        let mut modules = vec![echo, Module::load("ct_reply", "")?];
        // For the kernel's own core, modules in C are not our concern.
        if core_is_ours() {
            modules.push(Module::load("ct_callback", "")?);
        }
        Ok(Self {
            _modules: modules,
            _connector: connector,
        })
    }

    fn all() -> Vec<Service> {
        let mut services = Self::that_do_not_wait();
        if core_is_ours() {
            services.push(Service {
                id: CALLBACK,
                request: vec![],
                replies: vec![0],
            });
        }
        services
    }

    /// Those that drop a reply which finds no room. The module in C waits for it.
    fn that_do_not_wait() -> Vec<Service> {
        vec![
            Service {
                id: ECHO,
                request: b"in place".to_vec(),
                replies: vec![8],
            },
            Service {
                id: COPY,
                request: [ALLOCATED.to_ne_bytes(), COPIED.to_ne_bytes()].concat(),
                replies: vec![COPIED as usize, 8],
            },
        ]
    }
}

/// A service, and a request to it.
struct Service {
    id: CbId,
    request: Vec<u8>,
    /// The data of each reply are so many bytes.
    replies: Vec<usize>,
}

impl Service {
    /// Sends a request, with the kernel's address spelled out.
    fn ask(&self, client: &Client, seq: u32) -> Result<()> {
        let request = datagram(&Client::header(self.id, seq, 0), &self.request);
        Ok(client.send_raw_to_kernel(&request)?)
    }

    /// Expects the replies, and nothing else.
    fn expect_replies(&self, client: &Client, seq: u32) -> Result<()> {
        for &len in &self.replies {
            let reply = client
                .recv_now()
                .with_context(|| format!("the reply of {}", self.id))?;
            ensure!(
                (reply.header.id, reply.header.seq, reply.header.ack) == (self.id, seq, 1)
                    && reply.data.len() == len,
                "the reply of {} is {:?} with {} bytes",
                self.id,
                reply.header,
                reply.data.len()
            );
        }
        client.expect_nothing()
    }
}

fn connect_to(client: &Client, portid: u32) -> Result<()> {
    connect(client.as_raw_fd(), &NetlinkAddr::new(portid, 0))
        .with_context(|| format!("connecting to port {portid}"))
}

fn connected() -> Result<()> {
    let _services = Services::begin()?;
    let other = Client::open()?;
    let client = Client::open()?;
    for (seq, service) in (0..).zip(Services::all()) {
        connect_to(&client, 0)?;
        service.ask(&client, seq)?;
        service.expect_replies(&client, seq)?;
        // Such a socket hears from that port alone.
        connect_to(&client, other.portid())?;
        service.ask(&client, seq)?;
        client.expect_nothing()?;
        other.expect_nothing()?;
    }
    if !debugfs::is_there()? {
        return Ok(());
    }
    for (id, gone) in [(ECHO, 1), (COPY, 2)] {
        let stats = Stats::of(id)?;
        ensure!(
            stats.gone == gone && stats.dropped() == gone,
            "{id}: {stats:?}"
        );
    }
    Ok(())
}

fn filtered() -> Result<()> {
    /// The netlink header and that of the message; and some of its data, where there are any.
    const KEPT: u32 = (NlHeader::SIZE + Header::SIZE) as u32 + 4;
    /// `BPF_RET | BPF_K`.
    const RETURN: u16 = 0x06;
    let keep = |bytes| [SockFilter::new(RETURN, 0, 0, bytes)];
    let _services = Services::begin()?;
    let client = Client::open()?;
    let socket = SockRef::from(&client);
    for (seq, service) in (0..).zip(Services::all()) {
        socket.attach_filter(&keep(0)).context("a filter")?;
        service.ask(&client, seq)?;
        client.expect_nothing()?;
        socket.attach_filter(&keep(KEPT)).context("a filter")?;
        service.ask(&client, seq)?;
        for &len in &service.replies {
            let expected = (NlHeader::SIZE + Header::SIZE + len).min(KEPT as usize);
            let came = client.recv_raw()?.len();
            ensure!(
                came == expected,
                "{}: {came} bytes, not {expected}",
                service.id
            );
        }
        client.expect_nothing()?;
        socket.detach_filter().context("no filter")?;
        service.ask(&client, seq)?;
        service.expect_replies(&client, seq)?;
    }
    if !debugfs::is_there()? {
        return Ok(());
    }
    // Netlink does not tell who sends what a filter has dropped.
    let stats = Stats::of(ECHO)?;
    ensure!((stats.replied, stats.dropped()) == (3, 0), "{stats:?}");
    Ok(())
}

/// Half of what comes, at random: one that is asked twice takes three quarters.
fn filtered_once() -> Result<()> {
    const ASKED: u32 = 400;
    /// Loads a number that the kernel makes up (`SKF_AD_OFF + SKF_AD_RANDOM`), and takes all if its last bit
    /// is 0: `BPF_LD | BPF_W | BPF_ABS`, `BPF_ALU | BPF_AND | BPF_K`, `BPF_JMP | BPF_JEQ | BPF_K`, and
    /// `BPF_RET | BPF_K` twice.
    const HALF: [SockFilter; 5] = [
        SockFilter::new(0x20, 0, 0, 0xffff_f038),
        SockFilter::new(0x54, 0, 0, 1),
        SockFilter::new(0x15, 0, 1, 0),
        SockFilter::new(0x06, 0, 0, u32::MAX),
        SockFilter::new(0x06, 0, 0, 0),
    ];
    let _services = Services::begin()?;
    let client = Client::open()?;
    SockRef::from(&client)
        .attach_filter(&HALF)
        .context("a filter")?;
    for service in Services::all() {
        let mut came = 0;
        for seq in 0..ASKED {
            service.ask(&client, seq)?;
            while client.try_recv()?.is_some() {
                came += 1;
            }
        }
        // Five standard deviations from either.
        let asked = ASKED as usize * service.replies.len();
        ensure!(
            came > asked * 3 / 8 && came < asked * 5 / 8,
            "{}: {came} of {asked} came",
            service.id
        );
    }
    Ok(())
}

fn waited_on() -> Result<()> {
    let _services = Services::begin()?;
    let client = Client::open()?;
    for (seq, service) in (0..).zip(Services::all()) {
        let woken = thread::scope(|scope| -> Result<bool> {
            let waiter = scope.spawn(|| {
                let mut fds = [PollFd::new(client.as_fd(), PollFlags::POLLIN)];
                in_poll(&mut fds)
            });
            // It may not wait yet, which is no harm but makes this prove less.
            thread::sleep(Duration::from_millis(100));
            service.ask(&client, seq)?;
            waiter
                .join()
                .map_err(|_| anyhow::anyhow!("the waiter panicked"))?
        })?;
        ensure!(woken, "{}: who waited was not woken", service.id);
        service.expect_replies(&client, seq)?;
    }
    Ok(())
}

fn in_poll(fds: &mut [PollFd<'_>]) -> Result<bool> {
    Ok(poll(fds, PollTimeout::from(60_000_u16))? == 1)
}

fn memory() -> Result<()> {
    let _services = Services::begin()?;
    let client = Client::open()?;
    for (seq, service) in (0..).zip(Services::all()) {
        ensure!(procfs::receive_memory(client.portid())? == 0, "before");
        for _ in 0..50 {
            service.ask(&client, seq)?;
        }
        let unread = procfs::receive_memory(client.portid())?;
        ensure!(
            unread >= 50 * (NlHeader::SIZE + Header::SIZE) as u64,
            "50 replies of {} take {unread} bytes",
            service.id
        );
        let mut left = 50 * service.replies.len();
        while client.try_recv()?.is_some() {
            left -= 1;
        }
        ensure!(left == 0, "{left} replies are missing");
    }
    ensure!(procfs::receive_memory(client.portid())? == 0, "after");
    Ok(())
}

/// A reply that finds no room is lost, however it is sent, and the socket is told once.
fn full() -> Result<()> {
    let _services = Services::begin()?;
    for service in Services::that_do_not_wait() {
        let client = Client::open()?;
        client.shrink_receive_buffer()?;
        for seq in 0..200 {
            service.ask(&client, seq)?;
        }
        let told = client
            .recv_raw()
            .map_err(|error| error.raw_os_error().unwrap_or_default());
        ensure!(
            told == Err(nix::errno::Errno::ENOBUFS as i32),
            "{}: {told:?}",
            service.id
        );
        let drops = procfs::drops(client.portid())?;
        let mut read = 0;
        while client.try_recv()?.is_some() {
            read += 1;
        }
        let sent = 200 * service.replies.len() as u64;
        ensure!(
            0 < read && read + drops == sent,
            "{}: {read} replies were read and {drops} dropped, of {sent}",
            service.id
        );
        service.ask(&client, 200)?;
        service.expect_replies(&client, 200)?;
    }
    Ok(())
}

/// Who goes on asking without ever reading all is told again, when it loses more.
fn never_empty() -> Result<()> {
    let _services = Services::begin()?;
    for service in Services::that_do_not_wait() {
        let client = Client::open()?;
        client.shrink_receive_buffer()?;
        for seq in 0..40 {
            service.ask(&client, seq)?;
        }
        let mut told = 0;
        for seq in 0..300 {
            told += u32::from(client.try_recv().is_err());
            service.ask(&client, seq)?;
            service.ask(&client, seq)?;
        }
        let drops = procfs::drops(client.portid())?;
        ensure!(
            told > 2,
            "{}: told {told} times of {drops} drops",
            service.id
        );
    }
    Ok(())
}

/// What a callback in C sends to another port than its requester's.
fn to_others() -> Result<()> {
    let _services = Services::begin()?;
    let (client, other) = (Client::open()?, Client::open()?);
    let mut data = vec![b'p'];
    data.extend(other.portid().to_ne_bytes());
    let request = datagram(&Client::header(CALLBACK, 7, 0), &data);
    client.send_raw_to_kernel(&request)?;
    client.expect_nothing()?;
    let message = other.recv_now().context("the other one got nothing")?;
    ensure!(message.header.seq == 7, "{:?}", message.header);
    other.expect_nothing()
}

fn main() -> ExitCode {
    let suite = Suite::new()
        .test(
            "a socket that is connected to the kernel gets replies, one to another port none",
            connected,
        )
        .test("a socket's filter is asked", filtered)
        .test("it is asked once", filtered_once)
        .test("who waits for a reply is woken", waited_on)
        .test(
            "replies that were not read count for the socket's buffer, and read ones do not",
            memory,
        )
        .test("a reply without room is lost, and the socket is told", full)
        .test(
            "it is told again of what it loses later, though it never reads all",
            never_empty,
        );
    match core_is_ours() {
        true => suite.test("what goes to another port goes there", to_others),
        false => suite,
    }
    .run()
}
