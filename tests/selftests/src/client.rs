// SPDX-License-Identifier: GPL-2.0

//! A netlink socket without any cleverness: what was sent and received, to the byte.

use std::{
    io::{self, ErrorKind},
    os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd},
    sync::{Mutex, PoisonError},
    thread,
};

use anyhow::{Context, Result, bail, ensure};
use connector_wire::{
    CbId, Header, Messages,
    netlink::{self, NlHeader},
};
use netlink_sys::{Socket, SocketAddr};
use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::socket::{MsgFlags, setsockopt, sockopt},
};

/// A socket of the connector.
pub struct Client {
    socket: Socket,
    portid: u32,
    buffer: Mutex<Vec<u8>>,
}

/// What one receive returned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// The netlink header.
    pub netlink: NlHeader,
    /// What it holds.
    pub messages: Vec<Received>,
}

/// A message in a datagram.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// The connector's header.
    pub header: Header,
    /// The data.
    pub data: Vec<u8>,
}

impl Client {
    /// More than the kernel can put into one datagram.
    const MOST: usize = 1 << 17;

    /// Opens a socket that is bound to a port of the kernel's choice and in no group.
    pub fn open() -> Result<Self> {
        let mut socket =
            Socket::new(netlink::PROTOCOL.into()).context("socket(NETLINK_CONNECTOR)")?;
        let own = socket.bind_auto().context("bind")?;
        Ok(Self::new(socket, own.port_number()))
    }

    /// Opens a socket that is bound to this port as soon as that is free.
    pub fn open_at(portid: u32) -> Result<Self> {
        let mut socket =
            Socket::new(netlink::PROTOCOL.into()).context("socket(NETLINK_CONNECTOR)")?;
        while let Err(error) = socket.bind(&SocketAddr::new(portid, 0)) {
            ensure!(error.kind() == ErrorKind::AddrInUse, "bind: {error}");
            thread::yield_now();
        }
        Ok(Self::new(socket, portid))
    }

    fn new(socket: Socket, portid: u32) -> Self {
        Self {
            socket,
            portid,
            buffer: Mutex::new(Vec::with_capacity(Self::MOST)),
        }
    }

    /// Opens a socket that is in a group.
    pub fn open_in(group: u32) -> Result<Self> {
        let client = Self::open()?;
        client
            .join(group)
            .with_context(|| format!("joining group {group}"))?;
        Ok(client)
    }

    /// Opens a socket that is bound with a mask of groups, as `nl_groups` is one.
    pub fn open_bound_to_groups(mask: u32) -> Result<Self> {
        let mut socket =
            Socket::new(netlink::PROTOCOL.into()).context("socket(NETLINK_CONNECTOR)")?;
        socket.bind(&SocketAddr::new(0, mask)).context("bind")?;
        let mut own = SocketAddr::new(0, 0);
        socket.get_address(&mut own).context("getsockname")?;
        Ok(Self {
            portid: own.port_number(),
            socket,
            buffer: Mutex::new(Vec::with_capacity(Self::MOST)),
        })
    }

    /// Joins a group.
    pub fn join(&self, group: u32) -> io::Result<()> {
        self.socket.add_membership(group)
    }

    /// Leaves a group.
    pub fn leave(&self, group: u32) -> io::Result<()> {
        self.socket.drop_membership(group)
    }

    /// The socket's port.
    pub fn portid(&self) -> u32 {
        self.portid
    }

    /// Sets the receive buffer as small as the kernel allows.
    pub fn shrink_receive_buffer(&self) -> Result<()> {
        Ok(setsockopt(&self.socket, sockopt::RcvBuf, &0)?)
    }

    /// Wants the text of an error (`NETLINK_EXT_ACK`).
    pub fn set_ext_ack(&self) -> Result<()> {
        Ok(self.socket.set_ext_ack(true)?)
    }

    /// Wants senders to groups to know when this socket has no room (`NETLINK_BROADCAST_ERROR`).
    pub fn set_broadcast_error(&self) -> Result<()> {
        Ok(self.socket.set_broadcast_error(true)?)
    }

    /// A header for `id`.
    pub fn header(id: CbId, seq: u32, ack: u32) -> Header {
        Header {
            id,
            seq,
            ack,
            ..Header::default()
        }
    }

    /// Sends a message. The header's `len` becomes that of `data`.
    pub fn send(&self, header: &Header, data: &[u8]) -> Result<()> {
        self.send_raw(&datagram(header, data))
            .with_context(|| format!("sending {} bytes to {}", data.len(), header.id))
    }

    /// Sends a datagram to the kernel.
    pub fn send_raw(&self, datagram: &[u8]) -> io::Result<()> {
        // The socket is not connected, so this goes to port 0, the kernel.
        let sent = self.socket.send(datagram, 0)?;
        match sent == datagram.len() {
            true => Ok(()),
            false => Err(ErrorKind::WriteZero.into()),
        }
    }

    /// Sends a datagram to the kernel, with the kernel's address spelled out.
    pub fn send_raw_to_kernel(&self, datagram: &[u8]) -> io::Result<()> {
        self.socket
            .send_to(datagram, &SocketAddr::new(0, 0), 0)
            .map(drop)
    }

    /// Sends a datagram to the kernel, and before that to everyone in the groups of this mask.
    pub fn send_raw_to_groups(&self, datagram: &[u8], mask: u32) -> io::Result<()> {
        self.socket
            .send_to(datagram, &SocketAddr::new(0, mask), 0)
            .map(drop)
    }

    /// Receives a datagram if there is one.
    pub fn try_recv(&self) -> Result<Option<Datagram>> {
        match self.recv_raw() {
            Ok(bytes) => parse(&bytes).map(Some),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error).context("recv"),
        }
    }

    /// Receives the bytes of a datagram if there is one, or `EAGAIN`.
    pub fn recv_raw(&self) -> io::Result<Vec<u8>> {
        let mut buffer = self.buffer.lock().unwrap_or_else(PoisonError::into_inner);
        buffer.clear();
        self.socket
            .recv_from(&mut *buffer, MsgFlags::MSG_DONTWAIT.bits())?;
        Ok(buffer.clone())
    }

    /// Waits for a datagram.
    pub fn recv(&self) -> Result<Datagram> {
        let mut fds = [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)];
        let timeout = PollTimeout::try_from(crate::PATIENCE).context("the timeout")?;
        if poll(&mut fds, timeout)? == 0 {
            bail!("no message came within {} s", crate::PATIENCE.as_secs());
        }
        self.try_recv()?.context("poll saw a message, recv did not")
    }

    /// Receives a datagram, which must be there already and hold one message.
    ///
    /// A handler runs inside `sendmsg(2)`, so that a reply is there when that returns.
    pub fn recv_now(&self) -> Result<Received> {
        self.try_recv()?.context("nothing was received")?.single()
    }

    /// Fails if there is something to receive.
    pub fn expect_nothing(&self) -> Result<()> {
        match self.try_recv()? {
            None => Ok(()),
            Some(datagram) => bail!("nothing should have come, but this did: {datagram:?}"),
        }
    }

    /// Sends a message and returns the reply, which has to be right but for its data.
    pub fn ask(&self, header: &Header, data: &[u8]) -> Result<Received> {
        self.send(header, data)?;
        let reply = self.recv_now()?;
        let expected = header.reply(reply.header.len);
        ensure!(
            reply.header == expected,
            "the reply's header is {:?}, and should be {expected:?}",
            reply.header
        );
        Ok(reply)
    }

    /// Receives the reply to `request`, which has to be there, and be this.
    pub fn expect_reply(&self, request: &Header, data: &[u8]) -> Result<()> {
        let reply = self.recv_now()?;
        let header = request.reply(data.len().try_into()?);
        ensure!(
            reply.header == header && reply.data == data,
            "{:?} with {} bytes came, and should {header:?}",
            reply.header,
            reply.data.len()
        );
        Ok(())
    }

    /// Sends a message to an echo service and checks that it comes back.
    pub fn expect_echo(&self, header: &Header, data: &[u8]) -> Result<()> {
        let reply = self.ask(header, data)?;
        ensure!(
            reply.data == data,
            "{} bytes were sent, and {} others came back",
            data.len(),
            reply.data.len()
        );
        self.expect_nothing()
    }
}

impl AsRawFd for Client {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

impl AsFd for Client {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Datagram {
    /// The message of a datagram that has one.
    pub fn single(self) -> Result<Received> {
        match <[Received; 1]>::try_from(self.messages) {
            Ok([message]) => Ok(message),
            Err(messages) => bail!("one message was expected in a datagram: {messages:?}"),
        }
    }
}

/// A datagram with one message.
pub fn datagram(header: &Header, data: &[u8]) -> Vec<u8> {
    let header = Header {
        // CAST: Longer data is for tests that lie about the length.
        len: data.len() as u16,
        ..*header
    };
    let netlink = NlHeader {
        // CAST: A test's data is never that long.
        len: (NlHeader::SIZE + Header::SIZE + data.len()) as u32,
        kind: netlink::DONE,
        seq: header.seq,
        ..NlHeader::default()
    };
    [&netlink.to_bytes()[..], &header.to_bytes(), data].concat()
}

/// Takes a datagram apart, which has to be right in every length.
fn parse(bytes: &[u8]) -> Result<Datagram> {
    let (netlink, payload) = netlink::parse(bytes)?;
    let messages = Messages::new(payload)
        .map(|message| {
            let message = message?;
            Ok(Received {
                header: message.header,
                data: message.data.to_vec(),
            })
        })
        .collect::<Result<_>>()?;
    Ok(Datagram { netlink, messages })
}
