// SPDX-License-Identifier: GPL-2.0

//! Replying with the request's own memory.
//!
//! What userspace sent lies in an skb that is freed when the handler has returned: the sender has a
//! copy of its own. A reply that repeats the request can therefore be that skb, with other headers,
//! and needs neither memory nor a copy. It costs a tenth less than a reply that is copied at 32
//! bytes, and half at 16000.
//!
//! The skb goes into the receive queue of the socket that it came from, which another task may read
//! at once; that only reads, and so may the handler go on. Nobody writes to it from then on: what
//! [`Message`] and [`Sender`] tell was kept before, and a second reply is a copy. The core and
//! netlink still hold their references, and the last of them to go gives the room in the socket's
//! buffer back: that is before `sendmsg(2)` returns, so that the socket is open.
//!
//! Netlink copies an skb of which more than half is unused before it queues it (`netlink_trim()`).
//! One that `sendmsg(2)` made for what it holds never is: memory is at most twice what was asked
//! for.

use core::{
    ffi::c_uint,
    mem::{
        offset_of,
        size_of, //
    },
    ptr, //
};

use crate::{
    bindings,
    cores,
    send,
    Message,
    SendError,
    Sender, //
};

/// The size of a netlink header.
const NLMSG_HDRLEN: usize = size_of::<bindings::nlmsghdr>();

/// What netlink messages are padded to.
const NLMSG_ALIGNTO: usize = 4;

/// Sends a message back to its sender, with its `ack` plus one, if that can be done where it lies.
///
/// Returns `None` if it cannot; then nothing has happened. Does not sleep.
// Not inlined into users' modules, for which the helpers are not there.
#[inline(never)]
pub(crate) fn reply(message: &Message<'_>, sender: &Sender<'_>) -> Option<Result<(), SendError>> {
    let parms = sender.unkept_parms()?;
    // SAFETY: The core passed the control block `cb` of the skb that the message is in, and holds
    // that. Who else has it, or its data, is looked at below.
    let skb =
        unsafe { parms.byte_sub(offset_of!(bindings::sk_buff, cb)) }.cast::<bindings::sk_buff>();
    // SAFETY: As above, for the fields of the skb.
    let (data, len, netlink, shared) = unsafe {
        let skb = &*skb;
        // A clone shares the data: with whoever captures packets, or has joined a group that the
        // sender sent the message to as well. Netlink made it before it called the core; and then
        // the flag is set for good. Memory of vmalloc() goes when an skb changes its owner.
        let shared = skb.cloned() != 0 || bindings::is_vmalloc_addr(skb.head.cast());
        (skb.data, skb.len as usize, skb.sk, shared)
    };
    let header = message.header();
    let size = NLMSG_HDRLEN + crate::Header::SIZE + usize::from(header.len);
    let padded = size.next_multiple_of(NLMSG_ALIGNTO);
    // The message must be the first of the datagram, and the last.
    let is_whole = ptr::eq(data.wrapping_add(NLMSG_HDRLEN), message.as_ptr().cast())
        && (len == size || len == padded);
    if shared || netlink.is_null() || !is_whole {
        return None;
    }
    // SAFETY: `data` is where the netlink message begins that `message` is in, as was just seen.
    if !cores::may_be_overwritten(unsafe { &*data.cast::<bindings::nlmsghdr>() }) {
        return None;
    }
    // SAFETY: `skb` is valid.
    if unsafe { bindings::connector_helper_skb_tailroom(skb) as usize } < padded - len {
        return None;
    }

    if let Err(error) = send::check_context() {
        return Some(Err(error));
    }

    let portid = sender.portid();
    sender.keep_parms();
    message.keep_header();
    // SAFETY: Nobody else reads or writes the skb: it is not shared, and the core and netlink only
    // free it once the handler has returned. It has room for `padded` bytes, of which the first are
    // a netlink header and the message. What is written was kept, and is no data of the message.
    // `netlink` is the socket that the message came to: the core's, which is always open. A
    // reference goes to `netlink_unicast()`, which consumes it in any case.
    let returned = unsafe {
        if padded > len {
            bindings::skb_put(skb, (padded - len) as c_uint);
        }
        if padded > size {
            data.add(size).write_bytes(0, padded - size);
        }
        data.cast::<bindings::nlmsghdr>().write(bindings::nlmsghdr {
            // CAST: At most 16 + 20 + 65535.
            nlmsg_len: size as u32,
            nlmsg_type: bindings::NLMSG_DONE as u16,
            nlmsg_flags: 0,
            nlmsg_seq: header.seq,
            nlmsg_pid: 0,
        });
        (*message.as_ptr()).ack = header.ack.wrapping_add(1);
        // As in an skb of the kernel's.
        parms.write_bytes(0, 1);
        bindings::connector_helper_skb_get(skb);
        bindings::connector_helper_skb_orphan(skb);
        bindings::netlink_unicast(netlink, skb, portid, bindings::MSG_DONTWAIT as i32)
    };
    Some(SendError::check(returned))
}
