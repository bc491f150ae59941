// SPDX-License-Identifier: GPL-2.0

//! KUnit suites of the crate `connector`: what needs a kernel but no userspace.
//!
//! They are part of the crate only in `connector_kunit.ko`, which is `rust_connector.ko` compiled
//! once more, with them; it is never shipped. Loading it runs them. The two cannot be loaded at the
//! same time.

use core::{
    mem::{
        offset_of,
        size_of, //
    },
    num::NonZero, //
};

use kernel::{
    macros::kunit_tests,
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc, //
    }, //
};

use crate::{
    bindings,
    changes,
    cores,
    dispatch::{
        deliver,
        unclaimed,
        TABLE, //
    },
    registry,
    send::{
        send,
        send_filtered, //
    },
    slot::{
        Lane,
        Slot, //
    },
    CbId,
    Destination,
    Group,
    Handler,
    Header,
    Message,
    OutMessage,
    Registration,
    SendError,
    Sender, //
};

#[kunit_tests(connector_layout)]
mod layout {
    use super::*;

    #[test]
    fn cn_msg_has_the_size_of_a_header() {
        assert_eq!(size_of::<bindings::cn_msg>(), 20);
        assert_eq!(size_of::<bindings::cn_msg>(), Header::SIZE);
    }

    #[test]
    fn fields_of_cn_msg_lie_where_the_header_has_them() {
        assert_eq!(offset_of!(bindings::cn_msg, id), 0);
        assert_eq!(offset_of!(bindings::cn_msg, seq), 8);
        assert_eq!(offset_of!(bindings::cn_msg, ack), 12);
        assert_eq!(offset_of!(bindings::cn_msg, len), 16);
        assert_eq!(offset_of!(bindings::cn_msg, flags), 18);
        assert_eq!(offset_of!(bindings::cn_msg, data), Header::SIZE);
    }

    #[test]
    fn cb_id_is_the_same_in_both_languages() {
        assert_eq!(size_of::<bindings::cb_id>(), size_of::<CbId>());
        assert_eq!(align_of::<bindings::cb_id>(), align_of::<CbId>());
        assert_eq!(offset_of!(bindings::cb_id, idx), offset_of!(CbId, idx));
        assert_eq!(offset_of!(bindings::cb_id, val), offset_of!(CbId, val));
    }

    #[test]
    fn bytes_of_a_header_are_a_cn_msg() {
        let header = Header {
            id: CbId {
                idx: 0x0102_0304,
                val: 0x0506_0708,
            },
            seq: 0x090a_0b0c,
            ack: 0x0d0e_0f10,
            len: 0x1112,
            flags: 0x1314,
        };
        let bytes = header.to_bytes();
        // SAFETY: All bit patterns are valid for a `cn_msg`, which has the size of the bytes.
        let raw = unsafe { bytes.as_ptr().cast::<bindings::cn_msg>().read_unaligned() };
        assert_eq!(raw.id.idx, 0x0102_0304);
        assert_eq!(raw.id.val, 0x0506_0708);
        assert_eq!(raw.seq, 0x090a_0b0c);
        assert_eq!(raw.ack, 0x0d0e_0f10);
        assert_eq!(raw.len, 0x1112);
        assert_eq!(raw.flags, 0x1314);
        assert!(Header::parse(&bytes) == Some(header));
    }
}

#[kunit_tests(connector_bounds)]
mod bounds {
    use super::*;
    use crate::{
        gfp::to_gfp,
        name::Name,
        stats::Dropped,
        Batch,
        Capability,
        OutMessage, //
    };

    const ID: CbId = CbId { idx: 30, val: 1 };

    #[test]
    fn groups_are_1_to_32() {
        assert!(Group::new(0).is_none());
        assert!(Group::new(1).is_some());
        assert!(Group::new(32).is_some());
        assert!(Group::new(33).is_none());
        assert!(Group::new(u32::MAX).is_none());
        assert!(Group::new(32).is_some_and(|group| group.mask() == 1 << 31));
    }

    #[test]
    fn capabilities_are_those_that_the_kernel_has() {
        assert!(Capability::new(bindings::CAP_NET_ADMIN) == Some(Capability::NET_ADMIN));
        assert!(Capability::new(bindings::CAP_LAST_CAP).is_some());
        assert!(Capability::new(bindings::CAP_LAST_CAP + 1).is_none());
        assert!(Capability::new(u32::MAX).is_none());
    }

    #[test]
    fn names_are_cut_to_31_bytes() {
        let name = Name::new(c"0123456789012345678901234567890");
        assert_eq!(name.as_bstr().len(), 31);
        let name = Name::new(c"01234567890123456789012345678901");
        assert_eq!(name.as_bstr().len(), 31);
        assert_eq!(Name::new(c"").as_bstr().len(), 0);
    }

    #[test]
    fn errors_convert_to_the_code_that_they_came_from() {
        for code in [
            bindings::ESRCH,
            bindings::ENODEV,
            bindings::ENOMEM,
            bindings::EMSGSIZE,
            bindings::EAGAIN,
            bindings::ECONNREFUSED,
            bindings::ENOBUFS,
        ] {
            let errno = -(code as c_int);
            let error = SendError::check(errno);
            assert!(error.is_err_and(|error| Error::from(error).to_errno() == errno));
        }
        assert!(SendError::check(0).is_ok());
        assert!(SendError::check(1).is_ok());
        assert!(SendError::check(EPERM.to_errno()) == Err(SendError::Other));
    }

    #[test]
    fn flags_for_sending_mean_what_they_say_and_never_warn() {
        for (flags, gfp) in [
            (GFP_KERNEL, bindings::GFP_KERNEL),
            (GFP_KERNEL_ACCOUNT, bindings::GFP_KERNEL_ACCOUNT),
            (GFP_ATOMIC, bindings::GFP_ATOMIC),
            (GFP_NOWAIT, bindings::GFP_NOWAIT),
        ] {
            assert_eq!(to_gfp(flags), gfp | bindings::__GFP_NOWARN);
            assert_eq!(to_gfp(flags | __GFP_ZERO), gfp | bindings::__GFP_NOWARN);
        }
    }

    #[test]
    fn a_reply_that_was_dropped_is_counted_by_the_reason() {
        let dropped = Dropped::new();
        for (error, times) in [
            (SendError::Full, 1),
            (SendError::NoSuchPort, 2),
            (SendError::NoMemory, 3),
            (SendError::TooLarge, 4),
            (SendError::Other, 5),
        ] {
            for _ in 0..times {
                dropped.count(error);
            }
        }
        let counted = dropped.snapshot(20, 30);
        assert!((counted.full, counted.gone, counted.no_memory) == (1, 2, 3));
        assert!((counted.other, counted.received, counted.replied) == (9, 20, 30));
    }

    #[test]
    fn a_batch_takes_65555_bytes_and_stays_as_it_is_when_it_is_full() -> Result {
        let mut batch = Batch::new();
        assert!(batch.is_empty());
        let mut data = KVec::new();
        data.resize(65534, 7, GFP_KERNEL)?;
        batch.push(&OutMessage::new(ID, &data), GFP_KERNEL)?;
        assert_eq!(batch.size(), Batch::MAX_SIZE - 1);
        assert!(batch.push(&OutMessage::new(ID, b""), GFP_KERNEL) == Err(SendError::TooLarge));
        assert_eq!(batch.size(), Batch::MAX_SIZE - 1);

        batch.clear();
        assert!(batch.is_empty());
        data.push(7, GFP_KERNEL)?;
        batch.push(&OutMessage::new(ID, &data), GFP_KERNEL)?;
        assert_eq!(batch.size(), Batch::MAX_SIZE);
        Ok(())
    }

    #[test]
    fn a_batch_refuses_a_message_whose_length_cannot_be_said() -> Result {
        let mut batch = Batch::new();
        let mut data = KVec::new();
        data.resize(65536, 7, GFP_KERNEL)?;
        assert!(batch.push(&OutMessage::new(ID, &data), GFP_KERNEL) == Err(SendError::TooLarge));
        assert!(batch.is_empty());
        Ok(())
    }

    #[test]
    fn reserving_more_than_fits_is_no_error() -> Result {
        let mut batch = Batch::new();
        batch.reserve(usize::MAX, GFP_KERNEL)?;
        batch.push(&OutMessage::new(ID, b"data"), GFP_KERNEL)?;
        batch.reserve(usize::MAX, GFP_KERNEL)?;
        assert_eq!(batch.size(), 24);
        Ok(())
    }
}

fn slot() -> Result<Arc<Slot>> {
    Arc::pin_init(Slot::new(), GFP_KERNEL)
}

/// Leaves a lane of the slot.
fn leave(slot: &Slot, lane: Option<&Lane>) {
    assert!(lane.is_some());
    if let Some(lane) = lane {
        // SAFETY: Whoever calls this has entered that lane and not left it yet.
        unsafe { Slot::leave(slot, lane) };
    }
}

#[cfg(not(CONFIG_CONNECTOR = "y"))]
use crate::cores::while_absent;

/// Calls `f` as if the connector were not up.
#[cfg(CONFIG_CONNECTOR = "y")]
fn while_absent(f: impl FnOnce()) {
    drop(crate::started::Started::new());
    f();
    core::mem::forget(crate::started::Started::new());
}

#[kunit_tests(connector_sending)]
mod sending {
    use super::*;

    #[test]
    fn where_the_connector_is_not_up_a_message_comes_to_nobody() {
        let message = OutMessage::new(CbId { idx: 9, val: 9 }, b"data");
        let group = Group::new(1).unwrap();
        let port = Destination::Port(NonZero::<u32>::MIN);
        let mut sent = [Ok(()); 4];
        while_absent(|| {
            sent = [
                send(&message, port, GFP_KERNEL),
                send(&message, Destination::Registered, GFP_KERNEL),
                send(&message, Destination::Group(group), GFP_KERNEL),
                send_filtered(&message, group, GFP_KERNEL, |_| true),
            ];
        });
        assert_eq!(sent[0], Err(SendError::NoSuchPort));
        for broadcast in &sent[1..] {
            assert_eq!(*broadcast, Err(SendError::NoListeners));
        }
        // Now it is there, and looks for the id.
        let sent = send(&message, Destination::Registered, GFP_KERNEL);
        assert_eq!(sent, Err(SendError::NotRegistered));
    }
}

#[kunit_tests(connector_slot)]
mod slots {
    use super::*;

    #[test]
    fn closing_an_empty_slot_drains_it_at_once() -> Result {
        let slot = slot()?;
        assert!(!slot.is_drained());
        assert_eq!(slot.close(), 0);
        assert!(slot.is_drained());
        slot.wait_until_drained();
        Ok(())
    }

    #[test]
    fn the_last_one_to_leave_drains() -> Result {
        let slot = slot()?;
        let first = slot.enter();
        let second = slot.enter();
        assert_eq!(slot.running(), 2);
        assert_eq!(slot.close(), 2);
        assert!(!slot.is_drained());
        assert_eq!(slot.running(), 2);
        leave(&slot, first);
        assert!(!slot.is_drained());
        assert_eq!(slot.running(), 1);
        leave(&slot, second);
        assert!(slot.is_drained());
        assert_eq!(slot.running(), 0);
        slot.wait_until_drained();
        Ok(())
    }

    #[test]
    fn one_who_left_before_the_closing_does_not_drain() -> Result {
        let slot = slot()?;
        leave(&slot, slot.enter());
        let inside = slot.enter();
        leave(&slot, slot.enter());
        assert_eq!(slot.received(), 3);
        assert_eq!(slot.close(), 3);
        assert!(!slot.is_drained());
        leave(&slot, inside);
        assert!(slot.is_drained());
        Ok(())
    }

    #[test]
    fn a_visitor_is_waited_for_but_not_counted() -> Result {
        let slot = slot()?;
        let visitor = slot.visit();
        assert_eq!(slot.running(), 0);
        assert_eq!(slot.received(), 0);
        assert_eq!(slot.close(), 0);
        assert!(!slot.is_drained());
        assert!(slot.visit().is_none());
        leave(&slot, visitor);
        assert!(slot.is_drained());
        Ok(())
    }

    #[test]
    fn who_is_turned_away_neither_counts_nor_drains() -> Result {
        let slot = slot()?;
        let inside = slot.enter();
        assert_eq!(slot.close(), 1);
        for _ in 0..1000 {
            assert!(slot.enter().is_none());
            assert!(slot.visit().is_none());
        }
        assert!(!slot.is_drained());
        assert_eq!(slot.running(), 1);
        leave(&slot, inside);
        assert!(slot.is_drained());
        assert_eq!(slot.running(), 0);
        Ok(())
    }
}

/// Counts how many of it there are.
pub(super) struct Counted(&'static Atomic<i32>);

impl Counted {
    fn new(count: &'static Atomic<i32>) -> Self {
        count.add(1, Relaxed);
        Self(count)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.add(-1, Relaxed);
    }
}

impl Handler for Counted {
    fn handle(&self, _message: &Message<'_>, _sender: &Sender<'_>) {}
}

pub(super) fn register(id: CbId, count: &'static Atomic<i32>) -> Result<Registration<Counted>> {
    Registration::new(id, c"connector_kunit", Counted::new(count))
}

/// How many ids of these suites are registered, and whether `id` is.
pub(super) fn registered(id: CbId) -> (usize, bool) {
    let services = registry::list().map(|list| list.registered);
    let services = services.unwrap_or_default();
    let ours = services
        .iter()
        .filter(|(service, ..)| &**service.name() == b"connector_kunit");
    let found = services.iter().any(|(service, ..)| service.id() == id);
    (ours.count(), found)
}

#[kunit_tests(connector_registry)]
mod registering {
    use super::*;

    const ID: CbId = CbId {
        idx: 0x6b75_6e69,
        val: 1,
    };

    #[test]
    fn a_registration_holds_its_id_and_drops_its_handler() -> Result {
        static COUNT: Atomic<i32> = Atomic::new(0);
        let registration = register(ID, &COUNT)?;
        assert!(registration.id() == ID);
        assert_eq!(COUNT.load(Relaxed), 1);
        assert!(registered(ID) == (1, true));
        drop(registration);
        assert_eq!(COUNT.load(Relaxed), 0);
        assert!(registered(ID) == (0, false));
        Ok(())
    }

    #[test]
    fn a_taken_id_is_refused_and_the_handler_dropped() -> Result {
        static COUNT: Atomic<i32> = Atomic::new(0);
        let registration = register(ID, &COUNT)?;
        assert!(register(ID, &COUNT).is_err_and(|error| error == EINVAL));
        assert_eq!(COUNT.load(Relaxed), 1);
        assert!(registered(ID) == (1, true));
        drop(registration);
        let again = register(ID, &COUNT)?;
        assert!(registered(ID) == (1, true));
        drop(again);
        Ok(())
    }

    #[test]
    fn an_id_that_c_has_is_refused_and_leaves_nothing() -> Result {
        static COUNT: Atomic<i32> = Atomic::new(0);
        extern "C" fn ignore(_: *mut bindings::cn_msg, _: *mut bindings::netlink_skb_parms) {}
        let raw = bindings::cb_id {
            idx: ID.idx,
            val: 2,
        };
        let id = CbId { val: 2, ..ID };
        // SAFETY: The callback can be called at any time, and the id is taken back below.
        kernel::error::to_result(unsafe {
            cores::cn_add_callback(&raw, c"connector_kunit".as_char_ptr(), Some(ignore))
        })?;
        let refused = register(id, &COUNT);
        // SAFETY: It is registered.
        unsafe { cores::cn_del_callback(&raw) };
        assert!(refused.is_err_and(|error| error == EINVAL));
        assert_eq!(COUNT.load(Relaxed), 0);
        assert!(registered(id) == (0, false));
        // What the failure left in the table does not stand in the way.
        drop(register(id, &COUNT)?);
        Ok(())
    }

    #[test]
    fn a_thousand_ids_are_found_each_by_itself() -> Result {
        static COUNT: Atomic<i32> = Atomic::new(0);
        let mut registrations = KVec::new();
        // More than the table has buckets differ from others in one of both alone.
        for n in 0..1000 {
            let id = match n % 2 {
                0 => CbId {
                    idx: ID.idx,
                    val: 100 + n,
                },
                _ => CbId {
                    idx: ID.idx + n,
                    val: 100,
                },
            };
            registrations.push(register(id, &COUNT)?, GFP_KERNEL)?;
        }
        assert_eq!(COUNT.load(Relaxed), 1000);
        assert_eq!(registered(ID).0, 1000);
        for registration in &registrations {
            // Nobody else's: entering it is seen in no other.
            let running = TABLE.enter(registration.id());
            assert!(running.is_some());
            let services = registry::list()?.registered;
            let mut busy = services
                .iter()
                .filter(|(service, ..)| service.usage().running() == 1);
            assert!(busy
                .next()
                .is_some_and(|(service, ..)| service.id() == registration.id()));
            assert!(busy.next().is_none());
        }
        drop(registrations);
        assert_eq!(COUNT.load(Relaxed), 0);
        assert_eq!(registered(ID).0, 0);
        Ok(())
    }

    /// As the core does with a message that it has found an id for, which may go meanwhile.
    fn dispatch(id: CbId) {
        // SAFETY: All zeroes are valid for both of these.
        let (mut message, mut parms): (bindings::cn_msg, bindings::netlink_skb_parms) =
            unsafe { (core::mem::zeroed(), core::mem::zeroed()) };
        message.id.idx = id.idx;
        message.id.val = id.val;
        // SAFETY: A message without data, which lives until this returns. There is no skb, and no sender: the only
        // handler, `Counted`, does not look at it.
        unsafe {
            deliver(
                core::ptr::NonNull::from(&mut message),
                core::ptr::NonNull::from(&mut parms),
            )
        };
    }

    #[test]
    fn a_message_is_received_or_counted_as_unclaimed_if_its_id_has_just_gone() -> Result {
        static COUNT: Atomic<i32> = Atomic::new(0);
        let received = |id| -> Result<u64> {
            let services = registry::list()?.registered;
            let service = services.iter().find(|(service, ..)| service.id() == id);
            service
                .map(|(_, counted, _)| counted.received)
                .ok_or(ENOENT)
        };
        let registration = register(ID, &COUNT)?;
        let before = unclaimed();
        for times in 1..=3 {
            dispatch(ID);
            assert_eq!(received(ID)?, times);
        }
        assert_eq!(unclaimed(), before);
        drop(registration);
        for times in 1..=3 {
            dispatch(ID);
            assert_eq!(unclaimed(), before + times);
        }
        Ok(())
    }

    #[test]
    fn the_id_that_watching_unregisters_is_refused() {
        static COUNT: Atomic<i32> = Atomic::new(0);
        let refused = register(changes::RESERVED, &COUNT);
        assert!(refused.is_err_and(|error| error == EINVAL));
        assert_eq!(COUNT.load(Relaxed), 0);
        assert_eq!(registered(changes::RESERVED), (0, false));
    }

    #[test]
    fn an_id_that_nobody_registered_is_not_found() {
        assert!(TABLE.enter(CbId { idx: 9, val: 9 }).is_none());
        assert!(TABLE.enter(CbId { idx: 0, val: 0 }).is_none());
        assert!(TABLE.enter(CbId::NOTIFY).is_none());
    }
}
