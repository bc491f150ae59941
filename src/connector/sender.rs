// SPDX-License-Identifier: GPL-2.0

//! Who sent a message, and answering it.

use core::num::NonZero;

use kernel::prelude::*;

use crate::{
    bindings,
    send::{
        self,
        Destination,
        OutMessage, //
    },
    stats::Stats,
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

/// Which socket a message came from, or would go to.
///
/// Two of them are equal if they mean the same socket. A handler that keeps one to recognise a
/// [`Listener`](crate::Listener) must expect that the socket was closed meanwhile, and that
/// another one took its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SocketId(usize);

impl SocketId {
    pub(crate) fn new(socket: *const bindings::sock) -> Self {
        Self(socket.addr())
    }
}

/// Who sent a [`Message`].
///
/// **Anyone may send** to any registered id, without any privilege, from the initial network
/// namespace. A handler that changes anything checks [`Self::capable`] first.
///
/// C counterpart: `struct netlink_skb_parms`.
///
/// # Invariants
///
/// `parms.portid` is not 0: netlink gives a socket a port before it sends.
pub struct Sender<'a> {
    parms: &'a bindings::netlink_skb_parms,
    stats: &'a Stats,
}

impl<'a> Sender<'a> {
    /// # Safety
    ///
    /// `parms` must be what the core passed to our callback, which must not have returned at the
    /// end of `'a`.
    #[inline(always)]
    pub(crate) unsafe fn from_raw(
        parms: *const bindings::netlink_skb_parms,
        stats: &'a Stats,
    ) -> Self {
        Self {
            // SAFETY: The core passes a pointer into the control block of an skb that it holds,
            // and nothing writes to it meanwhile.
            parms: unsafe { &*parms },
            stats,
        }
    }

    /// The port id of the socket that sent the message: the address of a reply.
    #[inline]
    pub fn portid(&self) -> u32 {
        self.parms.portid
    }

    /// The socket that sent the message.
    pub fn socket(&self) -> SocketId {
        SocketId::new(self.parms.sk)
    }

    /// The process id of the sender (its `tgid`), as its own pid namespace numbers it.
    ///
    /// A sender with the right capabilities can set another one (`SCM_CREDENTIALS`).
    #[inline]
    pub fn pid(&self) -> u32 {
        self.parms.creds.pid
    }

    /// The user id of the sender, in the initial user namespace.
    #[inline]
    pub fn uid(&self) -> u32 {
        self.parms.creds.uid.val
    }

    /// The group id of the sender, in the initial user namespace.
    #[inline]
    pub fn gid(&self) -> u32 {
        self.parms.creds.gid.val
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
        // SAFETY: `parms` is that of a message which is being handled, so that the socket it
        // points to is open; the initial user namespace lives forever.
        unsafe {
            bindings::__netlink_ns_capable(
                self.parms,
                &raw mut bindings::init_user_ns,
                capability.0,
            )
        }
    }

    /// Replies to `message`: same id, `seq` and flags, its `ack` plus one, and `data`.
    ///
    /// Never waits for room: a reply that finds none is dropped and counted, and the client is
    /// told, see [`SendError::Full`]. Where `data` is [`Message::data`] or a beginning of it, the
    /// reply needs no memory of ours.
    ///
    /// May be called any number of times for a message, and allocates without sleeping.
    ///
    /// # Errors
    ///
    /// - [`SendError::Full`]: the client does not read fast enough.
    /// - [`SendError::NoSuchPort`]: the client closed its socket meanwhile.
    /// - [`SendError::NoMemory`]: no memory for the reply.
    /// - [`SendError::TooLarge`]: `data` has more than 65535 bytes.
    #[inline]
    pub fn reply(&self, message: &Message<'_>, data: &[u8]) -> Result<(), SendError> {
        let own = message.data();
        if data.as_ptr() != own.as_ptr() || data.len() > own.len() {
            self.reply_with(message, data)
        } else if data.len() == own.len() {
            self.reply_in_place(message)
        } else {
            // CAST: The message's own length is 16 bits wide, and larger.
            // SAFETY: See the condition.
            unsafe { message.shortened(data.len() as u16, || self.reply_in_place(message)) }
        }
    }

    /// Replies with the message's own data.
    fn reply_in_place(&self, message: &Message<'_>) -> Result<(), SendError> {
        let returned = message.as_reply(|raw, len| {
            // SAFETY: `raw` has a header that says `len`, and as many bytes of data.
            unsafe { send::unicast(raw, len, self.portid(), bindings::GFP_NOWAIT) }
        });
        self.stats.count_reply(returned)
    }

    /// Replies with other data.
    fn reply_with(&self, message: &Message<'_>, data: &[u8]) -> Result<(), SendError> {
        let reply = OutMessage::reply(&message.header(), data);
        let portid = NonZero::new(self.portid()).ok_or(SendError::NoSuchPort);
        let result =
            portid.and_then(|portid| send::send(&reply, Destination::Port(portid), GFP_NOWAIT));
        self.stats.count_reply(result)
    }
}
