// SPDX-License-Identifier: GPL-2.0

//! Messages to userspace.

use core::{
    marker::PhantomData,
    ptr::{
        self,
        NonNull, //
    }, //
};

use kernel::{
    alloc::Flags,
    prelude::*,
    sync::atomic::Atomic, //
};

use super::calls;
use crate::{
    bindings,
    dispatch::TABLE,
    gfp,
    layout,
    nlmsg,
    parms::Parms,
    unicast::unicast,
    wire::netlink::NlHeader,
    CbId,
    Header,
    SendError, //
};

/// The connector's socket, as long as the core exists; else null.
pub(super) static SOCKET: Atomic<*mut bindings::sock> = Atomic::new(ptr::null_mut());

/// Calls `f` as if the core were not there.
#[cfg(connector_kunit)]
pub(crate) fn while_absent(f: impl FnOnce()) {
    use kernel::sync::atomic::Full;
    let socket = SOCKET.xchg(ptr::null_mut(), Full);
    f();
    SOCKET.xchg(socket, Full);
}

/// The socket, or null.
#[inline(always)]
fn socket() -> *mut bindings::sock {
    // SAFETY: It is valid for reads. As a relaxed load, which would be a call into a C helper; what C finds by
    // way of it depends on it.
    unsafe { SOCKET.as_ptr().read_volatile() }
}

/// Sends a message, where [`send_mult`] sends, but waits for no receiver. It is written where it goes.
///
/// # Safety
///
/// There must be as many bytes of data as the header announces.
#[inline(always)]
pub(crate) unsafe fn send(
    header: &Header,
    data: &[&[u8]],
    portid: u32,
    group: u32,
    flags: Flags,
) -> Result<(), SendError> {
    let to = To::new(portid, group, gfp::to_gfp_for(flags, portid, group));
    // SAFETY: By this function's contract. There is no filter.
    SendError::check(unsafe { transmit(&Pieces { header, data }, to) })
}

/// Sends a reply to who sent the request, and waits for no room.
///
/// # Safety
///
/// There must be as many bytes of data as the header announces.
#[inline(always)]
pub(crate) unsafe fn reply(
    header: &Header,
    data: &[&[u8]],
    to: &Parms<'_>,
) -> Result<(), SendError> {
    let portid = to.get().portid;
    let to = To {
        // INVARIANT: It is the sender's, and `to` exists for no longer than its call.
        socket: Some(to.socket()),
        ..To::new(portid, 0, gfp::to_gfp_for(GFP_NOWAIT, portid, 0))
    };
    // SAFETY: By this function's contract. There is no filter.
    SendError::check(unsafe { transmit(&Pieces { header, data }, to) })
}

/// Sends messages, of which the first announces its own data, to a group, to all but `portid` if that is
/// not 0; to the port, if `group` is 0; or to the group of the first message's id, if both are.
///
/// May be called in any context that `gfp` allows. C counterpart: `cn_netlink_send_mult()`, with the
/// same results.
///
/// # Safety
///
/// `message` must be valid for a header and `len` bytes behind it, and `filter`, if there is one, may be
/// called with `filter_data`.
// Not inlined into users' modules, for which the helpers are not there.
#[inline(never)]
pub(crate) unsafe fn send_mult(
    message: NonNull<bindings::cn_msg>,
    len: u16,
    portid: u32,
    group: u32,
    gfp: bindings::gfp_t,
    filter: bindings::netlink_filter_fn,
    filter_data: *mut c_void,
) -> c_int {
    let to = To {
        filter,
        filter_data,
        ..To::new(portid, group, gfp)
    };
    // INVARIANT: By this function's contract.
    let whole = Whole {
        first: message,
        len,
        _messages: PhantomData,
    };
    // SAFETY: By this function's contract.
    unsafe { transmit(&whole, to) }
}

/// Sends one message, which announces its own data, as [`send_mult`] does.
///
/// C counterpart: `cn_netlink_send()`.
///
/// # Safety
///
/// `message` must be valid for a header and the data that it announces.
#[inline(always)]
pub(super) unsafe fn send_one(
    message: NonNull<bindings::cn_msg>,
    portid: u32,
    group: u32,
    gfp: bindings::gfp_t,
) -> c_int {
    // SAFETY: By this function's contract.
    let (id, len) = unsafe { (layout::id_of(&message.as_ref().id), message.as_ref().len) };
    let to = To {
        // INVARIANT: By what it returns.
        socket: match group {
            0 if portid != 0 => calls::requester(id, portid),
            _ => None,
        },
        ..To::new(portid, group, gfp)
    };
    // INVARIANT: By this function's contract.
    let whole = Whole {
        first: message,
        len,
        _messages: PhantomData,
    };
    // SAFETY: There is no filter.
    unsafe { transmit(&whole, to) }
}

/// What is sent: messages, of which the first has this id and `seq`.
trait Contents {
    fn id(&self) -> CbId;
    fn seq(&self) -> u32;

    /// How many bytes there are, at most 65555.
    fn size(&self) -> usize;

    /// Writes all of them.
    ///
    /// # Safety
    ///
    /// `to` must be valid for that.
    unsafe fn write(&self, to: *mut u8);
}

/// One message.
///
/// # Invariants
///
/// There are as many bytes of data as the header announces.
struct Pieces<'a> {
    header: &'a Header,
    data: &'a [&'a [u8]],
}

impl Contents for Pieces<'_> {
    #[inline(always)]
    fn id(&self) -> CbId {
        self.header.id
    }

    #[inline(always)]
    fn seq(&self) -> u32 {
        self.header.seq
    }

    #[inline(always)]
    fn size(&self) -> usize {
        Header::SIZE + usize::from(self.header.len)
    }

    #[inline(always)]
    unsafe fn write(&self, to: *mut u8) {
        // SAFETY: By this function's contract.
        unsafe { layout::write(self.header, self.data, to) };
    }
}

/// Messages in one piece.
///
/// # Invariants
///
/// `first` is valid for reads of a header and of the `len` bytes behind it, for `'a`.
// No reference: that would be to the header alone.
struct Whole<'a> {
    first: NonNull<bindings::cn_msg>,
    len: u16,
    _messages: PhantomData<&'a [u8]>,
}

impl Contents for Whole<'_> {
    #[inline(always)]
    fn id(&self) -> CbId {
        // SAFETY: By the type's invariants.
        layout::id_of(unsafe { &(*self.first.as_ptr()).id })
    }

    #[inline(always)]
    fn seq(&self) -> u32 {
        // SAFETY: By the type's invariants.
        unsafe { (*self.first.as_ptr()).seq }
    }

    #[inline(always)]
    fn size(&self) -> usize {
        Header::SIZE + usize::from(self.len)
    }

    #[inline(always)]
    unsafe fn write(&self, to: *mut u8) {
        let from = self.first.as_ptr().cast_const().cast();
        // SAFETY: By the type's invariants and this function's contract.
        unsafe { ptr::copy_nonoverlapping(from, to, self.size()) };
    }
}

/// Where messages go.
///
/// # Invariants
///
/// `socket`, if there is one, has the port `portid`, and its `sendmsg(2)` has not returned.
struct To {
    portid: u32,
    group: u32,
    gfp: bindings::gfp_t,
    /// The socket, if that is known.
    socket: Option<NonNull<bindings::sock>>,
    filter: bindings::netlink_filter_fn,
    filter_data: *mut c_void,
}

impl To {
    /// To whom netlink finds, all of them.
    #[inline(always)]
    fn new(portid: u32, group: u32, gfp: bindings::gfp_t) -> Self {
        // INVARIANT: There is no socket.
        Self {
            portid,
            group,
            gfp,
            socket: None,
            filter: None,
            filter_data: ptr::null_mut(),
        }
    }
}

/// Sends something.
///
/// # Safety
///
/// The filter, if there is one, may be called with its data.
#[inline(always)]
unsafe fn transmit(contents: &impl Contents, to: To) -> c_int {
    // Each time anew, which saves an instruction on keeping it.
    if socket().is_null() {
        return SendError::to_nobody(to.portid);
    }
    let mut group = to.group;
    if to.portid == 0 {
        if group == 0 {
            if !TABLE.contains(contents.id()) {
                return ENODEV.to_errno();
            }
            group = contents.id().idx;
        }
        // SAFETY: The socket is open as long as the core is there, which goes only with its module, when none that
        // builds on that is there any more.
        if unsafe { bindings::netlink_has_listeners(socket(), group) } == 0 {
            return ESRCH.to_errno();
        }
    }

    // SAFETY: Can be called in any context that `gfp` allows.
    let skb = unsafe { bindings::connector_helper_nlmsg_new(contents.size(), to.gfp) };
    if skb.is_null() {
        return ENOMEM.to_errno();
    }
    let size = nlmsg::size_around(contents.size());
    // SAFETY: The skb is new, and has room for a netlink message of this size, of which all is written.
    // Netlink takes the skb over in any case.
    unsafe {
        // CAST: At most 16 + 20 + 65535, and padding.
        let at = bindings::skb_put(skb, nlmsg::padded(size) as c_uint).cast::<u8>();
        nlmsg::write_around(at, size, contents.seq());
        contents.write(at.add(NlHeader::SIZE));
        let parms = (&raw mut (*skb).cb).cast::<bindings::netlink_skb_parms>();
        (*parms).dst_group = group;
        if group != 0 {
            bindings::netlink_broadcast_filtered(
                socket(),
                skb,
                to.portid,
                group,
                to.gfp,
                to.filter,
                to.filter_data,
            )
        } else {
            let may_wait = to.gfp & bindings::__GFP_DIRECT_RECLAIM != 0;
            unicast(socket(), skb, to.socket, to.portid, may_wait)
        }
    }
}
