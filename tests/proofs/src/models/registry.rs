// SPDX-License-Identifier: GPL-2.0

//! Registering and unregistering, from several tasks, while messages come.

use std::ptr::NonNull;

use kernel::{prelude::Result, sync::Arc};
use loom::thread::{self, JoinHandle};

use super::{
    table::{handler, leak, message_to},
    used::Used,
    Model,
};
use crate::{
    bindings, calls, changes, cores, going, registry,
    service::{RawHandler, Service},
    text, CbId,
};

pub(super) const MODELS: &[Model] = &[
    Model {
        name: "registry-register",
        property: "a message finds a service that is complete, or none",
        cpus: 4,
        preemptions: None,
        run: register,
    },
    Model {
        name: "registry-refused",
        property: "the handler of a service that the core refuses is not called when that is known",
        cpus: 4,
        preemptions: None,
        run: refused,
    },
    Model {
        name: "registry-unregister",
        property: "the handler of a service may be freed when it is unregistered",
        cpus: 4,
        preemptions: None,
        run: unregister,
    },
    Model {
        name: "registry-free",
        property: "what is taken from the table is not freed before it is not needed any more",
        cpus: 3,
        preemptions: None,
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
    Model {
        name: "registry-going",
        property: "what is registered while its module goes is found, or refused",
        cpus: 4,
        preemptions: None,
        run: module_goes,
    },
    Model {
        name: "going-two",
        property: "of modules that go at once each is known to, until it has gone",
        cpus: 4,
        preemptions: None,
        run: two_go,
    },
    Model {
        name: "registry-two",
        property: "two services that go at once are each kept until nobody is inside it",
        cpus: 4,
        preemptions: Some(3),
        run: two,
    },
    Model {
        name: "registry-taken",
        property: "of two tasks that register an id at once, one has it",
        cpus: 4,
        preemptions: None,
        run: taken,
    },
    Model {
        name: "registry-closed",
        property: "who handles a message knows of a socket that is closed after that",
        cpus: 4,
        preemptions: None,
        run: closed,
    },
    Model {
        name: "registry-closing",
        property: "a service that was unregistered is told of no closed socket any more",
        cpus: 4,
        preemptions: None,
        run: closing,
    },
];

const ID: CbId = CbId { idx: 1, val: 1 };

/// Makes all statics usable, as the module does.
pub(super) fn init() {
    // SAFETY: This comes first in an interleaving.
    unsafe {
        registry::init();
        changes::init();
        going::init();
        calls::init();
    }
    text::init();
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

/// A service that wants to be told of closed sockets.
fn registered_for_closed(used: &'static Used) -> Arc<Service> {
    // SAFETY: As `Used::by_handler` finds out if it is not so.
    let handler = unsafe {
        RawHandler::new(
            NonNull::from(used).cast(),
            |_, _, _, _| {},
            |_, _| Ok(()),
            Some(|used, _| used.cast::<Used>().as_ref().by_handler()),
            &[],
        )
    };
    registry::register(ID, c"proofs", handler).expect("nobody else has the id")
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

fn module_goes() {
    init();
    let used = leak(Used::new());
    let all = bindings::module(0..usize::MAX);
    // Something of the module's, which is waited for.
    let mut registers = Some(thread::spawn(move || register_with(used).map(drop)));
    going::during(&all, || {
        registry::unregister_all_of(&all);
        let _ = registers.take().expect("once").join().expect("it ends");
    });
    used.is_freed();
    assert!(!message_to(ID));
}

fn two() {
    init();
    const OTHER: CbId = CbId { idx: 2, val: 1 };
    let (first, second) = (leak(Used::new()), leak(Used::new()));
    let service = registered(first);
    let other = registry::register(OTHER, c"proofs", handler(second));
    let other = other.expect("nobody else has the id");
    let message = thread::spawn(|| message_to(OTHER));
    let unregisters = thread::spawn(move || {
        registry::unregister(&other);
        second.is_freed();
    });
    registry::unregister(&service);
    first.is_freed();
    drop(service);
    unregisters.join().expect("it ends");
    message.join().expect("it ends");
}

fn taken() {
    init();
    let register = || {
        let used = leak(Used::new());
        let service = register_with(used).ok();
        let has = service.is_some();
        (used, service, has)
    };
    let other = thread::spawn(move || {
        let (used, service, has) = register();
        if !has {
            used.is_freed();
        }
        service
    });
    let (used, service, has) = register();
    if !has {
        used.is_freed();
    }
    assert!(message_to(ID));
    let services = [service, other.join().expect("it ends")];
    let services: Vec<_> = services.into_iter().flatten().collect();
    assert_eq!(services.len(), 1, "have the id");
    for service in services {
        registry::unregister(&service);
    }
}

fn closed() {
    init();
    let used = leak(Used::new());
    let sends = thread::spawn(|| {
        let handled = message_to(ID);
        registry::tell_closed(7);
        handled
    });
    let service = registered_for_closed(used);
    let handled = sends.join().expect("it ends");
    assert!(!handled || used.was_called(), "it was not told");
    registry::unregister(&service);
    used.is_freed();
}

fn closing() {
    init();
    let used = leak(Used::new());
    let service = registered_for_closed(used);
    let closes = thread::spawn(|| registry::tell_closed(7));
    registry::unregister(&service);
    used.is_freed();
    drop(service);
    closes.join().expect("it ends");
}

fn two_go() {
    init();
    let goes = |from: usize| {
        let module = bindings::module(from..from + 10);
        going::during(&module, || assert!(going::is_any_of([from])));
        assert!(!going::is_any_of([from]));
    };
    let other = thread::spawn(move || goes(10));
    goes(20);
    other.join().expect("it ends");
}
