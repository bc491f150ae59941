// SPDX-License-Identifier: GPL-2.0

//! Registering and unregistering, from several tasks, while messages come.

use kernel::{prelude::Result, sync::Arc};
use loom::thread::{self, JoinHandle};

use super::{
    table::{handler, leak, message_to},
    used::Used,
    Model,
};
use crate::{bindings, changes, cores, registry, service::Service, CbId};

pub(super) const MODELS: &[Model] = &[
    Model {
        name: "registry-register",
        property: "a message finds a service that is complete, or none",
        cpus: 4,
        preemptions: Some(3),
        run: register,
    },
    Model {
        name: "registry-refused",
        property: "the handler of a service that the core refuses is not called when that is known",
        cpus: 4,
        preemptions: Some(3),
        run: refused,
    },
    Model {
        name: "registry-unregister",
        property: "the handler of a service may be freed when it is unregistered",
        cpus: 4,
        preemptions: Some(3),
        run: unregister,
    },
    Model {
        name: "registry-free",
        property: "what is taken from the table is not freed before it is not needed any more",
        cpus: 3,
        preemptions: Some(3),
        run: free,
    },
    Model {
        name: "registry-again",
        property: "an id that is registered again has its late messages handled by one of the two",
        cpus: 4,
        preemptions: Some(3),
        run: again,
    },
    Model {
        name: "registry-twice",
        property: "two tasks that unregister a service both wait for its handlers",
        cpus: 4,
        preemptions: Some(3),
        run: twice,
    },
    Model {
        name: "registry-module",
        property: "nothing of a module runs when it has gone, whoever unregisters meanwhile",
        cpus: 4,
        preemptions: Some(3),
        run: module,
    },
];

const ID: CbId = CbId { idx: 1, val: 1 };

/// Makes all statics usable, as the module does.
fn init() {
    // SAFETY: This comes first in an interleaving.
    unsafe {
        registry::init();
        changes::init();
    }
    cores::REFUSES.set(false);
}

fn register_with(used: &'static Used) -> Result<Arc<Service>> {
    registry::register(ID, c"proofs", handler(used))
}

fn registered(used: &'static Used) -> Arc<Service> {
    register_with(used).expect("nobody else has the id")
}

fn message() -> JoinHandle<bool> {
    thread::spawn(|| message_to(ID))
}

fn register() {
    init();
    let message = message();
    let service = registered(leak(Used::new()));
    message.join().expect("it ends");
    assert!(message_to(ID));
    registry::unregister(&service);
}

fn refused() {
    init();
    cores::REFUSES.set(true);
    let message = message();
    let used = leak(Used::new());
    assert!(register_with(used).is_err());
    used.is_freed();
    assert!(!message_to(ID));
    message.join().expect("it ends");
}

fn unregister() {
    init();
    let used = leak(Used::new());
    let service = registered(used);
    let message = message();
    registry::unregister(&service);
    used.is_freed();
    // Again, which has nothing to wait for.
    registry::unregister(&service);
    drop(service);
    kernel::sync::rcu::rcu_barrier();
    message.join().expect("it ends");
}

fn free() {
    init();
    let service = registered(leak(Used::new()));
    // Grace periods end whenever they like.
    let others = thread::spawn(kernel::sync::rcu::rcu_barrier);
    registry::unregister(&service);
    others.join().expect("it ends");
    kernel::sync::rcu::rcu_barrier();
}

fn again() {
    init();
    let (first, second) = (leak(Used::new()), leak(Used::new()));
    let service = registered(first);
    let message = message();
    registry::unregister(&service);
    first.is_freed();
    drop(service);
    let service = registered(second);
    kernel::sync::rcu::rcu_barrier();
    registry::unregister(&service);
    second.is_freed();
    message.join().expect("it ends");
}

fn twice() {
    init();
    let used = leak(Used::new());
    let service = registered(used);
    let message = message();
    let other = {
        let service = service.clone();
        thread::spawn(move || {
            registry::unregister(&service);
            used.is_over();
        })
    };
    registry::unregister(&service);
    used.is_over();
    drop(service);
    other.join().expect("it ends");
    kernel::sync::rcu::rcu_barrier();
    used.is_freed();
    message.join().expect("it ends");
}

fn module() {
    init();
    let used = leak(Used::new());
    let service = registered(used);
    let message = message();
    let other = thread::spawn(move || {
        registry::unregister(&service);
        drop(service);
        kernel::sync::rcu::rcu_barrier();
    });
    let all = bindings::module(0..usize::MAX);
    registry::unregister_all_of(&all);
    used.is_freed();
    kernel::sync::rcu::rcu_barrier();
    other.join().expect("it ends");
    message.join().expect("it ends");
}
