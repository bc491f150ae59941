// SPDX-License-Identifier: GPL-2.0

//! KUnit suite of what a module leaves behind that goes. It takes this module for one.

use core::ptr::NonNull;

use kernel::{
    macros::kunit_tests,
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    },
};

use crate::{
    dispatch::TABLE,
    going,
    registry,
    suites::{
        register,
        registered, //
    },
    text::Module,
    CbId,
    Handler,
    Message,
    Registration,
    Sender, //
};

/// This module, which is loaded.
pub(crate) fn loaded_module() -> &'static Module {
    extern "C" {
        #[link_name = "__this_module"]
        static THIS: u8;
    }
    // SAFETY: The module loader makes it, and changes it no more before the suites are over. What calls this is in it.
    unsafe { Module::from_raw(NonNull::new_unchecked((&raw const THIS).cast_mut().cast())) }
}

#[kunit_tests(connector_going)]
mod leaving {
    use super::*;

    const ID: CbId = CbId {
        idx: 0x6b75_6e69,
        val: 10,
    };

    #[test]
    fn what_a_module_left_is_taken_away_when_it_goes() -> Result {
        static COUNT: Atomic<i32> = Atomic::new(0);
        let left = register(ID, &COUNT)?;
        let other = register(CbId { val: 11, ..ID }, &COUNT)?;
        let module = loaded_module();
        let mut refused = false;
        going::during(module, || {
            registry::unregister_all_of(module);
            /// Takes no memory, which is leaked if it is refused.
            struct Nothing;
            impl Handler for Nothing {
                fn handle(&self, _message: &Message<'_>, _sender: &Sender<'_>) {}
            }
            let another = Registration::new(CbId { val: 12, ..ID }, c"connector_kunit", Nothing);
            refused = another.is_err_and(|error| error == ENODEV);
        });
        assert!(refused);
        assert_eq!(registered(ID).0, 0);
        assert!(TABLE.enter(ID).is_none());
        // To drop them afterwards does no harm, even if somebody else has the id by then.
        let successor = register(ID, &COUNT)?;
        drop(left);
        drop(other);
        assert!(registered(ID) == (1, true));
        assert!(TABLE.enter(ID).is_some());
        drop(successor);
        assert_eq!(COUNT.load(Relaxed), 0);
        Ok(())
    }
}
