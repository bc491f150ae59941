// SPDX-License-Identifier: GPL-2.0

//! `ct_watch`: watches ids, up to four times at once, and does in its observers what they may do.
//!
//! A message to `30:10` is a command: a letter, the number of a watch, and for `m` a letter more. It
//! is answered with an `i32`, 0 or a negative error number, and for `r` with what the watch was told.
//!
//! | command | what it does |
//! | --- | --- |
//! | `n` | makes the watch |
//! | `d`, `l` | drops it; leaks it |
//! | `f` | flushes it |
//! | `r` | returns what it was told: three numbers an event, see [`Told`] |
//! | `m` | has the observer do something at the next change, see [`Deed`] |
//! | `o` | lets the observer go on that waits |
//! | `b` | registers and unregisters `42:20` under a lock that the observers take for [`Deed::Lock`] |
//! | `i` | registers `42:30` and leaks the registration |

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
use core::mem::forget;
use kernel::{
    new_condvar,
    new_mutex,
    prelude::*,
    sync::{
        Arc,
        CondVar,
        Mutex, //
    },
    time::{
        delay::fsleep,
        Delta, //
    },
    transmute::AsBytes, //
};

module! {
    type: Module,
    name: "ct_watch",
    authors: ["The rust_connector authors"],
    description: "Test: watches of a kernel module",
    license: "GPL",
}

const WATCHES: usize = 4;

/// What an observer was told, as it is returned: `idx`, `val`, and 0 for came or 1 for went; the
/// number of lost changes, 0, and 2; or whether C modules' ids are seen, 0, and 3.
type Told = [u32; 3];

/// What an observer does at the next change.
#[derive(Clone, Copy)]
enum Deed {
    /// `w`: waits for `o`.
    Wait,
    /// `d`: drops its own watch.
    Drop,
    /// `D`: the same, and sleeps before it returns.
    DropAndSleep,
    /// `f`: flushes its own watch.
    Flush,
    /// `r`: registers `42:N` and unregisters it, N being the watch's number.
    Register,
    /// `m`: makes another watch and drops it.
    Make,
    /// `n`: drops the next watch.
    DropNext,
    /// `l`: takes a lock under which its module registers and unregisters.
    Lock,
    /// `i`: when `42:30` goes, registers `42:31`, later, and leaks the registration.
    LeakId,
}

impl Deed {
    fn parse(letter: u8) -> Option<Self> {
        Some(match letter {
            b'w' => Self::Wait,
            b'd' => Self::Drop,
            b'D' => Self::DropAndSleep,
            b'f' => Self::Flush,
            b'r' => Self::Register,
            b'm' => Self::Make,
            b'n' => Self::DropNext,
            b'l' => Self::Lock,
            b'i' => Self::LeakId,
            _ => return None,
        })
    }
}

/// An id that answers nothing.
struct Silent;

impl Handler for Silent {
    fn handle(&self, _message: &Message<'_>, _sender: &Sender<'_>) {}
}

/// A watch, and what its observer needs.
#[pin_data]
struct Place {
    /// Never held while the watch is made, dropped or flushed.
    #[pin]
    watch: Mutex<Option<Arc<Watch<Eye>>>>,
    #[pin]
    told: Mutex<KVec<Told>>,
    #[pin]
    deed: Mutex<Option<Deed>>,
    #[pin]
    tickets: Mutex<usize>,
    #[pin]
    opened: CondVar,
}

impl Place {
    fn new() -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                watch <- new_mutex!(None),
                told <- new_mutex!(KVec::new()),
                deed <- new_mutex!(None),
                tickets <- new_mutex!(0),
                opened <- new_condvar!(),
            }),
            GFP_KERNEL,
        )
    }

    fn note(&self, told: Told) {
        let _ = self.told.lock().push(told, GFP_KERNEL);
    }

    /// Waits, whatever signals come.
    fn wait(&self) {
        let mut tickets = self.tickets.lock();
        while *tickets == 0 {
            self.opened.wait(&mut tickets);
        }
        *tickets -= 1;
    }

    /// The watch, which is out of its place for good or not.
    fn watch(&self, take: bool) -> Option<Arc<Watch<Eye>>> {
        let mut watch = self.watch.lock();
        match take {
            true => watch.take(),
            false => watch.clone(),
        }
    }
}

/// What the module consists of.
#[pin_data]
struct Shared {
    places: [Arc<Place>; WATCHES],
    /// Held while `b` registers and unregisters.
    #[pin]
    lock: Mutex<()>,
}

impl Shared {
    fn register(val: u32) -> Result<Registration<Silent>> {
        Registration::new(CbId { idx: 42, val }, c"ct_watch id", Silent)
    }

    fn make(self: &Arc<Self>, number: usize) -> Result<Watch<Eye>> {
        let eye = Eye {
            number,
            shared: self.clone(),
        };
        Watch::new(Arc::new(eye, GFP_KERNEL)?)
    }

    /// Carries out a command that has no other answer than whether it succeeded.
    fn command(self: &Arc<Self>, letter: u8, number: usize, deed: Option<&u8>) -> Result {
        let place = self.places.get(number).ok_or(EINVAL)?;
        match letter {
            b'n' => {
                let watch = Arc::new(self.make(number)?, GFP_KERNEL)?;
                *place.watch.lock() = Some(watch);
            }
            b'd' => drop(place.watch(true).ok_or(ENOENT)?),
            b'l' => forget(place.watch(true).ok_or(ENOENT)?),
            b'f' => place.watch(false).ok_or(ENOENT)?.flush(),
            b'm' => {
                let deed = deed.copied().and_then(Deed::parse).ok_or(EINVAL)?;
                *place.deed.lock() = Some(deed);
            }
            b'o' => {
                *place.tickets.lock() += 1;
                place.opened.notify_one();
            }
            b'b' => {
                let _held = self.lock.lock();
                drop(Shared::register(20)?);
            }
            b'i' => forget(Shared::register(30)?),
            _ => return Err(EINVAL),
        }
        Ok(())
    }
}

/// An observer.
struct Eye {
    number: usize,
    shared: Arc<Shared>,
}

impl Eye {
    fn place(&self) -> Option<&Arc<Place>> {
        self.shared.places.get(self.number)
    }

    fn note(&self, told: Told) {
        if let Some(place) = self.place() {
            place.note(told);
        }
    }

    fn perform(&self, deed: Deed) -> Result {
        let place = self.place().ok_or(EINVAL)?;
        match deed {
            Deed::Wait => place.wait(),
            Deed::Drop => drop(place.watch(true)),
            Deed::DropAndSleep => {
                drop(place.watch(true));
                fsleep(Delta::from_millis(300));
                place.note([42, 99, 1]);
            }
            Deed::Flush => {
                if let Some(watch) = place.watch(false) {
                    watch.flush();
                }
            }
            Deed::Register => drop(Shared::register(self.number as u32)?),
            // It may be told of what comes meanwhile: its observer is one that nobody asks.
            Deed::Make => drop(self.shared.make(WATCHES - 1)?),
            Deed::DropNext => {
                let next = self.shared.places.get(self.number + 1).ok_or(EINVAL)?;
                drop(next.watch(true));
            }
            Deed::Lock => drop(self.shared.lock.lock()),
            Deed::LeakId => {
                fsleep(Delta::from_millis(100));
                forget(Shared::register(31)?);
            }
        }
        Ok(())
    }
}

impl Observer for Eye {
    fn changed(&self, id: CbId, change: Change) {
        self.note([id.idx, id.val, u32::from(change == Change::Unregistered)]);
        let leaked = CbId { idx: 42, val: 30 };
        let deed = self.place().and_then(|place| {
            let is_now = |deed: &mut Deed| !matches!(deed, Deed::LeakId) || id == leaked;
            place.deed.lock().take_if(is_now)
        });
        if let Some(Err(error)) = deed.map(|deed| self.perform(deed)) {
            pr_err!("an observer failed ({error:?})\n");
        }
    }

    fn lost(&self, count: u64) {
        self.note([count as u32, 0, 2]);
    }

    fn sees_c_modules(&self, seen: bool) {
        self.note([u32::from(seen), 0, 3]);
    }
}

/// Takes commands.
struct Commands(Arc<Shared>);

impl Handler for Commands {
    fn handle(&self, message: &Message<'_>, sender: &Sender<'_>) {
        let &[letter, number, ref deed @ ..] = message.data() else {
            return;
        };
        let number = usize::from(number.wrapping_sub(b'0'));
        if letter == b'r' {
            if let Some(place) = self.0.places.get(number) {
                let told = core::mem::take(&mut *place.told.lock());
                let _ = sender.reply(message, AsBytes::as_bytes(told.as_flattened()));
            }
            return;
        }
        let result = self.0.command(letter, number, deed.first());
        let errno = result.err().map_or(0, Error::to_errno);
        let _ = sender.reply(message, &errno.to_ne_bytes());
    }
}

struct Module {
    _commands: Registration<Commands>,
}

impl kernel::Module for Module {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let places = [Place::new()?, Place::new()?, Place::new()?, Place::new()?];
        let shared = Arc::pin_init(
            pin_init!(Shared {
                places,
                lock <- new_mutex!(()),
            }),
            GFP_KERNEL,
        )?;
        let id = CbId { idx: 30, val: 10 };
        Ok(Self {
            _commands: Registration::new(id, c"ct_watch", Commands(shared))?,
        })
    }
}
