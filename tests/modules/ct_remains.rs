// SPDX-License-Identifier: GPL-2.0

//! `ct_remains`: goes while what it left still runs, and would leave more meanwhile, if it could. The
//! kernel log says what was refused.
//!
//! Nothing that it makes is ever dropped. The data of a message to `32:1` say what to do:
//!
//! - `heir`: leave `32:2` registered; a watch that its observer owns, which leaves `32:4` registered when
//!   it is dropped; and one whose observer leaves `32:3` registered when it is told that `32:2` is not any
//!   more.
//! - `again`: answer `in`, wait until `32:1` is taken away, and leave it registered once more.
//! - `late`: answer `in`, wait until `32:1` is taken away, and leave a watch as with `heir`.
//! - `tick`: leave a periodic task, which waits until `32:1` is taken away, and leaves `32:5` registered.
//! - `phoenix`: leave a periodic task and a watch, each of which leaves one like itself when it is dropped.
//! - anything else: leave another id registered, and answer with how many there are.

#![forbid(unsafe_code)]

use core::mem::forget;

use connector::{
    changes::{
        Observer,
        Watch, //
    },
    wire::notify::Change,
    CbId,
    Handler,
    Message,
    Periodic,
    Registration,
    Sender, //
};
use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        atomic::{
            Acquire,
            Atomic,
            Relaxed,
            Release, //
        },
        Arc,
        Mutex, //
    },
    time::{
        delay::fsleep,
        Delta, //
    },
};

module! {
    type: Module,
    name: "ct_remains",
    authors: ["The rust_connector authors"],
    description: "Test: what still runs while its module goes",
    license: "GPL",
}

const fn id(val: u32) -> CbId {
    CbId { idx: 32, val }
}

/// Leaves what was made, or says what could not be, because the module goes.
fn leave<T>(what: &str, made: Result<T>) {
    match made {
        Ok(made) => forget(made),
        Err(error) if error == ENODEV => pr_info!("refused {what}\n"),
        Err(error) => pr_err!("{what}: {error:?}\n"),
    }
}

/// Takes no memory: what a kernel thread leaks would be taken for a leak of the crate's.
struct Mute;

impl Handler for Mute {
    fn handle(&self, _message: &Message<'_>, _sender: &Sender<'_>) {}
}

/// Leaves an id registered.
fn leave_id(what: &str, val: u32) {
    leave(what, Registration::new(id(val), c"ct_remains left", Mute));
}

/// Does what it is told.
struct Breeder {
    /// How many ids were left registered.
    left: Atomic<u32>,
}

impl Breeder {
    const MOST: u32 = 100;

    fn leave() -> Result {
        let left = Atomic::new(0);
        forget(Registration::new(id(1), c"ct_remains", Self { left })?);
        Ok(())
    }

    /// Registers an id of its own with another one like this.
    fn breed(&self) -> Result<u32> {
        let number = self.left.fetch_add(1, Relaxed);
        if number < Self::MOST {
            let left = Atomic::new(Self::MOST);
            forget(Registration::new(
                id(100 + number),
                c"ct_remains bred",
                Self { left },
            )?);
        }
        Ok(number)
    }
}

/// Returns when `32:1` is not taken any more: with that, or with the reason why it cannot be had.
fn when_taken_away() -> Result<Registration<Breeder>> {
    loop {
        let left = Atomic::new(0);
        match Registration::new(id(1), c"ct_remains again", Breeder { left }) {
            Err(error) if error == EINVAL => fsleep(Delta::from_millis(1)),
            other => return other,
        }
    }
}

impl Handler for Breeder {
    fn handle(&self, message: &Message<'_>, sender: &Sender<'_>) {
        match message.data() {
            b"heir" => {
                let _ = Circle::leave();
                let _ = Heir::leave();
                let left = Atomic::new(0);
                forget(Registration::new(
                    id(2),
                    c"ct_remains watched",
                    Self { left },
                ));
                let _ = sender.reply(message, b"done");
            }
            b"again" => {
                let _ = sender.reply(message, b"in");
                leave("32:1", when_taken_away());
            }
            b"late" => {
                let _ = sender.reply(message, b"in");
                drop(when_taken_away());
                leave("a watch", Heir::leave());
            }
            b"tick" => {
                let called = Arc::new(Atomic::new(false), GFP_KERNEL);
                let Ok(called) = called else { return };
                let caller = called.clone();
                let ticking = Periodic::new(Delta::from_millis(1), move || {
                    caller.store(true, Release);
                    while Registration::new(id(1), c"ct_remains tick", Mute)
                        .is_err_and(|e| e == EINVAL)
                    {
                        fsleep(Delta::from_millis(1));
                    }
                    leave_id("32:5", 5);
                });
                leave("a periodic task", ticking);
                while !called.load(Acquire) {
                    fsleep(Delta::from_millis(1));
                }
                let _ = sender.reply(message, b"done");
            }
            b"phoenix" => {
                Phoenix::rise();
                Ashes::rise();
                let _ = sender.reply(message, b"done");
            }
            _ => {
                if let Ok(number) = self.breed() {
                    let _ = sender.reply(message, &number.to_ne_bytes());
                }
            }
        }
    }
}

/// Leaves something when it is told that something went.
struct Heir;

impl Heir {
    fn leave() -> Result {
        forget(Watch::new(Arc::new(Self, GFP_KERNEL)?)?);
        Ok(())
    }
}

impl Observer for Heir {
    fn changed(&self, changed: CbId, change: Change) {
        if (changed, change) == (id(2), Change::Unregistered) {
            leave_id("32:3", 3);
        }
    }

    fn lost(&self, _count: u64) {}
}

/// Has the watch that it is the observer of, so that nobody else drops it.
struct Circle {
    watch: Pin<KBox<Mutex<Option<Watch<Self>>>>>,
}

impl Circle {
    fn leave() -> Result {
        let watch = KBox::pin_init(new_mutex!(None), GFP_KERNEL)?;
        let circle = Arc::new(Self { watch }, GFP_KERNEL)?;
        *circle.watch.lock() = Some(Watch::new(circle.clone())?);
        Ok(())
    }
}

impl Observer for Circle {
    fn changed(&self, _id: CbId, _change: Change) {}

    fn lost(&self, _count: u64) {}
}

impl Drop for Circle {
    fn drop(&mut self) {
        leave_id("32:4", 4);
    }
}

/// What the closure of a periodic task has, and makes the next one of when it is dropped.
struct Phoenix;

impl Phoenix {
    fn rise() {
        let next = Self;
        let task = Periodic::new(Delta::from_secs(1), move || {
            let _ = &next;
        });
        leave("a periodic task", task);
    }
}

impl Drop for Phoenix {
    fn drop(&mut self) {
        Self::rise();
    }
}

/// The same as an observer.
struct Ashes;

impl Ashes {
    fn rise() {
        leave(
            "a watch",
            Arc::new(Self, GFP_KERNEL)
                .map_err(Into::into)
                .and_then(Watch::new),
        );
    }
}

impl Observer for Ashes {
    fn changed(&self, _id: CbId, _change: Change) {}

    fn lost(&self, _count: u64) {}
}

impl Drop for Ashes {
    fn drop(&mut self) {
        Self::rise();
    }
}

struct Module;

impl kernel::Module for Module {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        Breeder::leave()?;
        Ok(Self)
    }
}
