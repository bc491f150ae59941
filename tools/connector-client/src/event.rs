// SPDX-License-Identifier: GPL-2.0

//! What a socket receives.

use connector_wire::{Group, Header, RawMessage};

use crate::{
    error::{Error, Result},
    intake::Sender,
    payload::Payload,
};

/// A message that was received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The header: who sent it (`id`) and how it is related to others (`seq`, `ack`).
    pub header: Header,
    /// The data; `header.len` bytes. They are just bytes: nothing says that they are text or end in
    /// a NUL.
    pub data: Payload,
    /// The group that it was broadcast to, or `None` if it was sent to this socket alone.
    pub group: Option<Group>,
}

impl Message {
    #[inline]
    pub(crate) fn new(raw: RawMessage<'_>, sender: Sender) -> Self {
        Self {
            header: raw.header,
            data: raw.data.into(),
            group: sender.group,
        }
    }
}

/// What [`Connector::recv`](crate::Connector::recv) returns, in the order in which it happened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A message came.
    Message(Message),
    /// At this point of the stream messages are missing.
    Overrun(Overrun),
}

impl Event {
    /// The message.
    ///
    /// # Errors
    ///
    /// [`Error::Overrun`] if it was a loss instead.
    pub fn into_message(self) -> Result<Message> {
        match self {
            Self::Message(message) => Ok(message),
            Self::Overrun(overrun) => Err(Error::Overrun(overrun)),
        }
    }
}

/// A loss of messages.
///
/// The kernel reports a full receive buffer by `ENOBUFS`, and does so at once, ahead of the
/// messages that still are in the buffer. From then on it drops everything until the buffer has
/// been emptied. So the place of the loss is behind what was in the buffer, and there this crate
/// puts it: when it finds the buffer empty, and at the latest after as many messages as the buffer
/// can have held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Overrun {
    /// How many datagrams were lost, as far as known: the kernel counts them for each socket in
    /// `/proc/net/netlink`.
    pub lost: Option<u64>,
    /// What was full.
    pub cause: Cause,
}

/// What was full when messages were lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// The socket's receive buffer in the kernel (`ENOBUFS`).
    ReceiveBuffer,
    /// This crate's store of messages that came while a request waited for its reply.
    Inbox,
}
