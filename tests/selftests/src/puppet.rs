// SPDX-License-Identifier: GPL-2.0

//! `ct_puppet`: has the kernel send any message at any time.

use anyhow::{Context, Result, ensure};
use connector_wire::{CbId, Header};

use crate::{Client, Module, wait_for};

/// What leaves requests to whoever holds the strings.
pub const PUPPET: CbId = CbId { idx: 30, val: 8 };

/// What sends as told.
pub const STRINGS: CbId = CbId { idx: 30, val: 9 };

/// Where to send.
#[derive(Clone, Copy, Debug)]
pub enum To {
    /// To one socket.
    Port(u32),
    /// To all in a group.
    Group(u32),
}

/// The data of a message to [`STRINGS`], which answers an empty one with the number of requests so far: `times` times one datagram with `messages`, whose `seq` is
/// one more each time.
pub fn order(to: To, times: u32, messages: &[(Header, &[u8])]) -> Vec<u8> {
    let (port, group) = match to {
        To::Port(port) => (port, 0),
        To::Group(group) => (0, group),
    };
    let mut order = [port, group, times].map(u32::to_ne_bytes).concat();
    for (header, data) in messages {
        let header = Header {
            // CAST: A test's data is never that long.
            len: data.len() as u16,
            ..*header
        };
        order.extend(header.to_bytes());
        order.extend(*data);
    }
    order
}

/// The module, and a socket that tells it what to send.
pub struct Puppet {
    client: Client,
    _puppet: Module,
    _connector: Module,
}

impl Puppet {
    /// Loads the module.
    pub fn load() -> Result<Self> {
        let (connector, puppet) = Module::load_with_connector("ct_puppet", "")?;
        Ok(Self {
            client: Client::open()?,
            _puppet: puppet,
            _connector: connector,
        })
    }

    /// Sends a datagram, which must succeed.
    pub fn send(&self, to: To, messages: &[(Header, &[u8])]) -> Result<()> {
        let sent = self.repeat(to, 1, messages)?;
        ensure!(sent == 1, "sending to {to:?} failed");
        Ok(())
    }

    /// Sends a datagram so many times; returns how many times that succeeded. All of it is over
    /// then.
    pub fn repeat(&self, to: To, times: u32, messages: &[(Header, &[u8])]) -> Result<u32> {
        self.ask(&order(to, times, messages))
    }

    fn ask(&self, data: &[u8]) -> Result<u32> {
        let answer = self.client.ask(&Client::header(STRINGS, 1, 0), data)?;
        let answer = answer.data.try_into().ok().context("an odd answer")?;
        Ok(u32::from_ne_bytes(answer))
    }

    /// Waits until so many requests have come since the module was loaded.
    pub fn wait_for_requests(&self, total: u32) -> Result<()> {
        wait_for("all requests", || {
            Ok((self.ask(b"")? == total).then_some(()))
        })
    }
}
