// SPDX-License-Identifier: GPL-2.0

//! What can go wrong, with the cause and the next step in words.

use std::{fmt, io};

use connector_wire::{Header, MAX_DATA_SIZE};

use crate::{
    datagram::Malformed,
    event::{Cause, Overrun},
};

/// The result of this crate's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an operation failed.
///
/// `Display` names the cause and what to do next, in one line fit for a terminal.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The kernel has no connector (`EPROTONOSUPPORT`).
    NoConnector,
    /// Joining one of these groups takes `CAP_NET_ADMIN` (`EPERM`).
    NotPermitted {
        /// The groups asked for, as the bit mask of `bind(2)`.
        groups: u32,
    },
    /// Nobody is at the kernel's end of the socket (`ECONNREFUSED`): only the initial network
    /// namespace has a connector.
    Refused,
    /// The data is too large for the core, which would drop it without a word.
    TooLarge {
        /// The size of the data in bytes; [`MAX_DATA_SIZE`] is the limit.
        len: usize,
    },
    /// Nothing came before the deadline.
    TimedOut {
        /// The request whose reply was awaited, or `None` where any message would have done.
        request: Option<Header>,
        /// Whether the receive buffer overran meanwhile, so that the reply may have been lost.
        overrun: bool,
    },
    /// Messages were lost. [`Connector::recv`](crate::Connector::recv) reports this as
    /// [`Event::Overrun`](crate::Event::Overrun); it is an error where only a message would do.
    Overrun(Overrun),
    /// A datagram came that is not made as the connector makes them. It was dropped, from the
    /// point that the error names; the socket can be used on.
    Malformed(Malformed),
    /// A datagram came from another process, not from the kernel. It was dropped; the socket can be
    /// used on. See [`Builder::accept_processes`](crate::Builder::accept_processes).
    ForeignSender {
        /// The netlink port of the sender; often, but not always, its process id.
        portid: u32,
    },
    /// What arrived has the connector's form, but is not what the service that it came from should
    /// send.
    Unexpected(&'static str),
    /// The kernel did not confirm that this socket gets process events.
    NoProcEvents,
    /// The service refused, with this error.
    Service(io::Error),
    /// A system call failed in a way that has no better name here.
    Io {
        /// What was being done.
        doing: &'static str,
        /// The error.
        source: io::Error,
    },
}

impl Error {
    /// Wraps an error from a system call.
    pub(crate) fn io(doing: &'static str, source: io::Error) -> Self {
        Self::Io { doing, source }
    }

    /// Whether this is [`Self::TimedOut`].
    pub fn is_timeout(&self) -> bool {
        matches!(self, Self::TimedOut { .. })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoConnector => f.write_str(
                "the kernel does not know the protocol NETLINK_CONNECTOR: it needs CONFIG_CONNECTOR \
                 (built in, or `modprobe cn`)",
            ),
            Self::NotPermitted { groups } => {
                write!(f, "no permission to join ")?;
                groups_in_words(f, *groups)?;
                f.write_str(
                    ": joining a group of an even number takes CAP_NET_ADMIN (run as root)",
                )
            }
            Self::Refused => f.write_str(
                "connection refused: only the initial network namespace has a connector; run this \
                 outside of the container or namespace (nsenter -t 1 -n)",
            ),
            Self::TooLarge { len } => write!(
                f,
                "{len} bytes of data are more than the {MAX_DATA_SIZE} that the connector takes; \
                 it would drop them without a word"
            ),
            Self::TimedOut {
                request: None,
                overrun: _,
            } => f.write_str("no message came in time"),
            Self::TimedOut {
                request: Some(request),
                overrun,
            } => {
                write!(
                    f,
                    "no reply from {} to seq {} in time: ",
                    request.id, request.seq
                )?;
                f.write_str(if *overrun {
                    "the receive buffer overran meanwhile and the reply may have been lost; read \
                     more often or enlarge the buffer"
                } else {
                    "nobody registered this id (see /proc/net/connector), its owner does not \
                     reply, or the reply was lost"
                })
            }
            Self::Overrun(overrun) => overrun.fmt(f),
            Self::Malformed(malformed) => malformed.fmt(f),
            Self::ForeignSender { portid } => write!(
                f,
                "dropped a datagram from another process (netlink port {portid}): only the kernel's \
                 are accepted"
            ),
            Self::Unexpected(what) => f.write_str(what),
            Self::NoProcEvents => f.write_str(
                "the kernel does not confirm a request for process events: it needs \
                 CONFIG_PROC_EVENTS (1:1 in /proc/net/connector), and it ignores requests from other \
                 pid and user namespaces than the initial ones",
            ),
            Self::Service(error) => write!(f, "the service refused: {error}"),
            Self::Io { doing, source } => write!(f, "{doing}: {source}"),
        }
    }
}

/// Writes the groups of a bit mask as "group 2" or "one of the groups 2, 3".
fn groups_in_words(f: &mut fmt::Formatter<'_>, mask: u32) -> fmt::Result {
    f.write_str(match mask.count_ones() {
        1 => "group",
        _ => "one of the groups",
    })?;
    let mut separator = " ";
    for bit in (0..u32::BITS).filter(|bit| mask & (1 << bit) != 0) {
        write!(f, "{separator}{}", bit + 1)?;
        separator = ", ";
    }
    Ok(())
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Malformed(malformed) => Some(malformed),
            Self::Io { source, .. } => Some(source),
            Self::Service(error) => Some(error),
            _ => None,
        }
    }
}

impl From<Malformed> for Error {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed)
    }
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
    fn groups_that_could_not_be_joined_are_named() {
        let one = Error::NotPermitted { groups: 1 << 1 };
        assert!(one.to_string().contains("join group 2:"), "{one}");
        let two = Error::NotPermitted { groups: 0b1010 };
        assert!(two.to_string().contains("one of the groups 2, 4:"), "{two}");
    }

    #[test]
    fn a_time_out_names_the_id_and_an_overrun_if_there_was_one() {
        let request = Some(Header::default());
        let quiet = Error::TimedOut {
            request,
            overrun: false,
        };
        assert!(quiet.to_string().contains("nobody registered this id"));
        let overrun = Error::TimedOut {
            request,
            overrun: true,
        };
        assert!(overrun.to_string().contains("overran"));
        assert!(overrun.is_timeout());
    }

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
