// SPDX-License-Identifier: GPL-2.0

//! Why a message could not be sent.

use kernel::prelude::*;

use crate::bindings;

/// Why a message was not sent, or reached nobody.
///
/// Converts to the kernel's [`Error`] with the code that the C function returns, so that `?` works
/// in a function that returns a kernel [`Result`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError {
    /// Nobody got the message: no socket has joined the group, or none of them had room, or the
    /// filter let none through (`ESRCH`).
    NoListeners,
    /// [`Destination::Registered`](crate::Destination::Registered) and an id whose `idx` is the
    /// number of no [`Group`](crate::Group), so that nobody can listen, ever (`EINVAL`).
    NoGroup,
    /// [`Destination::Registered`](crate::Destination::Registered) and no id of that value is
    /// registered (`ENODEV`).
    NotRegistered,
    /// No memory for the message (`ENOMEM`).
    NoMemory,
    /// The message is larger than the format can say: more than 65535 bytes of data, or a batch of
    /// more than [`Batch::MAX_SIZE`](crate::Batch::MAX_SIZE) (`EMSGSIZE`).
    TooLarge,
    /// The receiver's buffer is full (`EAGAIN`). The message is lost; the receiver's next receive
    /// fails with `ENOBUFS`, once for all that it lost.
    Full,
    /// No socket has this port: the receiver closed it (`ECONNREFUSED`).
    NoSuchPort,
    /// A listener that asked for it (`NETLINK_BROADCAST_ERROR`) had no room (`ENOBUFS`).
    Overrun,
    /// Interrupts are off: the caller is an interrupt handler, or holds a lock that switches them off.
    /// Netlink cannot be used there (`EDEADLK`). Send when the lock was given back, or from a work item.
    InterruptsOff,
    /// Netlink refused the message for another reason (`EINVAL`).
    Other,
}

impl SendError {
    /// Reads what the C functions return: negative for an error.
    #[inline(always)]
    pub(crate) fn check(returned: c_int) -> Result<(), Self> {
        if returned >= 0 {
            Ok(())
        } else {
            Err(Self::from_errno(returned))
        }
    }

    /// What the C functions return where the connector is not up: nobody has a socket of its protocol, neither
    /// one with this port nor, if that is 0, one that listens.
    #[cold]
    #[inline(never)]
    pub(crate) fn to_nobody(portid: u32) -> c_int {
        let error = match portid {
            0 => Self::NoListeners,
            _ => Self::NoSuchPort,
        };
        Error::from(error).to_errno()
    }

    #[cold]
    fn from_errno(errno: c_int) -> Self {
        match errno.unsigned_abs() {
            bindings::ESRCH => Self::NoListeners,
            bindings::ENODEV => Self::NotRegistered,
            bindings::ENOMEM => Self::NoMemory,
            bindings::EMSGSIZE => Self::TooLarge,
            bindings::EAGAIN => Self::Full,
            bindings::ECONNREFUSED => Self::NoSuchPort,
            bindings::ENOBUFS => Self::Overrun,
            _ => Self::Other,
        }
    }
}

impl From<SendError> for Error {
    fn from(error: SendError) -> Self {
        let errno = match error {
            SendError::NoListeners => bindings::ESRCH,
            SendError::NotRegistered => bindings::ENODEV,
            SendError::NoMemory => bindings::ENOMEM,
            SendError::TooLarge => bindings::EMSGSIZE,
            SendError::Full => bindings::EAGAIN,
            SendError::NoSuchPort => bindings::ECONNREFUSED,
            SendError::Overrun => bindings::ENOBUFS,
            SendError::InterruptsOff => bindings::EDEADLK,
            SendError::NoGroup | SendError::Other => bindings::EINVAL,
        };
        // CAST: Error numbers are small.
        Error::from_errno(-(errno as c_int))
    }
}

impl From<kernel::alloc::AllocError> for SendError {
    fn from(_: kernel::alloc::AllocError) -> Self {
        Self::NoMemory
    }
}
