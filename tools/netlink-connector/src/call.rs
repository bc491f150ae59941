// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Requests whose reply says how they ended.

use std::io;

use connector_wire::{CbId, outcome};

use crate::{
    connector::Connector,
    deadline::Deadline,
    error::{Error, Result},
    message::Message,
};

impl Connector {
    /// Asks a service that replies with how the request ended and, behind that, what was asked for;
    /// returns the latter. The kernel's end of it is `Sender::reply_outcome()`.
    ///
    /// # Errors
    ///
    /// [`Error::Service`] if the service refuses, with its error; [`Error::Unexpected`] if it replies
    /// in another way. Those of [`Self::request`].
    pub fn call(&self, id: CbId, data: &[u8], deadline: impl Into<Deadline>) -> Result<Vec<u8>> {
        let reply = self.request(&self.header(id), data, deadline)?;
        Ok(ended(&reply)?.to_vec())
    }
}

/// What was asked for, if a reply that begins with how the request ended says that it was granted.
pub(crate) fn ended(reply: &Message) -> Result<&[u8]> {
    match outcome(&reply.data) {
        Some(Ok(data)) => Ok(data),
        Some(Err(error)) => Err(Error::Service(io::Error::from_raw_os_error(
            error.try_into().unwrap_or(i32::MAX),
        ))),
        None => Err(Error::Unexpected(
            "the reply does not begin with how the request ended",
        )),
    }
}
