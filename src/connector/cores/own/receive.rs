// SPDX-License-Identifier: GPL-2.0

//! Messages from userspace.
//!
//! A datagram may hold several netlink messages, and each is handled. The kernel's own core looks at the
//! first one only; like it, this one asks neither for a type nor for a flag. What comes behind a message
//! and is none is left alone, as it always was.
//!
//! A message that cannot be handled is dropped. The sender is told why if it has set `NLM_F_ACK`, by an
//! `NLMSG_ERROR`, and so it is told, by one with the number 0, when a handler has returned. Who has not
//! set the flag is told nothing, as ever.

use core::ptr::NonNull;

use kernel::{
    prelude::*,
    str::CStr,
    task::Task, //
};

use crate::net::netlink::{
    self,
    Datagram,
    Repeat, //
};
use crate::{
    bindings,
    dispatch::deliver,
    registry,
    wire,
    Header, //
};

/// Why a message is not handled.
#[derive(Clone, Copy)]
enum Refused {
    /// The netlink message is shorter than its header, or does not end within the datagram.
    NoMessage,
    /// There is no connector header, or it announces more data than there are.
    NoData,
    TooLarge,
    Unknown,
}

impl Refused {
    fn errno(self) -> Error {
        match self {
            Self::NoMessage | Self::NoData => EINVAL,
            Self::TooLarge => EMSGSIZE,
            Self::Unknown => ENODEV,
        }
    }

    fn text(self) -> &'static CStr {
        match self {
            Self::NoMessage => c"nlmsg_len is not that of a message in this datagram",
            Self::NoData => c"the message ends before the cn_msg or its data",
            Self::TooLarge => c"more than 16384 bytes, CONNECTOR_MAX_MSG_SIZE",
            Self::Unknown => c"nobody has registered this id",
        }
    }

    /// What the answer can repeat of the message.
    fn repeat(self) -> Repeat {
        match self {
            Self::NoMessage | Self::TooLarge => Repeat::Header,
            Self::NoData | Self::Unknown => Repeat::Message,
        }
    }
}

/// Handles a datagram.
///
/// Runs in process context, in the sender's `sendmsg(2)`.
#[inline(always)]
pub(super) fn receive(datagram: &Datagram) {
    let mut messages = datagram.messages();
    while let Some(message) = messages.next() {
        // What is behind the last one may be written to by its handler, and is not looked at then.
        let asks = message.asks_for_ack();
        // SAFETY: This is the first time that the message is delivered.
        let result = unsafe { handle(&message, datagram.parms()) };
        if asks {
            // Nobody has replied with it: see `may_be_overwritten`.
            message.acknowledge(result.map_err(|why| (why.errno(), why.text(), why.repeat())));
        }
        // Who is to be killed does not go on with what is left.
        if messages.are_done() || is_to_be_killed() {
            return;
        }
    }
}

/// Whether the current task is.
fn is_to_be_killed() -> bool {
    // SAFETY: The current task exists while it is in here.
    unsafe { bindings::connector_helper_fatal_signal_pending(Task::current_raw()) != 0 }
}

/// Handles one netlink message.
///
/// # Safety
///
/// Nobody else may use the message meanwhile. `parms` must be the control block of the datagram that it is
/// in.
#[inline(always)]
unsafe fn handle(
    message: &netlink::Message<'_>,
    parms: NonNull<bindings::netlink_skb_parms>,
) -> Result<(), Refused> {
    if message.is_malformed() {
        return Err(Refused::NoMessage);
    }
    let payload = message.payload().len();
    if payload < Header::SIZE {
        return Err(Refused::NoData);
    }
    if payload > wire::MAX_MESSAGE_SIZE {
        return Err(Refused::TooLarge);
    }
    // SAFETY: It is behind a header.
    let message = unsafe { message.as_raw().add(1) }.cast::<bindings::cn_msg>();
    // SAFETY: There is room for a `cn_msg`, which is aligned as a netlink message is.
    let announced = unsafe { (*message.as_ptr()).len };
    if payload - Header::SIZE < usize::from(announced) {
        return Err(Refused::NoData);
    }
    // SAFETY: There are as many bytes of data as it announces. The rest is this function's contract.
    let found = unsafe { deliver(message, parms) };
    registry::reap();
    if found {
        Ok(())
    } else {
        Err(Refused::Unknown)
    }
}

/// Whether nobody needs a netlink message and its data when its handler has returned: who asked for an
/// acknowledgement is sent its header.
#[inline(always)]
pub(crate) fn may_be_overwritten(header: &bindings::nlmsghdr) -> bool {
    u32::from(header.nlmsg_flags) & bindings::NLM_F_ACK == 0
}
