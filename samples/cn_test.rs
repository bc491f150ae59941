// SPDX-License-Identifier: GPL-2.0

//! `cn_test`: the counterpart of the kernel's C sample, `samples/connector/cn_test.c`.
//!
//! Registers two ids and logs what they receive. Once a second it broadcasts a counter to the group
//! of its idx. `ucon` listens to that, as does the C sample's own `ucon`.

use connector::{
    Broadcaster,
    CbId,
    Handler,
    Message,
    Periodic,
    Registration,
    Sender, //
};
use kernel::{
    fmt,
    prelude::*,
    str::{
        BStr,
        CString, //
    },
    sync::atomic::{
        Atomic,
        Relaxed, //
    },
    time::{
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

struct CnTest {
    // Dropped in this order: nothing is broadcast any more when the ids go.
    _broadcasts: Periodic,
    _first: Registration<Logger>,
    _second: Registration<Logger>,
}

impl kernel::Module for CnTest {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let broadcaster = Broadcaster::new(SECOND)?;
        let mut counter: u32 = 0;
        let broadcast = move || {
            // The C sample's `ucon` expects the NUL.
            let sent = CString::try_from_fmt(fmt!("counter = {counter}"))
                .and_then(|text| Ok(broadcaster.send(text.to_bytes_with_nul())?));
            if let Err(error) = sent {
                pr_warn!("broadcast failed: {error:?}\n");
            }
            counter = counter.wrapping_add(1);
        };
        Ok(Self {
            _first: Registration::new(FIRST, c"cn_test", Logger::new())?,
            _second: Registration::new(SECOND, c"cn_test", Logger::new())?,
            _broadcasts: Periodic::new(Delta::from_secs(1), broadcast)?,
        })
    }
}
