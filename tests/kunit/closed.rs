// SPDX-License-Identifier: GPL-2.0

//! KUnit suite of sockets that are closed; part of `connector_kunit.ko` alone.

use kernel::{
    macros::kunit_tests,
    sync::atomic::{
        Atomic,
        Relaxed, //
    },
};

#[kunit_tests(connector_closed)]
mod closed {
    use super::super::*;
    use super::*;
    use crate::{
        CbId,
        Handler,
        Message,
        Registration,
        Sender, //
    };

    /// Counts how often it was told that [`PORT`] is closed.
    struct Listens<const WANTS_CLOSED: bool>(Atomic<u32>);

    /// No socket has it: the kernel gives away lower ones, and higher ones from the other end.
    const PORT: u32 = 0x7654_3210;

    impl<const WANTS_CLOSED: bool> Handler for Listens<WANTS_CLOSED> {
        const WANTS_CLOSED: bool = WANTS_CLOSED;

        fn handle(&self, _message: &Message<'_>, _sender: &Sender<'_>) {}

        fn closed(&self, portid: u32) {
            self.0.add(u32::from(portid == PORT), Relaxed);
        }
    }

    impl<const WANTS_CLOSED: bool> Listens<WANTS_CLOSED> {
        fn register(val: u32) -> Result<Registration<Self>> {
            let id = CbId {
                idx: 0x6b75_6e69,
                val,
            };
            let handler = Self(Atomic::new(0));
            Registration::new(id, c"connector_kunit", handler)
        }
    }

    /// As netlink says that a socket with this port is closed.
    fn close(event: c_uint, protocol: c_uint, net: *mut bindings::net) {
        let mut socket = bindings::netlink_notify {
            net,
            portid: PORT,
            // CAST: A small number.
            protocol: protocol as c_int,
        };
        // SAFETY: With this event that is what netlink passes, and the block is not looked at. CAST: Both
        // are unsigned.
        unsafe { notify(ptr::null_mut(), event as c_ulong, (&raw mut socket).cast()) };
    }

    const RELEASED: c_uint = bindings::NETLINK_URELEASE;
    const CONNECTOR: c_uint = bindings::NETLINK_CONNECTOR;

    fn initial() -> *mut bindings::net {
        &raw mut bindings::init_net
    }

    #[test]
    fn all_who_want_to_know_of_a_closed_socket_are_told_once() -> Result {
        let mut want = KVec::new();
        for val in 10..15 {
            want.push(Listens::<true>::register(val)?, GFP_KERNEL)?;
        }
        let other = Listens::<false>::register(15)?;
        close(RELEASED, CONNECTOR, initial());
        for registration in &want {
            assert_eq!(registration.handler().0.load(Relaxed), 1);
        }
        assert_eq!(other.handler().0.load(Relaxed), 0);
        // It is no message.
        let services = registry::list()?.registered;
        assert!(services.iter().all(|(_, counted, _)| counted.received == 0));
        // Those that are left are told when one of them has gone.
        drop(want.pop());
        close(RELEASED, CONNECTOR, initial());
        for registration in &want {
            assert_eq!(registration.handler().0.load(Relaxed), 2);
        }
        Ok(())
    }

    #[test]
    fn nobody_is_told_of_sockets_that_are_none_of_the_connector() -> Result {
        let listens = Listens::<true>::register(10)?;
        // Another protocol, another network namespace, another event.
        close(RELEASED, bindings::NETLINK_ROUTE, initial());
        close(RELEASED, CONNECTOR, initial().wrapping_byte_add(1));
        close(RELEASED + 1, CONNECTOR, initial());
        assert_eq!(listens.handler().0.load(Relaxed), 0);
        close(RELEASED, CONNECTOR, initial());
        assert_eq!(listens.handler().0.load(Relaxed), 1);
        Ok(())
    }
}
