// SPDX-License-Identifier: GPL-2.0 OR MIT

//! A message as it was received.

use connector_wire::{Group, Header, RawMessage};

use crate::payload::Payload;

/// A message that was received.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Message {
    /// The header: who sent it (`id`) and how it is related to others (`seq`, `ack`).
    pub header: Header,
    /// The data; `header.len` bytes. They are just bytes: nothing says that they are text or end in
    /// a NUL.
    pub data: Payload,
    /// The group that it was broadcast to, or `None` if it was sent to this socket alone.
    pub group: Option<Group>,
    /// The netlink port of the sender: 0 is the kernel. Any other is a process, whose messages come
    /// only with [`Builder::accept_processes`](crate::Builder::accept_processes).
    pub portid: u32,
}

impl Message {
    /// A message, as if it had been received from `portid`; for tests of what takes messages. The
    /// header's `len` becomes the length of `data`, which is at most 65535.
    pub fn new(header: Header, data: &[u8], group: Option<Group>, portid: u32) -> Self {
        let header = Header {
            len: data.len().try_into().unwrap_or(u16::MAX),
            ..header
        };
        Self {
            header,
            data: data.into(),
            group,
            portid,
        }
    }

    #[inline]
    pub(crate) fn from_raw(raw: RawMessage<'_>, sender: Sender) -> Self {
        Self {
            header: raw.header,
            data: raw.data.into(),
            group: sender.group,
            portid: sender.portid,
        }
    }
}

/// Who a datagram came from, and how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sender {
    /// 0 is the kernel.
    pub(crate) portid: u32,
    /// The group that it was sent to.
    pub(crate) group: Option<Group>,
}

impl Sender {
    /// From the fields of `struct sockaddr_nl`. The kernel sets the bit of one group, or none.
    pub(crate) fn new(portid: u32, groups: u32) -> Self {
        let group = match groups {
            0 => None,
            mask => Group::new(mask.trailing_zeros() + 1),
        };
        Self { portid, group }
    }
}
