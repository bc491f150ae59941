// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Losses of messages.

use std::fmt;

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
    /// `/proc/net/netlink`. Acknowledgements that requests asked for are datagrams as well.
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

impl fmt::Display for Overrun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.lost {
            Some(1) => f.write_str("1 message was lost: ")?,
            Some(lost) => write!(f, "{lost} messages were lost: ")?,
            None => f.write_str("messages were lost: ")?,
        }
        f.write_str(match self.cause {
            Cause::ReceiveBuffer => {
                "the socket's receive buffer was full; read more often or enlarge it"
            }
            Cause::Inbox => {
                "too many were kept while requests waited for their replies; call recv more often"
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_overrun_counts_in_the_singular_and_the_plural() {
        let overrun = |lost| Overrun {
            lost,
            cause: Cause::ReceiveBuffer,
        };
        assert!(overrun(Some(1)).to_string().starts_with("1 message was"));
        assert!(overrun(Some(2)).to_string().starts_with("2 messages were"));
        assert!(overrun(None).to_string().starts_with("messages were"));
    }
}
