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

use core::ptr::{
    self,
    NonNull, //
};

use kernel::{
    prelude::*,
    str::CStr, //
};

use crate::{
    bindings,
    dispatch::deliver,
    nlmsg,
    registry,
    wire::{
        self,
        netlink::NlHeader, //
    },
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

    /// Whether the answer can repeat the message.
    fn can_be_repeated(self) -> bool {
        match self {
            Self::NoMessage | Self::TooLarge => false,
            Self::NoData | Self::Unknown => true,
        }
    }
}

/// Handles a datagram.
///
/// Runs in process context, in the sender's `sendmsg(2)`.
///
/// # Safety
///
/// Only netlink may call this, as the input function of the connector's socket.
pub(super) unsafe extern "C" fn input(skb: *mut bindings::sk_buff) {
    // SAFETY: Netlink passes an skb that it has just received and holds.
    let (first, mut left) = unsafe { ((*skb).data, (*skb).len as usize) };
    // SAFETY: `cb` of an skb that netlink has received is this.
    let parms = unsafe { NonNull::new_unchecked(&raw mut (*skb).cb) }.cast();
    let mut at = first;
    while left >= NlHeader::SIZE {
        // SAFETY: There are that many bytes at least. Netlink aligns what it received, and each message
        // is padded to what the next one needs.
        let (len, flags) = unsafe {
            let header = at.cast::<bindings::nlmsghdr>();
            ((*header).nlmsg_len as usize, (*header).nlmsg_flags)
        };
        let asks = u32::from(flags) & bindings::NLM_F_ACK != 0;
        if len < NlHeader::SIZE || len > left {
            // Nobody knows where the next one would begin.
            if asks && ptr::eq(at, first) {
                // SAFETY: There is a header, and nobody has replied with it.
                unsafe { acknowledge(skb, at, Err(Refused::NoMessage)) };
            }
            return;
        }
        // SAFETY: There are `len` bytes at `at`, and the skb is not shared as long as no handler
        // has replied with the last message of it; this is the first time that this one is delivered.
        let result = unsafe { handle(at, len, parms) };
        if asks {
            // SAFETY: As above; and with this flag nobody replies with it.
            unsafe { acknowledge(skb, at, result) };
        }
        let step = nlmsg::padded(len);
        if step >= left {
            return;
        }
        at = at.wrapping_add(step);
        left -= step;
    }
}

/// Handles one netlink message, which has `len` bytes, the header's at least.
///
/// # Safety
///
/// There must be `len` bytes at `at`, and nobody else may use them meanwhile. `parms` must be the
/// control block of the skb that they are in.
#[inline(always)]
unsafe fn handle(
    at: *mut u8,
    len: usize,
    parms: NonNull<bindings::netlink_skb_parms>,
) -> Result<(), Refused> {
    let payload = len - NlHeader::SIZE;
    if payload < Header::SIZE {
        return Err(Refused::NoData);
    }
    if payload > wire::MAX_MESSAGE_SIZE {
        return Err(Refused::TooLarge);
    }
    let message = at.wrapping_add(NlHeader::SIZE).cast::<bindings::cn_msg>();
    // SAFETY: There is room for a `cn_msg`, which is aligned as a netlink message is.
    let announced = unsafe { (*message).len };
    if payload - Header::SIZE < usize::from(announced) {
        return Err(Refused::NoData);
    }
    // SAFETY: There are as many bytes of data as it announces. The rest is this function's contract.
    let found = unsafe { deliver(NonNull::new_unchecked(message), parms) };
    registry::reap();
    if found {
        Ok(())
    } else {
        Err(Refused::Unknown)
    }
}

/// Tells the sender of the netlink message at `at`, which asked for it, what came of it.
///
/// May sleep.
///
/// # Safety
///
/// `skb` must be what netlink has received, and be as it was then. `at` must be where the header of the
/// message is, which must be all there unless it was [`Refused::NoMessage`].
#[cold]
#[inline(never)]
unsafe fn acknowledge(skb: *mut bindings::sk_buff, at: *mut u8, result: Result<(), Refused>) {
    // SAFETY: All zeroes are one that says nothing.
    let mut text = unsafe { core::mem::zeroed::<bindings::netlink_ext_ack>() };
    let mut header = at.cast::<bindings::nlmsghdr>();
    // SAFETY: By this function's contract.
    let mut alone = unsafe { header.read() };
    let mut errno = 0;
    if let Err(refused) = result {
        errno = refused.errno().to_errno();
        text._msg = refused.text().as_char_ptr();
        if !refused.can_be_repeated() {
            // The answer to an error repeats what the header announces.
            alone.nlmsg_len = NlHeader::SIZE as u32;
            header = &raw mut alone;
        }
    }
    // SAFETY: Netlink's sender is in the control block, and holds its socket. There are as many bytes
    // behind the header as it announces, by this function's contract or as it was just changed to.
    unsafe { bindings::netlink_ack(skb, header, errno, &text) };
}

/// Whether nobody needs a netlink message and its data when its handler has returned: who asked for an
/// acknowledgement is sent its header.
#[inline(always)]
pub(crate) fn may_be_overwritten(header: &bindings::nlmsghdr) -> bool {
    u32::from(header.nlmsg_flags) & bindings::NLM_F_ACK == 0
}
