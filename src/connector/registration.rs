// SPDX-License-Identifier: GPL-2.0

//! Registrations: what a module sees of its registered services.

use core::{
    mem::forget,
    ptr::NonNull, //
};

use kernel::{
    fmt,
    prelude::*,
    str::CStr,
    sync::Arc, //
};

use crate::{
    bindings,
    changes,
    cores,
    parms::Parms,
    registry,
    service::{
        RawHandler,
        Service, //
    },
    started,
    usage::InUse,
    CbId,
    Group,
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
    /// Whether [`closed`](Self::closed) is called.
    const WANTS_CLOSED: bool = false;

    /// The groups that everybody may join as long as this is registered: others than group 1 take
    /// `CAP_NET_ADMIN`. Who has joined stays a member, also when this is not registered any more: no other
    /// service should send what is private to these.
    ///
    /// This is so where the connector is this project's own, `cn.ko`. The kernel's own opens all odd
    /// groups, and no even one: see [`Group`].
    const OPEN_GROUPS: &'static [Group] = &[];

    /// Handles a message that was sent to the id that this handler is registered for.
    ///
    /// # Context
    ///
    /// Process context, in the sender's `sendmsg(2)`, which returns after this did. May sleep, but
    /// the sender then waits, and so does whoever unregisters. May run in any number of tasks at
    /// once, and does so before [`Registration::new`] has returned. No lock of the crate is held. It
    /// should not wait for a module to be loaded or unloaded: if this is unregistered because its own module
    /// goes, that waits for the handler, and others wait for that.
    ///
    /// One that does much for a message should look at `current!().signal_pending()` meanwhile, and return: a
    /// client that is to be killed stays until then, and so does the module.
    ///
    /// Anyone may send, so that the message can hold anything: see [`Sender::capable`].
    fn handle(&self, message: &Message<'_>, sender: &Sender<'_>);

    /// A socket of the connector was closed, whose messages came from this
    /// [`portid`](Sender::portid): what is kept for that client can go. Another socket may have the
    /// port by now.
    ///
    /// Called for every socket, whether it ever sent something to this service or not, if
    /// [`WANTS_CLOSED`](Self::WANTS_CLOSED) is true. By default does nothing.
    ///
    /// # Context
    ///
    /// Process context, in the client's `close(2)` or exit. May sleep. No lock of the crate is
    /// held, but netlink's notifier chain is: keep it short, and neither close nor wait for netlink
    /// sockets. Sending is fine. Whoever unregisters waits for this as for a message's handler.
    ///
    /// C counterpart: `NETLINK_URELEASE`, see `netlink_register_notifier()`.
    fn closed(&self, portid: u32) {
        let _ = portid;
    }

    /// Writes what the service has to say about itself, for `rust_connector/services` in debugfs:
    /// a line `name value` a counter. By default nothing.
    ///
    /// # Context
    ///
    /// Process context, in the reader's `read(2)`; may sleep. No lock of the crate is held. Whoever
    /// unregisters waits for this as for a message's handler.
    fn show(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let _ = f;
        Ok(())
    }
}

/// A registered id, and the handler that gets its messages.
///
/// An ordinary value: it can be moved, put into a `static` or a list, and dropped by any task that
/// may sleep. The crate keeps the handler in memory of its own.
///
/// # Unregistering waits
///
/// Dropping it unregisters the id, and returns only when no handler of it runs, and none will. This
/// holds for handlers that sleep, and for any number of tasks in them; it does not wait for
/// handlers of other registrations. A message that comes later is dropped, as if the id had never
/// been. The id can be registered again at once, also while the old handlers are waited for.
///
/// A handler must therefore not wait for something that only happens after the drop, and not drop
/// its own registration: the drop would wait for the handler that it is called from. Such a thread
/// is stuck for good, which is bad; the alternative would be a call into memory that is gone.
///
/// # Leaking is safe
///
/// A `Registration` that is never dropped ([`core::mem::forget`]) keeps its handler. When the
/// module goes whose code the handler is, the id is unregistered in the same way, with a warning in
/// the kernel log; the handler's memory is not freed then.
///
/// # Invariants
///
/// `service` was registered with a pointer to what `handler` owns.
pub struct Registration<T: Handler> {
    service: Arc<Service>,
    // Dropped after `drop` has unregistered the service.
    handler: Pin<KBox<T>>,
}

impl<T: Handler> Registration<T> {
    /// Registers `handler` for `id`. It is a value, or an initialiser of one that must be pinned.
    ///
    /// `name` is what `/proc/net/connector` shows, of which it keeps 31 bytes.
    ///
    /// May sleep. C counterpart: `cn_add_callback()`.
    ///
    /// # Errors
    ///
    /// - `EINVAL`: the id is taken, by a Rust or a C module; or it is `{0, 0xffffffff}`, which
    ///   watching ids needs for itself.
    /// - `ENOMEM`: no memory.
    /// - `EAGAIN`: the connector is not up yet.
    /// - `ENODEV`: the handler's module is going, its exit function has returned, and what calls this is
    ///   something that it left behind. The handler is leaked as well: to drop it might be to try again.
    /// - What initialising `handler` returns.
    pub fn new<E>(id: CbId, name: &CStr, handler: impl PinInit<T, E>) -> Result<Self>
    where
        Error: From<E>,
    {
        started::check()?;
        if id == changes::RESERVED {
            return Err(EINVAL);
        }
        let handler = KBox::pin_init(handler, GFP_KERNEL)?;
        // SAFETY: The functions take a pointer to a `T`. `Self` keeps that until it has
        // unregistered the service, which waits until its slot was drained; or for good if it is
        // never dropped. The functions' code goes with its module, and then the service is
        // unregistered before. `Handler` is `Sync`, so that they may be called from any task.
        let raw = unsafe {
            RawHandler::new(
                NonNull::from(&*handler).cast(),
                handle::<T>,
                show::<T>,
                if T::WANTS_CLOSED {
                    Some(closed::<T>)
                } else {
                    None
                },
                T::OPEN_GROUPS,
            )
        };
        match registry::register(id, name, raw) {
            // INVARIANT: Registered with a pointer to what `handler` owns.
            Ok(service) => Ok(Self { service, handler }),
            Err(error) => {
                if error == ENODEV {
                    forget(handler);
                }
                Err(error)
            }
        }
    }

    /// The id.
    pub fn id(&self) -> CbId {
        self.service.id()
    }

    /// Whether the id has a group that its service can broadcast to: whether its `idx` is the number
    /// of one. If not, nobody can listen, see [`SendError::NoGroup`](crate::SendError::NoGroup).
    pub fn has_group(&self) -> bool {
        cores::has_group(self.id().idx)
    }

    /// The handler.
    pub fn handler(&self) -> &T {
        &self.handler
    }
}

impl<T: Handler> Drop for Registration<T> {
    fn drop(&mut self) {
        registry::unregister(&self.service);
    }
}

/// Calls a handler of type `T`.
///
/// # Safety
///
/// `handler` must point to a `T` that stays valid during the call. `message` and `parms` must be what a
/// core delivers, and nobody else may use them.
unsafe fn handle<T: Handler>(
    handler: NonNull<()>,
    message: NonNull<bindings::cn_msg>,
    parms: NonNull<bindings::netlink_skb_parms>,
    in_use: &InUse,
) {
    // SAFETY: By this function's contract.
    let message = unsafe { Message::from_raw(message) };
    // SAFETY: As above.
    let sender = Sender::new(unsafe { Parms::from_raw(parms) }, in_use);
    // SAFETY: As above.
    unsafe { handler.cast::<T>().as_ref() }.handle(&message, &sender);
}

/// Tells a handler of type `T` that a socket was closed.
///
/// # Safety
///
/// `handler` must point to a `T` that stays valid during the call.
unsafe fn closed<T: Handler>(handler: NonNull<()>, portid: u32) {
    // SAFETY: By this function's contract.
    unsafe { handler.cast::<T>().as_ref() }.closed(portid);
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
