// SPDX-License-Identifier: GPL-2.0

//! A registered service: its id and name, its handler, and how it is [used](Usage), which keeps it
//! alive for so long.

use core::ptr::NonNull;

use kernel::{
    fmt,
    prelude::*,
    str::{
        BStr,
        CStr, //
    },
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
    name::Name,
    usage::{
        InUse,
        Usage, //
    },
    CbId,
    Group, //
};

/// What is called with `data`, a message as a core delivers it, see [`Running::handle`], and what keeps
/// the service from going meanwhile.
type Handle =
    unsafe fn(NonNull<()>, NonNull<bindings::cn_msg>, NonNull<bindings::netlink_skb_parms>, &InUse);

/// A handler whose type is known to its functions alone.
///
/// # Invariants
///
/// The functions may be called with `data` from any task, until the service was drained; `handle` with
/// what a core delivers.
#[derive(Clone, Copy)]
pub(crate) struct RawHandler {
    data: NonNull<()>,
    handle: Handle,
    show: unsafe fn(NonNull<()>, &mut fmt::Formatter<'_>) -> fmt::Result,
    closed: Option<unsafe fn(NonNull<()>, u32)>,
    open_groups: &'static [Group],
    /// The address of the callback, if it is one of C.
    c_callback: Option<usize>,
}

impl RawHandler {
    /// # Safety
    ///
    /// The functions may be called with `data` from any task, until the service that is made of
    /// this was drained; `handle` with what a core delivers.
    pub(crate) unsafe fn new(
        data: NonNull<()>,
        handle: Handle,
        show: unsafe fn(NonNull<()>, &mut fmt::Formatter<'_>) -> fmt::Result,
        closed: Option<unsafe fn(NonNull<()>, u32)>,
        open_groups: &'static [Group],
    ) -> Self {
        // INVARIANT: By this function's contract.
        Self {
            data,
            handle,
            show,
            closed,
            open_groups,
            c_callback: None,
        }
    }

    /// The same, as that of a module in C, whose function is at `callback`.
    #[cfg_attr(CONFIG_CONNECTOR = "y", expect(dead_code))]
    pub(crate) fn of_c(self, callback: usize) -> Self {
        Self {
            c_callback: Some(callback),
            ..self
        }
    }
}

/// A service, from before its id is registered until it was drained.
#[pin_data]
pub(crate) struct Service {
    id: CbId,
    name: Name,
    handler: RawHandler,
    /// Whether it was unregistered by a handler of its own, so that nobody waits for it.
    is_abandoned: Atomic<bool>,
    #[pin]
    usage: Usage,
}

// SAFETY: `handler` may be used from any task, by its invariants.
unsafe impl Send for Service {}
// SAFETY: As above.
unsafe impl Sync for Service {}

impl Service {
    pub(crate) fn new(id: CbId, name: &CStr, handler: RawHandler) -> impl PinInit<Self> {
        let name = Name::new(name);
        pin_init!(Self {
            id,
            name,
            handler,
            is_abandoned: Atomic::new(false),
            usage <- Usage::new(),
        })
    }

    #[inline(always)]
    pub(crate) fn id(&self) -> CbId {
        self.id
    }

    pub(crate) fn name(&self) -> &BStr {
        self.name.as_bstr()
    }

    /// The addresses of the code that is called.
    pub(crate) fn code(&self) -> impl Iterator<Item = usize> {
        let RawHandler {
            data: _,
            handle,
            show,
            closed,
            open_groups: _,
            c_callback,
        } = self.handler;
        let of_rust = || {
            let closed = closed.map(|closed| closed as usize);
            [Some(handle as usize), Some(show as usize), closed]
        };
        c_callback
            .map_or_else(of_rust, |callback| [Some(callback), None, None])
            .into_iter()
            .flatten()
    }

    /// Whether this is a callback of C.
    pub(crate) fn is_of_c(&self) -> bool {
        self.handler.c_callback.is_some()
    }

    /// Whether the service lets everybody listen to a group.
    pub(crate) fn opens(&self, group: u32) -> bool {
        let open = self.handler.open_groups;
        open.iter().any(|open| open.number() == group)
    }

    /// Whether nobody waits for the service, which is closed.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.is_abandoned.load(Relaxed)
    }

    /// Says so.
    pub(crate) fn abandon(&self) {
        self.is_abandoned.store(true, Relaxed);
    }

    /// Whether the service wants to be told of closed sockets.
    pub(crate) fn wants_closed(&self) -> bool {
        self.handler.closed.is_some()
    }

    /// How the service is used.
    #[inline(always)]
    pub(crate) fn usage(&self) -> &Usage {
        &self.usage
    }

    /// Begins to handle a message, unless the service is closed. Does not sleep.
    ///
    /// # Safety
    ///
    /// The service is valid during this call; and if this returns a value, until it was drained.
    #[inline(always)]
    pub(crate) unsafe fn enter(&self) -> Option<Running> {
        // SAFETY: By this function's contract.
        let in_use = unsafe { self.usage.enter() }?;
        // INVARIANT: Just entered; the service is valid by this function's contract.
        Some(Running {
            service: NonNull::from(self),
            in_use,
        })
    }

    /// Keeps the service from going, unless it is closed, without counting a message.
    pub(crate) fn visit(this: &Arc<Self>) -> Option<Running> {
        // SAFETY: Whoever closes a service keeps it until it was drained.
        let in_use = unsafe { this.usage.visit() }?;
        // INVARIANT: Just entered; as above.
        Some(Running {
            service: NonNull::from(&**this),
            in_use,
        })
    }
}

/// A use of a service, which keeps it from going; dropping it ends that.
///
/// # Invariants
///
/// `in_use` is a use of `service`, which is valid until it was drained.
pub(crate) struct Running {
    service: NonNull<Service>,
    in_use: InUse,
}

impl Running {
    #[inline(always)]
    fn service(&self) -> &Service {
        // SAFETY: By the type's invariants: while it is in use it is not drained.
        unsafe { self.service.as_ref() }
    }

    /// Calls the handler, and ends the use.
    ///
    /// # Safety
    ///
    /// For the time of this call, `message` must be valid for reads of a header and the data that it
    /// announces, and `parms` must be the control block of the skb that the message lies in; nobody
    /// else may use them.
    #[inline(always)]
    pub(crate) unsafe fn handle(
        self,
        message: NonNull<bindings::cn_msg>,
        parms: NonNull<bindings::netlink_skb_parms>,
    ) {
        let Self { service, in_use } = self;
        // SAFETY: By the type's invariants: while it is in use it is not drained.
        let handler = unsafe { &service.as_ref().handler };
        // SAFETY: By the handler's invariants: the service is in use, so that it is not drained. The
        // rest is this function's contract.
        unsafe { (handler.handle)(handler.data, message, parms, &in_use) }
    }

    /// Has the service show itself. May sleep.
    pub(crate) fn show(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let handler = &self.service().handler;
        // SAFETY: As above.
        unsafe { (handler.show)(handler.data, f) }
    }

    /// Tells the service that a socket was closed. May sleep.
    pub(crate) fn closed(&self, portid: u32) {
        let handler = &self.service().handler;
        if let Some(closed) = handler.closed {
            // SAFETY: As above.
            unsafe { closed(handler.data, portid) }
        }
    }
}
