// SPDX-License-Identifier: GPL-2.0

//! Registering and unregistering services.
//!
//! To unregister is to take the service from the table, so that no message finds it, to close it,
//! so that those who had found it are turned away, to give its id back to the core, and to wait
//! until all of its handlers have returned. Each service counts its own, so that a handler which
//! sleeps holds up nobody's unregistering but its own; and the id is free for others at once.

use core::ptr;

use kernel::{
    prelude::*,
    str::CStr,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        global_lock,
        Arc, //
    },
};

use crate::{
    changes,
    cores,
    dispatch::TABLE,
    going,
    service::{
        RawHandler,
        Service, //
    },
    stats::Snapshot,
    text::{
        self,
        Module, //
    },
    CbId, //
};

global_lock! {
    /// Held while an id is registered or unregistered, so that our table and the core's list
    /// change as one, and changes are noted in their order. No message waits for it, but for [`reap`] while a
    /// callback in C runs that has unregistered itself; and no code of others runs under it.
    unsafe(uninit) static REGISTRY: Mutex<Registry> = Registry {
        registered: 0,
        draining: KVVec::new(),
        counted: Snapshot::ZERO,
    };
}

/// What is known beside the table.
///
/// # Invariants
///
/// `draining` has room for `registered` more.
struct Registry {
    /// How many services are in the table.
    registered: usize,
    /// The services that were withdrawn, and whose handlers may run yet; with how many messages
    /// each has received.
    draining: KVVec<(Arc<Service>, u64)>,
    /// What those counted that are neither.
    counted: Snapshot,
}

/// How many of those nobody waits for: they were unregistered by their own handlers, which cannot
/// wait for themselves.
static ABANDONED: Atomic<usize> = Atomic::new(0);

/// Frees the registry's memory when dropped: nobody drops what is static.
pub(crate) struct Memory;

impl Drop for Memory {
    fn drop(&mut self) {
        // INVARIANT: Nothing is registered any more.
        REGISTRY.lock().draining = KVVec::new();
    }
}

/// How many services want to be told of closed sockets.
static WANT_CLOSED: Atomic<usize> = Atomic::new(0);

/// Makes the registry usable.
///
/// # Safety
///
/// Must be called once, before anything else in this file.
pub(crate) unsafe fn init() {
    // SAFETY: By this function's contract.
    unsafe { REGISTRY.init() };
}

/// Registers a service: its handler is called from now on.
///
/// May sleep.
///
/// # Errors
///
/// `EINVAL` if the id is taken, `ENODEV` if the handler's module is [`going`], `ENOMEM`, or `EAGAIN` if the
/// core is not up yet. The handler may have been called meanwhile, but is not any more.
pub(crate) fn register(id: CbId, name: &CStr, handler: RawHandler) -> Result<Arc<Service>> {
    let service = Arc::pin_init(Service::new(id, name, handler), GFP_KERNEL)?;
    let mut registry = REGISTRY.lock();
    if going::is_any_of(service.code()) {
        return Err(ENODEV);
    }
    if TABLE.contains(id) {
        return Err(EINVAL);
    }
    let room = registry.registered + 1;
    registry.draining.reserve(room, GFP_KERNEL)?;
    // Before the first message, whose sender may close its socket at once.
    let wants_closed = usize::from(service.wants_closed());
    WANT_CLOSED.add(wants_closed, Relaxed);
    // Before the core has the id, so that its first message finds the service.
    //
    // SAFETY: The lock is held. `unregister` has a reference while it waits.
    unsafe { TABLE.add(service.clone()) }.inspect_err(|_| {
        WANT_CLOSED.add(wants_closed.wrapping_neg(), Relaxed);
    })?;
    // INVARIANT: Room for one more was just made.
    registry.registered += 1;
    match cores::add(id, name) {
        Ok(()) => {
            changes::note_registered(id);
            Ok(service)
        }
        Err(error) => {
            withdraw(&service, &mut registry);
            drop(registry);
            // The core may have brought a message that was for the id's last service.
            wait_for(&service);
            Err(error)
        }
    }
}

/// Unregisters a service, and waits until its handler is not called any more.
///
/// May sleep, for as long as handlers do. May be called more than once for a service, and by
/// several tasks: all of them wait.
pub(crate) fn unregister(service: &Arc<Service>) {
    give_back(service, &mut REGISTRY.lock());
    wait_for(service);
}

/// Withdraws a service and gives its id back, if that was not done yet. Returns whether this did
/// it.
fn give_back(service: &Arc<Service>, registry: &mut Registry) -> bool {
    let withdrawn = withdraw(service, registry);
    if withdrawn {
        // First, while nobody else can register the id.
        changes::note_unregistered(service.id(), || cores::del(service.id()));
    }
    withdrawn
}

/// Takes a service from the table and closes it, if that was not done yet. Returns whether this did
/// it.
fn withdraw(service: &Arc<Service>, registry: &mut Registry) -> bool {
    // SAFETY: The lock is held.
    let removed = unsafe { TABLE.remove(service) };
    if removed {
        let draining = (service.clone(), service.usage().close());
        // By the invariants there is room. INVARIANT: As much as is taken.
        let _ = registry.draining.push_within_capacity(draining);
        registry.registered -= 1;
        WANT_CLOSED.add(usize::from(service.wants_closed()).wrapping_neg(), Relaxed);
    }
    removed
}

/// Waits for the handlers of a service that was withdrawn.
fn wait_for(service: &Arc<Service>) {
    service.usage().wait_until_drained();
    let mut registry = REGISTRY.lock();
    // Several tasks may have waited for it.
    registry.forget(|draining| Arc::ptr_eq(draining, service));
}

impl Registry {
    /// Lets the first service go that was drained and is `meant`. Returns whether there was one.
    fn forget(&mut self, mut meant: impl FnMut(&Arc<Service>) -> bool) -> bool {
        let at = self.draining.iter().position(|(service, _)| meant(service));
        let Some(Ok((drained, received))) = at.map(|at| self.draining.remove(at)) else {
            return false;
        };
        self.counted += drained.usage().snapshot_with(received);
        if drained.is_abandoned() {
            ABANDONED.add(1_usize.wrapping_neg(), Relaxed);
        }
        true
    }
}

/// Unregisters the service of a module in C, if there is one of this id. Waits until no callback of C's
/// for this id is called any more, whoever has unregistered it; unless the current task is in one, by what
/// `is_inside` says: it then waits only for what it unregisters and is not in.
///
/// May sleep, see [`unregister`].
#[cfg_attr(CONFIG_CONNECTOR = "y", expect(dead_code))]
pub(crate) fn unregister_of_c(id: CbId, is_inside: impl Fn(&Service) -> bool) {
    let is_meant = |service: &Service| service.id() == id && service.is_of_c();
    let (found, in_withdrawn) = {
        let registry = REGISTRY.lock();
        // SAFETY: The lock is held.
        let mut services = unsafe { TABLE.iter() };
        let mut withdrawn = registry.draining.iter();
        (
            services.find(|service| is_meant(service)).cloned(),
            withdrawn.any(|(service, _)| is_meant(service) && is_inside(service)),
        )
    };
    let in_found = found.as_ref().is_some_and(|service| is_inside(service));
    match found {
        Some(service) if in_found => {
            let mut registry = REGISTRY.lock();
            if give_back(&service, &mut registry) {
                service.abandon();
                ABANDONED.add(1, Relaxed);
            }
        }
        Some(service) => unregister(&service),
        None => {}
    }
    if in_found || in_withdrawn {
        // Tasks in callbacks would wait for each other.
        return;
    }
    loop {
        let registry = REGISTRY.lock();
        let mut withdrawn = registry.draining.iter();
        let Some((service, _)) = withdrawn.find(|(service, _)| is_meant(service)) else {
            return;
        };
        let service = service.clone();
        drop(registry);
        wait_for(&service);
    }
}

/// Lets go what handlers have unregistered themselves, and have left.
///
/// To be called by whoever has left a handler: the last one to leave finds that nobody is in it.
///
/// May sleep, but for nobody's handler.
#[inline(always)]
#[cfg_attr(CONFIG_CONNECTOR = "y", expect(dead_code))]
pub(crate) fn reap() {
    // SAFETY: It is valid for reads. As a relaxed load, which would be a call into a C helper for each
    // message.
    if unsafe { ABANDONED.as_ptr().read_volatile() } != 0 {
        reap_abandoned();
    }
}

#[cold]
fn reap_abandoned() {
    let mut registry = REGISTRY.lock();
    while registry.forget(|draining| {
        let is_over = draining.is_abandoned() && draining.usage().is_drained();
        if is_over {
            // Whoever was the last in there has only to say so.
            draining.usage().wait_until_drained();
        }
        is_over
    }) {}
}

/// Whether a service lets everybody listen to a group.
///
/// May sleep.
#[cfg_attr(CONFIG_CONNECTOR = "y", expect(dead_code))]
pub(crate) fn is_open(group: u32) -> bool {
    let _registry = REGISTRY.lock();
    // SAFETY: The lock is held. What a registered service opens lies in its module, which is there.
    unsafe { TABLE.iter() }.any(|service| service.opens(group))
}

/// Unregisters whatever `module` left registered, which is [`going`], and waits for what nobody else
/// waits for. After that it has nothing here, for good.
///
/// May sleep, see [`unregister`].
pub(crate) fn unregister_all_of(module: &Module) {
    let is_its = |service: &Service| service.code().any(|at| text::is_in(module, at));
    let left_behind = || {
        let _registry = REGISTRY.lock();
        // SAFETY: The lock is held.
        let service = unsafe { TABLE.iter() }.find(|service| is_its(service))?;
        Some(service.clone())
    };
    let left_running = || {
        let registry = REGISTRY.lock();
        let mut draining = registry.draining.iter();
        let (found, _) = draining.find(|(service, _)| is_its(service))?;
        Some(found.clone())
    };
    while let Some(service) = left_behind() {
        let how = match service.is_of_c() {
            true => "cn_del_callback() was never called",
            false => "its Registration was never dropped",
        };
        pr_warn!(
            "{} goes and left {} registered: {how}\n",
            service.name(),
            service.id()
        );
        unregister(&service);
    }
    // What the module has left was withdrawn: nothing of it is registered, or can be any more.
    while let Some(service) = left_running() {
        wait_for(&service);
    }
}

/// What there is.
pub(crate) struct List {
    /// The services that are registered, in the order in which they were, each with what it counted
    /// and how many of its handlers run.
    pub(crate) registered: KVVec<(Arc<Service>, Snapshot, i64)>,
    /// What all others counted, ever.
    pub(crate) others: Snapshot,
    /// How many handlers of those run yet.
    pub(crate) others_running: i64,
}

/// Lists what there is.
///
/// May sleep.
///
/// # Errors
///
/// `ENOMEM`.
pub(crate) fn list() -> Result<List> {
    let registry = REGISTRY.lock();
    let mut list = List {
        registered: KVVec::with_capacity(registry.registered, GFP_KERNEL)?,
        others: registry.counted,
        others_running: 0,
    };
    // SAFETY: The lock is held.
    for service in unsafe { TABLE.iter() } {
        // All under the lock: a service that is being closed says something else.
        let listed = (
            service.clone(),
            service.usage().snapshot(),
            service.usage().running(),
        );
        list.registered.push(listed, GFP_KERNEL)?;
    }
    for (service, received) in &registry.draining {
        list.others += service.usage().snapshot_with(*received);
        list.others_running += service.usage().running();
    }
    Ok(list)
}

/// Tells the services that want to know that a socket was closed.
///
/// May sleep.
pub(crate) fn tell_closed(portid: u32) {
    // No lock is held while a service is told, and no memory is needed: in the order of addresses,
    // each is told once.
    let mut told = ptr::null();
    while let Some(service) = next_that_wants_closed(told) {
        told = &raw const *service;
        if let Some(running) = Service::visit(&service) {
            running.closed(portid);
        }
    }
}

/// The service that wants to be told of closed sockets with the lowest address above `after`.
fn next_that_wants_closed(after: *const Service) -> Option<Arc<Service>> {
    if WANT_CLOSED.load(Relaxed) == 0 {
        return None;
    }
    let _registry = REGISTRY.lock();
    // SAFETY: The lock is held.
    unsafe { TABLE.iter() }
        .filter(|service| service.wants_closed() && &raw const ***service > after)
        .min_by_key(|service| &raw const ***service)
        .cloned()
}
