// SPDX-License-Identifier: GPL-2.0

//! Looking into the table while one task after the other adds and removes.

use std::ptr::NonNull;

use kernel::{
    prelude::GFP_KERNEL,
    sync::{rcu, Arc},
};
use loom::{sync::Mutex, thread};

use super::{used::Used, Model};
use crate::{
    bindings::{cn_msg, netlink_skb_parms, sock},
    dispatch::{self, TABLE},
    service::{RawHandler, Service},
    CbId,
};

pub(super) const MODELS: &[Model] = &[
    Model {
        name: "table-walk",
        property: "who looks for an id finds it, complete, whatever comes and goes beside it",
        cpus: 4,
        preemptions: Some(3),
        run: walk,
    },
    Model {
        name: "table-contains",
        property: "who asks whether there is an id looks at nothing that was freed",
        cpus: 4,
        preemptions: None,
        run: contains,
    },
    Model {
        name: "table-stays",
        property: "who looks for an id that is there finds it, whatever comes and goes before it",
        cpus: 4,
        preemptions: None,
        run: stays,
    },
];

/// Its handler uses `used`.
pub(super) fn handler(used: &Used) -> RawHandler {
    // SAFETY: As `Used::by_handler` finds out if it is not so.
    unsafe {
        RawHandler::new(
            NonNull::from(used).cast(),
            |used, _, _, _| used.cast::<Used>().as_ref().by_handler(),
            |_, _| Ok(()),
            None,
            &[],
        )
    }
}

/// The port that messages come from.
pub(super) const PORTID: u32 = 1;

/// A message comes to an id. Returns whether it was handled.
pub(super) fn message_to(id: CbId) -> bool {
    let message = cn_msg { id };
    let mut socket = sock(0);
    // Each from a socket of its own. In a kernel they would have ports of their own as well.
    let parms = netlink_skb_parms {
        portid: PORTID,
        sk: &mut socket,
    };
    // SAFETY: Both are what they should be, and the handlers here keep neither.
    unsafe { dispatch::deliver(NonNull::from(&message), NonNull::from(&parms)) }
}

/// Keeps it until the interleaving is over, like the memory that was freed.
pub(super) fn leak<T>(value: T) -> &'static T {
    Box::leak(Box::new(value))
}

/// Ids that lie in one bucket.
fn neighbours() -> impl Iterator<Item = CbId> {
    let id = |val| CbId { idx: 1, val };
    // Multiplying by it and taking the upper bits is how the table hashes.
    let hash = |id: CbId| {
        let key = (u64::from(id.val) << 32) | u64::from(id.idx);
        key.wrapping_mul(0x61C8_8646_80B5_83EB) >> 56
    };
    (0..).map(id).filter(move |it| hash(*it) == hash(id(0)))
}

fn service(id: CbId) -> Arc<Service> {
    let service = Service::new(id, c"proofs", handler(leak(Used::new())));
    Arc::pin_init(service, GFP_KERNEL).expect("there is memory")
}

fn walk() {
    let mut ids = neighbours();
    let mut id = || ids.next().expect("there are enough");
    let writers: &Mutex<()> = leak(Mutex::new(()));
    let (first, second, third) = (id(), id(), id());

    let keeps = service(second);
    let goes = keeps.clone();
    let adder = thread::spawn(move || {
        let new = service(third);
        let _lock = writers.lock();
        // SAFETY: The lock is held, and it is not removed.
        unsafe { TABLE.add(new) }.expect("there is memory");
    });
    let remover = thread::spawn(move || {
        let _lock = writers.lock();
        // SAFETY: The lock is held; what goes is kept.
        unsafe { TABLE.add(goes.clone()) }.expect("there is memory");
        // The link to it leads to the other one, if that is there, which somebody else has made.
        //
        // SAFETY: The lock is held.
        assert!(unsafe { TABLE.remove(&goes) });
        goes.usage().close();
    });
    let found = message_to(third);
    assert!(!message_to(first));
    adder.join().expect("it ends");
    remover.join().expect("it ends");
    assert!(message_to(third) || found);
    assert!(!TABLE.contains(second));
    keeps.usage().wait_until_drained();
    rcu::rcu_barrier();
    drop(keeps);
    // SAFETY: There is nobody else any more.
    let left = unsafe { TABLE.iter() }.next().cloned().expect("the third");
    // SAFETY: As above.
    assert!(unsafe { TABLE.remove(&left) });
}

fn contains() {
    // Another one is asked for, so that the one that goes is walked over.
    let mut ids = neighbours();
    let mut id = || ids.next().expect("there are enough");
    let (other, goes) = (id(), service(id()));
    // SAFETY: There is nobody else yet.
    unsafe { TABLE.add(goes.clone()) }.expect("there is memory");
    let asks = thread::spawn(move || assert!(!TABLE.contains(other)));
    // SAFETY: Nobody else adds or removes.
    assert!(unsafe { TABLE.remove(&goes) });
    drop(goes);
    rcu::rcu_barrier();
    asks.join().expect("it ends");
}

fn stays() {
    let mut ids = neighbours();
    let mut id = || service(ids.next().expect("there are enough"));
    let (stays, goes, comes) = (id(), id(), id());
    for there in [&stays, &goes] {
        // SAFETY: There is nobody else yet.
        unsafe { TABLE.add(there.clone()) }.expect("there is memory");
    }
    let message = thread::spawn({
        let id = stays.id();
        move || assert!(message_to(id), "it was not found")
    });
    // SAFETY: Nobody else adds or removes.
    unsafe { TABLE.add(comes.clone()) }.expect("there is memory");
    // SAFETY: As above.
    assert!(unsafe { TABLE.remove(&goes) });
    message.join().expect("it ends");
    for there in [&stays, &comes] {
        // SAFETY: There is nobody else any more.
        assert!(unsafe { TABLE.remove(there) });
    }
}
