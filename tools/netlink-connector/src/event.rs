// SPDX-License-Identifier: GPL-2.0 OR MIT

//! What a socket receives: messages, and the places where some are missing.

use crate::{
    error::{Error, Result},
    message::Message,
    overrun::Overrun,
};

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
