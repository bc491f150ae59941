// SPDX-License-Identifier: GPL-2.0

//! Callbacks of modules in C, which may unregister themselves, as our own core has them.

use std::ptr::NonNull;

use kernel::{prelude::Result, sync::rcu};
use loom::thread;

use super::{
    registry::init,
    table::{leak, message_to, PORTID},
    used::Used,
    Model,
};
use crate::{
    bindings::{cn_msg, netlink_skb_parms},
    calls, registry,
    service::RawHandler,
    usage::InUse,
    CbId,
};

pub(super) const MODELS: &[Model] = &[
    Model {
        name: "callback-itself",
        property:
            "callbacks that unregister themselves wait for none, and are let go after the last",
        // Both in one lane, where there is room to note one of them.
        cpus: 1,
        preemptions: Some(3),
        run: itself,
    },
    Model {
        name: "callback-others",
        property: "who unregisters a callback waits for all of them, though one unregisters itself",
        cpus: 3,
        preemptions: Some(3),
        run: others,
    },
];

const ID: CbId = CbId { idx: 1, val: 1 };

/// What `cn_del_callback()` does.
fn unregister() {
    registry::unregister_of_c(ID, |service| calls::is_inside(service.usage()));
}

/// What a core calls for a callback in C: one that unregisters itself, and goes on.
///
/// # Safety
///
/// `used` is a `Used`.
unsafe fn handle(
    used: NonNull<()>,
    _message: NonNull<cn_msg>,
    parms: NonNull<netlink_skb_parms>,
    in_use: &InUse,
) {
    // SAFETY: By this function's contract.
    let used = unsafe { used.cast::<Used>().as_ref() };
    // SAFETY: As above: it is not kept.
    let requester = unsafe { calls::Requester::from_raw(parms) };
    // SAFETY: As above.
    let socket = unsafe { parms.as_ref() }.sk;
    let looks = || {
        let found = calls::requester(ID, PORTID);
        let is_own = found.is_none_or(|found| found.as_ptr() == socket);
        assert!(is_own, "it is another task's");
    };
    calls::during(in_use, &requester, || {
        used.by_handler();
        looks();
        unregister();
        looks();
        used.by_handler();
    });
}

/// What `cn_add_callback()` does.
fn register(used: &'static Used) -> Result {
    // SAFETY: As `Used::by_handler` finds out if it is not so.
    let handler =
        unsafe { RawHandler::new(NonNull::from(used).cast(), handle, |_, _| Ok(()), None, &[]) };
    registry::register(ID, c"proofs", handler.of_c(1)).map(drop)
}

/// A message comes by way of our own core.
fn message() {
    message_to(ID);
    registry::reap();
}

fn itself() {
    init();
    let used = leak(Used::new());
    register(used).expect("nobody else has the id");
    let other = thread::spawn(message);
    message();
    // Frees what was let go, though the other one may be about to say that it was the last.
    rcu::rcu_barrier();
    other.join().expect("it ends");
    used.is_freed();
}

fn others() {
    init();
    let used = leak(Used::new());
    register(used).expect("nobody else has the id");
    let other = thread::spawn(message);
    unregister();
    used.is_freed();
    other.join().expect("it ends");
}
