// SPDX-License-Identifier: GPL-2.0

//! `ct_gate`: a handler that stays inside until it is told to go on.
//!
//! A message `wait` to `30:1` is answered with `in`; its handler then waits for a message `open` to
//! `30:2`, which lets one waiting handler go, answers `out` and returns. A message `nap` is answered
//! with `out` after a short sleep, any other one at once.
//!
//! When the module goes, `30:1` goes first, so that `30:2` can still open the gate.

use connector::{
    CbId,
    Handler,
    Message,
    Registration,
    Sender, //
};
use kernel::{
    new_condvar, new_mutex,
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
};

module! {
    type: Module,
    name: "ct_gate",
    authors: ["The rust_connector authors"],
    description: "Test: handlers that wait",
    license: "GPL",
}

/// As many handlers may go on as there are tickets.
#[pin_data]
struct Gate {
    #[pin]
    tickets: Mutex<usize>,
    #[pin]
    opened: CondVar,
}

impl Gate {
    fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            tickets <- new_mutex!(0),
            opened <- new_condvar!(),
        })
    }

    fn open(&self) {
        *self.tickets.lock() += 1;
        self.opened.notify_one();
    }

    /// Waits, whatever signals come.
    fn pass(&self) {
        let mut tickets = self.tickets.lock();
        while *tickets == 0 {
            self.opened.wait(&mut tickets);
        }
        *tickets -= 1;
    }
}

struct Waiter(Arc<Gate>);

impl Handler for Waiter {
    fn handle(&self, message: &Message<'_>, sender: &Sender<'_>) {
        match message.data() {
            b"wait" => {
                let _ = sender.reply(message, b"in");
                self.0.pass();
            }
            b"nap" => fsleep(Delta::from_micros(200)),
            _ => {}
        }
        let _ = sender.reply(message, b"out");
    }
}

struct Opener(Arc<Gate>);

impl Handler for Opener {
    fn handle(&self, message: &Message<'_>, _sender: &Sender<'_>) {
        if message.data() == b"open" {
            self.0.open();
        }
    }
}

struct Module {
    // Dropped in this order.
    _waiter: Registration<Waiter>,
    _opener: Registration<Opener>,
}

impl kernel::Module for Module {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let gate = Arc::pin_init(Gate::new(), GFP_KERNEL)?;
        let opener = Opener(gate.clone());
        Ok(Self {
            _waiter: Registration::new(CbId { idx: 30, val: 1 }, c"ct_gate waiter", Waiter(gate))?,
            _opener: Registration::new(CbId { idx: 30, val: 2 }, c"ct_gate opener", opener)?,
        })
    }
}
