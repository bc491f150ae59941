// SPDX-License-Identifier: GPL-2.0

//! The kernel's notifier chains.
//!
//! C header: [`include/linux/notifier.h`](srctree/include/linux/notifier.h)

use kernel::{
    error::to_result,
    prelude::*,
    types::Opaque, //
};

use crate::bindings;

/// A function that adds a notifier to a chain, or takes it away.
type Change = unsafe extern "C" fn(*mut bindings::notifier_block) -> c_int;

/// What a chain calls: with the notifier, an event, and what the event says.
type Call = unsafe extern "C" fn(*mut bindings::notifier_block, c_ulong, *mut c_void) -> c_int;

/// A function that is called by a notifier chain, as long as this exists.
///
/// # Invariants
///
/// `block` is registered with the chain that `unregister` takes it from.
#[pin_data(PinnedDrop)]
pub(crate) struct Notifier {
    #[pin]
    block: Opaque<bindings::notifier_block>,
    unregister: Change,
}

// SAFETY: Only the kernel uses `block`, under a lock of its own.
unsafe impl Send for Notifier {}
// SAFETY: As above.
unsafe impl Sync for Notifier {}

impl Notifier {
    /// Adds `call` to a chain.
    ///
    /// # Safety
    ///
    /// `register` and `unregister` are those of one chain, which may sleep and waits for `call`
    /// when it is unregistered; `call` may be called by it.
    pub(crate) unsafe fn new(
        register: Change,
        unregister: Change,
        call: Call,
    ) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            unregister,
            // INVARIANT: Registered, or initialising fails.
            block <- Opaque::try_ffi_init(move |block: *mut bindings::notifier_block| {
                // SAFETY: `block` is valid for writes; it is pinned, and unregistered in `drop`.
                // The rest is this function's contract.
                to_result(unsafe {
                    block.write(bindings::notifier_block {
                        notifier_call: Some(call),
                        ..Default::default()
                    });
                    register(block)
                })
            }),
        })
    }
}

#[pinned_drop]
impl PinnedDrop for Notifier {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: By the type's invariants.
        unsafe { (self.unregister)(self.block.get()) };
    }
}
