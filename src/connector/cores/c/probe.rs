// SPDX-License-Identifier: GPL-2.0

//! The probes on the two functions of the C core that nobody else tells of.
//!
//! An id is gone when `cn_del_callback()` is entered: from then on nobody can count on it, and once
//! the core has taken it from its list somebody else may have registered it before the function
//! returns. It has come when `cn_add_callback()` returns. So whatever tasks do to one id, its
//! changes are noted in the order in which they happen.
//!
//! Probes can be switched off behind our back (`/sys/kernel/debug/kprobes/enabled`), and the kernel
//! can leave a hit out. The first is found out by [`Probes::fire`], the second is counted by
//! [`Probes::missed`].

#[cfg(all(CONFIG_KRETPROBES, CONFIG_HAVE_FUNCTION_ARG_ACCESS_API))]
pub(crate) use kretprobes::Probes;
#[cfg(not(all(CONFIG_KRETPROBES, CONFIG_HAVE_FUNCTION_ARG_ACCESS_API)))]
pub(crate) use none::Probes;

/// Whether this kernel has what [`Probes`] take.
pub(crate) const AVAILABLE: bool =
    cfg!(all(CONFIG_KRETPROBES, CONFIG_HAVE_FUNCTION_ARG_ACCESS_API));

#[cfg(all(CONFIG_KRETPROBES, CONFIG_HAVE_FUNCTION_ARG_ACCESS_API))]
mod kretprobes {
    use core::{
        marker::PhantomData,
        pin::Pin, //
    };

    use kernel::{
        error::to_result,
        prelude::*,
        sync::atomic::{
            Atomic,
            Relaxed, //
        },
        types::Opaque, //
    };

    use crate::{
        bindings,
        cores::{
            c::caller::called_by_us,
            sink::{
                Sink,
                CANARY_ID, //
            },
        },
        wire::notify::Change,
        CbId, //
    };

    /// How many tasks can be in a probed function at once; what exceeds it is missed, and counted.
    const MAX_ACTIVE: c_int = 128;

    /// What [`Probes::fire`] unregisters. The probe recognises it by its address, and so whatever
    /// others unregister.
    static CANARY: bindings::cb_id = bindings::cb_id {
        idx: CANARY_ID.idx,
        val: CANARY_ID.val,
    };

    /// How often the probe has seen [`CANARY`].
    static SEEN: Atomic<u64> = Atomic::new(0);

    /// The probes, registered until this is dropped, which may sleep.
    ///
    /// When that has returned, none of them runs any more.
    pub(crate) struct Probes<S> {
        add: Pin<KBox<Probe>>,
        del: Pin<KBox<Probe>>,
        sink: PhantomData<S>,
    }

    impl<S: Sink> Probes<S> {
        /// Registers the probes. May sleep.
        pub(crate) fn register() -> Result<Self> {
            Ok(Self {
                add: Probe::register(
                    bindings::cn_add_callback as *mut bindings::kprobe_opcode_t,
                    enter_add,
                    leave_add::<S>,
                )?,
                del: Probe::register(
                    bindings::cn_del_callback as *mut bindings::kprobe_opcode_t,
                    enter_del::<S>,
                    leave_del::<S>,
                )?,
                sink: PhantomData,
            })
        }

        /// Whether the probes are hit now. May sleep.
        pub(crate) fn fire(&self) -> bool {
            let before = SEEN.load(Relaxed);
            // SAFETY: The id is valid. No service of ours has it, since the registry refuses it, so
            // that nothing of ours is taken from the core behind our back.
            unsafe { bindings::cn_del_callback(&CANARY) };
            SEEN.load(Relaxed) != before
        }

        /// How many calls were missed since the probes were registered, at most: the kernel does
        /// not say which.
        pub(crate) fn missed(&self) -> u64 {
            self.add.missed() + self.del.missed()
        }
    }

    type Handler =
        unsafe extern "C" fn(*mut bindings::kretprobe_instance, *mut bindings::pt_regs) -> c_int;

    /// A probe on entry to and return from a function whose first argument is a `struct cb_id *`.
    ///
    /// # Invariants
    ///
    /// `raw` is registered.
    #[pin_data(PinnedDrop)]
    struct Probe {
        #[pin]
        raw: Opaque<bindings::kretprobe>,
    }

    // SAFETY: The kernel synchronises what it does with `raw`.
    unsafe impl Send for Probe {}
    // SAFETY: As above.
    unsafe impl Sync for Probe {}

    impl Probe {
        fn register(
            function: *mut bindings::kprobe_opcode_t,
            enter: Handler,
            leave: Handler,
        ) -> Result<Pin<KBox<Self>>> {
            KBox::pin_init(
                try_pin_init!(Self {
                    // INVARIANT: Registered, or initialising fails.
                    raw <- Opaque::try_ffi_init(|raw: *mut bindings::kretprobe| {
                        // SAFETY: `raw` is valid for writes, and all zeroes is a `kretprobe` that
                        // asks for nothing. It is pinned, and unregistered before it goes.
                        to_result(unsafe {
                            raw.write_bytes(0, 1);
                            (*raw).kp.addr = function;
                            (*raw).entry_handler = Some(enter);
                            (*raw).handler = Some(leave);
                            (*raw).maxactive = MAX_ACTIVE;
                            (*raw).data_size = size_of::<CbId>();
                            bindings::register_kretprobe(raw)
                        })
                    }),
                }),
                GFP_KERNEL,
            )
        }

        fn missed(&self) -> u64 {
            let raw = self.raw.get();
            // SAFETY: `raw` is initialised; the kernel counts up whenever it likes. The first
            // number is of calls that found too many others under way, the second of calls that
            // were made in the handler of another probe.
            let (returns, hits) = unsafe {
                (
                    (&raw const (*raw).nmissed).read_volatile(),
                    (&raw const (*raw).kp.nmissed).read_volatile(),
                )
            };
            u64::try_from(returns).unwrap_or(0) + hits as u64
        }
    }

    #[pinned_drop]
    impl PinnedDrop for Probe {
        fn drop(self: Pin<&mut Self>) {
            // SAFETY: By the type's invariants it is registered.
            unsafe { bindings::unregister_kretprobe(self.raw.get()) };
        }
    }

    /// What an `enter_*` returns to have the `leave_*` called, too.
    const HOOK: c_int = 0;
    /// What it returns not to.
    const LET_GO: c_int = 1;

    /// The first argument of a function that is being entered.
    ///
    /// # Safety
    ///
    /// `regs` must be the registers on entry to a function.
    unsafe fn first_argument(regs: *mut bindings::pt_regs) -> *const CbId {
        // SAFETY: By this function's contract. Every architecture keeps at least one argument in
        // registers.
        let argument = unsafe { bindings::connector_helper_regs_get_kernel_argument(regs, 0) };
        argument as *const CbId
    }

    /// Called on entry to `cn_add_callback()`: keeps the id, which the caller may overwrite.
    ///
    /// # Safety
    ///
    /// Only the kernel may call this, as the entry handler of a [`Probe`].
    unsafe extern "C" fn enter_add(
        instance: *mut bindings::kretprobe_instance,
        regs: *mut bindings::pt_regs,
    ) -> c_int {
        if called_by_us() {
            return LET_GO;
        }
        // SAFETY: The kernel passes the registers on entry to a function whose first argument
        // points to a `cb_id`; and an instance with room for `data_size` bytes.
        unsafe {
            (&raw mut (*instance).data)
                .cast::<CbId>()
                .write_unaligned(*first_argument(regs));
        }
        HOOK
    }

    /// Called when `cn_add_callback()` returns.
    ///
    /// # Safety
    ///
    /// Only the kernel may call this, as the handler of a [`Probe`] with [`enter_add`].
    unsafe extern "C" fn leave_add<S: Sink>(
        instance: *mut bindings::kretprobe_instance,
        regs: *mut bindings::pt_regs,
    ) -> c_int {
        // SAFETY: The kernel passes the registers on return from a function that returns an `int`.
        let returned = unsafe { bindings::connector_helper_regs_return_value(regs) } as c_int;
        if returned == 0 {
            // SAFETY: `enter_add` has put the id there.
            let id = unsafe {
                (&raw const (*instance).data)
                    .cast::<CbId>()
                    .read_unaligned()
            };
            S::note(id, Change::Registered);
            S::wake();
        }
        0
    }

    /// Called on entry to `cn_del_callback()`.
    ///
    /// # Safety
    ///
    /// Only the kernel may call this, as the entry handler of a [`Probe`].
    unsafe extern "C" fn enter_del<S: Sink>(
        _instance: *mut bindings::kretprobe_instance,
        regs: *mut bindings::pt_regs,
    ) -> c_int {
        // SAFETY: The kernel passes the registers on entry to a function ...
        let id = unsafe { first_argument(regs) };
        if id.cast() == &raw const CANARY {
            SEEN.add(1, Relaxed);
            return LET_GO;
        }
        if called_by_us() {
            return LET_GO;
        }
        // SAFETY: ... whose first argument points to a `cb_id`.
        S::note(unsafe { *id }, Change::Unregistered);
        HOOK
    }

    /// Called when `cn_del_callback()` returns: here, and not on entry, locks may be taken.
    ///
    /// # Safety
    ///
    /// Only the kernel may call this, as the handler of a [`Probe`].
    unsafe extern "C" fn leave_del<S: Sink>(
        _instance: *mut bindings::kretprobe_instance,
        _regs: *mut bindings::pt_regs,
    ) -> c_int {
        S::wake();
        0
    }
}

/// Where there are no kretprobes, or the kernel does not tell where arguments are.
#[cfg(not(all(CONFIG_KRETPROBES, CONFIG_HAVE_FUNCTION_ARG_ACCESS_API)))]
mod none {
    use core::{
        convert::Infallible,
        marker::PhantomData, //
    };

    use kernel::prelude::*;

    use crate::cores::{
        c::caller::called_by_us,
        sink::Sink, //
    };

    pub(crate) struct Probes<S> {
        never: Infallible,
        sink: PhantomData<S>,
    }

    impl<S: Sink> Probes<S> {
        pub(crate) fn register() -> Result<Self> {
            // What only probes would call.
            let _ = (S::note, S::wake, called_by_us);
            Err(ENOTSUPP)
        }

        pub(crate) fn fire(&self) -> bool {
            match self.never {}
        }

        pub(crate) fn missed(&self) -> u64 {
            match self.never {}
        }
    }
}
