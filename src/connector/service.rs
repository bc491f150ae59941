// SPDX-License-Identifier: GPL-2.0

//! A registered service: its id and name, its handler, and the [`Slot`] that keeps it alive while
//! it is used.

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
    name::Name,
    slot::{
        Lane,
        Slot, //
    },
    stats::{
        Dropped,
        Snapshot, //
    },
    CbId,
    Group,
    Message,
    SendError,
    Sender, //
};

/// A handler whose type is known to its functions alone.
///
/// # Invariants
///
/// The functions may be called with `data` from any task, until the slot of the service was
/// drained.
#[derive(Clone, Copy)]
pub(crate) struct RawHandler {
    data: NonNull<()>,
    handle: unsafe fn(NonNull<()>, &Message<'_>, &Sender<'_>),
    show: unsafe fn(NonNull<()>, &mut fmt::Formatter<'_>) -> fmt::Result,
    closed: Option<unsafe fn(NonNull<()>, u32)>,
    open_groups: &'static [Group],
    /// The address of the callback, if it is one of C.
    c_callback: Option<usize>,
}

impl RawHandler {
    /// # Safety
    ///
    /// The functions may be called with `data` from any task, until the slot of the service that
    /// is made of this was drained.
    pub(crate) unsafe fn new(
        data: NonNull<()>,
        handle: unsafe fn(NonNull<()>, &Message<'_>, &Sender<'_>),
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
    dropped: Dropped,
    // Not called `slot`, which means something in `pin_init!`.
    #[pin]
    usage: Slot,
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
            dropped: Dropped::new(),
            usage <- Slot::new(),
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

    /// How many messages are being handled, unless the service is being closed.
    pub(crate) fn running(&self) -> i64 {
        self.usage.running()
    }

    /// Begins to handle a message, unless the service is closed. Does not sleep.
    ///
    /// # Safety
    ///
    /// The service is valid during this call; and if this returns a value, until it was drained.
    #[inline(always)]
    pub(crate) unsafe fn enter(&self) -> Option<Running> {
        let lane = NonNull::from(self.usage.enter()?);
        // INVARIANT: Just entered; the service is valid by this function's contract.
        Some(Running {
            service: NonNull::from(self),
            lane,
        })
    }

    /// Keeps the service from going, unless it is closed, without counting a message.
    pub(crate) fn visit(this: &Arc<Self>) -> Option<Running> {
        let lane = NonNull::from(this.usage.visit()?);
        // INVARIANT: Just entered. Whoever closes a service keeps it until it was drained.
        Some(Running {
            service: NonNull::from(&**this),
            lane,
        })
    }

    /// Closes the service: no message is handled any more. To be called once, by one who keeps the
    /// service until it was drained.
    ///
    /// Returns how many messages it got, ever.
    pub(crate) fn close(&self) -> u64 {
        self.usage.close()
    }

    /// Waits until the service was closed and nobody uses it. May sleep.
    pub(crate) fn wait_until_drained(&self) {
        self.usage.wait_until_drained();
    }

    /// Whether it was closed and nobody uses it; who did last may be about to say so.
    pub(crate) fn is_drained(&self) -> bool {
        self.usage.is_drained()
    }

    /// What was counted by now, for a service that is not closed.
    pub(crate) fn snapshot(&self) -> Snapshot {
        self.snapshot_with(self.usage.received())
    }

    /// What was counted by now, for one that is closed and has received so many messages.
    pub(crate) fn snapshot_with(&self, received: u64) -> Snapshot {
        self.dropped.snapshot(received, self.usage.replied())
    }
}

/// A use of a service, which keeps it from going; dropping it ends that.
///
/// # Invariants
///
/// The task is inside `lane`, a lane of the slot of `service`, which is valid until it was drained.
pub(crate) struct Running {
    service: NonNull<Service>,
    lane: NonNull<Lane>,
}

impl Running {
    #[inline(always)]
    pub(crate) fn service(&self) -> &Service {
        // SAFETY: By the type's invariants: while we are inside it is not drained.
        unsafe { self.service.as_ref() }
    }

    /// Calls the handler.
    #[inline(always)]
    pub(crate) fn handle(&self, message: &Message<'_>, sender: &Sender<'_>) {
        let handler = &self.service().handler;
        // SAFETY: By the handler's invariants: we are inside, so that the slot is not drained.
        unsafe { (handler.handle)(handler.data, message, sender) }
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

    /// Counts what became of a reply, and returns it.
    #[inline(always)]
    pub(crate) fn count_reply(&self, result: Result<(), SendError>) -> Result<(), SendError> {
        match result {
            // SAFETY: By the type's invariants.
            Ok(()) => unsafe { self.lane.as_ref() }.count_reply(),
            Err(error) => self.service().dropped.count(error),
        }
        result
    }
}

impl Drop for Running {
    #[inline(always)]
    fn drop(&mut self) {
        // SAFETY: `service` is valid, by the type's invariants.
        let slot = unsafe { &raw const (*self.service.as_ptr()).usage };
        // SAFETY: By the type's invariants we are inside; nothing of `self` is used any more.
        unsafe { Slot::leave(slot, self.lane.as_ptr()) };
    }
}
