// SPDX-License-Identifier: GPL-2.0

//! Who is in a callback of C.
//!
//! Such a callback may unregister its own id, which must not wait for the callback then. So each call is
//! noted while it lasts, with its task: in the lane that the task is in, or, if somebody else is noted
//! there, be it another task or the same one, in a list under a lock. That takes 30 instructions less than
//! the list alone, and CPUs do not wait for each other.
//!
//! In the lane it is noted as well whose message is handled, so that what the callback then sends to that
//! port is a reply, and goes to its socket at once: see `unicast.rs`.

use core::ptr::{
    self,
    NonNull, //
};

use kernel::{
    prelude::*,
    sync::global_lock,
    task::Task, //
};

use crate::{
    bindings,
    dispatch::TABLE,
    usage::{
        InUse,
        Usage, //
    },
    CbId, //
};

global_lock! {
    unsafe(uninit) static CALLS: SpinLock<Calls> = Calls { first: ptr::null_mut() };
}

/// The list.
///
/// # Invariants
///
/// `first`, and each call's `next`, is null or a [`Call`] that is on the list, which exists for so long
/// and is used by nobody who does not hold the lock; and its `previous` leads back.
struct Calls {
    first: *mut Call,
}

// SAFETY: What is pointed to is used under the lock alone.
unsafe impl Send for Calls {}

struct Call {
    task: *const bindings::task_struct,
    usage: *const Usage,
    next: *mut Call,
    previous: *mut Call,
}

/// Makes this file usable.
///
/// # Safety
///
/// Must be called once, before anything else in this file.
pub(super) unsafe fn init() {
    // SAFETY: By this function's contract.
    unsafe { CALLS.init() };
}

/// Whose message a call handles.
///
/// # Invariants
///
/// `socket` has the port `portid`, and its `sendmsg(2)` does not return before the call does.
pub(super) struct Requester {
    portid: u32,
    socket: NonNull<bindings::sock>,
}

impl Requester {
    /// # Safety
    ///
    /// `parms` must be what a core delivers, and the call that this is for return before it is given back.
    #[inline(always)]
    pub(super) unsafe fn from_raw(parms: NonNull<bindings::netlink_skb_parms>) -> Self {
        // SAFETY: By this function's contract. Netlink calls the core in the `sendmsg(2)` of this socket.
        // INVARIANT: As above.
        unsafe {
            let parms = parms.as_ref();
            Self {
                portid: parms.portid,
                socket: NonNull::new_unchecked(parms.sk),
            }
        }
    }
}

/// The socket of a port, if the current task is in the callback for `id` and handles a message from that
/// port. It stays open until that returns. Does not sleep.
///
/// `None` says nothing: only a lane is looked into.
pub(super) fn requester(id: CbId, portid: u32) -> Option<NonNull<bindings::sock>> {
    let task: *const _ = Task::current_raw();
    let noted = TABLE.look_at(id, |service| service.usage().noted_with(task))?;
    // SAFETY: Null, or what the current task noted in `during`, where it still is, or where it was
    // interrupted.
    let requester = unsafe { noted.cast::<Requester>().as_ref() }?;
    (requester.portid == portid).then_some(requester.socket)
}

/// Calls `f`, which is a call of the callback of the service that is in use, with a message of
/// `requester`'s.
#[inline(always)]
pub(super) fn during(in_use: &InUse, requester: &Requester, f: impl FnOnce()) {
    let task: *const _ = Task::current_raw();
    let lane = in_use.lane();
    if lane.note(task, requester) {
        f();
        lane.strike_out();
        return;
    }
    let mut call = Call {
        task,
        usage: in_use.usage(),
        next: ptr::null_mut(),
        previous: ptr::null_mut(),
    };
    // Used by this pointer alone from here on.
    let call = &raw mut call;
    // SAFETY: It is taken off below, before it goes.
    unsafe { list(call) };
    f();
    // SAFETY: It was just put on.
    unsafe { unlist(call) };
}

/// Puts a call on the list.
///
/// # Safety
///
/// It must exist, and be used by nobody else, until it is taken off again.
#[cold]
unsafe fn list(call: *mut Call) {
    let calls = &mut *CALLS.lock();
    // SAFETY: By this function's contract `call` exists, and so does the first of the list, by the
    // invariants.
    unsafe {
        (*call).next = calls.first;
        if let Some(next) = calls.first.as_mut() {
            next.previous = call;
        }
    }
    // INVARIANT: By this function's contract.
    calls.first = call;
}

/// Takes a call off the list.
///
/// # Safety
///
/// It must be on it.
#[cold]
unsafe fn unlist(call: *mut Call) {
    let calls = &mut *CALLS.lock();
    // SAFETY: It is on the list, so that its neighbours are, too.
    unsafe {
        let Call { next, previous, .. } = *call;
        // INVARIANT: Those on both sides lead to each other.
        if let Some(next) = next.as_mut() {
            next.previous = previous;
        }
        match previous.as_mut() {
            Some(previous) => previous.next = next,
            None => calls.first = next,
        }
    }
}

/// Whether the current task is in the callback of the service that is used.
pub(super) fn is_inside(usage: &Usage) -> bool {
    let task: *const _ = Task::current_raw();
    if usage.has_noted(task) {
        return true;
    }
    let calls = CALLS.lock();
    let mut next = calls.first;
    // SAFETY: By the invariants; the lock is held.
    while let Some(call) = unsafe { next.as_ref() } {
        if ptr::eq(call.task, task) && ptr::eq(call.usage, usage) {
            return true;
        }
        next = call.next;
    }
    false
}
