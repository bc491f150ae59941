// SPDX-License-Identifier: GPL-2.0

//! Receiving datagrams one after the other, waiting no longer than allowed, and putting a loss at
//! its place in the stream. There is one reader for a socket; who holds it receives.

use crate::{
    deadline::Deadline,
    error::Result,
    event::{Cause, Overrun},
    procfs,
    socket::{Received, Sender, Socket},
};

/// The buffer's size in bytes. A message from the kernel has at most a netlink header (16), a
/// connector header (20) and 65535 bytes of data; `cn_netlink_send_mult()` can send no more either.
const ROOM: usize = 65536 + 64;

/// The least that the kernel charges the receive buffer for a message, in bytes: `SKB_TRUESIZE()`
/// of the smallest data area, rounded down to be on the safe side on every architecture.
const LEAST_CHARGE: usize = 512;

/// What the reader found.
pub(crate) enum Read {
    /// A datagram of `len` bytes; see [`Reader::buffer`].
    Datagram { len: usize, sender: Sender },
    /// The place in the stream where messages are missing.
    Lost(Overrun),
    /// The kernel has begun to drop messages. Their place in the stream, [`Self::Lost`], comes
    /// later; but a reply may be among them.
    Dropping,
    /// Nothing came in time.
    TimedOut,
}

/// Receives from a socket.
#[derive(Debug)]
pub(crate) struct Reader {
    buffer: Box<[u8]>,
    /// After a loss was reported and before its place was reached: how many messages can still
    /// precede that place.
    before_loss: Option<usize>,
    /// How many drops the kernel had counted when a loss was last reported.
    drops: u64,
}

impl Reader {
    pub(crate) fn new() -> Self {
        Self {
            buffer: vec![0; ROOM].into(),
            before_loss: None,
            drops: 0,
        }
    }

    /// What was received last is at the start of this.
    pub(crate) fn buffer(&self) -> &[u8] {
        &self.buffer
    }

    /// Receives one datagram, or finds out that there will be none in time.
    pub(crate) fn read(&mut self, socket: &Socket, deadline: &mut Deadline) -> Result<Read> {
        loop {
            if self.before_loss == Some(0) {
                return Ok(self.lost(socket));
            }
            // Behind the messages in the buffer there is a loss to tell of, not to wait for.
            let wait = deadline.is_never() && self.before_loss.is_none();
            match socket.receive(&mut self.buffer, wait)? {
                Received::Datagram { len, sender } => {
                    if let Some(left) = &mut self.before_loss {
                        *left -= 1;
                    }
                    return Ok(Read::Datagram { len, sender });
                }
                Received::Overrun => {
                    if self.before_loss.is_none() {
                        self.before_loss = Some(socket.receive_buffer()? / LEAST_CHARGE);
                    }
                    return Ok(Read::Dropping);
                }
                Received::Nothing if self.before_loss.is_some() => return Ok(self.lost(socket)),
                Received::Nothing => {}
            }
            if let Some(left) = deadline.left() {
                if left.is_zero() {
                    return Ok(Read::TimedOut);
                }
                socket.wait_readable(Some(left))?;
            }
        }
    }

    /// The place of a loss is reached.
    fn lost(&mut self, socket: &Socket) -> Read {
        self.before_loss = None;
        let lost = procfs::drops(socket.portid()).map(|drops| {
            // The counter has 32 bits and goes round.
            let lost = u64::from((drops as u32).wrapping_sub(self.drops as u32));
            self.drops = drops;
            lost
        });
        Read::Lost(Overrun {
            lost,
            cause: Cause::ReceiveBuffer,
        })
    }
}
