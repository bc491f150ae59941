// SPDX-License-Identifier: GPL-2.0

//! KUnit suite of netlink sockets that receive; part of `connector_kunit.ko` alone.

use core::ptr;

use kernel::{
    macros::kunit_tests,
    sync::{
        atomic::{
            Acquire,
            Atomic,
            Relaxed,
            Release, //
        },
        Arc,
        Completion, //
    },
    workqueue, //
};

#[kunit_tests(rust_netlink_socket)]
mod socket {
    use super::super::*;
    use super::*;

    /// The highest number of a protocol, which is nobody's.
    const NUMBER: c_int = 31;

    /// What these are in: anybody may open a socket of the protocol while a test has it.
    const OWNER: *mut bindings::module = crate::home::OWNER;

    /// Notes the sizes of payloads, a byte each, and which messages are malformed.
    struct Notes;

    static SIZES: Atomic<u64> = Atomic::new(0);
    const MALFORMED: u64 = 0xee;
    const WRONG: u64 = 0xff;

    // SAFETY: This is in `OWNER`.
    unsafe impl Protocol for Notes {
        const NUMBER: c_int = NUMBER;
        const OWNER: *mut bindings::module = OWNER;

        fn receive(datagram: &Datagram) {
            for message in datagram.messages() {
                let payload = message.payload();
                // CAST: It becomes larger.
                let size = match (message.is_malformed(), payload.len() as u64) {
                    (true, 0) => MALFORMED,
                    (false, size) if payload.iter().all(|byte| *byte == 7) => size,
                    _ => WRONG,
                };
                SIZES.store(SIZES.load(Relaxed) << 8 | size, Relaxed);
            }
        }

        fn join(_group: u32, _by: &Joiner) -> Result {
            Err(EPERM)
        }
    }

    fn open<P: Protocol>(groups: u32) -> Result<KernelSocket<P>> {
        // SAFETY: Each test drops its socket, and runs when all of the module has been initialised.
        unsafe { KernelSocket::new(groups) }
    }

    /// Sends to the kernel's socket.
    ///
    /// # Safety
    ///
    /// `to` must be open, and stay so until what it receives this with has been called.
    unsafe fn send(to: *mut bindings::sock, data: &[u8]) -> c_int {
        // SAFETY: By this function's contract. The skb has room for the data, and netlink consumes it.
        unsafe {
            let skb = bindings::connector_helper_nlmsg_new(data.len(), bindings::GFP_KERNEL);
            assert!(!skb.is_null());
            // CAST: Some bytes.
            let at = bindings::skb_put(skb, data.len() as c_uint).cast::<u8>();
            ptr::copy_nonoverlapping(data.as_ptr(), at, data.len());
            bindings::netlink_unicast(to, skb, 0, 1)
        }
    }

    /// A netlink message that announces so many bytes, and has so many behind its header.
    fn push(to: &mut KVec<u8>, announced: u32, payload: usize) -> Result {
        to.extend_from_slice(&announced.to_ne_bytes(), GFP_KERNEL)?;
        to.resize(to.len() + 12, 0, GFP_KERNEL)?;
        to.resize(to.len() + payload, 7, GFP_KERNEL)?;
        to.resize(to.len().next_multiple_of(4), 0, GFP_KERNEL)?;
        Ok(())
    }

    /// What is noted of some data.
    fn noted(data: &[u8]) -> Result<u64> {
        let socket = open::<Notes>(32)?;
        SIZES.store(0, Relaxed);
        // SAFETY: It is open.
        let sent = unsafe { send(socket.as_raw(), data) };
        // CAST: Some bytes.
        assert_eq!(sent, data.len() as c_int);
        Ok(SIZES.load(Relaxed))
    }

    #[test]
    fn a_protocol_has_one_socket() -> Result {
        let socket = open::<Notes>(32)?;
        assert!(open::<Notes>(32).is_err_and(|error| error == EIO));
        drop(socket);
        open::<Notes>(65536)?;
        Ok(())
    }

    #[test]
    fn groups_are_32_to_65536() {
        for groups in [0, 31, 65537, u32::MAX] {
            assert!(open::<Notes>(groups).is_err_and(|error| error == EINVAL));
        }
    }

    #[test]
    fn each_message_of_a_datagram_is_received() -> Result {
        let mut data = KVec::new();
        push(&mut data, 16 + 4, 4)?;
        push(&mut data, 16 + 1, 1)?;
        push(&mut data, 16, 0)?;
        push(&mut data, 16 + 3, 3)?;
        assert_eq!(noted(&data)?, 0x04_01_00_03);
        // The padding of the last one may be missing.
        data.pop();
        assert_eq!(noted(&data)?, 0x04_01_00_03);
        Ok(())
    }

    #[test]
    fn what_comes_behind_and_is_no_message_is_left_alone() -> Result {
        let mut data = KVec::new();
        push(&mut data, 16 + 4, 4)?;
        data.extend_from_slice(&[7; 15], GFP_KERNEL)?;
        assert_eq!(noted(&data)?, 0x04);
        data.truncate(20);
        push(&mut data, 16 + 5, 4)?;
        assert_eq!(noted(&data)?, 0x04);
        Ok(())
    }

    #[test]
    fn a_message_whose_length_is_wrong_is_its_header() -> Result {
        for announced in [0, 15, 20 + 20 + 1, u32::MAX] {
            let mut data = KVec::new();
            push(&mut data, announced, 4)?;
            push(&mut data, 16 + 4, 4)?;
            assert_eq!(noted(&data)?, MALFORMED);
        }
        assert_eq!(noted(&[0; 15])?, 0);
        Ok(())
    }

    /// Takes a while to receive.
    struct Slow;

    static RECEIVED: Atomic<bool> = Atomic::new(false);
    static BEGUN: Atomic<*mut Completion> = Atomic::new(ptr::null_mut());

    // SAFETY: As above.
    unsafe impl Protocol for Slow {
        const NUMBER: c_int = NUMBER;
        const OWNER: *mut bindings::module = OWNER;

        fn receive(_datagram: &Datagram) {
            // SAFETY: The test keeps it.
            unsafe { &*BEGUN.load(Relaxed) }.complete_all();
            fsleep(Delta::from_millis(200));
            RECEIVED.store(true, Release);
        }

        fn join(_group: u32, _by: &Joiner) -> Result {
            Err(EPERM)
        }
    }

    #[test]
    fn whoever_closes_a_socket_waits_for_what_receives() -> Result {
        let begun = Arc::pin_init(Completion::new(), GFP_KERNEL)?;
        BEGUN.store(ptr::from_ref(&*begun).cast_mut(), Relaxed);
        let socket = open::<Slow>(32)?;
        let to = socket.as_raw() as usize;
        workqueue::system().try_spawn(GFP_KERNEL, move || {
            // SAFETY: Who closes it waits until it has received this.
            unsafe { send(to as *mut bindings::sock, &[7; 16]) };
        })?;
        begun.wait_for_completion();
        drop(socket);
        assert!(RECEIVED.load(Acquire));
        Ok(())
    }
}
