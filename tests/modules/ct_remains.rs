// SPDX-License-Identifier: GPL-2.0

//! `ct_remains`: goes while what it left still runs, and leaves more meanwhile.
//!
//! Nothing that it makes is ever dropped. The data of a message to `32:1` say what to do:
//!
//! - `circle`: leave `32:2` registered, and a watch that its observer owns, which leaves `32:4`
//!   registered when it is dropped.
//! - `heir`: leave a watch too, whose observer leaves `32:3` registered when it is told that `32:2`
//!   is not any more.
//! - `again`: answer `in`, wait until `32:1` is taken away, and leave it registered once more.
//! - `late`: answer `in`, wait until `32:1` is taken away, and leave a watch as with `heir`.
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
    Registration,
    Sender, //
};
use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
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

/// Returns when `32:1` can be registered, with that.
fn when_taken_away() -> Registration<Breeder> {
    loop {
        let left = Atomic::new(0);
        if let Ok(registration) = Registration::new(id(1), c"ct_remains again", Breeder { left }) {
            return registration;
        }
        fsleep(Delta::from_millis(1));
    }
}

impl Handler for Breeder {
    fn handle(&self, message: &Message<'_>, sender: &Sender<'_>) {
        match message.data() {
            what @ (b"circle" | b"heir") => {
                let _ = Circle::leave();
                if what == b"heir" {
                    let _ = Heir::leave();
                }
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
                forget(when_taken_away());
            }
            b"late" => {
                let _ = sender.reply(message, b"in");
                drop(when_taken_away());
                let _ = Heir::leave();
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
            let left = Atomic::new(0);
            forget(Registration::new(
                id(3),
                c"ct_remains heir",
                Breeder { left },
            ));
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
        let left = Atomic::new(0);
        forget(Registration::new(
            id(4),
            c"ct_remains circle",
            Breeder { left },
        ));
    }
}

struct Module;

impl kernel::Module for Module {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        Breeder::leave()?;
        Ok(Self)
    }
}
