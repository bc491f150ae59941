// SPDX-License-Identifier: GPL-2.0

//! All services, by id.
//!
//! A hash table that messages look into under RCU, without a lock, while one writer at a time adds
//! and removes services: the registry, under its lock. What was removed is freed after a grace
//! period. (`rhashtable` would do the same, but its inline functions take a C file for every
//! combination of key and type, and it has no bindings.)

use core::ptr;

use kernel::{
    prelude::*,
    sync::{
        atomic::{
            Acquire,
            Atomic,
            Relaxed,
            Release, //
        },
        rcu,
        Arc, //
    },
    types::Opaque, //
};

use crate::{
    bindings,
    grace,
    service::{
        Running,
        Service, //
    },
    CbId, //
};

/// A service in the table.
///
/// # Invariants
///
/// Made with [`KBox`]. `next` is null or a node that is freed only after a grace period from when
/// it was not reachable any more.
struct Node {
    key: Key,
    service: Arc<Service>,
    /// The next node of the bucket.
    next: Atomic<*const Node>,
    /// The nodes that were added before and after this one. Only who may add and remove looks.
    older: Atomic<*const Node>,
    younger: Atomic<*const Node>,
    rcu: Opaque<bindings::callback_head>,
}

/// An id in one piece, which is quicker to hash and to compare.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Key(u64);

impl From<CbId> for Key {
    #[inline(always)]
    fn from(id: CbId) -> Self {
        // In this order it is just how a `cb_id` lies in memory, on most machines.
        Self((u64::from(id.val) << 32) | u64::from(id.idx))
    }
}

/// The services, hashed by id.
///
/// # Invariants
///
/// - A bucket is a list of nodes that ends with null.
/// - The nodes in the buckets are also in a list by their age, which `oldest` and `youngest` are the
///   ends of.
pub(crate) struct Table {
    buckets: [Atomic<*const Node>; Self::BUCKETS],
    oldest: Atomic<*const Node>,
    youngest: Atomic<*const Node>,
}

// SAFETY: Nodes are shared between tasks: a `Service` is `Send` and `Sync`.
unsafe impl Send for Table {}
// SAFETY: As above.
unsafe impl Sync for Table {}

impl Table {
    /// Enough that a look-up compares a handful of ids where a thousand are registered.
    const BUCKETS: usize = 1 << Self::BITS;
    const BITS: u32 = 8;

    pub(crate) const fn new() -> Self {
        // INVARIANT: All lists are empty.
        Self {
            buckets: [const { Atomic::new(ptr::null()) }; Self::BUCKETS],
            oldest: Atomic::new(ptr::null()),
            youngest: Atomic::new(ptr::null()),
        }
    }

    #[inline(always)]
    fn bucket(&self, key: Key) -> &Atomic<*const Node> {
        // Multiplicative hashing as in `include/linux/hash.h`.
        const GOLDEN_RATIO_64: u64 = 0x61C8_8646_80B5_83EB;
        let hash = key.0.wrapping_mul(GOLDEN_RATIO_64) >> (u64::BITS - Self::BITS);
        &self.buckets[hash as usize]
    }

    /// Begins to handle a message to `id`, if that is registered. Does not sleep.
    #[inline(always)]
    pub(crate) fn enter(&self, id: CbId) -> Option<Running> {
        let key = Key::from(id);
        let guard = rcu::read_lock();
        let mut next = dereference(self.bucket(key));
        loop {
            // SAFETY: By the invariants, `next` is null or a node that is not freed while `guard`
            // exists, and was initialised before it was put there.
            let node = unsafe { next.as_ref() }?;
            if node.key == key {
                // SAFETY: The node keeps the service while `guard` exists. It stays valid until it
                // was drained, because whoever removes it keeps it for so long.
                let running = unsafe { node.service.enter() };
                drop(guard);
                return running;
            }
            next = dereference(&node.next);
        }
    }

    /// Whether there is a service with this id just now. Does not sleep.
    pub(crate) fn contains(&self, id: CbId) -> bool {
        self.look_at(id, |_| ()).is_some()
    }

    /// Looks at the service with this id, if there is one just now. Does not sleep, nor may `look`.
    #[inline(always)]
    pub(crate) fn look_at<R>(&self, id: CbId, look: impl FnOnce(&Service) -> R) -> Option<R> {
        let key = Key::from(id);
        let _guard = rcu::read_lock();
        let mut next = dereference(self.bucket(key));
        loop {
            // SAFETY: As in `enter`.
            let node = unsafe { next.as_ref() }?;
            if node.key == key {
                return Some(look(&node.service));
            }
            next = dereference(&node.next);
        }
    }

    /// All services, in the order in which they were added.
    ///
    /// # Safety
    ///
    /// Nobody adds or removes services while the iterator exists.
    pub(crate) unsafe fn iter(&self) -> impl Iterator<Item = &Arc<Service>> + use<'_> {
        let mut next = self.oldest.load(Relaxed);
        core::iter::from_fn(move || {
            // SAFETY: By the invariants, `next` is null or a node, which is not removed meanwhile by
            // this function's contract.
            let node = unsafe { next.as_ref() }?;
            next = node.younger.load(Relaxed);
            Some(&node.service)
        })
    }

    /// Adds a service.
    ///
    /// # Safety
    ///
    /// - Nobody else adds or removes services meanwhile.
    /// - Whoever removes it again keeps it until it was drained.
    pub(crate) unsafe fn add(&self, service: Arc<Service>) -> Result {
        let key = Key::from(service.id());
        let bucket = self.bucket(key);
        let node = KBox::new(
            Node {
                key,
                service,
                // INVARIANT: The rest of the list, which nobody else changes.
                next: Atomic::new(bucket.load(Relaxed)),
                older: Atomic::new(self.youngest.load(Relaxed)),
                younger: Atomic::new(ptr::null()),
                rcu: Opaque::uninit(),
            },
            GFP_KERNEL,
        )?;
        let node = KBox::into_raw(node).cast_const();
        // INVARIANT: In both lists. Who sees the node sees it initialised.
        bucket.store(node, Release);
        // SAFETY: By the invariants, the youngest is null or a node, which nobody removes.
        match unsafe { self.youngest.load(Relaxed).as_ref() } {
            Some(youngest) => youngest.younger.store(node, Relaxed),
            None => self.oldest.store(node, Relaxed),
        }
        self.youngest.store(node, Relaxed);
        Ok(())
    }

    /// Removes a service. Returns whether it was there.
    ///
    /// # Safety
    ///
    /// Nobody else adds or removes services meanwhile.
    pub(crate) unsafe fn remove(&self, service: &Arc<Service>) -> bool {
        let mut link = self.bucket(service.id().into());
        loop {
            let found = link.load(Relaxed);
            // SAFETY: By the invariants, `found` is null or a node, which nobody else removes.
            let Some(node) = (unsafe { found.as_ref() }) else {
                return false;
            };
            if Arc::ptr_eq(&node.service, service) {
                // INVARIANT: The rest of the list. `node` still leads there, for those who are
                // looking at it.
                link.store(node.next.load(Relaxed), Release);
                self.forget_age_of(node);
                // SAFETY: The node is not reachable any more, so that only we use `rcu`; and those
                // who are looking at the node have a grace period to go on. `free` is there until
                // `Table::wait_for_frees`.
                unsafe { bindings::call_rcu(node.rcu.get(), Some(free)) };
                return true;
            }
            link = &node.next;
        }
    }

    /// Takes a node, which is being removed, from the list by age.
    fn forget_age_of(&self, node: &Node) {
        let (older, younger) = (node.older.load(Relaxed), node.younger.load(Relaxed));
        // SAFETY: By the invariants, both are null or nodes, which nobody else removes meanwhile.
        let (before, after) = unsafe { (older.as_ref(), younger.as_ref()) };
        // INVARIANT: Those on both sides, or the ends, lead to each other.
        before
            .map_or(&self.oldest, |before| &before.younger)
            .store(younger, Relaxed);
        after
            .map_or(&self.youngest, |after| &after.older)
            .store(older, Relaxed);
    }

    /// Waits until everything that was removed was freed. May sleep.
    pub(crate) fn wait_for_frees() {
        grace::rcu_barrier();
    }
}

/// Reads a link as `rcu_dereference()` does: one load, which what is read through it depends on.
///
/// An atomic load is a call into a C helper, which would be the most of a look-up. But where the
/// kernel is optimised as a whole, C's `READ_ONCE()` does not trust in that dependence either.
#[inline(always)]
fn dereference(link: &Atomic<*const Node>) -> *const Node {
    if cfg!(CONFIG_LTO) {
        return link.load(Acquire);
    }
    // SAFETY: The link is valid for reads.
    unsafe { link.as_ptr().read_volatile() }
}

/// Frees a node, in softirq or in a kernel thread. Does not sleep.
///
/// # Safety
///
/// Must only be called by RCU, for a node that was removed.
unsafe extern "C" fn free(head: *mut bindings::callback_head) {
    let rcu = Opaque::cast_from(head).cast_mut();
    // SAFETY: By this function's contract `head` is in a node.
    let node = unsafe { kernel::container_of!(rcu, Node, rcu) };
    // SAFETY: By the node's invariants it came from a `KBox`; nobody uses it any more.
    drop(unsafe { KBox::from_raw(node) });
}
