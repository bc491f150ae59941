// SPDX-License-Identifier: GPL-2.0

//! Who sent a message, and answering it.

use kernel::{
    prelude::*,
    task::Kuid, //
};

use crate::{
    bindings,
    in_place,
    parms::Parms,
    send,
    socket::Socket,
    usage::InUse,
    Message,
    SendError, //
};

/// A capability to check a [`Sender`] for.
///
/// C header: [`include/uapi/linux/capability.h`](srctree/include/uapi/linux/capability.h)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capability(c_int);

impl Capability {
    /// `CAP_NET_ADMIN`: configure the network; what the connector itself asks for.
    pub const NET_ADMIN: Self = Self(bindings::CAP_NET_ADMIN as c_int);
    /// `CAP_SYS_ADMIN`: administer the system.
    pub const SYS_ADMIN: Self = Self(bindings::CAP_SYS_ADMIN as c_int);

    /// The capability of this number, or `None` if the kernel knows none of it.
    pub const fn new(number: u32) -> Option<Self> {
        if number <= bindings::CAP_LAST_CAP {
            Some(Self(number as c_int))
        } else {
            None
        }
    }
}

/// A group id, as the kernel has it: without a user namespace it is no number.
///
/// C counterpart: `kgid_t`.
#[derive(Clone, Copy)]
pub struct Kgid(bindings::kgid_t);

impl Kgid {
    /// The raw C type: the number in the initial user namespace.
    pub fn into_raw(self) -> bindings::kgid_t {
        self.0
    }

    /// The number that this group has in the user namespace of the current task: in a handler, the
    /// sender's. A group that it does not know is the overflow group, 65534.
    ///
    /// C counterpart: `from_kgid_munged()`.
    pub fn into_gid_in_current_ns(self) -> u32 {
        #[cfg(CONFIG_USER_NS)]
        // SAFETY: The current task's namespace lives as long as the task is in here.
        return unsafe { bindings::from_kgid_munged(bindings::current_user_ns(), self.0) };
        #[cfg(not(CONFIG_USER_NS))]
        self.0.val
    }
}

/// Who sent a [`Message`].
///
/// **Anyone may send** to any registered id, without any privilege, from the initial network
/// namespace. A handler that changes anything checks [`Self::capable`] first.
///
/// C counterpart: `struct netlink_skb_parms`.
pub struct Sender<'a> {
    parms: Parms<'a>,
    in_use: &'a InUse,
}

impl<'a> Sender<'a> {
    #[inline(always)]
    pub(crate) fn new(parms: Parms<'a>, in_use: &'a InUse) -> Self {
        Self { parms, in_use }
    }

    /// The port id of the socket that sent the message: the address of a reply.
    #[inline]
    pub fn portid(&self) -> u32 {
        self.parms.get().portid
    }

    /// The socket that sent the message.
    pub fn socket(&self) -> &Socket {
        // SAFETY: By the invariants of `Parms` it is a socket that is open, so that it has a reference.
        unsafe { Socket::from_raw(self.parms.socket()) }
    }

    /// The process id of the sender (its `tgid`), as its own pid namespace numbers it.
    ///
    /// A sender with the right capabilities can set another one (`SCM_CREDENTIALS`).
    #[inline]
    pub fn pid(&self) -> u32 {
        self.parms.get().creds.pid
    }

    /// The effective user id that the sender **claims**. For display.
    ///
    /// A sender with the right capabilities can claim another one than its own
    /// (`SCM_CREDENTIALS`), and a set-user-id program can be made to send for others: whoever
    /// decides by this acts for the wrong one. [`Self::capable`] is for that; and what a client may use up
    /// is better counted for its [`socket`](Self::socket), with a limit for all sockets together.
    #[inline]
    pub fn uid(&self) -> Kuid {
        Kuid::from_raw(self.parms.get().creds.uid)
    }

    /// The effective group id that the sender **claims**. For display, as [`Self::uid`].
    #[inline]
    pub fn gid(&self) -> Kgid {
        Kgid(self.parms.get().creds.gid)
    }

    /// Whether both the process that opened the socket had, and the sending process has, a
    /// capability in the user namespace of the socket's network namespace.
    ///
    /// A sender that spells out the kernel's address, as `sendto(2)` allows, is asked alone: that
    /// cannot be had by writing to a file descriptor that somebody else left open.
    ///
    /// The connector exists in the initial network namespace alone, so this is the initial user
    /// namespace: root in a container does not pass. It is right only in the handler itself, which
    /// runs in the sender's context: that is why a `Sender` cannot be kept.
    ///
    /// May sleep. C counterpart: `netlink_net_capable()`.
    pub fn capable(&self, capability: Capability) -> bool {
        // SAFETY: By the invariants of `Parms` the socket that it points to is open; the initial user
        // namespace lives forever.
        unsafe {
            bindings::__netlink_ns_capable(
                self.parms.get(),
                &raw mut bindings::init_user_ns,
                capability.0,
            )
        }
    }

    /// Replies to `message`: same id, `seq` and flags, its `ack` plus one, and `data`.
    ///
    /// Never waits for room: a reply that finds none is dropped and counted, and the client is
    /// told, see [`SendError::Full`]. The first reply to a message whose `data` is
    /// [`Message::data`] mostly needs neither memory nor a copy.
    ///
    /// May be called any number of times for a message, and allocates without sleeping.
    ///
    /// # Errors
    ///
    /// - [`SendError::Full`]: the client does not read fast enough.
    /// - [`SendError::NoSuchPort`]: the client closed its socket meanwhile.
    /// - [`SendError::NoMemory`]: no memory for the reply.
    /// - [`SendError::TooLarge`]: `data` has more than 65535 bytes.
    /// - [`SendError::InterruptsOff`]: interrupts are off.
    // Not inlined into users' modules: they would become larger, and the helpers are not there.
    #[inline(never)]
    pub fn reply(&self, message: &Message<'_>, data: &[u8]) -> Result<(), SendError> {
        let own = message.data();
        let in_place = if data.as_ptr() == own.as_ptr() && data.len() == own.len() {
            in_place::reply(message, &self.parms)
        } else {
            None
        };
        let result = in_place.unwrap_or_else(|| self.reply_with_copy(message, &[data]));
        self.in_use.count_reply(result)
    }

    /// [Replies](Self::reply) with data that lie in several pieces: they are sent one behind the
    /// other, and need not be put together before.
    ///
    /// # Errors
    ///
    /// Those of [`Self::reply`].
    pub fn reply_slices(&self, message: &Message<'_>, data: &[&[u8]]) -> Result<(), SendError> {
        self.in_use.count_reply(self.reply_with_copy(message, data))
    }

    /// [Replies](Self::reply) with how a request ended, and what it was for: a native-endian `i32`,
    /// 0 and behind it the data, or a negative error number and nothing.
    ///
    /// Many services of the connector answer like that. [`wire::outcome`](crate::wire::outcome)
    /// reads it; and so does `Connector::call()` of the userspace crate.
    ///
    /// # Errors
    ///
    /// Those of [`Self::reply`].
    pub fn reply_outcome(
        &self,
        message: &Message<'_>,
        outcome: Result<&[u8]>,
    ) -> Result<(), SendError> {
        let (status, data) = match outcome {
            Ok(data) => (0, data),
            Err(error) => (error.to_errno(), &[][..]),
        };
        self.reply_slices(message, &[&status.to_ne_bytes(), data])
    }

    #[inline(never)]
    fn reply_with_copy(&self, message: &Message<'_>, data: &[&[u8]]) -> Result<(), SendError> {
        send::reply(&message.header(), data, &self.parms)
    }
}
