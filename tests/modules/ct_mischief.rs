// SPDX-License-Identifier: GPL-2.0

//! `ct_mischief`: does with registrations whatever safe code can.
//!
//! A message to `31:1` names a scheme, one of [`SCHEMES`]; the answer is `done`, or the error. What
//! a scheme registers answers with the `val` of its own id, so that a call that ends at another
//! handler, or in memory that was freed, shows.

#![forbid(unsafe_code)]

use core::{
    mem::{
        self,
        size_of,
        MaybeUninit, //
    },
    ptr,
};

use connector::{
    changes::{
        Observer,
        Watch, //
    },
    send,
    send_filtered,
    wire::notify::Change,
    Batch,
    Broadcaster,
    Capability,
    CbId,
    Destination,
    Group,
    Handler,
    Message,
    OutMessage,
    Registration,
    SendError,
    Sender, //
};
use kernel::{
    alloc::flags::{
        __GFP_HIGHMEM,
        __GFP_ZERO, //
    },
    fmt, impl_has_hr_timer, new_mutex, new_spinlock,
    prelude::*,
    sync::{
        atomic::{
            Acquire,
            Atomic,
            Full,
            Release, //
        },
        Arc,
        ArcBorrow,
        Mutex,
        SetOnce,
        SpinLock, //
    },
    time::{
        delay::fsleep,
        hrtimer::{
            HrTimer,
            HrTimerCallback,
            HrTimerCallbackContext,
            HrTimerPointer,
            HrTimerRestart,
            RelativeHardMode, //
        },
        Delta,
        Monotonic, //
    },
};

module! {
    type: Module,
    name: "ct_mischief",
    authors: ["The rust_connector authors"],
    description: "Test: what safe code can do to registrations",
    license: "GPL",
}

type Shelf = Mutex<KVec<Registration<Numbered>>>;

/// What the module never drops.
static KEPT: SetOnce<Pin<KBox<Shelf>>> = SetOnce::new();

const fn id(val: u32) -> CbId {
    CbId { idx: 31, val }
}

/// Answers with the `val` of its id.
struct Numbered(u32);

impl Handler for Numbered {
    fn handle(&self, message: &Message<'_>, sender: &Sender<'_>) {
        let _ = sender.reply(message, &self.0.to_ne_bytes());
    }
}

fn numbered(val: u32) -> Result<Registration<Numbered>> {
    Registration::new(id(val), c"ct_mischief numbered", Numbered(val))
}

/// A handler that owns the registration of another one, which owns that of the next. It registers
/// one more when it is dropped.
struct Nest {
    val: u32,
    _inner: Option<Registration<Nest>>,
}

impl Nest {
    const DEPTH: u32 = 4;

    /// Registers `val` and those above it.
    fn new(val: u32) -> Result<Registration<Self>> {
        let inner = match val {
            _ if val + 1 < 20 + Self::DEPTH => Some(Self::new(val + 1)?),
            _ => None,
        };
        let nest = Self { val, _inner: inner };
        Registration::new(id(val), c"ct_mischief nest", nest)
    }
}

impl Handler for Nest {
    fn handle(&self, message: &Message<'_>, sender: &Sender<'_>) {
        let _ = sender.reply(message, &self.val.to_ne_bytes());
    }
}

impl Drop for Nest {
    fn drop(&mut self) {
        // Its own id is free by now, for a short while.
        drop(numbered(self.val));
        drop(numbered(24));
    }
}

/// What the module's parts share: locks that are taken by everything of it that the crate calls.
#[pin_data]
struct Shared {
    #[pin]
    lock: Mutex<u32>,
    /// For what must not sleep.
    #[pin]
    spin: SpinLock<u32>,
    /// Whether the scheme that goes on for as long as it is wanted shall end.
    stop: Atomic<u32>,
    /// How many times the director has begun to show itself.
    shown: Atomic<u32>,
}

impl Shared {
    fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            lock <- new_mutex!(0),
            spin <- new_spinlock!(0),
            stop: Atomic::new(0),
            shown: Atomic::new(0),
        })
    }

    /// Sleeps a little. Returns whether to go on; what said no is used up then.
    fn is_wanted(&self) -> bool {
        fsleep(Delta::from_micros(100));
        self.stop.xchg(0, Full) == 0
    }

    fn count(&self) {
        *self.lock.lock() += 1;
    }
}

/// A handler, and an observer, that takes the lock in everything it does.
struct Part {
    shared: Arc<Shared>,
}

impl Part {
    fn new(shared: Arc<Shared>) -> impl Init<Self> {
        init!(Self {
            shared: {
                shared.count();
                shared
            },
        })
    }
}

impl Handler for Part {
    fn handle(&self, message: &Message<'_>, sender: &Sender<'_>) {
        self.shared.count();
        let _ = sender.reply(message, b"part");
    }
}

impl Observer for Part {
    fn changed(&self, changed: CbId, change: Change) {
        self.shared.count();
        if changed == id(30) && change == Change::Registered {
            drop(numbered(29));
        }
    }

    fn lost(&self, _count: u64) {
        self.shared.count();
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.shared.count();
    }
}

/// An observer that ends its own watch, and registers something while it does.
#[pin_data]
struct Ender {
    shared: Arc<Shared>,
    #[pin]
    watch: Mutex<Option<Watch<Ender>>>,
}

impl Observer for Ender {
    fn changed(&self, _id: CbId, _change: Change) {
        self.shared.count();
        let watch = self.watch.lock().take();
        if watch.is_some() {
            drop(numbered(29));
        }
        drop(watch);
    }

    fn lost(&self, _count: u64) {}
}

type Scheme = fn(&Arc<Shared>) -> Result;

/// All schemes by name.
const SCHEMES: [(&[u8], Scheme); 14] = [
    (b"stop", stop),
    (b"swap", swap),
    (b"replace", replace),
    (b"uninit", uninit),
    (b"keep", keep),
    (b"boxes", boxes),
    (b"nest", nest),
    (b"lock", lock),
    (b"locks", locks),
    (b"observe", observe),
    (b"end", end),
    (b"filter", filter),
    (b"flags", flags),
    (b"interrupt", interrupt),
];

fn stop(shared: &Arc<Shared>) -> Result {
    shared.stop.store(1, Release);
    Ok(())
}

/// Swaps what two boxes hold that are pinned, and what two variables hold.
fn swap(shared: &Arc<Shared>) -> Result {
    let mut a = KBox::pin(numbered(10)?, GFP_KERNEL)?;
    let mut b = KBox::pin(numbered(11)?, GFP_KERNEL)?;
    let (mut c, mut d) = (numbered(12)?, numbered(13)?);
    while shared.is_wanted() {
        for _ in 0..100 {
            mem::swap(&mut *a, &mut *b);
            mem::swap(&mut c, &mut d);
            mem::swap(&mut *a, &mut d);
        }
    }
    // Each still has the handler that it was made with.
    let whole = [&*a, &*b, &c, &d]
        .iter()
        .all(|registration| registration.handler().0 == registration.id().val);
    whole.then_some(()).ok_or(EFAULT)
}

/// Moves registrations through vectors that grow, and replaces one by the next.
fn replace(shared: &Arc<Shared>) -> Result {
    let mut moved = KVec::new();
    let mut a = numbered(10)?;
    let mut other = None;
    while shared.is_wanted() {
        let mut next = KVec::new();
        for val in 11..14 {
            match moved.pop() {
                Some(registration) => next.push(registration, GFP_KERNEL)?,
                None => next.push(numbered(val)?, GFP_KERNEL)?,
            }
        }
        moved = next;
        // 14 and 15 take turns, so that there is always one of them.
        let val = if other
            .as_ref()
            .is_some_and(|r: &Registration<_>| r.id() == id(14))
        {
            15
        } else {
            14
        };
        drop(other.replace(numbered(val)?));
        if let Some(last) = moved.last_mut() {
            mem::swap(&mut a, last);
        }
    }
    Ok(())
}

/// Frees memory with a registration in it that is not dropped, and has others use that memory.
fn uninit(_shared: &Arc<Shared>) -> Result {
    const SIZE: usize = size_of::<Registration<Numbered>>();
    drop(KBox::new(MaybeUninit::new(numbered(16)?), GFP_KERNEL)?);
    let pinned = KBox::pin(MaybeUninit::new(numbered(17)?), GFP_KERNEL)?;
    drop(pinned);
    let mut others = KVec::new();
    for _ in 0..500 {
        others.push(KBox::new([0xa5u8; SIZE], GFP_KERNEL)?, GFP_KERNEL)?;
    }
    Ok(())
}

/// Leaves one in the module's static data.
fn keep(_shared: &Arc<Shared>) -> Result {
    if KEPT.as_ref().is_none() {
        KEPT.populate(KBox::pin_init(new_mutex!(KVec::new()), GFP_KERNEL)?);
    }
    let kept = KEPT.as_ref().ok_or(EINVAL)?;
    kept.lock().push(numbered(18)?, GFP_KERNEL)?;
    Ok(())
}

/// Leaks a box in a box, gets what is in there back through the reference, and leaves another one.
fn boxes(_shared: &Arc<Shared>) -> Result {
    let leaked = KBox::leak(KBox::new(
        KBox::new(numbered(26)?, GFP_KERNEL)?,
        GFP_KERNEL,
    )?);
    let got = mem::replace(&mut **leaked, numbered(27)?);
    drop(got);
    Ok(())
}

/// Drops a handler that owns the registrations of others.
fn nest(_shared: &Arc<Shared>) -> Result {
    drop(Nest::new(20)?);
    Ok(())
}

/// Holds the lock that `show()` takes until that has begun, and then unregisters something.
fn lock(shared: &Arc<Shared>) -> Result {
    let mut held = shared.lock.lock();
    // Before the id is there, which is what the test waits for to have something shown.
    let before = shared.shown.load(Acquire);
    let registration = numbered(25)?;
    while shared.shown.load(Acquire) == before && shared.is_wanted() {}
    drop(registration);
    *held += 1;
    Ok(())
}

/// Holds the lock while it registers and unregisters what takes it, but not while it waits for
/// that: so with handlers, initialisers, and what is dropped.
fn locks(shared: &Arc<Shared>) -> Result {
    for _ in 0..20 {
        let held = shared.lock.lock();
        let part = Registration::new(
            id(28),
            c"ct_mischief part",
            Part {
                shared: shared.clone(),
            },
        )?;
        drop(numbered(29)?);
        drop(held);
        drop(part);
        let name = c"ct_mischief part";
        drop(Registration::new(id(28), name, Part::new(shared.clone()))?);
    }
    Ok(())
}

/// The same with an observer.
fn observe(shared: &Arc<Shared>) -> Result {
    for _ in 0..5 {
        let held = shared.lock.lock();
        let watch = Watch::new(Arc::new(
            Part {
                shared: shared.clone(),
            },
            GFP_KERNEL,
        )?)?;
        let seen = numbered(30)?;
        drop(held);
        watch.flush();
        let held = shared.lock.lock();
        drop(seen);
        drop(held);
        drop(watch);
    }
    Ok(())
}

/// Has observers end their own watches; the lock, which they take, is held while others begin.
fn end(shared: &Arc<Shared>) -> Result {
    for _ in 0..5 {
        let ender = pin_init!(Ender {
            shared: shared.clone(),
            watch <- new_mutex!(None),
        });
        let ender = Arc::pin_init(ender, GFP_KERNEL)?;
        let held = shared.lock.lock();
        let watch = Watch::new(ender.clone())?;
        drop(held);
        *ender.watch.lock() = Some(watch);
        drop(numbered(30)?);
        // The watch refers to the observer, which has the watch until it is told.
        while ender.watch.lock().is_some() {
            fsleep(Delta::from_micros(100));
        }
    }
    Ok(())
}

/// Filters that take a lock under which something is sent, and that send.
fn filter(shared: &Arc<Shared>) -> Result {
    let group = Group::new(32).ok_or(EINVAL)?;
    let message = OutMessage::new(id(1), b"filtered");
    let to_group = Destination::Group(group);
    let nobody = |result: Result<(), SendError>| match result {
        Err(SendError::NoListeners) => Ok(()),
        other => other,
    };
    for _ in 0..20 {
        let held = shared.spin.lock();
        nobody(send(&message, to_group, GFP_ATOMIC))?;
        drop(held);
        let mut sent = Ok(());
        nobody(send_filtered(&message, group, GFP_KERNEL, |_| {
            *shared.spin.lock() += 1;
            sent = nobody(send(&message, to_group, GFP_ATOMIC));
            false
        }))?;
        sent?;
    }
    Ok(())
}

/// Sends with allocation flags that make no difference, or would crash the allocator.
fn flags(_shared: &Arc<Shared>) -> Result {
    let group = Destination::Group(Group::new(32).ok_or(EINVAL)?);
    let large = KVec::from_elem(0, 10_000, GFP_KERNEL)?;
    for flags in [GFP_KERNEL | __GFP_HIGHMEM, !__GFP_ZERO] {
        for data in [&large[..10], &large[..500], &large] {
            let message = OutMessage::new(id(1), data);
            send(&message, group, flags)?;
            let mut batch = Batch::new();
            batch.push(&message, flags)?;
            batch.reserve(Batch::MAX_SIZE, flags)?;
        }
    }
    Ok(())
}

/// Sends in an interrupt.
#[pin_data]
struct Interrupt {
    broadcaster: Broadcaster,
    /// How many ways of sending said that interrupts are off, plus 1 when it is over.
    refused: Atomic<u32>,
    #[pin]
    timer: HrTimer<Self>,
}

impl HrTimerCallback for Interrupt {
    type Pointer<'a> = Arc<Self>;

    fn run(this: ArcBorrow<'_, Self>, _: HrTimerCallbackContext<'_, Self>) -> HrTimerRestart {
        let message = OutMessage::new(id(1), b"interrupt");
        let mut refused = 1;
        let mut count = |result| refused += u32::from(result == Err(SendError::InterruptsOff));
        count(this.broadcaster.send(b"interrupt"));
        count(send(&message, Destination::Registered, GFP_ATOMIC));
        count(connector::send_multi(
            &Batch::new(),
            Destination::Registered,
            GFP_ATOMIC,
        ));
        if let Some(group) = Group::new(32) {
            count(send(&message, Destination::Group(group), GFP_ATOMIC));
            count(send_filtered(&message, group, GFP_ATOMIC, |_| true));
        }
        this.refused.store(refused, Release);
        HrTimerRestart::NoRestart
    }
}

impl_has_hr_timer! {
    impl HasHrTimer<Self> for Interrupt {
        mode: RelativeHardMode<Monotonic>, field: self.timer
    }
}

fn interrupt(_shared: &Arc<Shared>) -> Result {
    let broadcaster = Broadcaster::new(id(1))?;
    let interrupt = pin_init!(Interrupt {
        broadcaster,
        refused: Atomic::new(0),
        timer <- HrTimer::new(),
    });
    let interrupt = Arc::pin_init(interrupt, GFP_KERNEL)?;
    let started = interrupt.clone().start(Delta::from_micros(100));
    while interrupt.refused.load(Acquire) == 0 {
        fsleep(Delta::from_micros(100));
    }
    drop(started);
    let refused = interrupt.refused.load(Acquire);
    (refused == 6).then_some(()).ok_or(ERANGE)
}

/// What a message and its sender say.
fn facts(message: &Message<'_>, sender: &Sender<'_>) -> impl PartialEq {
    (
        message.header(),
        (
            sender.portid(),
            ptr::from_ref(sender.socket()),
            sender.pid(),
        ),
        (sender.uid().into_raw().val, sender.gid().into_raw().val),
        (
            sender.capable(Capability::NET_ADMIN),
            sender.capable(Capability::SYS_ADMIN),
        ),
    )
}

/// Replies with all of the data, with all of them again, and with half of them; and then whether
/// message and sender say the same as before.
fn reply_thrice(message: &Message<'_>, sender: &Sender<'_>) -> Result {
    let mut copy = KVec::new();
    let data = message.data();
    copy.extend_from_slice(data, GFP_KERNEL)?;
    let before = facts(message, sender);
    let half = data.get(..data.len() / 2).ok_or(EINVAL)?;
    let mut same = true;
    for reply in [data, data, half] {
        sender.reply(message, reply)?;
        same &= before == facts(message, sender) && *copy == *message.data();
    }
    sender.reply(message, if same { b"same" } else { b"changed" })?;
    Ok(())
}

/// Carries out the schemes.
struct Director(Arc<Shared>);

impl Handler for Director {
    fn handle(&self, message: &Message<'_>, sender: &Sender<'_>) {
        if message.data().starts_with(b"reply") {
            let _ = reply_thrice(message, sender);
            return;
        }
        let named = |(name, _): &&(&[u8], Scheme)| *name == message.data();
        let result = SCHEMES
            .iter()
            .find(named)
            .ok_or(EINVAL)
            .and_then(|(_, scheme)| scheme(&self.0));
        let _ = match result {
            Ok(()) => sender.reply(message, b"done"),
            Err(error) => {
                let name = error.name().map_or(&b"?"[..], |name| name.to_bytes());
                sender.reply(message, name)
            }
        };
    }

    /// Registers something, and takes the lock.
    fn show(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.shown.fetch_add(1, Full);
        drop(numbered(19));
        let count = *self.0.lock.lock();
        f.write_fmt(fmt!("count {count}\n"))
    }
}

struct Module {
    _director: Registration<Director>,
}

impl kernel::Module for Module {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let director = Director(Arc::pin_init(Shared::new(), GFP_KERNEL)?);
        Ok(Self {
            _director: Registration::new(id(1), c"ct_mischief", director)?,
        })
    }
}
