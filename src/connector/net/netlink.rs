// SPDX-License-Identifier: GPL-2.0

//! Sockets of the kernel's that receive what userspace sends by netlink.
//!
//! C header: [`include/linux/netlink.h`](srctree/include/linux/netlink.h)

use core::{
    marker::PhantomData,
    mem::size_of,
    ops::RangeInclusive,
    ptr::NonNull,
    slice, //
};

use kernel::{
    error::from_result,
    prelude::*,
    str::CStr,
    time::{
        delay::fsleep,
        Delta, //
    },
    types::Opaque, //
};

use crate::{
    bindings,
    grace, //
};

#[cfg(connector_kunit)]
#[path = "../../../tests/kunit/netlink.rs"]
mod tests;

/// How many multicast groups a protocol can have. Each socket that joins one takes a bit for each.
pub(crate) const GROUPS: RangeInclusive<u32> = 32..=65536;

/// The size of a netlink message's header, in bytes. C counterpart: `NLMSG_HDRLEN`.
const HEADER: usize = size_of::<bindings::nlmsghdr>();

/// What the kernel does with messages of a netlink protocol.
///
/// Netlink calls the functions without a value to go with them: what they need is in statics.
///
/// # Safety
///
/// [`OWNER`](Self::OWNER) must be the module that the functions are in.
pub(crate) unsafe trait Protocol: 'static {
    /// Its number: a `NETLINK_*` of `include/uapi/linux/netlink.h`.
    const NUMBER: c_int;

    /// The module that the functions are in, or null if they are a part of the kernel. An open
    /// socket of userspace's keeps it loaded.
    const OWNER: *mut bindings::module;

    /// Handles what a socket of userspace's has sent.
    ///
    /// Process context, in the sender's `sendmsg(2)`: the socket stays open until this has returned.
    /// May sleep. Runs in any number of tasks at once, and may do so before [`KernelSocket::new`]
    /// has returned. It must not drop the [`KernelSocket`], which waits for it.
    fn receive(datagram: &Datagram);

    /// Decides whether a socket may join a multicast group, 1 or more; if not, says with which error
    /// `bind(2)` or `setsockopt(2)` fails. Process context; may sleep.
    fn join(group: u32, by: &Joiner) -> Result;

    /// A socket of userspace's was closed. Process context; may sleep. By default does nothing.
    ///
    /// # Safety
    ///
    /// Only netlink may call this, with a socket that nobody sends or receives by any more.
    unsafe fn closed(socket: NonNull<bindings::sock>) {
        let _ = socket;
    }
}

/// The kernel's socket of a netlink protocol, in the initial network namespace.
///
/// Dropping it closes it, and returns only when [`Protocol::receive`] runs nowhere any more. May sleep.
///
/// # Invariants
///
/// `sock` is such a socket, which is open, and to which there is a reference.
pub(crate) struct KernelSocket<P: Protocol> {
    sock: NonNull<bindings::sock>,
    _protocol: PhantomData<P>,
}

// SAFETY: Any task may use and close it: netlink has locks for that.
unsafe impl<P: Protocol> Send for KernelSocket<P> {}
// SAFETY: As above.
unsafe impl<P: Protocol> Sync for KernelSocket<P> {}

impl<P: Protocol> KernelSocket<P> {
    /// Opens the socket, for a protocol with so many multicast groups.
    ///
    /// May sleep. C counterpart: `netlink_kernel_create()`.
    ///
    /// # Errors
    ///
    /// - `EINVAL`: the number of groups is not one of [`GROUPS`].
    /// - `EIO`: the protocol has a socket already, there is none of this number, or no memory. C does not
    ///   say which.
    ///
    /// # Safety
    ///
    /// If the functions of `P` are a module's: the socket must be dropped before that module's code goes,
    /// so it must not be leaked; and nothing that comes later in the module's initialisation may fail. An
    /// open socket of userspace's keeps a module, but not one that could not be initialised.
    pub(crate) unsafe fn new(groups: u32) -> Result<Self> {
        if !GROUPS.contains(&groups) {
            return Err(EINVAL);
        }
        let mut cfg = bindings::netlink_kernel_cfg {
            groups,
            // Who may join is up to `join`.
            flags: bindings::NL_CFG_F_NONROOT_RECV,
            input: Some(input::<P>),
            bind: Some(bind::<P>),
            unbind: None,
            release: Some(release::<P>),
        };
        // SAFETY: The initial namespace is always there, and `cfg` is only read. `bind` and `release` are
        // called for sockets of userspace's, which by the contract of `Protocol` and this function's keep
        // the functions loaded; `drop` waits for whoever is in `input`, and by this function's contract
        // comes before they go.
        let sock = unsafe {
            bindings::__netlink_kernel_create(
                &raw mut bindings::init_net,
                P::NUMBER,
                P::OWNER,
                &mut cfg,
            )
        };
        let sock = NonNull::new(sock).ok_or(EIO)?;
        // SAFETY: It was just opened, and nobody else closes it.
        unsafe { bindings::connector_helper_sock_hold(sock.as_ptr()) };
        // INVARIANT: As just done.
        Ok(Self {
            sock,
            _protocol: PhantomData,
        })
    }

    /// The socket of C's.
    pub(crate) fn as_raw(&self) -> *mut bindings::sock {
        self.sock.as_ptr()
    }
}

impl<P: Protocol> Drop for KernelSocket<P> {
    fn drop(&mut self) {
        let sock = self.as_raw();
        // SAFETY: By the type's invariants it is open, and there is a reference that outlives this.
        unsafe { bindings::netlink_kernel_release(sock) };
        // Netlink finds it no more. Who had found it took a reference under RCU, and gives that back when
        // `input` has returned; netlink's own one goes after a grace period. None of these can be waited
        // for but by their number: netlink_unicast_kernel() has nothing else to say that `input` is done.
        grace::rcu_barrier();
        // SAFETY: By the type's invariants there is still a reference.
        while unsafe { bindings::connector_helper_sock_refcnt(sock) } != 1 {
            fsleep(Delta::from_millis(1));
        }
        // SAFETY: It is the last one, and ours. To give it back orders what was done in `input` before this.
        unsafe { bindings::connector_helper_sock_put(sock) };
    }
}

/// What a socket of userspace's has sent at once: some netlink messages.
///
/// C counterpart: `struct sk_buff`.
///
/// # Invariants
///
/// Netlink has received it, and its control block says of whom, whose socket is open.
#[repr(transparent)]
pub(crate) struct Datagram(Opaque<bindings::sk_buff>);

impl Datagram {
    /// Who has sent it. C counterpart: `NETLINK_CB()`.
    #[inline(always)]
    pub(crate) fn parms(&self) -> NonNull<bindings::netlink_skb_parms> {
        // SAFETY: By the type's invariants this is an skb, whose `cb` is that.
        unsafe { NonNull::new_unchecked(&raw mut (*self.0.get()).cb) }.cast()
    }

    /// The messages in it, from the first one on.
    ///
    /// C counterpart: `netlink_rcv_skb()`, which looks at their types and flags, too, and does not tell of
    /// a first one that is malformed.
    #[inline(always)]
    pub(crate) fn messages(&self) -> Messages<'_> {
        // SAFETY: By the type's invariants this is an skb. INVARIANT: What userspace sends is in one piece.
        let (at, left) = unsafe { ((*self.0.get()).data, (*self.0.get()).len as usize) };
        Messages {
            datagram: self,
            at,
            left,
            is_first: true,
        }
    }
}

/// The messages of a [`Datagram`].
///
/// The iterator ends at the first bytes that are no message. If the first one does not have the length that it
/// announces, it is what there is of it: the header alone.
///
/// Where each begins follows from the length of the one before, as it was when that was returned. So
/// whoever writes to a message, a reply into its place included, may write to what is behind it only if
/// [`are_done`](Self::are_done).
///
/// # Invariants
///
/// There are `left` bytes at `at`, which is aligned as a netlink message is.
pub(crate) struct Messages<'a> {
    datagram: &'a Datagram,
    at: *mut u8,
    left: usize,
    is_first: bool,
}

impl Messages<'_> {
    /// Whether that was the last one.
    #[inline(always)]
    pub(crate) fn are_done(&self) -> bool {
        self.left < HEADER
    }
}

impl<'a> Iterator for Messages<'a> {
    type Item = Message<'a>;

    #[inline(always)]
    fn next(&mut self) -> Option<Message<'a>> {
        if self.left < HEADER {
            return None;
        }
        // SAFETY: By the type's invariants there are as many bytes at `at` as a header has.
        let (header, announced) = unsafe {
            let header = self.at.cast::<bindings::nlmsghdr>();
            (NonNull::new_unchecked(header), (*header).nlmsg_len as usize)
        };
        let mut len = announced;
        if announced < HEADER || announced > self.left {
            // Nobody knows where the next one would begin.
            self.left = 0;
            if !self.is_first {
                return None;
            }
            len = HEADER;
        }
        self.is_first = false;
        let step = len.wrapping_add(3) & !3;
        // INVARIANT: That many are left behind it, at the next multiple of four.
        self.at = self.at.wrapping_add(step);
        self.left = self.left.saturating_sub(step);
        // INVARIANT: There are.
        Some(Message {
            datagram: self.datagram,
            header,
            len,
        })
    }
}

/// A netlink message that a [`Datagram`] has.
///
/// # Invariants
///
/// There are `len` bytes at `header`: as many as that announces, or the header's if these are not there.
pub(crate) struct Message<'a> {
    datagram: &'a Datagram,
    header: NonNull<bindings::nlmsghdr>,
    len: usize,
}

impl Message<'_> {
    /// The header, and the payload behind it.
    #[inline(always)]
    pub(crate) fn as_raw(&self) -> NonNull<bindings::nlmsghdr> {
        self.header
    }

    /// Whether it does not have the length that it announces.
    #[inline(always)]
    pub(crate) fn is_malformed(&self) -> bool {
        // SAFETY: By the type's invariants there is a header.
        unsafe { self.header.as_ref().nlmsg_len as usize != self.len }
    }

    /// Whether the sender wants to know what comes of it. C counterpart: `NLM_F_ACK`.
    #[inline(always)]
    pub(crate) fn asks_for_ack(&self) -> bool {
        // SAFETY: As above.
        unsafe { u32::from(self.header.as_ref().nlmsg_flags) & bindings::NLM_F_ACK != 0 }
    }

    /// What is behind the header.
    #[inline(always)]
    pub(crate) fn payload(&self) -> &[u8] {
        // SAFETY: By the type's invariants there are `len` bytes at `header`, the header's and these. Nobody
        // writes to them but who has unsafe code for that.
        unsafe { slice::from_raw_parts(self.header.as_ptr().add(1).cast(), self.len - HEADER) }
    }

    /// Tells the sender what came of it: that it was handled; or an error, with a text, and with the
    /// message or its header.
    ///
    /// May sleep. C counterpart: `netlink_ack()`.
    #[cold]
    #[inline(never)]
    pub(crate) fn acknowledge(&self, result: Result<(), (Error, &'static CStr, Repeat)>) {
        // SAFETY: All zeroes are one that says nothing.
        let mut text = unsafe { core::mem::zeroed::<bindings::netlink_ext_ack>() };
        let mut header = self.header.as_ptr();
        // SAFETY: By the type's invariants there is a header.
        let mut alone = unsafe { header.read() };
        let mut errno = 0;
        if let Err((error, why, repeat)) = result {
            errno = error.to_errno();
            text._msg = why.as_char_ptr();
            if matches!(repeat, Repeat::Header) || self.is_malformed() {
                // What is repeated is what the header announces. CAST: 16.
                alone.nlmsg_len = HEADER as u32;
                header = &raw mut alone;
            }
        }
        // SAFETY: The datagram is netlink's by its invariants. For an error, there are as many bytes at
        // `header` as that announces, by the invariants or as it was just changed to; else it is the
        // header that is repeated.
        unsafe { bindings::netlink_ack(self.datagram.0.get(), header, errno, &text) };
    }
}

/// What the answer to an error has of the message that it is about.
#[derive(Clone, Copy)]
pub(crate) enum Repeat {
    /// All of it.
    Message,
    /// Its header, which then announces itself alone: netlink repeats as much as that announces.
    Header,
}

/// Who wants to join a multicast group.
///
/// # Invariants
///
/// It is the network namespace of a socket that is open.
#[repr(transparent)]
pub(crate) struct Joiner(Opaque<bindings::net>);

impl Joiner {
    /// Whether the current task has `CAP_NET_ADMIN` for the network namespace of the socket.
    pub(crate) fn is_net_admin(&self) -> bool {
        // SAFETY: By the type's invariants this is a network namespace, which keeps its user namespace.
        unsafe { bindings::ns_capable((*self.0.get()).user_ns, bindings::CAP_NET_ADMIN as c_int) }
    }
}

/// # Safety
///
/// Only netlink may call this, as the input function of a [`KernelSocket`].
unsafe extern "C" fn input<P: Protocol>(skb: *mut bindings::sk_buff) {
    // SAFETY: Netlink passes an skb that it has received, and holds. `Datagram` is transparent. INVARIANT:
    // Netlink fills in the control block for a socket whose `sendmsg(2)` this is called in.
    P::receive(unsafe { &*skb.cast() });
}

/// # Safety
///
/// Only netlink may call this, with the network namespace of an open socket.
unsafe extern "C" fn bind<P: Protocol>(net: *mut bindings::net, group: c_int) -> c_int {
    // SAFETY: By this function's contract. `Joiner` is transparent. INVARIANT: As well.
    let by: &Joiner = unsafe { &*net.cast() };
    // CAST: The number of a group that there is.
    from_result(|| P::join(group as u32, by).map(|()| 0))
}

/// # Safety
///
/// Only netlink may call this, with a socket that is closed.
unsafe extern "C" fn release<P: Protocol>(sock: *mut bindings::sock, _groups: *mut c_ulong) {
    // SAFETY: By this function's contract.
    unsafe { P::closed(NonNull::new_unchecked(sock)) };
}
