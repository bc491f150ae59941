// SPDX-License-Identifier: GPL-2.0

//! Services and their registration.
//!
//! # Unregistering waits
//!
//! Dropping a [`Registration`] returns only when no handler of it runs, and none will. This holds
//! for handlers that sleep, and for any number of tasks in them; it does not wait for handlers of
//! other registrations. A message that comes later is dropped, as if the id had never been.
//!
//! A handler must therefore not wait for something that only happens after the drop, and not drop
//! its own registration: the drop would wait for the handler that it is called from. Such a thread
//! is stuck for good, which is bad; the alternative would be a call into memory that is gone.
//!
//! # Leaking is safe
//!
//! A `Registration` that is never dropped ([`core::mem::forget`]) keeps its handler, which is
//! pinned and so cannot be reused. When the module's own memory goes, the registrations that point
//! into it are unregistered in the same way, with a warning in the kernel log.

use core::ptr::NonNull;

use kernel::{
    fmt,
    prelude::*,
    str::CStr, //
};

use crate::{
    registry::{
        self,
        Entry,
        Service, //
    },
    CbId,
    Message,
    Sender, //
};

/// What a service does with a message.
///
/// # Examples
///
/// A handler that changes something checks who asks:
///
/// ```
/// use connector::{Capability, Handler, Message, Sender};
/// use kernel::{prelude::*, sync::atomic::{Atomic, Relaxed}};
///
/// /// The level that was set last.
/// struct Level(Atomic<u32>);
///
/// impl Handler for Level {
///     fn handle(&self, message: &Message<'_>, sender: &Sender<'_>) {
///         let status: i32 = match message.data().try_into() {
///             _ if !sender.capable(Capability::NET_ADMIN) => EPERM.to_errno(),
///             Ok(level) => {
///                 self.0.store(u32::from_ne_bytes(level), Relaxed);
///                 0
///             }
///             Err(_) => EINVAL.to_errno(),
///         };
///         let _ = sender.reply(message, &status.to_ne_bytes());
///     }
/// }
/// ```
pub trait Handler: Send + Sync + 'static {
    /// Handles a message that was sent to the id that this handler is registered for.
    ///
    /// # Context
    ///
    /// Process context, in the sender's `sendmsg(2)`, which returns after this did. May sleep, but
    /// the sender then waits, and so does whoever unregisters. May run in any number of tasks at
    /// once, and does so before [`Registration::new`] has returned.
    ///
    /// Anyone may send, so that the message can hold anything: see [`Sender::capable`].
    fn handle(&self, message: &Message<'_>, sender: &Sender<'_>);

    /// Writes what the service has to say about itself, for `rust_connector/services` in debugfs:
    /// a line `name value` a counter. By default nothing.
    ///
    /// # Context
    ///
    /// Process context; may sleep. Must not register or unregister anything, which waits until this
    /// has returned.
    fn show(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let _ = f;
        Ok(())
    }

    /// A connector socket of the initial network namespace with this port id was closed.
    fn closed(&self, portid: u32) {
        let _ = portid;
    }
}

/// A registered id, and the handler that gets its messages.
///
/// Dropping it unregisters the id and waits for running handlers: see the
/// [module's documentation](self).
///
/// # Invariants
///
/// `entry` was registered with a pointer to `handler`.
#[pin_data(PinnedDrop)]
pub struct Registration<T: Handler> {
    #[pin]
    handler: T,
    entry: Entry,
}

impl<T: Handler> Registration<T> {
    /// Registers `handler` for `id`.
    ///
    /// `name` is what `/proc/net/connector` shows, of which it keeps 31 bytes. `owner` is the
    /// module that [`kernel::Module::init`] is given.
    ///
    /// May sleep. C counterpart: `cn_add_callback()`.
    ///
    /// # Errors
    ///
    /// - `EINVAL`: the id is taken, by a Rust or a C module.
    /// - `ENOMEM`: no memory.
    /// - `EAGAIN`: the connector core is not up yet.
    /// - What initialising `handler` returns.
    ///
    /// The kernel log says which id it was, under which name.
    pub fn new<'a, E>(
        owner: &'static ThisModule,
        id: CbId,
        name: &'a CStr,
        handler: impl PinInit<T, E> + 'a,
    ) -> impl PinInit<Self, Error> + 'a
    where
        Error: From<E>,
        E: 'a,
    {
        try_pin_init!(&this in Self {
            handler <- handler,
            entry: {
                // SAFETY: `this` points to memory for a `Self`.
                let handler = unsafe { &raw mut (*this.as_ptr()).handler };
                // SAFETY: A pointer to a field is not null.
                let handler = unsafe { NonNull::new_unchecked(handler) };
                // SAFETY: `handler` is initialised, and pinned: it stays valid until `Self` is
                // dropped, which unregisters the entry first, or for good if it never is. The one
                // exception is memory of a module that goes, which unregisters what belongs to it.
                // `Handler` is `Sync` and so may be called from any task.
                //
                // INVARIANT: Registered with a pointer to `handler`.
                unsafe {
                    registry::register(
                        owner,
                        id,
                        name,
                        Service {
                            handler: handler.cast(),
                            call: call::<T>,
                            show: show::<T>,
                        },
                    )?
                }
            },
        })
    }

    /// The id.
    pub fn id(&self) -> CbId {
        self.entry.id()
    }

    /// The handler.
    pub fn handler(&self) -> &T {
        &self.handler
    }
}

#[pinned_drop]
impl<T: Handler> PinnedDrop for Registration<T> {
    fn drop(self: Pin<&mut Self>) {
        registry::unregister(&self.entry);
    }
}

/// Calls a handler of type `T`.
///
/// # Safety
///
/// `handler` must point to a `T` that stays valid during the call.
unsafe fn call<T: Handler>(handler: NonNull<()>, message: &Message<'_>, sender: &Sender<'_>) {
    // SAFETY: By this function's contract.
    unsafe { handler.cast::<T>().as_ref() }.handle(message, sender);
}

/// Has a handler of type `T` show itself.
///
/// # Safety
///
/// `handler` must point to a `T` that stays valid during the call.
unsafe fn show<T: Handler>(handler: NonNull<()>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    // SAFETY: By this function's contract.
    unsafe { handler.cast::<T>().as_ref() }.show(f)
}
