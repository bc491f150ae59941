// SPDX-License-Identifier: GPL-2.0

//! The kernel's own core, which is written in C: taking ids from it and giving them back, and what it
//! calls with a message.
//!
//! The core calls one function of ours for every id and passes no context, so that the service is
//! looked up here.

mod caller;
mod probe;

use core::ptr::{
    self,
    NonNull, //
};

use kernel::{
    alloc::Flags,
    error::to_result,
    prelude::*,
    str::CStr, //
};

#[cfg(connector_kunit)]
pub(crate) use bindings::{
    cn_add_callback,
    cn_del_callback, //
};

use self::caller::as_caller;
pub(crate) use self::probe::{
    Probes,
    AVAILABLE, //
};
use crate::{
    bindings,
    dispatch::deliver,
    gfp,
    grace,
    layout,
    parms::Parms,
    started,
    table::Table,
    CbId,
    Group,
    Header,
    SendError, //
};

/// Has the core call [`dispatch`] with the messages to `id`.
///
/// May sleep. One call at a time of this and [`del`].
///
/// # Errors
///
/// `EINVAL` if the id is taken, `ENOMEM`, or `EAGAIN` if the core is not up yet.
pub(crate) fn add(id: CbId, name: &CStr) -> Result {
    as_caller(|| {
        // SAFETY: The core copies the id and the name. `dispatch` may be called until this module
        // is gone, which `Core::drop` sees to.
        to_result(unsafe {
            bindings::cn_add_callback(&raw_id(id), name.as_char_ptr(), Some(dispatch))
        })
    })
}

/// Gives an id back, that [`add`] took.
///
/// May sleep. Messages may come for a while yet.
pub(crate) fn del(id: CbId) {
    // SAFETY: The core only reads the id.
    as_caller(|| unsafe { bindings::cn_del_callback(&raw_id(id)) });
}

/// Whether there is a group of this number.
pub(crate) fn has_group(number: u32) -> bool {
    Group::new(number).is_some()
}

/// Sends a message, where [`send_mult`] sends, but waits for no receiver. The C function takes it in one
/// piece, for which memory may be allocated.
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
    let gfp = gfp::to_gfp_for(flags, portid, group);
    layout::with_cn_msg(header, data, flags, |raw| {
        // SAFETY: `raw` points to a header that says `header.len`, and that many bytes of data.
        SendError::check(unsafe {
            send_mult(raw, header.len, portid, group, gfp, None, ptr::null_mut())
        })
    })?
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
    // SAFETY: By this function's contract.
    unsafe { send(header, data, to.get().portid, 0, GFP_NOWAIT) }
}

/// Sends messages: the C function itself.
///
/// # Safety
///
/// `message` must be valid for a header and `len` bytes behind it, and `filter`, if there is one, may be
/// called with `filter_data`.
#[inline(always)]
pub(crate) unsafe fn send_mult(
    message: NonNull<bindings::cn_msg>,
    len: u16,
    portid: u32,
    group: u32,
    gfp: bindings::gfp_t,
    filter: bindings::netlink_filter_fn,
    filter_data: *mut c_void,
) -> c_int {
    if started::check().is_err() {
        return SendError::to_nobody(portid);
    }
    // SAFETY: By this function's contract; the core copies what it sends, and is there, as this connector is.
    unsafe {
        bindings::cn_netlink_send_mult(
            message.as_ptr(),
            len,
            portid,
            group,
            gfp,
            filter,
            filter_data,
        )
    }
}

/// Whether nobody needs the netlink message `_header` and its data when its handler has returned: the
/// core only frees them.
#[inline(always)]
pub(crate) fn may_be_overwritten(_header: &bindings::nlmsghdr) -> bool {
    true
}

fn raw_id(id: CbId) -> bindings::cb_id {
    bindings::cb_id {
        idx: id.idx,
        val: id.val,
    }
}

/// Gets a message from the core.
///
/// Runs in the context of the sender. Nothing in here sleeps but the handler: that, and that
/// whoever unregisters waits for the handler, is what [`Core`] relies on when it is dropped.
///
/// # Safety
///
/// Only the connector core may call this, as the callback of an id.
unsafe extern "C" fn dispatch(
    message: *mut bindings::cn_msg,
    parms: *mut bindings::netlink_skb_parms,
) {
    // SAFETY: The core passes the message that it received, whose data it has checked to be there, and
    // the control block of its skb. Both live until we return; the core does not use them any more but
    // to free them.
    unsafe {
        deliver(
            NonNull::new_unchecked(message),
            NonNull::new_unchecked(parms),
        )
    };
}

/// The core, as far as it is ours: waits, when dropped, for its last calls.
///
/// Every module that registered an id is gone by then, and with it every id. But a task may have
/// found an id in the core's list before the id went, and have been preempted before its first
/// instruction in [`dispatch`], or on `dispatch`'s last ones: nothing of ours counts it there. It
/// does not sleep in that stretch, so that waiting until every task has slept, or has been in
/// userspace, is waiting for it.
///
/// With PREEMPT_RT it can sleep once there: to give the core's lock back may be to run softirqs,
/// which wait for each other. Bottom halves are off until that is over, which on such a kernel is a
/// read-side critical section of RCU that began before the id was found. So that is waited for
/// first.
pub(crate) struct Core;

impl Core {
    /// The core is there.
    ///
    /// # Safety
    ///
    /// Must be called once, before [`add`]. What it returns must not be dropped while an id that was
    /// [added](add) has not been given back by [`del`], or a handler runs.
    pub(crate) unsafe fn new() -> Result<Self> {
        Ok(Self)
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        // On a kernel that does not preempt itself this is enough: a task leaves that stretch before
        // its CPU does anything else.
        grace::synchronize_rcu();
        #[cfg(CONFIG_TASKS_RCU)]
        // SAFETY: Modules are removed in process context, which may sleep.
        unsafe {
            bindings::synchronize_rcu_tasks()
        };
        Table::wait_for_frees();
    }
}
