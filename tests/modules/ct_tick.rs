// SPDX-License-Identifier: GPL-2.0

//! What safe code does with `Periodic` and `Broadcaster`: closures that are moved, swapped, lost, end
//! themselves, make others, and are dropped while they run. Asked at `{26,1}` with the name of a
//! scheme, it answers "done" or an error's name.

#![forbid(unsafe_code)]

use core::mem::{
    self,
    MaybeUninit, //
};

use connector::{
    Broadcaster,
    CbId,
    Handler,
    Message,
    Periodic,
    Registration,
    SendError,
    Sender, //
};
use kernel::{
    fmt, impl_has_hr_timer, new_mutex, new_spinlock,
    prelude::*,
    sync::{
        atomic::{
            Acquire,
            Atomic,
            Full,
            Relaxed, //
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
            RelativeSoftMode, //
        },
        Delta,
        Monotonic, //
    },
};

module! {
    type: Module,
    name: "ct_tick",
    authors: ["The rust_connector authors"],
    description: "Test: what safe code does with Periodic and Broadcaster",
    license: "GPL",
}

const fn id(val: u32) -> CbId {
    CbId { idx: 26, val }
}

const PERIOD: Delta = Delta::from_millis(1);

/// Left in the module's static data.
static KEPT: SetOnce<Periodic> = SetOnce::new();

/// What closures count, and own: `dropped` tells that one was dropped, and with it what it owned.
#[pin_data]
struct Shared {
    calls: Atomic<u32>,
    /// How many run at a time, and whether there ever were two.
    inside: Atomic<u32>,
    overlaps: Atomic<u32>,
    dropped: Atomic<u32>,
    #[pin]
    tick: Mutex<Option<Periodic>>,
    #[pin]
    spin: SpinLock<()>,
}

impl Shared {
    fn new() -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                calls: Atomic::new(0),
                inside: Atomic::new(0),
                overlaps: Atomic::new(0),
                dropped: Atomic::new(0),
                tick <- new_mutex!(None),
                spin <- new_spinlock!(()),
            }),
            GFP_KERNEL,
        )
    }

    fn call(&self) {
        if self.inside.fetch_add(1, Full) != 0 {
            self.overlaps.add(1, Relaxed);
        }
        self.calls.add(1, Relaxed);
        self.inside.fetch_sub(1, Full);
    }

    fn calls(&self) -> u32 {
        self.calls.load(Acquire)
    }

    fn wait_for_call(&self) {
        let before = self.calls();
        while self.calls() == before {
            fsleep(Delta::from_micros(100));
        }
    }
}

/// In a closure; counts that it was dropped. Has memory of its own, which a call after that would
/// find freed.
struct Canary {
    shared: Arc<Shared>,
    word: KBox<u32>,
}

impl Canary {
    const WORD: u32 = 0x600d_b105;

    fn new(shared: &Arc<Shared>) -> Result<Self> {
        Ok(Self {
            shared: shared.clone(),
            word: KBox::new(Self::WORD, GFP_KERNEL)?,
        })
    }

    fn sing(&self) {
        if *self.word != Self::WORD {
            pr_err!("BUG: a closure is called whose memory is gone\n");
        }
        self.shared.call();
    }
}

impl Drop for Canary {
    fn drop(&mut self) {
        *self.word = 0;
        self.shared.dropped.add(1, Relaxed);
    }
}

fn ticking(shared: &Arc<Shared>) -> Result<Periodic> {
    let canary = Canary::new(shared)?;
    Periodic::new(PERIOD, move || canary.sing())
}

fn expect(is_so: bool) -> Result {
    is_so.then_some(()).ok_or(EFAULT)
}

/// After a drop there is no call, and the closure is gone.
fn ends() -> Result {
    for _ in 0..20 {
        let shared = Shared::new()?;
        let tick = ticking(&shared)?;
        shared.wait_for_call();
        drop(tick);
        let calls = shared.calls();
        expect(shared.dropped.load(Relaxed) == 1)?;
        fsleep(Delta::from_millis(5));
        expect(shared.calls() == calls && shared.overlaps.load(Relaxed) == 0)?;
    }
    Ok(())
}

/// Dropped at once, and while it runs: the drop waits.
fn running() -> Result {
    for _ in 0..20 {
        // This one may have been called, or not.
        let soon = Shared::new()?;
        drop(ticking(&soon)?);
        expect(soon.dropped.load(Relaxed) == 1)?;
        let shared = Shared::new()?;
        let canary = Canary::new(&shared)?;
        let tick = Periodic::new(PERIOD, move || {
            canary.sing();
            fsleep(Delta::from_millis(10));
            canary.sing();
        })?;
        shared.wait_for_call();
        drop(tick);
        expect(shared.calls() % 2 == 0 && shared.dropped.load(Relaxed) == 1)?;
    }
    Ok(())
}

/// Moved and swapped while they run, in boxes that are pinned, too.
fn moves() -> Result {
    let (one, two) = (Shared::new()?, Shared::new()?);
    let mut a = KBox::pin(ticking(&one)?, GFP_KERNEL)?;
    let mut b = ticking(&two)?;
    for _ in 0..10 {
        mem::swap(&mut *a, &mut b);
        one.wait_for_call();
        two.wait_for_call();
    }
    drop(a);
    expect(one.dropped.load(Relaxed) + two.dropped.load(Relaxed) == 1)?;
    drop(b);
    expect(one.dropped.load(Relaxed) + two.dropped.load(Relaxed) == 2)
}

/// A closure that drops its own, and makes another one that does.
fn own() -> Result {
    for _ in 0..10 {
        let shared = Shared::new()?;
        let canary = Canary::new(&shared)?;
        let held = shared.tick.lock();
        let tick = Periodic::new(PERIOD, move || {
            // The last call, though the closure goes on.
            drop(canary.shared.tick.lock().take());
            drop(ticking(&canary.shared));
            canary.sing();
        })?;
        let mut held = held;
        *held = Some(tick);
        drop(held);
        // The one that was made in there, and the closure itself.
        while shared.dropped.load(Acquire) < 2 {
            fsleep(Delta::from_micros(100));
        }
        let calls = shared.calls();
        fsleep(Delta::from_millis(5));
        expect(shared.calls() == calls)?;
    }
    Ok(())
}

/// A closure that drops another one's, which runs, and registers something.
fn other() -> Result {
    for _ in 0..10 {
        let (one, two) = (Shared::new()?, Shared::new()?);
        *one.tick.lock() = Some(ticking(&two)?);
        two.wait_for_call();
        let canary = Canary::new(&one)?;
        let tick = Periodic::new(PERIOD, move || {
            drop(canary.shared.tick.lock().take());
            drop(Registration::new(id(2), c"ct_tick other", Nothing));
            canary.sing();
        })?;
        one.wait_for_call();
        one.wait_for_call();
        expect(two.dropped.load(Relaxed) == 1)?;
        drop(tick);
    }
    Ok(())
}

/// Periods that are no periods.
fn periods() -> Result {
    let shared = Shared::new()?;
    for period in [Delta::from_secs(-1), Delta::ZERO, Delta::from_nanos(1)] {
        let canary = Canary::new(&shared)?;
        let tick = Periodic::new(period, move || canary.sing())?;
        shared.wait_for_call();
        drop(tick);
    }
    let calls = shared.calls();
    let canary = Canary::new(&shared)?;
    drop(Periodic::new(Delta::from_secs(i64::MAX), move || {
        canary.sing()
    })?);
    expect(shared.calls() == calls && shared.dropped.load(Relaxed) == 4)
}

/// Left for the module's end: lost, in memory that is not dropped, in a cycle, in static data.
fn leave() -> Result {
    let shared = Shared::new()?;
    mem::forget(ticking(&shared)?);
    drop(KBox::new(MaybeUninit::new(ticking(&shared)?), GFP_KERNEL)?);
    KEPT.populate(ticking(&shared)?);
    // The closure owns what owns it.
    let canary = Canary::new(&shared)?;
    *shared.tick.lock() = Some(Periodic::new(PERIOD, move || canary.sing())?);
    shared.wait_for_call();
    Ok(())
}

/// Broadcasts from tasks and from a timer's softirq at a time, each counted once and in order.
fn broadcast() -> Result {
    let broadcaster = Arc::new(Broadcaster::new(id(1))?, GFP_KERNEL)?;
    let timer = Arc::pin_init(Timer::new(broadcaster.clone()), GFP_KERNEL)?;
    let timer = timer.start(Delta::from_millis(1));
    let mut ticks = KVec::new();
    for _ in 0..3 {
        let broadcaster = broadcaster.clone();
        let tick = Periodic::new(PERIOD, move || {
            for _ in 0..10 {
                let _ = broadcaster.send(b"task");
            }
        })?;
        ticks.push(tick, GFP_KERNEL)?;
    }
    for _ in 0..1000 {
        broadcaster.send(b"handler")?;
    }
    drop(ticks);
    drop(timer);
    // Under a lock, and what is too large.
    let shared = Shared::new()?;
    let held = shared.spin.lock();
    broadcaster.send(b"locked")?;
    drop(held);
    let large = KVec::from_elem(0u8, 65536, GFP_KERNEL)?;
    expect(broadcaster.send(&large) == Err(SendError::TooLarge))?;
    broadcaster.send(b"last")?;
    Ok(())
}

/// Which idx has a group.
fn groups() -> Result {
    // The kernel's own core has 32 groups, and ours 65536 at most.
    for idx in [0, 70000, u32::MAX] {
        expect(Broadcaster::new(CbId { idx, val: 1 }).err() == Some(EINVAL))?;
    }
    let message = connector::OutMessage::new(CbId { idx: 70000, val: 1 }, b"nobody");
    let to_own = connector::Destination::Registered;
    expect(connector::send(&message, to_own, GFP_KERNEL) == Err(SendError::NoGroup))?;
    let registration = Registration::new(message.id, c"ct_tick groupless", Nothing)?;
    expect(!registration.has_group())?;
    expect(connector::send(&message, to_own, GFP_KERNEL) == Err(SendError::NoGroup))?;
    let registration = Registration::new(id(3), c"ct_tick group", Nothing)?;
    expect(registration.has_group())
}

#[pin_data]
struct Timer {
    broadcaster: Arc<Broadcaster>,
    #[pin]
    timer: HrTimer<Self>,
}

impl Timer {
    fn new(broadcaster: Arc<Broadcaster>) -> impl PinInit<Self> {
        pin_init!(Self {
            broadcaster,
            timer <- HrTimer::new(),
        })
    }
}

impl HrTimerCallback for Timer {
    type Pointer<'a> = Arc<Self>;

    // Runs in softirq, because the timer's mode says so.
    fn run(
        this: ArcBorrow<'_, Self>,
        mut timer: HrTimerCallbackContext<'_, Self>,
    ) -> HrTimerRestart {
        let _ = this.broadcaster.send(b"softirq");
        timer.forward_now(Delta::from_millis(1));
        HrTimerRestart::Restart
    }
}

impl_has_hr_timer! {
    impl HasHrTimer<Self> for Timer {
        mode: RelativeSoftMode<Monotonic>, field: self.timer
    }
}

struct Nothing;

impl Handler for Nothing {
    fn handle(&self, _message: &Message<'_>, _sender: &Sender<'_>) {}
}

type Scheme = fn() -> Result;

/// All schemes by name.
const SCHEMES: [(&[u8], Scheme); 9] = [
    (b"ends", ends),
    (b"running", running),
    (b"moves", moves),
    (b"own", own),
    (b"other", other),
    (b"periods", periods),
    (b"leave", leave),
    (b"broadcast", broadcast),
    (b"groups", groups),
];

struct Director;

impl Director {
    /// Carries out a scheme; and replies in pieces, to what begins with "pieces".
    fn carry_out(&self, message: &Message<'_>, sender: &Sender<'_>) -> Result {
        if let Some(data) = message.data().strip_prefix(b"pieces") {
            let half = data.len() / 2;
            let (one, two) = data.split_at_checked(half).ok_or(EINVAL)?;
            sender.reply_slices(message, &[one, b"", two, b"end"])?;
            sender.reply_slices(message, &[])?;
            sender.reply_outcome(message, Ok(data))?;
            return Err(ENOENT);
        }
        let named = |(name, _): &&(&[u8], Scheme)| *name == message.data();
        let (_, scheme) = SCHEMES.iter().find(named).ok_or(EINVAL)?;
        scheme()
    }
}

impl Handler for Director {
    fn handle(&self, message: &Message<'_>, sender: &Sender<'_>) {
        let result = self.carry_out(message, sender);
        let _ = sender.reply_outcome(message, result.map(|()| &b"done"[..]));
    }

    fn show(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("schemes 9\n")
    }
}

struct Module {
    _director: Registration<Director>,
}

impl kernel::Module for Module {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        Ok(Self {
            _director: Registration::new(id(1), c"ct_tick", Director)?,
        })
    }
}
