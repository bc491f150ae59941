// SPDX-License-Identifier: GPL-2.0

//! Receiving no longer than allowed, and putting a loss at its place in the stream.

use crate::{
    deadline::Deadline,
    error::Result,
    event::{Cause, Overrun},
    intake::{Intake, Received},
    procfs,
    socket::Socket,
};

/// The least that the kernel charges the receive buffer for a message, in bytes: `SKB_TRUESIZE()`
/// of the smallest data area, rounded down to be on the safe side on every architecture.
const LEAST_CHARGE: usize = 512;

/// What the reader found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Read {
    /// Datagrams, which are in the intake.
    Datagrams,
    /// The place in the stream where messages are missing.
    Lost(Overrun),
    /// The kernel has begun to drop messages. Their place in the stream, [`Self::Lost`], comes
    /// later; but a reply may be among them.
    Dropping,
    /// Nothing came in time.
    TimedOut,
}

/// What there is to know about a socket between two receiving system calls.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    /// After a loss was reported and before its place was reached: how many messages can still
    /// precede that place.
    before_loss: Option<usize>,
    /// How many drops the kernel had counted when a loss was last reported.
    drops: u32,
}

impl Reader {
    /// Receives what is there, without waiting.
    #[cfg(feature = "tokio")]
    pub(crate) fn look(&mut self, socket: &Socket, intake: &mut impl Intake) -> Result<Read> {
        if self.is_behind() {
            return self.read(socket, intake, &mut { Deadline::NOW });
        }
        let received = intake.receive(socket, false);
        self.take(socket, received)
    }

    /// Whether the place of a loss is still to come.
    #[inline]
    pub(crate) fn is_behind(&self) -> bool {
        self.before_loss.is_some()
    }

    /// What it means that so much came, without waiting and while no place of a loss is to come.
    #[inline]
    pub(crate) fn take(&mut self, socket: &Socket, received: Result<Received>) -> Result<Read> {
        match received? {
            Received::Datagrams(_) => Ok(Read::Datagrams),
            Received::Nothing => Ok(Read::TimedOut),
            Received::Overrun => self.overrun(socket),
        }
    }

    /// Receives into `intake`, or finds out that there will be nothing in time.
    pub(crate) fn read(
        &mut self,
        socket: &Socket,
        intake: &mut impl Intake,
        deadline: &mut Deadline,
    ) -> Result<Read> {
        loop {
            if self.before_loss == Some(0) {
                return Ok(self.lost(socket));
            }
            // Behind the messages in the buffer there is a loss to tell of, not to wait for.
            let wait = deadline.is_never() && self.before_loss.is_none();
            match intake.receive(socket, wait)? {
                Received::Datagrams(count) => {
                    if let Some(left) = &mut self.before_loss {
                        *left = left.saturating_sub(count);
                    }
                    return Ok(Read::Datagrams);
                }
                Received::Overrun => return self.overrun(socket),
                Received::Nothing if self.before_loss.is_some() => return Ok(self.lost(socket)),
                Received::Nothing => {}
            }
            if let Some(left) = deadline.left() {
                if left.is_zero() {
                    return Ok(Read::TimedOut);
                }
                socket.wait_readable(left)?;
            }
        }
    }

    /// A loss was reported; its place is behind what the buffer can hold.
    #[cold]
    fn overrun(&mut self, socket: &Socket) -> Result<Read> {
        if self.before_loss.is_none() {
            self.before_loss = Some(socket.receive_buffer()? / LEAST_CHARGE);
        }
        Ok(Read::Dropping)
    }

    /// The place of a loss is reached.
    #[cold]
    fn lost(&mut self, socket: &Socket) -> Read {
        self.before_loss = None;
        let lost = procfs::drops(socket.portid()).map(|drops| {
            let lost = drops.wrapping_sub(self.drops);
            self.drops = drops;
            lost.into()
        });
        Read::Lost(Overrun {
            lost,
            cause: Cause::ReceiveBuffer,
        })
    }
}
