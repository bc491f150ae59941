// SPDX-License-Identifier: GPL-2.0

//! Why a message could not be sent.

use kernel::prelude::*;

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

    #[cold]
    fn from_errno(errno: c_int) -> Self {
        match Error::from_errno(errno) {
            e if e == ESRCH => Self::NoListeners,
            e if e == ENODEV => Self::NotRegistered,
            e if e == ENOMEM => Self::NoMemory,
            e if e == EMSGSIZE => Self::TooLarge,
            e if e == EAGAIN => Self::Full,
            e if e == ECONNREFUSED => Self::NoSuchPort,
            e if e == ENOBUFS => Self::Overrun,
            _ => Self::Other,
        }
    }
}

impl From<SendError> for Error {
    fn from(error: SendError) -> Self {
        match error {
            SendError::NoListeners => ESRCH,
            SendError::NotRegistered => ENODEV,
            SendError::NoMemory => ENOMEM,
            SendError::TooLarge => EMSGSIZE,
            SendError::Full => EAGAIN,
            SendError::NoSuchPort => ECONNREFUSED,
            SendError::Overrun => ENOBUFS,
            SendError::Other => EINVAL,
        }
    }
}

impl From<kernel::alloc::AllocError> for SendError {
    fn from(_: kernel::alloc::AllocError) -> Self {
        Self::NoMemory
    }
}
