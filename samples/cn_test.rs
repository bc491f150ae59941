// SPDX-License-Identifier: GPL-2.0

//! `cn_test`: the counterpart of the kernel's C sample, `samples/connector/cn_test.c`.
//!
//! Registers two ids and logs what they receive. Once a second, from softirq, it broadcasts a
//! counter to the group of its idx. `ucon` listens to that, as does the C sample's own `ucon`.

use core::fmt::Write;

use connector::{
    CbId,
    Destination,
    Handler,
    Message,
    OutMessage,
    Registration,
    SendError,
    Sender, //
};
use kernel::{
    fmt, impl_has_hr_timer,
    prelude::*,
    str::{
        BStr,
        Formatter, //
    },
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc,
        ArcBorrow, //
    },
    time::{
        hrtimer::{
            ArcHrTimerHandle,
            HrTimer,
            HrTimerCallback,
            HrTimerCallbackContext,
            HrTimerPointer,
            HrTimerRestart,
            RelativeSoftMode, //
        },
        Delta,
        Instant,
        Monotonic, //
    },
};

module! {
    type: CnTest,
    name: "cn_test",
    authors: ["The rust_connector authors"],
    description: "Sample: logs messages and broadcasts a counter",
    license: "GPL",
}

const FIRST: CbId = CbId {
    idx: 14,
    val: 0x456,
};
const SECOND: CbId = CbId {
    idx: 14,
    val: 0x457,
};

/// Logs messages, but not so many that whoever sends them can fill the log.
struct Logger {
    loaded: Instant<Monotonic>,
    /// The second since then that `logged` is about.
    second: Atomic<i64>,
    logged: Atomic<u32>,
    left_out: Atomic<u64>,
}

impl Logger {
    /// How much of a message's data is logged.
    const SHOWN: usize = 64;
    /// How many messages are logged in a second, about.
    const PER_SECOND: u32 = 20;

    fn new() -> Self {
        Self {
            loaded: Instant::now(),
            second: Atomic::new(0),
            logged: Atomic::new(0),
            left_out: Atomic::new(0),
        }
    }

    fn may_log(&self) -> bool {
        let second = self.loaded.elapsed().as_millis() / 1000;
        if self.second.xchg(second, Relaxed) != second {
            self.logged.store(0, Relaxed);
        }
        self.logged.fetch_add(1, Relaxed) < Self::PER_SECOND
    }
}

impl Handler for Logger {
    fn handle(&self, message: &Message<'_>, sender: &Sender<'_>) {
        if !self.may_log() {
            self.left_out.add(1, Relaxed);
            return;
        }
        let data = message.data();
        let shown = data.get(..Self::SHOWN).unwrap_or(data);
        // Data are bytes that anyone may have sent. A `BStr` shows what is no text as escapes.
        pr_info!(
            "{} from port {}: seq={} ack={} len={}: {}{}\n",
            message.id(),
            sender.portid(),
            message.seq(),
            message.ack(),
            data.len(),
            BStr::from_bytes(shown),
            if shown.len() < data.len() { "..." } else { "" }
        );
    }

    fn show(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_fmt(fmt!("not_logged {}\n", self.left_out.load(Relaxed)))
    }
}

/// Broadcasts a counter.
#[pin_data]
struct Broadcaster {
    counter: Atomic<u32>,
    #[pin]
    timer: HrTimer<Self>,
}

impl Broadcaster {
    const INTERVAL: Delta = Delta::from_secs(1);

    fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            counter: Atomic::new(0),
            timer <- HrTimer::new(),
        })
    }

    fn broadcast(&self) -> Result<(), SendError> {
        let counter = self.counter.fetch_add(1, Relaxed);
        let mut buffer = [0; 32];
        let mut text = Formatter::new(&mut buffer);
        // It fits: the longest is 20 bytes and the NUL, which the C sample's `ucon` expects.
        let _ = write!(text, "counter = {counter}\0");
        let len = text.bytes_written();
        let message = OutMessage {
            seq: counter,
            ..OutMessage::new(SECOND, buffer.get(..len).unwrap_or_default())
        };
        connector::send(&message, Destination::Registered, GFP_ATOMIC)
    }
}

impl HrTimerCallback for Broadcaster {
    type Pointer<'a> = Arc<Self>;

    // Runs in softirq, because the timer's mode says so.
    fn run(
        this: ArcBorrow<'_, Self>,
        mut timer: HrTimerCallbackContext<'_, Self>,
    ) -> HrTimerRestart {
        match this.broadcast() {
            // Nobody listens: the usual case.
            Ok(()) | Err(SendError::NoListeners) => {}
            Err(error) => pr_warn!("broadcast failed: {error:?}\n"),
        }
        timer.forward_now(Self::INTERVAL);
        HrTimerRestart::Restart
    }
}

impl_has_hr_timer! {
    impl HasHrTimer<Self> for Broadcaster {
        mode: RelativeSoftMode<Monotonic>, field: self.timer
    }
}

struct CnTest {
    // Dropped in this order: the timer is stopped, and its callback has returned, before the ids
    // go.
    _timer: ArcHrTimerHandle<Broadcaster>,
    _first: Registration<Logger>,
    _second: Registration<Logger>,
}

impl kernel::Module for CnTest {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        Ok(Self {
            _first: Registration::new(FIRST, c"cn_test", Logger::new())?,
            _second: Registration::new(SECOND, c"cn_test", Logger::new())?,
            _timer: Arc::pin_init(Broadcaster::new(), GFP_KERNEL)?.start(Broadcaster::INTERVAL),
        })
    }
}
