// SPDX-License-Identifier: GPL-2.0

//! Watching ids come and go.
//!
//! Where the connector is this project's own, its registry notes all ids, those of C modules too, and
//! nothing of what is said here of probes and of C modules applies.
//!
//! The C core tells nobody when an id is registered or unregistered. The crate's own ids are noted
//! by its registry. For those of C modules the two functions that do it, `cn_add_callback()` and
//! `cn_del_callback()`, are probed while a [`Watch`] exists. On a kernel without kretprobes, or
//! one that does not tell where a function's arguments are (`CONFIG_HAVE_FUNCTION_ARG_ACCESS_API`), only the
//! crate's own ids are seen: [`Watch::sees_c_modules`] says so.
//!
//! Each watch has a queue and a work item of its own. Whoever notes a change only puts it into the
//! queues; the work items take changes out, in order, and hand them to their [`Observer`]. Without
//! a watch there is no probe, and registering costs a look at a pointer more; messages are not
//! concerned in any case.
//!
//! # What is told, and how well
//!
//! - Changes of one id are told in the order in which they happened, whichever modules made them.
//! - Of an id that a C module unregisters, it is told that it is *not registered any more*. The
//!   core says nobody whether it ever was: `cn_del_callback()` with an id that nobody has is told in
//!   the same way, which then is no change, but true.
//! - A module that unregisters an id which it does not have, while another one registers it, can
//!   have both told in the wrong order.
//! - Changes that cannot be told are counted, and the observer is told how many
//!   ([`Observer::lost`]). When ids of C modules are not seen any more, because somebody switched
//!   the kernel's probes off, and when they are seen again, it is told that
//!   ([`Observer::sees_c_modules`]). This is checked whenever there is something to tell, in
//!   [`Watch::flush`], and once a second.

mod hub;
mod ring;
mod source;

use core::marker::PhantomData;

use kernel::{
    prelude::*,
    sync::Arc,
    time::Jiffies, //
};

use self::source::{
    Event,
    Feed,
    Source, //
};
use crate::{
    cores,
    job::{
        Item,
        Kind,
        Run, //
    },
    started,
    wire::notify::Change,
    CbId, //
};

/// Is told of changes by a [`Watch`].
///
/// # Context
///
/// Process context, in a work item; may sleep. One call at a time, in the order of the changes. No
/// lock is held: an observer may register and unregister ids, make and drop watches, its own too,
/// and take any lock but one under which somebody drops or flushes its own watch, for these wait
/// for the observer. So two observers that drop each other's watch at the same time wait for each
/// other, forever.
pub trait Observer: Send + Sync + 'static {
    /// `id` has been registered, and messages to it are handled; or it is not registered any more,
    /// and they are not.
    ///
    /// Each change is told once. An attempt to register an id that is taken is not a change.
    fn changed(&self, id: CbId, change: Change);

    /// `count` changes could not be told, at most: there were too many at once, or a probe was not
    /// hit. From what was told, it cannot be known any more what is registered.
    fn lost(&self, count: u64);

    /// Changes of the ids of C modules are not seen any more, or are seen again (`seen`). Those that
    /// happened in between, and shortly before, were not told. By default nothing is done.
    fn sees_c_modules(&self, seen: bool) {
        let _ = seen;
    }
}

/// Watches ids come and go, until it is dropped. There can be any number.
///
/// Dropping it has all changes told that were noted before, and waits until the observer is not
/// called any more; may sleep. In the observer itself there is no waiting: the call that drops it is
/// the last one.
///
/// If it is never dropped, it ends with the module that made it.
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
/// fn watch() -> Result<Watch<Counter>> {
///     let counter = Counter { came: Atomic::new(0), went: Atomic::new(0) };
///     Watch::new(Arc::new(counter, GFP_KERNEL)?)
/// }
/// ```
pub struct Watch<T: Observer> {
    source: Arc<Source>,
    observer: PhantomData<fn(T)>,
}

impl<T: Observer> Watch<T> {
    /// Starts to watch. Changes that began before are not told.
    ///
    /// May sleep.
    ///
    /// # Errors
    ///
    /// - `ENOMEM`: no memory.
    /// - `EAGAIN`: the connector is not up yet.
    /// - `EBUSY`: there are 2048 watches and [`Periodic`](crate::Periodic)s in this kernel.
    /// - `ENODEV`: the observer's module is going, its exit function has returned, and what calls this is
    ///   something that it left behind. This reference to the observer is leaked as well.
    pub fn new(observer: Arc<T>) -> Result<Self> {
        started::check()?;
        let feed = Feed::new(hub::look)?;
        let teller = Teller {
            feed: feed.clone(),
            observer,
        };
        let source = Source::new(feed, teller)?;
        hub::start(source.clone())?;
        // What was noted before, and told nobody.
        hub::settle();
        Ok(Self {
            source,
            observer: PhantomData,
        })
    }

    /// Tells the observer all changes that are complete, and returns when it was told, and when all that it
    /// was told has come to be: what is registered after that is newer than what was told before.
    ///
    /// May sleep. In the observer itself it does nothing: what there is to tell is told when that
    /// has returned.
    pub fn flush(&self) {
        self.source.flush();
        hub::settle();
    }

    /// Whether ids of C modules are seen, as far as the observer knows; see
    /// [`Observer::sees_c_modules`].
    pub fn sees_c_modules(&self) -> bool {
        self.source.feed.sees_c_modules()
    }
}

impl<T: Observer> Drop for Watch<T> {
    fn drop(&mut self) {
        hub::stop(&self.source.feed);
        // The last that there is to tell.
        self.source.flush();
    }
}

/// What a watch's job calls: tells an observer.
struct Teller<T: Observer> {
    feed: Arc<Feed>,
    observer: Arc<T>,
}

impl<T: Observer> Run for Teller<T> {
    const KIND: Kind = Kind::Watch;

    fn run(&mut self, item: &Item) -> Option<Jiffies> {
        let observer = &*self.observer;
        self.feed.tell(item, &|event| match event {
            Event::Changed(id, change) => observer.changed(id, change),
            Event::Lost(count) => observer.lost(count),
            Event::SeesCModules(seen) => observer.sees_c_modules(seen),
        });
        None
    }
}

impl<T: Observer> Drop for Teller<T> {
    fn drop(&mut self) {
        // If its watch was never dropped.
        hub::stop(&self.feed);
    }
}

/// Whether a [`Watch`] can see the ids of C modules on this kernel: whether it has kretprobes and tells
/// where arguments are, or the connector is this project's own.
pub const CAN_SEE_C_MODULES: bool = cores::AVAILABLE;

/// The id that nobody may register, on any kernel: watching unregisters it, see `Probes` in [`cores`].
pub(crate) const RESERVED: CbId = cores::CANARY_ID;

/// Makes this file usable.
///
/// # Safety
///
/// Must be called once, before anything else in this file.
pub(crate) unsafe fn init() {
    // SAFETY: By this function's contract.
    unsafe { hub::init() };
}

/// Notes that an id of the crate's own was registered, which the core was told. Does not sleep.
///
/// Changes are told in the order in which this and [`note_unregistered`] are called.
pub(crate) fn note_registered(id: CbId) {
    hub::note(id, Change::Registered);
}

/// Notes that an id of the crate's own is unregistered, and then has the core told, by `happen`: while
/// nobody else can register it. May sleep as that does.
pub(crate) fn note_unregistered(id: CbId, happen: impl FnOnce()) {
    hub::note_before(id, Change::Unregistered, happen);
}
