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
    sync::Arc, //
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
    ) -> Self {
        // INVARIANT: By this function's contract.
        Self {
            data,
            handle,
            show,
            closed,
        }
    }
}

/// A service, from before its id is registered until it was drained.
#[pin_data]
pub(crate) struct Service {
    id: CbId,
    name: Name,
    handler: RawHandler,
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
        } = self.handler;
        let closed = closed.map(|closed| closed as usize);
        [Some(handle as usize), Some(show as usize), closed]
            .into_iter()
            .flatten()
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
