// SPDX-License-Identifier: GPL-2.0

//! The core of our own: the netlink socket of the connector, and what comes of it.
//!
//! - `receive.rs`: messages from userspace, and the answers to those that could not be handled;
//! - `send.rs`: messages to userspace;
//! - `join.rs`: who may listen;
//! - `c_api.rs`, `c_api.c`: the four functions of `include/linux/connector.h`, for modules in C, and
//!   `calls.rs`: who is in a callback of theirs;
//! - `proc.rs`: `/proc/net/connector`.
//!
//! # Who can be in here when the module goes
//!
//! Nobody: none of this waits for stragglers, as it has to on the kernel's own core. A task comes to
//! `receive.rs` and `join.rs` through a system call on an open socket of the connector, and
//! `netlink_create()` takes a reference to this module for each, in whichever network namespace it is,
//! which `netlink_release()` puts when no system call can use the socket any more. Sockets from before
//! do not exist: there are none of a protocol that nobody has registered. The four functions are called
//! by modules that depend on this one, and procfs waits for who reads a file that is removed.
//!
//! A module that could not be initialised goes whatever references there are to it. So nothing that can
//! fail comes after the core: see `parts.rs`.

mod c_api;
mod calls;
mod join;
mod proc;
mod receive;
mod send;

use core::{
    marker::PhantomData,
    ptr::{
        self,
        NonNull, //
    },
};

use kernel::{
    prelude::*,
    str::CStr,
    sync::atomic::{
        Relaxed,
        Release, //
    },
};

#[cfg(connector_kunit)]
pub(crate) use self::c_api::{
    cn_rust_add_callback as cn_add_callback,
    cn_rust_del_callback as cn_del_callback, //
};
#[cfg(connector_kunit)]
pub(crate) use self::send::while_absent;
use self::send::SOCKET;
pub(crate) use self::{
    receive::may_be_overwritten,
    send::{
        reply,
        send,
        send_mult, //
    }, //
};
use super::sink::Sink;
use crate::net::netlink::{
    Datagram,
    Joiner,
    KernelSocket,
    Protocol,
    GROUPS, //
};
use crate::{
    bindings,
    home::{
        self,
        groups, //
    },
    table::Table,
    CbId, //
};

/// The core.
pub(crate) struct Core {
    _file: proc::File,
    /// Open until it is dropped.
    socket: Option<KernelSocket<Connector>>,
}

/// The connector, as netlink sees it.
struct Connector;

// SAFETY: `home::OWNER` is what all of this is in.
unsafe impl Protocol for Connector {
    const NUMBER: c_int = bindings::NETLINK_CONNECTOR as c_int;
    const OWNER: *mut bindings::module = home::OWNER;

    #[inline(always)]
    fn receive(datagram: &Datagram) {
        receive::receive(datagram);
    }

    fn join(group: u32, by: &Joiner) -> Result {
        join::join(group, by)
    }

    unsafe fn closed(socket: NonNull<bindings::sock>) {
        // SAFETY: By this function's contract.
        unsafe { home::closed(socket) };
    }
}

impl Core {
    /// Opens the connector's socket. Messages may come before this has returned.
    ///
    /// May sleep.
    ///
    /// # Errors
    ///
    /// `EINVAL` if the parameter `groups` makes no sense, `EIO` if the socket cannot be had.
    ///
    /// # Safety
    ///
    /// Must be called once, when the connector is initialised, and nothing that comes later there may
    /// fail. If the core's code goes, the core must be dropped before.
    pub(crate) unsafe fn new() -> Result<Self> {
        let groups = groups();
        if !GROUPS.contains(&groups) {
            pr_err!("groups={groups}: expected a number from 32 to 65536\n");
            return Err(EINVAL);
        }
        // SAFETY: By this function's contract it is made once, and used by nobody before.
        unsafe { calls::init() };
        // SAFETY: By this function's contract: `drop` drops it.
        let socket = unsafe { KernelSocket::new(groups) }.inspect_err(|_| {
            pr_err!(
                "cannot open the connector's netlink socket: somebody else has it, or no memory\n"
            );
        })?;
        SOCKET.store(socket.as_raw(), Release);
        Ok(Self {
            _file: proc::File::new(),
            socket: Some(socket),
        })
    }
}

/// Whether there is a group of this number.
pub(crate) fn has_group(number: u32) -> bool {
    (1..=groups()).contains(&number)
}

impl Drop for Core {
    fn drop(&mut self) {
        // Nobody is using it: see the file's documentation.
        SOCKET.store(ptr::null_mut(), Relaxed);
        self.socket = None;
        Table::wait_for_frees();
    }
}

/// Does nothing: messages are looked up in the table itself.
pub(crate) fn add(_id: CbId, _name: &CStr) -> Result {
    Ok(())
}

/// Does nothing, as [`add`].
pub(crate) fn del(_id: CbId) {}

/// Whether [`Probes`] can be had: there is nothing that they would be needed for.
pub(crate) const AVAILABLE: bool = true;

/// Nothing: the registry knows of all ids, those of C modules too.
pub(crate) struct Probes<S>(PhantomData<S>);

impl<S: Sink> Probes<S> {
    pub(crate) fn register() -> Result<Self> {
        let _ = (S::note, S::wake);
        Ok(Self(PhantomData))
    }

    pub(crate) fn fire(&self) -> bool {
        true
    }

    pub(crate) fn missed(&self) -> u64 {
        0
    }
}
