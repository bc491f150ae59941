// SPDX-License-Identifier: GPL-2.0

//! Who is registered.
//!
//! The core calls one function of ours for every id and passes no context, so the [`Slot`] of a
//! message's id is looked up here: in a hash table to which slots are only ever added, so that the
//! look-up takes no lock. An id that was registered once keeps its slot, and its counters, until
//! `rust_connector` goes.
//!
//! To unregister is to close the id's slot, to take the id from the core, and to wait until everyone
//! inside has left. The slot counts its own visitors, so that a handler which sleeps holds up
//! nobody's unregistering but its own.

use core::ptr::{
    self,
    NonNull, //
};

use kernel::{
    error::to_result,
    fmt,
    prelude::*,
    str::{
        BStr,
        CStr, //
    },
    sync::{
        atomic::{
            Atomic,
            Relaxed,
            Release, //
        },
        global_lock,
        Arc,
        Completion,
        GlobalGuard,
        GlobalLockedBy, //
    },
};

use crate::{
    bindings,
    c_core,
    changes,
    dispatch::dispatch,
    name::Name,
    slot::{
        Call,
        Slot,
        Target, //
    },
    stats::Snapshot,
    wire::notify::Change,
    CbId, //
};

/// An id in one piece, which is quicker to hash and to compare.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Key(u64);

impl From<CbId> for Key {
    #[inline(always)]
    fn from(id: CbId) -> Self {
        // In this order it is just how a `cb_id` lies in memory, on most machines.
        Self(u64::from(id.val) << 32 | u64::from(id.idx))
    }
}

impl From<Key> for CbId {
    fn from(Key(key): Key) -> Self {
        // CAST: Takes the key apart.
        Self {
            idx: key as u32,
            val: (key >> 32) as u32,
        }
    }
}

/// A slot in the table.
struct Node {
    key: Key,
    slot: Slot,
    /// The next node of the bucket. Does not change once the node is in the table.
    next: *const Node,
    tenant: GlobalLockedBy<Option<Tenant>, WRITERS>,
}

// SAFETY: `next` is not changed once others can see the node, and points to another one.
unsafe impl Send for Node {}
// SAFETY: As above.
unsafe impl Sync for Node {}

/// Who has a slot: from before it is opened until after it was drained.
struct Tenant {
    name: Name,
    owner: *const bindings::module,
    service: Service,
    /// Completed when nobody is inside the closed slot any more. It also tells tenants apart.
    drained: Arc<Completion>,
    /// Whether the slot was closed.
    leaving: bool,
}

// SAFETY: `service` is a `Handler`, which is `Send` and `Sync`; `owner` is only compared.
unsafe impl Send for Tenant {}

/// A handler whose type is known to its functions alone.
#[derive(Clone, Copy)]
pub(crate) struct Service {
    pub(crate) handler: NonNull<()>,
    /// Called with `handler` for every message.
    pub(crate) call: Call,
    /// Called with `handler` to show the service.
    pub(crate) show: unsafe fn(NonNull<()>, &mut fmt::Formatter<'_>) -> fmt::Result,
}

global_lock! {
    /// Held while an id is registered or unregistered, so that our table and the core's list
    /// change as one. No message waits for it.
    unsafe(uninit) static WRITERS: Mutex<()> = ();
}

/// All nodes, hashed by id.
///
/// # Invariants
///
/// A bucket is a list of nodes that ends with null, made with [`KBox`]. None of them is freed
/// before [`free`].
struct Table {
    buckets: [Atomic<*const Node>; Self::BUCKETS],
}

static TABLE: Table = Table {
    buckets: [const { Atomic::new(ptr::null()) }; Table::BUCKETS],
};

impl Table {
    /// Enough that a look-up compares a handful of ids where a thousand are registered.
    const BUCKETS: usize = 1 << Self::BITS;
    const BITS: u32 = 8;

    #[inline(always)]
    fn bucket(&self, key: Key) -> &Atomic<*const Node> {
        // Multiplicative hashing as in `include/linux/hash.h`.
        const GOLDEN_RATIO_64: u64 = 0x61C8_8646_80B5_83EB;
        let hash = key.0.wrapping_mul(GOLDEN_RATIO_64) >> (u64::BITS - Self::BITS);
        &self.buckets[hash as usize]
    }

    #[inline(always)]
    fn iter_bucket(&self, bucket: &Atomic<*const Node>) -> impl Iterator<Item = &'static Node> {
        // As `rcu_dereference()` does: one load, which what is read through it depends on. An
        // atomic load is a call into a C helper, which would be the most of a look-up.
        //
        // SAFETY: The bucket is valid for reads.
        let mut next = unsafe { bucket.as_ptr().read_volatile() };
        core::iter::from_fn(move || {
            // SAFETY: By the type's invariants, `next` is null or a node, which was initialised
            // before it was put there.
            let node = unsafe { next.as_ref() }?;
            next = node.next;
            Some(node)
        })
    }

    #[inline(always)]
    fn find(&self, key: Key) -> Option<&'static Node> {
        self.iter_bucket(self.bucket(key))
            .find(|node| node.key == key)
    }

    fn iter(&self) -> impl Iterator<Item = &'static Node> + use<'_> {
        self.buckets
            .iter()
            .flat_map(|bucket| self.iter_bucket(bucket))
    }

    /// Finds the node of `id`, or adds one.
    fn find_or_add(&self, key: Key, _writers: &GlobalGuard<WRITERS>) -> Result<&'static Node> {
        if let Some(node) = self.find(key) {
            return Ok(node);
        }
        let bucket = self.bucket(key);
        let node = KBox::new(
            Node {
                key,
                slot: Slot::new(),
                next: bucket.load(Relaxed),
                tenant: GlobalLockedBy::new(None),
            },
            GFP_KERNEL,
        )?;
        let node = KBox::leak(node);
        // INVARIANT: The rest of the list is behind the new node; nobody else changes it, because
        // we are the only writer.
        bucket.store(node, Release);
        Ok(node)
    }
}

/// Makes the registry usable.
///
/// # Safety
///
/// Must be called once, before anything else in this file.
pub(crate) unsafe fn init() {
    // SAFETY: By this function's contract.
    unsafe { WRITERS.init() };
}

/// Frees the table.
///
/// # Safety
///
/// Nothing of this file may be used any more, by any task.
pub(crate) unsafe fn free() {
    for bucket in &TABLE.buckets {
        let mut next = bucket.load(Relaxed).cast_mut();
        bucket.store(ptr::null(), Relaxed);
        while !next.is_null() {
            // SAFETY: By the table's invariants this came from `KBox::leak`, and nobody uses it.
            let node = unsafe { KBox::from_raw(next) };
            next = node.next.cast_mut();
        }
    }
}

/// The slot of `id`, if it was ever registered.
#[inline(always)]
pub(crate) fn find(id: CbId) -> Option<&'static Slot> {
    TABLE.find(id.into()).map(|node| &node.slot)
}

/// An id that was registered, and is until [`unregister`].
pub(crate) struct Entry {
    node: &'static Node,
    drained: Arc<Completion>,
}

impl Entry {
    pub(crate) fn id(&self) -> CbId {
        self.node.key.into()
    }

    /// The tenant, if it is still this one.
    fn tenant<'a>(
        &'a self,
        writers: &'a mut GlobalGuard<WRITERS>,
    ) -> Option<&'a mut Option<Tenant>> {
        let tenant = self.node.tenant.as_mut(writers);
        let is_this = |tenant: &Tenant| Arc::ptr_eq(&tenant.drained, &self.drained);
        tenant.as_ref().is_some_and(is_this).then_some(tenant)
    }

    /// Closes the slot, unless that was done. Returns whether this call did it.
    fn leave(&self, writers: &mut GlobalGuard<WRITERS>) -> bool {
        let Some(Some(tenant)) = self.tenant(writers) else {
            return false;
        };
        if tenant.leaving {
            return false;
        }
        tenant.leaving = true;
        // SAFETY: Opened when the tenant came, and not closed yet.
        unsafe { self.node.slot.close() };
        true
    }

    /// Waits until nobody is inside the closed slot, and makes it free for others.
    fn wait_until_left(&self) {
        self.drained.wait_for_completion();
        if let Some(tenant) = self.tenant(&mut WRITERS.lock()) {
            *tenant = None;
        }
    }
}

/// Registers `id`: the core has the service called from now on.
///
/// May sleep.
///
/// # Errors
///
/// `EINVAL` if the id is taken, `ENOMEM`, or `EAGAIN` if the core is not up yet.
///
/// # Safety
///
/// The service's functions may be called with its handler from any task, until [`unregister`] has
/// returned, or [`unregister_all_of`] for the module that any of the three belongs to.
pub(crate) unsafe fn register(
    owner: &'static ThisModule,
    id: CbId,
    name: &CStr,
    service: Service,
) -> Result<Entry> {
    let register = || {
        let drained = Arc::pin_init(Completion::new(), GFP_KERNEL)?;
        let mut writers = WRITERS.lock();
        let node = TABLE.find_or_add(id.into(), &writers)?;
        if node.tenant.as_ref(&writers).is_some() {
            return Err(EINVAL);
        }
        *node.tenant.as_mut(&mut writers) = Some(Tenant {
            name: Name::new(name),
            owner: owner.as_ptr().cast(),
            service,
            drained: drained.clone(),
            leaving: false,
        });
        // SAFETY:
        // - Without a tenant the slot is closed and drained, and we are the only writer.
        // - By this function's contract, and because the tenant holds `drained` until it is
        //   completed.
        unsafe {
            node.slot.open(Target {
                call: service.call,
                handler: service.handler,
                drained: NonNull::from(&*drained),
            })
        };
        // Last, so that the id can be used as soon as others see it.
        //
        // SAFETY: The core copies the id and the name. `dispatch` may be called until this module
        // is gone, which `Stragglers::drop` sees to.
        let added = to_result(c_core::calling(|| unsafe {
            bindings::cn_add_callback(&raw_id(id), name.as_char_ptr(), Some(dispatch))
        }));
        let entry = Entry { node, drained };
        match added {
            Ok(()) => {
                changes::note(id, Change::Registered);
                Ok(entry)
            }
            Err(error) => {
                entry.leave(&mut writers);
                drop(writers);
                // The core may have brought a message that was for a previous tenant.
                entry.wait_until_left();
                Err(error)
            }
        }
    };
    register().inspect_err(|&error| {
        let reason = match error {
            e if e == EINVAL => "the id is taken",
            e if e == ENOMEM => "no memory",
            e if e == EAGAIN => "the connector core is not up yet",
            _ => "the connector core refuses it",
        };
        let name = Name::new(name);
        pr_err!(
            "cannot register {} as {id}: {reason} ({error:?})\n",
            name.as_bstr()
        );
    })
}

/// Unregisters an id, and waits until no handler of it runs any more.
///
/// May sleep, for as long as the handlers do. May be called more than once for an entry, and by
/// several tasks: all of them wait.
pub(crate) fn unregister(entry: &Entry) {
    let mut writers = WRITERS.lock();
    if entry.leave(&mut writers) {
        changes::note(entry.id(), Change::Unregistered);
        // SAFETY: The id is ours, since it had a tenant of ours.
        c_core::calling(|| unsafe { bindings::cn_del_callback(&raw_id(entry.id())) });
    }
    drop(writers);
    entry.wait_until_left();
}

/// Unregisters whatever `module` left registered.
///
/// May sleep, see [`unregister`].
pub(crate) fn unregister_all_of(module: &bindings::module) {
    let left_behind = || {
        let writers = WRITERS.lock();
        TABLE.iter().find_map(|node| {
            let tenant = node.tenant.as_ref(&writers).as_ref();
            let tenant = tenant.filter(|tenant| {
                let Service {
                    handler,
                    call,
                    show,
                } = tenant.service;
                crate::module_holds(
                    module,
                    tenant.owner,
                    &[call as usize, show as usize],
                    handler,
                )
            })?;
            pr_warn!(
                "{} goes and left {} registered: its Registration was never dropped\n",
                tenant.name.as_bstr(),
                CbId::from(node.key)
            );
            let drained = tenant.drained.clone();
            Some(Entry { node, drained })
        })
    };
    while let Some(entry) = left_behind() {
        unregister(&entry);
    }
}

/// An id that is registered, while registering and unregistering wait.
///
/// # Invariants
///
/// `service` is that of a tenant, which cannot go meanwhile.
pub(crate) struct Registered<'a> {
    pub(crate) name: &'a BStr,
    pub(crate) running: i64,
    service: &'a Service,
}

impl Registered<'_> {
    /// Has the service show itself.
    pub(crate) fn show(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // SAFETY: Who unregisters the tenant has not returned yet, by the type's invariants, so
        // that its functions may be called.
        unsafe { (self.service.show)(self.service.handler, f) }
    }
}

/// Calls `f` with every id that was ever registered and its counters; with its name and how many
/// handlers run too, if it is [`Registered`] now.
///
/// May sleep. Registering and unregistering wait meanwhile, messages do not.
pub(crate) fn for_each<E>(
    mut f: impl FnMut(CbId, Snapshot, Option<Registered<'_>>) -> Result<(), E>,
) -> Result<(), E> {
    let writers = WRITERS.lock();
    TABLE.iter().try_for_each(|node| {
        let tenant = node.tenant.as_ref(&writers).as_ref();
        let tenant = tenant.map(|tenant| Registered {
            name: tenant.name.as_bstr(),
            running: node.slot.running(),
            service: &tenant.service,
        });
        f(node.key.into(), node.slot.snapshot(), tenant)
    })
}

fn raw_id(id: CbId) -> bindings::cb_id {
    bindings::cb_id {
        idx: id.idx,
        val: id.val,
    }
}
