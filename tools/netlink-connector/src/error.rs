// SPDX-License-Identifier: GPL-2.0 OR MIT

//! What can go wrong, with the cause and the next step in words.

use std::{fmt, io};

use connector_wire::{Header, MAX_DATA_SIZE};
use nix::libc;

use crate::{frame::Malformed, overrun::Overrun};

/// The result of this crate's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an operation failed.
///
/// `Display` names the cause and what to do next, in one line fit for a terminal. So
/// [`source`](std::error::Error::source) does not repeat what `Display` has said.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The kernel has no connector (`EPROTONOSUPPORT`).
    NoConnector,
    /// This process may not open netlink sockets (`EAFNOSUPPORT`, `EPERM` or `EACCES`).
    NoNetlink(io::Error),
    /// `/proc/net/connector` cannot be found, although there is a connector.
    NoProcfs,
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
        /// Whether the connector has said that the request was handled; the kernel's own never does.
        acknowledged: bool,
    },
    /// Nobody has registered the id that a message was for: so says the connector (`ENODEV`). Only a
    /// core that acknowledges does; elsewhere this is [`Self::TimedOut`].
    NotRegistered {
        /// The message's header.
        request: Header,
        /// The connector's own words, if it had some.
        text: Option<Box<str>>,
    },
    /// The connector says that it did not hand on a message, for another reason than that nobody has
    /// registered the id.
    Rejected {
        /// The message's header.
        request: Header,
        /// The error.
        error: io::Error,
        /// The connector's own words, if it had some.
        text: Option<Box<str>>,
    },
    /// An [`Interrupter`](crate::Interrupter) ended the wait.
    Interrupted,
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
    /// No process event was asked for, which the kernel would take for all of them.
    NoEvents,
    /// The kernel did not confirm that this socket gets process events.
    NoProcEvents {
        /// Whether the service is there: `1:1` in `/proc/net/connector`; `None` if that cannot be
        /// read.
        registered: Option<bool>,
    },
    /// A file descriptor is not a socket of the connector.
    NotASocket,
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
    pub(crate) fn io(doing: &'static str, source: impl Into<io::Error>) -> Self {
        Self::Io {
            doing,
            source: source.into(),
        }
    }

    /// Whether this is [`Self::TimedOut`].
    pub fn is_timeout(&self) -> bool {
        matches!(self, Self::TimedOut { .. })
    }

    /// Whether a datagram was dropped and the socket can be used on: [`Self::Malformed`] and
    /// [`Self::ForeignSender`].
    pub fn is_dropped_datagram(&self) -> bool {
        matches!(self, Self::Malformed(_) | Self::ForeignSender { .. })
    }

    /// What kind of error of the standard library this is.
    fn kind(&self) -> io::ErrorKind {
        use io::ErrorKind;
        match self {
            Self::NoConnector | Self::NoProcfs => ErrorKind::Unsupported,
            Self::NoNetlink(error) | Self::Service(error) | Self::Rejected { error, .. } => {
                error.kind()
            }
            Self::Io { source, .. } => source.kind(),
            Self::NotPermitted { .. } => ErrorKind::PermissionDenied,
            Self::Refused => ErrorKind::ConnectionRefused,
            Self::TooLarge { .. } | Self::NoEvents | Self::NotASocket => ErrorKind::InvalidInput,
            Self::TimedOut { .. } => ErrorKind::TimedOut,
            Self::NotRegistered { .. } => ErrorKind::NotFound,
            Self::Interrupted => ErrorKind::Interrupted,
            Self::Malformed(_) | Self::Unexpected(_) => ErrorKind::InvalidData,
            Self::ForeignSender { .. } | Self::Overrun(_) | Self::NoProcEvents { .. } => {
                ErrorKind::Other
            }
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoConnector => f.write_str(
                "the kernel does not know the protocol NETLINK_CONNECTOR: it needs CONFIG_CONNECTOR \
                 (built in, or `modprobe cn`)",
            ),
            Self::NoNetlink(error) => write!(
                f,
                "this process may not open netlink sockets ({error}): a sandbox forbids it \
                 (RestrictAddressFamilies= of its systemd unit must have AF_NETLINK; or a \
                 container's seccomp filter, or a security module)"
            ),
            Self::NoProcfs => f.write_str(
                "there is a connector, but no /proc/net/connector: mount /proc, and in a sandbox all \
                 of it (ProcSubset=all in a systemd unit)",
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
            Self::TimedOut { request: None, .. } => f.write_str("no message came in time"),
            Self::TimedOut {
                request: Some(request),
                overrun,
                acknowledged,
            } => {
                write!(
                    f,
                    "no reply from {} to seq {} in time: ",
                    request.id, request.seq
                )?;
                f.write_str(match (*overrun, *acknowledged) {
                    (true, _) => {
                        "the receive buffer overran meanwhile and the reply may have been lost; read \
                         more often or enlarge the buffer"
                    }
                    (false, true) => {
                        "its owner has handled it, and does not reply, or not as soon; wait for longer \
                         if it may"
                    }
                    (false, false) => {
                        "nobody registered this id (see /proc/net/connector), its owner does not \
                         reply, or the reply was lost"
                    }
                })
            }
            Self::NotRegistered { request, text } => {
                write!(f, "nobody gets messages to {}", request.id)?;
                in_its_words(f, text)?;
                f.write_str(
                    ": load the module that registers this id, or choose another one; \
                     /proc/net/connector has those that there are",
                )
            }
            Self::Rejected {
                request,
                error,
                text,
            } => {
                write!(
                    f,
                    "the connector did not hand on the message to {} of seq {}: {error}",
                    request.id, request.seq
                )?;
                in_its_words(f, text)
            }
            Self::Interrupted => f.write_str("the wait was interrupted"),
            Self::Overrun(overrun) => overrun.fmt(f),
            Self::Malformed(malformed) => malformed.fmt(f),
            Self::ForeignSender { portid } => write!(
                f,
                "dropped a datagram from another process (netlink port {portid}): only the kernel's \
                 are accepted"
            ),
            Self::Unexpected(what) => f.write_str(what),
            Self::NoEvents => f.write_str(
                "no process event was asked for: name at least one, since the kernel takes none for \
                 all",
            ),
            Self::NoProcEvents { registered } => {
                f.write_str("the kernel does not confirm a request for process events: ")?;
                f.write_str(match registered {
                    Some(true) => {
                        "it ignores requests from other pid and user namespaces than the initial \
                         ones; run this outside of the container"
                    }
                    Some(false) => {
                        "it was built without CONFIG_PROC_EVENTS (1:1 is not in /proc/net/connector)"
                    }
                    None => {
                        "it needs CONFIG_PROC_EVENTS (1:1 in /proc/net/connector), and it ignores \
                         requests from other pid and user namespaces than the initial ones"
                    }
                })
            }
            Self::NotASocket => f.write_str(
                "the file descriptor is not a socket of the connector (AF_NETLINK, \
                 NETLINK_CONNECTOR)",
            ),
            Self::Service(error) => write!(f, "the service refused: {error}"),
            Self::Io { doing, source } => write!(f, "{doing}: {source}{}", next_step(source)),
        }
    }
}

/// What can be done about an error of the system's that says no more than its name.
fn next_step(error: &io::Error) -> &'static str {
    match error.raw_os_error() {
        Some(libc::EMFILE) => {
            ": this process has as many files open as it may; allow it more (ulimit -n, LimitNOFILE= in a \
             systemd unit)"
        }
        Some(libc::ENFILE) => {
            ": the machine has as many files open as it may; allow it more (sysctl fs.file-max)"
        }
        Some(libc::ENOMEM | libc::ENOBUFS) => {
            ": the kernel has no memory for it; free some, or allow this process more (the limit of its \
             cgroup)"
        }
        Some(libc::EPERM | libc::EACCES) => {
            ": a sandbox or a security module forbids it; run this outside of it, or as root"
        }
        _ => "",
    }
}

/// Writes what the connector says of an error.
fn in_its_words(f: &mut fmt::Formatter<'_>, text: &Option<Box<str>>) -> fmt::Result {
    match text {
        // A service in the kernel is trusted, but not to know what terminals obey.
        Some(text) => write!(f, " (the connector says: {})", text.escape_debug()),
        None => Ok(()),
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
    /// What is behind the cause that `Display` names, where there is more.
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::NoNetlink(error) | Self::Service(error) | Self::Rejected { error, .. } => {
                error.source()
            }
            Self::Io { source, .. } => source.source(),
            _ => None,
        }
    }
}

impl From<Malformed> for Error {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed)
    }
}

impl From<Error> for io::Error {
    /// An error of the same meaning, whose text is the same and from which the [`Error`] can be had
    /// again.
    fn from(error: Error) -> Self {
        Self::new(error.kind(), error)
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;

    #[test]
    fn limits_of_the_system_come_with_what_to_do_about_them() {
        for (errno, step) in [
            (libc::EMFILE, "ulimit -n"),
            (libc::ENFILE, "fs.file-max"),
            (libc::ENOMEM, "cgroup"),
            (libc::ENOBUFS, "cgroup"),
            (libc::EACCES, "security module"),
        ] {
            let errno = io::Error::from_raw_os_error(errno);
            let error = Error::io("opening a netlink socket", errno);
            assert!(error.to_string().contains(step), "{error}");
        }
    }

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
        let timed_out = |overrun, acknowledged| Error::TimedOut {
            request,
            overrun,
            acknowledged,
        };
        let quiet = timed_out(false, false).to_string();
        assert!(quiet.contains("nobody registered this id"), "{quiet}");
        let handled = timed_out(false, true).to_string();
        assert!(handled.contains("has handled it"), "{handled}");
        assert!(!handled.contains("registered"), "{handled}");
        for acknowledged in [false, true] {
            let overrun = timed_out(true, acknowledged);
            assert!(overrun.to_string().contains("overran"));
            assert!(overrun.is_timeout());
        }
    }

    #[test]
    fn who_is_not_there_is_named_and_the_connector_quoted() {
        let error = |text: Option<&str>| Error::NotRegistered {
            request: Header::default(),
            text: text.map(Box::from),
        };
        let quoted = error(Some("nobody\u{1b}")).to_string();
        assert!(
            quoted.starts_with("nobody gets messages to 0:0 (the connector says: nobody\\u{1b})")
        );
        assert!(quoted.contains("/proc/net/connector"), "{quoted}");
        let silent = error(None).to_string();
        assert!(
            silent.starts_with("nobody gets messages to 0:0: load"),
            "{silent}"
        );
        assert_eq!(io::Error::from(error(None)).kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_cause_is_told_once_along_the_chain_of_sources() {
        let refused = || io::Error::from_raw_os_error(13);
        for error in [
            Error::io("sending", refused()),
            Error::Service(refused()),
            Error::NoNetlink(refused()),
            Error::Rejected {
                request: Header::default(),
                error: refused(),
                text: None,
            },
            Error::Malformed(Malformed {
                offset: 4,
                reason: crate::frame::Reason::Empty,
            }),
        ] {
            let mut told = error.to_string();
            let mut source = error.source();
            while let Some(cause) = source {
                told.push_str(&cause.to_string());
                source = cause.source();
            }
            for cause in ["Permission denied", "at offset 4"] {
                assert!(told.matches(cause).count() <= 1, "{told}");
            }
            assert!(told.contains("denied") || told.contains("offset"), "{told}");
        }
    }

    #[test]
    fn as_an_io_error_it_says_the_same_and_has_its_kind() {
        let error = io::Error::from(Error::io("sending", io::Error::from_raw_os_error(13)));
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
        assert!(error.to_string().starts_with("sending: "), "{error}");
        assert!(error.downcast::<Error>().is_ok());
        let late = Error::TimedOut {
            request: None,
            overrun: false,
            acknowledged: false,
        };
        assert_eq!(io::Error::from(late).kind(), io::ErrorKind::TimedOut);
    }
}
