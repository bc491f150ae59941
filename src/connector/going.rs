// SPDX-License-Identifier: GPL-2.0

//! Modules that go with registrations left behind.
//!
//! A [`Registration`](crate::Registration) that was leaked is never dropped, and the module that
//! its handler belongs to can go all the same. The kernel announces a module that goes after its
//! exit function returned (or its init function failed) and before its memory is freed: here is
//! where its ids are unregistered.

use kernel::{
    error::to_result,
    prelude::*,
    types::Opaque, //
};

use crate::{
    bindings,
    changes,
    registry, //
};

/// Watches for modules that go, as long as it exists.
///
/// # Invariants
///
/// `block` is registered as a module notifier.
#[pin_data(PinnedDrop)]
pub(crate) struct Watch {
    #[pin]
    block: Opaque<bindings::notifier_block>,
}

// SAFETY: Only the kernel uses `block`, under a lock of its own.
unsafe impl Send for Watch {}
// SAFETY: As above.
unsafe impl Sync for Watch {}

impl Watch {
    pub(crate) fn new() -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            // INVARIANT: Registered, or initialising fails.
            block <- Opaque::try_ffi_init(|block: *mut bindings::notifier_block| {
                // SAFETY: `block` is valid for writes; it is pinned, and unregistered in `drop`.
                to_result(unsafe {
                    block.write(bindings::notifier_block {
                        notifier_call: Some(notify),
                        ..Default::default()
                    });
                    bindings::register_module_notifier(block)
                })
            }),
        })
    }
}

#[pinned_drop]
impl PinnedDrop for Watch {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: By the type's invariants the block is registered.
        unsafe { bindings::unregister_module_notifier(self.block.get()) };
    }
}

/// Called by the kernel, in process context, when a module changes its state.
///
/// # Safety
///
/// Must only be called as a module notifier.
unsafe extern "C" fn notify(
    _block: *mut bindings::notifier_block,
    state: c_ulong,
    module: *mut c_void,
) -> c_int {
    if state == bindings::module_state_MODULE_STATE_GOING as c_ulong {
        // SAFETY: The kernel passes the module, whose memory it frees only after this returned.
        let module = unsafe { &*module.cast::<bindings::module>() };
        registry::unregister_all_of(module);
        while changes::stop_all_of(module) {
            registry::unregister_all_of(module);
        }
    }
    // `NOTIFY_DONE`: not our concern whether others are told.
    0
}
