// SPDX-License-Identifier: GPL-2.0

//! Watching ids come and go.
//!
//! The core tells nobody when an id is registered or unregistered. While a [`Watch`] exists, the
//! two functions that do it, `cn_add_callback()` and `cn_del_callback()`, are probed, so that the
//! ids of C modules are seen like those of Rust ones. On a kernel without kretprobes only ids that
//! are registered with this crate are seen.
//!
//! A probe may not sleep, so it only puts the change in a queue ([`ring`]); a work item takes
//! changes out, in order, and hands them to an [`Observer`]. Without a watch there is no probe, and
//! registering costs a look at a pointer more; messages are not concerned in any case.

mod probe;
mod ring;

use core::ptr::{
    self,
    NonNull, //
};

use kernel::{
    impl_has_work, new_mutex,
    prelude::*,
    sync::{
        atomic::{
            Acquire,
            Atomic,
            Release, //
        },
        global_lock,
        Arc,
        Mutex, //
    },
    workqueue::{
        self,
        new_work,
        Work,
        WorkItem, //
    },
};

use self::{
    probe::Probes,
    ring::Ring, //
};
use crate::{
    bindings,
    registry,
    wire::notify::Change,
    CbId, //
};

/// Is told of changes by a [`Watch`].
///
/// # Context
///
/// Process context; may sleep. One call at a time, in the order of the changes. Must not make or
/// drop a [`Watch`].
pub trait Observer: Send + Sync + 'static {
    /// `id` has been registered, and messages to it are handled; or it was unregistered, and they
    /// are not any more.
    ///
    /// Each change is told once. An attempt to register an id that is taken is not a change. To
    /// unregister one that nobody had registered looks like a change, if a C module does it.
    fn changed(&self, id: CbId, change: Change);

    /// `count` changes could not be told: there were too many at once.
    fn lost(&self, count: u64);
}

/// Watches ids come and go, until it is dropped. There can be one at a time.
///
/// Dropping it waits until the observer is not called any more; may sleep. If it is never dropped,
/// it ends with the module that the observer belongs to.
///
/// # Examples
///
/// ```
/// use connector::{changes::{Observer, Watch}, wire::notify::Change, CbId};
/// use kernel::{prelude::*, sync::{atomic::{Atomic, Relaxed}, Arc}};
///
/// /// Counts what came and went.
/// struct Counter { came: Atomic<u64>, went: Atomic<u64> }
///
/// impl Observer for Counter {
///     fn changed(&self, _id: CbId, change: Change) {
///         match change {
///             Change::Registered => self.came.add(1, Relaxed),
///             Change::Unregistered => self.went.add(1, Relaxed),
///         }
///     }
///
///     fn lost(&self, _count: u64) {}
/// }
///
/// fn watch(module: &'static ThisModule) -> Result<Watch<Counter>> {
///     let counter = Counter { came: Atomic::new(0), went: Atomic::new(0) };
///     Watch::new(module, Arc::new(counter, GFP_KERNEL)?)
/// }
/// ```
pub struct Watch<T: Observer> {
    source: Arc<Source>,
    observer: Arc<T>,
}

impl<T: Observer> Watch<T> {
    /// Starts to watch. Changes that began before are not told.
    ///
    /// May sleep.
    ///
    /// # Errors
    ///
    /// - `EBUSY`: there is another watch.
    /// - `ENOMEM`: no memory.
    pub fn new(owner: &'static ThisModule, observer: Arc<T>) -> Result<Self> {
        // SAFETY: `call::<T>` takes a pointer to a `T`, which `observer` keeps until `Self` is
        // dropped, which stops the source first. If it never is, it is stopped when the module
        // goes that `call::<T>` belongs to.
        let source = unsafe { Source::start(owner, call::<T>, NonNull::from(&*observer).cast())? };
        Ok(Self { source, observer })
    }

    /// Tells the observer all changes that are complete, and returns when it was told.
    ///
    /// May sleep. Must not be called by the observer.
    pub fn flush(&self) {
        self.source.flush();
    }

    /// Whether ids of C modules are seen.
    pub fn sees_c_modules(&self) -> bool {
        self.source.probes.is_some()
    }

    /// The observer.
    pub fn observer(&self) -> &T {
        &self.observer
    }
}

impl<T: Observer> Drop for Watch<T> {
    fn drop(&mut self) {
        Source::stop_if(|source| ptr::eq(source, &*self.source));
    }
}

/// Whether a [`Watch`] can see the ids of C modules on this kernel: whether it has kretprobes.
pub const CAN_SEE_C_MODULES: bool = cfg!(all(CONFIG_KRETPROBES, target_arch = "x86_64"));

/// What an observer is told.
enum Event {
    Changed(CbId, Change),
    Lost(u64),
}

/// How an observer is told: its type is known to the function alone.
type Call = unsafe fn(NonNull<()>, Event);

/// Tells an observer of type `T`.
///
/// # Safety
///
/// `observer` must point to a `T` that stays valid during the call.
unsafe fn call<T: Observer>(observer: NonNull<()>, event: Event) {
    // SAFETY: By this function's contract.
    let observer = unsafe { observer.cast::<T>().as_ref() };
    match event {
        Event::Changed(id, change) => observer.changed(id, change),
        Event::Lost(count) => observer.lost(count),
    }
}

/// Where changes come from.
///
/// # Invariants
///
/// While [`WATCHED`] holds it, `call` may be called with `observer`.
#[pin_data]
struct Source {
    owner: *const bindings::module,
    call: Call,
    observer: NonNull<()>,
    probes: Option<Probes>,
    ring: Ring,
    /// Held by who takes changes out; how many lost ones the observer was told of.
    #[pin]
    lost: Mutex<u64>,
    #[pin]
    work: Work<Self>,
}

// SAFETY: `observer` points to an `Observer`, which is `Send` and `Sync`; `owner` is only compared.
unsafe impl Send for Source {}
// SAFETY: As above.
unsafe impl Sync for Source {}

global_lock! {
    /// The one source. Held while it is started and stopped.
    unsafe(uninit) static WATCHED: Mutex<Option<Arc<Source>>> = None;
}

/// The source as probes find it, or null.
///
/// # Invariants
///
/// Whoever finds a source here, in a probe or while the registry's lock is held, can use it: it is
/// taken away before the probes are, and before the registry's lock was held once more.
static CURRENT: Atomic<*const Source> = Atomic::new(ptr::null());

/// Makes this file usable.
///
/// # Safety
///
/// Must be called once, before anything else in this file.
pub(crate) unsafe fn init() {
    // SAFETY: By this function's contract.
    unsafe { WATCHED.init() };
}

impl Source {
    /// # Safety
    ///
    /// `call` may be called with `observer` until [`Self::stop_if`] stopped the source.
    unsafe fn start(
        owner: &'static ThisModule,
        call: Call,
        observer: NonNull<()>,
    ) -> Result<Arc<Self>> {
        let mut watched = WATCHED.lock();
        if watched.is_some() {
            return Err(EBUSY);
        }
        let probes = Probes::register()
            .inspect_err(|error| {
                if CAN_SEE_C_MODULES {
                    pr_warn!("the ids of C modules are not seen: no probe ({error:?})\n");
                }
            })
            .ok();
        let source = Arc::pin_init(
            // INVARIANT: By this function's contract.
            try_pin_init!(Self {
                owner: owner.as_ptr().cast(),
                call,
                observer,
                probes,
                ring: Ring::new()?,
                lost <- new_mutex!(0),
                work <- new_work!("rust_connector::changes"),
            }),
            GFP_KERNEL,
        )?;
        CURRENT.store(&*source, Release);
        *watched = Some(source.clone());
        Ok(source)
    }

    /// Stops the source, if it is the one that is meant.
    fn stop_if(is_meant: impl FnOnce(&Self) -> bool) -> bool {
        let mut watched = WATCHED.lock();
        let Some(source) = watched.take_if(|source| is_meant(source)) else {
            return false;
        };
        // INVARIANT: In this order.
        CURRENT.store(ptr::null(), Release);
        if let Some(probes) = &source.probes {
            probes.unregister();
        }
        registry::wait_for_writers();

        // SAFETY: The work belongs to a source, which we hold.
        let cancelled = unsafe {
            let work = Work::raw_get(&raw const source.work);
            bindings::cancel_work_sync(work)
        };
        if cancelled {
            // SAFETY: It was queued with an `Arc` of its own, which nobody else will take back.
            drop(unsafe { Arc::from_raw(Arc::as_ptr(&source)) });
        }
        // Those that are complete already.
        source.flush();
        true
    }

    /// Notes a change. Does not sleep.
    fn note(this: &Arc<Self>, id: CbId, change: Change) {
        this.ring.push(id, change);
        // Telling the observer may take a while. An error says that it is queued already.
        let _ = workqueue::system_long().enqueue(this.clone());
    }

    fn flush(&self) {
        let mut lost = self.lost.lock();
        let tell = |event| {
            // SAFETY: By the type's invariants: whoever calls this is the watch itself, or the
            // work, or `stop_if`, all of which are over when the source was stopped.
            unsafe { (self.call)(self.observer, event) }
        };
        self.ring
            .take_all(|id, change| tell(Event::Changed(id, change)));
        let missed = self.probes.as_ref().map_or(0, Probes::missed);
        let all_lost = self.ring.lost() + missed;
        if all_lost > *lost {
            tell(Event::Lost(all_lost - *lost));
            *lost = all_lost;
        }
    }
}

impl_has_work! {
    impl HasWork<Self> for Source { self.work }
}

impl WorkItem for Source {
    type Pointer = Arc<Self>;

    fn run(this: Arc<Self>) {
        this.flush();
    }
}

/// Calls `f` with the source, if there is one.
///
/// # Safety
///
/// Must be called in a probe, or while the registry's lock is held.
unsafe fn with_current(f: impl FnOnce(&Arc<Source>)) {
    let current = CURRENT.load(Acquire);
    if !current.is_null() {
        // SAFETY: By the invariants of `CURRENT` and by this function's contract, the source
        // exists; it is in an `Arc`, whose count is left alone.
        let source = core::mem::ManuallyDrop::new(unsafe { Arc::from_raw(current) });
        f(&source);
    }
}

/// Notes that a probe saw a change.
///
/// # Safety
///
/// Must be called in a probe.
#[cfg(all(CONFIG_KRETPROBES, target_arch = "x86_64"))]
unsafe fn note_probed(id: CbId, change: Change) {
    // SAFETY: By this function's contract.
    unsafe { with_current(|source| Source::note(source, id, change)) };
}

/// Notes a change of the crate's own, if no probe sees it.
///
/// # Safety
///
/// The registry's lock is held.
pub(crate) fn note(id: CbId, change: Change) {
    // SAFETY: The registry's lock is held.
    unsafe {
        with_current(|source| {
            if source.probes.is_none() {
                Source::note(source, id, change);
            }
        })
    };
}

/// Stops the watch that `module` left behind, if it did.
pub(crate) fn stop_all_of(module: &bindings::module) -> bool {
    let leaked = Source::stop_if(|source| {
        crate::text::is_in(module, source.call as usize)
    });
    if leaked {
        pr_warn!("a module goes and left a Watch: it was never dropped\n");
    }
    leaked
}
