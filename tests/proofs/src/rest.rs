// SPDX-License-Identifier: GPL-2.0

//! What the shipped files use of the rest of the crate: names, without what is behind them.

use core::{cell::Cell, marker::PhantomData};

use kernel::{prelude::*, str::CStr, time::Delta};

use crate::CbId;

#[derive(Clone, Copy)]
pub(crate) enum SendError {
    Full,
    NoSuchPort,
    NoMemory,
    Other,
}

/// Something that is called again and again; it is not.
pub(crate) struct Periodic;

impl Periodic {
    pub(crate) fn new<F: FnMut() + Send + 'static>(_period: Delta, _f: F) -> Result<Self> {
        Ok(Self)
    }
}

pub(crate) mod bindings {
    //! C's side.

    #![allow(non_camel_case_types, non_upper_case_globals)]

    use core::ffi::c_int;

    pub(crate) use kernel::{
        task::task_struct,
        workqueue::raw::{
            delayed_work, destroy_workqueue, disable_delayed_work_sync, flush_work, work_struct,
            workqueue_struct,
        },
    };

    pub(crate) const wq_consts_WQ_MAX_ACTIVE: u32 = 2048;
    pub(crate) const wq_flags_WQ_PERCPU: u32 = 1 << 8;

    /// # Safety
    ///
    /// None.
    pub(crate) unsafe fn alloc_workqueue_noprof(
        _name: *const core::ffi::c_char,
        _flags: u32,
        _most: c_int,
    ) -> *mut workqueue_struct {
        core::ptr::dangling_mut()
    }

    pub(crate) const CN_CBQ_NAMELEN: u32 = 32;

    /// A module, by where its code lies.
    pub(crate) struct module(pub(crate) core::ops::Range<usize>);

    pub(crate) struct callback_head;

    /// A message: its id.
    pub(crate) struct cn_msg {
        pub(crate) id: crate::CbId,
    }

    /// A socket: its address is all there is to it, and another's is another one.
    pub(crate) struct sock(pub(crate) u8);

    pub(crate) struct netlink_skb_parms {
        pub(crate) portid: u32,
        pub(crate) sk: *mut sock,
    }

    /// # Safety
    ///
    /// As the kernel's.
    pub(crate) unsafe fn call_rcu(
        head: *mut callback_head,
        f: Option<unsafe extern "C" fn(*mut callback_head)>,
    ) {
        if let Some(f) = f {
            // SAFETY: By this function's contract; this comes after a grace period.
            kernel::sync::rcu::call(move || unsafe { f(head) });
        }
    }
}

pub(crate) mod grace {
    //! Waiting for RCU.

    pub(crate) use kernel::sync::rcu::{rcu_barrier, synchronize_rcu};
}

pub(crate) mod layout {
    //! How C's side has things.

    pub(crate) fn id_of(id: &crate::CbId) -> crate::CbId {
        *id
    }
}

pub(crate) mod text {
    //! Whose code something is.

    use super::Cell;

    pub(crate) use super::bindings::module as Module;

    thread_local! {
        static LOOKS: Cell<u64> = const { Cell::new(0) };
    }

    /// An interleaving begins.
    pub(crate) fn init() {
        LOOKS.set(0);
    }

    pub(crate) fn is_in(module: &Module, address: usize) -> bool {
        LOOKS.set(LOOKS.get() + 1);
        assert!(LOOKS.get() < 10_000, "a list goes round in circles");
        module.0.contains(&address)
    }
}

pub(crate) mod cores {
    //! The core.

    use super::*;

    thread_local! {
        /// Whether the core is not up yet. All tasks of a model are in one thread.
        pub(crate) static REFUSES: Cell<bool> = const { Cell::new(false) };
    }

    pub(crate) fn add(_id: CbId, _name: &CStr) -> Result {
        match REFUSES.get() {
            true => Err(EINVAL),
            false => Ok(()),
        }
    }

    pub(crate) fn del(_id: CbId) {}

    pub(crate) const AVAILABLE: bool = false;

    /// What probes report to.
    pub(crate) trait Sink {
        fn note(id: CbId, change: crate::wire::notify::Change);
        fn wake();
    }

    /// There are none.
    pub(crate) struct Probes<S>(PhantomData<S>);

    impl<S: Sink> Probes<S> {
        pub(crate) fn register() -> Result<Self> {
            Err(EINVAL)
        }

        pub(crate) fn fire(&self) -> bool {
            false
        }

        pub(crate) fn missed(&self) -> u64 {
            0
        }
    }
}
