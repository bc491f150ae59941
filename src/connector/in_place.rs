// SPDX-License-Identifier: GPL-2.0

//! Replying with the request's own memory.
//!
//! What userspace sent lies in an skb that is freed when the handler has returned: the sender has a
//! copy of its own. A reply that repeats the request can therefore be that skb, with other headers,
//! and needs neither memory nor a copy. It costs a tenth less than a reply that is copied at 32
//! bytes, and half at 16000.
//!
//! The skb goes into the receive queue of the socket that it came from, which another task may read
//! at once; that only reads, and so may the handler go on. Nobody writes to it from then on, and
//! what [`Message`] and [`Parms`] tell is copied when it arrives. A second reply is a copy. The core and
//! netlink still hold their references, and the last of them to go gives the room in the socket's
//! buffer back: that is before `sendmsg(2)` returns, so that the socket is open. Until then the room counts
//! as taken, also when the reply was read.
//!
//! Netlink copies an skb of which more than half is unused before it queues it (`netlink_trim()`).
//! One that `sendmsg(2)` made for what it holds never is: memory is at most twice what was asked
//! for.

use core::{
    mem::offset_of,
    ptr::{
        self,
        NonNull, //
    }, //
};

use kernel::prelude::*;

use crate::{
    bindings,
    context,
    cores,
    nlmsg,
    parms::Parms,
    unicast::unicast,
    wire::netlink::NlHeader,
    Header,
    Message,
    SendError, //
};

/// Sends a message back to its sender, with its `ack` plus one, if that can be done where it lies.
///
/// Returns `None` if it cannot; then nothing has happened. Does not sleep.
#[inline(always)]
pub(crate) fn reply(message: &Message<'_>, parms: &Parms<'_>) -> Option<Result<(), SendError>> {
    let in_skb = parms.as_ptr()?.as_ptr();
    let offset = offset_of!(bindings::sk_buff, cb);
    // SAFETY: The core passed the control block `cb` of the skb that the message is in, and holds
    // that. Who else has it, or its data, is looked at below.
    let skb: *mut bindings::sk_buff = unsafe { in_skb.byte_sub(offset) }.cast();
    // SAFETY: As above, for the fields of the skb.
    let (data, len, netlink) = unsafe {
        let skb = &*skb;
        // A clone shares the data: with whoever captures packets, or has joined a group that the
        // sender sent the message to as well. Netlink made it before it called the core; and then
        // the flag is set for good. Memory of vmalloc() goes when an skb changes its owner.
        if skb.cloned() != 0 || bindings::is_vmalloc_addr(skb.head.cast()) {
            return None;
        }
        (skb.data, skb.len as usize, NonNull::new(skb.sk)?)
    };
    let size = nlmsg::size_around(Header::SIZE + message.data().len());
    let padded = nlmsg::padded(size);
    // The message must be the first of the datagram ...
    if !ptr::eq(data.wrapping_add(NlHeader::SIZE), message.as_ptr().cast()) {
        return None;
    }
    // ... and the last, be it that its padding is there, or that there is room for it.
    //
    // SAFETY: `skb` is valid.
    let room = || unsafe { bindings::connector_helper_skb_tailroom(skb) as usize };
    if len != padded && (len != size || room() < padded - len) {
        return None;
    }
    // SAFETY: `data` is where the netlink message begins that `message` is in, as was just seen.
    if !cores::may_be_overwritten(unsafe { &*data.cast::<bindings::nlmsghdr>() }) {
        return None;
    }

    if let Err(error) = context::check() {
        return Some(Err(error));
    }
    parms.replace();
    // SAFETY: Nobody else reads or writes the skb: it is not shared, and the core and netlink only
    // free it once the handler has returned. It has room for `padded` bytes, of which the first are
    // a netlink header and the message. Of what is written there are copies, or it is no data of the
    // message. `netlink` is the socket that the message came to: the core's, which is always open. A
    // reference goes to `unicast`, which consumes it in any case.
    let returned = unsafe {
        if len != padded {
            bindings::skb_put(skb, (padded - len) as c_uint);
        }
        nlmsg::write_around(data, size, message.seq());
        (*message.as_ptr()).ack = message.ack().wrapping_add(1);
        // As in an skb of the kernel's.
        in_skb.write_bytes(0, 1);
        bindings::connector_helper_skb_get(skb);
        unicast(
            netlink.as_ptr(),
            skb,
            Some(parms.socket()),
            parms.get().portid,
            false,
        )
    };
    Some(SendError::check(returned))
}
