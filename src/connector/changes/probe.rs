// SPDX-License-Identifier: GPL-2.0

//! The probes on the core's two functions.

#[cfg(all(CONFIG_KRETPROBES, target_arch = "x86_64"))]
pub(super) use kretprobes::Probes;
#[cfg(not(all(CONFIG_KRETPROBES, target_arch = "x86_64")))]
pub(super) use none::Probes;

#[cfg(all(CONFIG_KRETPROBES, target_arch = "x86_64"))]
mod kretprobes {
    use core::pin::Pin;

    use kernel::{
        error::to_result,
        prelude::*,
        sync::{
            new_mutex,
            Mutex, //
        },
        types::Opaque, //
    };

    use crate::{
        bindings,
        changes::note_probed,
        wire::notify::Change,
        CbId, //
    };

    /// How many tasks can be in a probed function at once; what exceeds it is missed, and counted.
    const MAX_ACTIVE: c_int = 128;

    /// The probes, registered until [`Self::unregister`] or until dropped.
    pub(in crate::changes) struct Probes {
        add: Pin<KBox<Probe>>,
        del: Pin<KBox<Probe>>,
    }

    impl Probes {
        /// Registers the probes. May sleep.
        pub(in crate::changes) fn register() -> Result<Self> {
            Ok(Self {
                add: Probe::register(bindings::cn_add_callback as *mut u8, after_add)?,
                del: Probe::register(bindings::cn_del_callback as *mut u8, after_del)?,
            })
        }

        /// Unregisters them, and waits until none of them runs any more. May sleep.
        pub(in crate::changes) fn unregister(&self) {
            self.add.unregister();
            self.del.unregister();
        }

        /// How many calls were missed.
        pub(in crate::changes) fn missed(&self) -> u64 {
            self.add.missed() + self.del.missed()
        }
    }

    type Handler =
        unsafe extern "C" fn(*mut bindings::kretprobe_instance, *mut bindings::pt_regs) -> c_int;

    /// A probe on the return of a function whose first argument is a `struct cb_id *`.
    ///
    /// # Invariants
    ///
    /// `raw` is registered while `registered` is true.
    #[pin_data(PinnedDrop)]
    struct Probe {
        #[pin]
        raw: Opaque<bindings::kretprobe>,
        #[pin]
        registered: Mutex<bool>,
    }

    // SAFETY: The kernel synchronises what it does with `raw`.
    unsafe impl Send for Probe {}
    // SAFETY: As above.
    unsafe impl Sync for Probe {}

    impl Probe {
        fn register(function: *mut u8, handler: Handler) -> Result<Pin<KBox<Self>>> {
            KBox::pin_init(
                try_pin_init!(Self {
                    raw <- Opaque::try_ffi_init(|raw: *mut bindings::kretprobe| {
                        // SAFETY: `raw` is valid for writes, and all zeroes is a `kretprobe` that
                        // asks for nothing. It is pinned, and unregistered before it goes.
                        to_result(unsafe {
                            raw.write_bytes(0, 1);
                            (*raw).kp.addr = function;
                            (*raw).entry_handler = Some(before);
                            (*raw).handler = Some(handler);
                            (*raw).maxactive = MAX_ACTIVE;
                            (*raw).data_size = size_of::<CbId>();
                            bindings::register_kretprobe(raw)
                        })
                    }),
                    // INVARIANT: Registered, or we did not get here.
                    registered <- new_mutex!(true),
                }),
                GFP_KERNEL,
            )
        }

        fn unregister(&self) {
            let mut registered = self.registered.lock();
            if core::mem::take(&mut *registered) {
                // SAFETY: By the type's invariants it is registered.
                unsafe { bindings::unregister_kretprobe(self.raw.get()) };
            }
        }

        fn missed(&self) -> u64 {
            // SAFETY: `raw` is initialised; the kernel counts up whenever it likes.
            let missed = unsafe { (&raw const (*self.raw.get()).nmissed).read_volatile() };
            u64::try_from(missed).unwrap_or(0)
        }
    }

    #[pinned_drop]
    impl PinnedDrop for Probe {
        fn drop(self: Pin<&mut Self>) {
            self.unregister();
        }
    }

    /// Called on entry: keeps the id, which the caller may overwrite before we are called again.
    ///
    /// # Safety
    ///
    /// Only the kernel may call this, as the entry handler of a [`Probe`].
    unsafe extern "C" fn before(
        instance: *mut bindings::kretprobe_instance,
        regs: *mut bindings::pt_regs,
    ) -> c_int {
        // SAFETY: The kernel passes the registers on entry to a function whose first argument,
        // which is in `di`, points to a `cb_id`; and an instance with room for `data_size` bytes.
        unsafe {
            let id = ((*regs).di as *const CbId).read();
            (&raw mut (*instance).data)
                .cast::<CbId>()
                .write_unaligned(id);
        }
        0
    }

    /// # Safety
    ///
    /// Must be called in the handler of a [`Probe`], with its instance.
    unsafe fn note(instance: *mut bindings::kretprobe_instance, change: Change) {
        // SAFETY: `before` has put the id there.
        let id = unsafe {
            (&raw const (*instance).data)
                .cast::<CbId>()
                .read_unaligned()
        };
        // SAFETY: By this function's contract.
        unsafe { note_probed(id, change) };
    }

    /// Called when `cn_add_callback()` returns.
    ///
    /// # Safety
    ///
    /// Only the kernel may call this, as the handler of a [`Probe`].
    unsafe extern "C" fn after_add(
        instance: *mut bindings::kretprobe_instance,
        regs: *mut bindings::pt_regs,
    ) -> c_int {
        // SAFETY: The kernel passes the registers on return from a function that returns an `int`,
        // which is in `ax`.
        let returned = unsafe { (*regs).ax } as c_int;
        if returned == 0 {
            // SAFETY: We are in the handler, and this is its instance.
            unsafe { note(instance, Change::Registered) };
        }
        0
    }

    /// Called when `cn_del_callback()` returns.
    ///
    /// # Safety
    ///
    /// Only the kernel may call this, as the handler of a [`Probe`].
    unsafe extern "C" fn after_del(
        instance: *mut bindings::kretprobe_instance,
        _regs: *mut bindings::pt_regs,
    ) -> c_int {
        // SAFETY: We are in the handler, and this is its instance.
        unsafe { note(instance, Change::Unregistered) };
        0
    }
}

/// Where there are no kretprobes, or nobody taught us where arguments are.
#[cfg(not(all(CONFIG_KRETPROBES, target_arch = "x86_64")))]
mod none {
    use kernel::prelude::*;

    pub(in crate::changes) enum Probes {}

    impl Probes {
        pub(in crate::changes) fn register() -> Result<Self> {
            Err(ENOTSUPP)
        }

        pub(in crate::changes) fn unregister(&self) {
            match *self {}
        }

        pub(in crate::changes) fn missed(&self) -> u64 {
            match *self {}
        }
    }
}
