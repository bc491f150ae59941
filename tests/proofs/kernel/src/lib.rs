// SPDX-License-Identifier: GPL-2.0

//! What some files of the crate `connector` use of the crate `kernel`, as loom can follow it: each
//! atomic operation, lock and wait is one of loom's, which runs a [`model`] in all interleavings.
//!
//! Memory is watched, too: what was freed is kept until an interleaving is over, and whoever uses it
//! after that, or is not certain to have used it before, is found.
//!
//! Stronger than the kernel's memory model, loom's lets no load see a store that comes later, and
//! weaker, it knows no dependencies. What it cannot show the litmus tests are for.

#![allow(missing_docs)]

mod alloc;
mod execution;
mod init;
mod locks;
pub mod rcu;
mod text;
pub mod workqueue;

pub mod sync {
    //! As the kernel's module of that name.

    pub use crate::alloc::Arc;
    pub use crate::global_lock;
    pub use crate::locks::{Completion, GlobalLock, LockClassKey, Mutex};
    pub use crate::rcu;
    pub use crate::static_lock_class;

    pub mod atomic;
}

pub mod cpu {
    //! As the kernel's module of that name.

    /// A CPU.
    pub struct CpuId(u32);

    impl CpuId {
        pub fn current() -> Self {
            Self(crate::execution::cpu())
        }

        pub fn as_u32(&self) -> u32 {
            self.0
        }
    }
}

pub mod task {
    //! As the kernel's module of that name.

    #[expect(non_camel_case_types, reason = "C calls it so")]
    pub struct task_struct;

    pub struct Task;

    impl Task {
        /// Not an address, but it is another one for each task.
        pub fn current_raw() -> *mut task_struct {
            std::ptr::without_provenance_mut(crate::execution::task() + 1)
        }
    }
}

pub mod error {
    //! As the kernel's module of that name.

    use core::convert::Infallible;

    /// An error number.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Error(pub i32);

    pub type Result<T = (), E = Error> = core::result::Result<T, E>;

    impl From<Infallible> for Error {
        fn from(never: Infallible) -> Self {
            match never {}
        }
    }

    pub const EBUSY: Error = Error(16);
    pub const EINVAL: Error = Error(22);
    pub const ENODEV: Error = Error(19);
    pub const ENOMEM: Error = Error(12);
}

pub mod str {
    //! As the kernel's module of that name.

    pub use crate::text::{BStr, CStrExt};
    pub use core::ffi::CStr;
}

pub use core::fmt;

pub mod types {
    //! As the kernel's module of that name.

    pub use crate::init::Opaque;
}

pub mod time {
    //! As the kernel's module of that name.

    pub type Jiffies = core::ffi::c_ulong;

    pub struct Delta;

    impl Delta {
        pub const fn from_secs(_seconds: i64) -> Self {
            Self
        }
    }
}

pub mod prelude {
    //! As the kernel's module of that name.

    pub use crate::alloc::{GFP_KERNEL, KBox, KVVec, KVec};
    pub use crate::error::{EBUSY, EINVAL, ENODEV, ENOMEM, Error, Result};
    pub use crate::pr_warn;
    pub use crate::str::CStrExt;
    pub use core::ffi::{c_int, c_ulong, c_void};
    pub use pinned_init::{PinInit, pin_data, pin_init};
}

pub use crate::execution::{Model, model, trace};

/// Nobody reads it here.
#[macro_export]
macro_rules! pr_warn {
    ($($text:tt)*) => {{
        let _ = ::core::format_args!($($text)*);
    }};
}

/// The structure that a field is in.
#[macro_export]
macro_rules! container_of {
    ($field:expr, $container:ty, $name:tt) => {{
        let offset = ::core::mem::offset_of!($container, $name);
        $field
            .cast::<u8>()
            .wrapping_sub(offset)
            .cast::<$container>()
    }};
}
