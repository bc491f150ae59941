// SPDX-License-Identifier: GPL-2.0

//! Sockets of userspace: telling them apart, and whether they are closed.

use core::{
    fmt,
    ptr::{
        self,
        NonNull, //
    },
};

use kernel::{
    sync::aref::AlwaysRefCounted,
    types::Opaque, //
};

use crate::bindings;

/// A netlink socket: that of a [`Sender`](crate::Sender), or of a [`Listener`](crate::Listener).
///
/// Two of them are equal if they are the same socket. A handler that wants to know one again keeps
/// an [`ARef`](kernel::sync::aref::ARef): a port id can belong to another socket as soon as this
/// one is closed, even before [`Handler::closed`](crate::Handler::closed) is called. That keeps the
/// socket's memory and whatever it has not read, but does not keep it from being closed. Dropping it may free
/// all of that: do so in process context or in softirq, since the kernel warns where packets are freed in a
/// hardware interrupt (`CONFIG_DEBUG_NET`).
///
/// C counterpart: `struct sock`.
///
/// # Invariants
///
/// The socket's reference count is not 0.
#[repr(transparent)]
pub struct Socket(Opaque<bindings::sock>);

// SAFETY: A reference can be given up by any task.
unsafe impl Send for Socket {}
// SAFETY: Nothing but the reference count and the flags is used, both of which are atomic.
unsafe impl Sync for Socket {}

impl Socket {
    /// # Safety
    ///
    /// `socket` must point to a socket that has a reference during `'a`.
    pub(crate) unsafe fn from_raw<'a>(socket: NonNull<bindings::sock>) -> &'a Self {
        // SAFETY: By this function's contract. `Self` is transparent. INVARIANT: It has one.
        unsafe { socket.cast().as_ref() }
    }

    /// Whether the socket is closed, or is about to be: nobody sends or receives by it any more.
    ///
    /// Does not sleep. C counterpart: `sock_flag(sk, SOCK_DEAD)`, which is set before
    /// [`Handler::closed`](crate::Handler::closed) is called.
    pub fn is_closed(&self) -> bool {
        // SAFETY: By the type's invariants this is a socket.
        unsafe { bindings::connector_helper_sock_is_dead(self.0.get()) }
    }
}

// SAFETY: The functions count the socket's references.
unsafe impl AlwaysRefCounted for Socket {
    fn inc_ref(&self) {
        // SAFETY: By the type's invariants there is a reference.
        unsafe { bindings::connector_helper_sock_hold(self.0.get()) }
    }

    unsafe fn dec_ref(socket: NonNull<Self>) {
        // SAFETY: By this function's contract. Netlink itself gives up the last reference in softirq. In a
        // hardware interrupt it would be odd, and the kernel may warn, but nothing that is freed takes a lock
        // that interrupts leave on.
        unsafe { bindings::connector_helper_sock_put(socket.as_ptr().cast()) }
    }
}

impl PartialEq for Socket {
    fn eq(&self, other: &Self) -> bool {
        ptr::eq(self, other)
    }
}

impl Eq for Socket {}

/// Does not print the address, which would tell an attacker where the kernel keeps its sockets.
impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Socket(..)")
    }
}
