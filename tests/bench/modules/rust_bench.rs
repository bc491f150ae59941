// SPDX-License-Identifier: GPL-2.0

//! Everything but a plain echo that is measured on the connector: many ids, broadcasts, batches,
//! registering. The counterpart of `peers/c_bench.c`, call for call; `peers/bench.h` has the same
//! numbers for the client.

use connector::{
    Batch,
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
use core::num::NonZero;
use kernel::prelude::*;

module! {
    type: RustBench,
    name: "rust_bench",
    authors: ["The rust_connector authors"],
    description: "Benchmark: the connector in Rust",
    license: "GPL",
    params: {
        ids: u32 {
            default: 0,
            description: "register this many echo services instead of the ids for requests",
        },
    },
}

const CONTROL: CbId = CbId { idx: 18, val: 1 };
const SINK: CbId = CbId { idx: 18, val: 2 };
const GUEST: CbId = CbId { idx: 18, val: 3 };
const MANY_IDX: u32 = 20;
const GROUP: u32 = 8;
const PAYLOAD: [u8; 32] = [0; 32];

/// Does nothing.
struct Sink;

impl Handler for Sink {
    fn handle(&self, _message: &Message<'_>, _sender: &Sender<'_>) {}
}

/// What `cn_echo` does.
struct Echo;

impl Handler for Echo {
    fn handle(&self, message: &Message<'_>, sender: &Sender<'_>) {
        let _ = sender.reply(message, message.data());
    }
}

/// Takes a request and does what it says.
struct Control {
    group: Group,
}

/// C counterpart: `struct bench_request`.
struct Request {
    op: u32,
    count: u32,
    per_datagram: u32,
}

impl Request {
    fn parse(data: &[u8]) -> Option<Self> {
        let word = |at| {
            let bytes = data.get(at..at + 4)?.try_into().ok()?;
            Some(u32::from_ne_bytes(bytes))
        };
        Some(Self {
            op: word(0)?,
            count: word(4)?,
            per_datagram: word(8)?,
        })
    }
}

impl Control {
    fn broadcast(&self, request: &Request) {
        for seq in 0..request.count {
            let message = OutMessage {
                seq,
                ..OutMessage::new(CONTROL, &PAYLOAD)
            };
            let _ = connector::send(&message, Destination::Group(self.group), GFP_KERNEL);
        }
    }

    fn batch(request: &Request, sender: &Sender<'_>) -> Result<(), SendError> {
        let n = request.per_datagram.max(1);
        let to = NonZero::new(sender.portid()).ok_or(SendError::NoSuchPort)?;
        let mut batch = Batch::new();
        // CAST: `u32` to `usize` loses nothing.
        batch.reserve((20 + PAYLOAD.len()) * n as usize, GFP_KERNEL)?;
        let mut seq = 0;
        while seq < request.count {
            for _ in 0..n {
                let message = OutMessage {
                    seq,
                    ..OutMessage::new(CONTROL, &PAYLOAD)
                };
                batch.push(&message, GFP_KERNEL)?;
                seq += 1;
            }
            connector::send_multi(&batch, Destination::Port(to), GFP_NOWAIT)?;
            batch.clear();
        }
        Ok(())
    }

    fn register(request: &Request) -> Result {
        for _ in 0..request.count {
            drop(Registration::new(GUEST, c"guest", Sink)?);
        }
        Ok(())
    }
}

impl Handler for Control {
    fn handle(&self, message: &Message<'_>, sender: &Sender<'_>) {
        let Some(request) = Request::parse(message.data()) else {
            return;
        };
        // What fails is missing in the client's figures, which it notices.
        match request.op {
            1 => self.broadcast(&request),
            2 => drop(Self::batch(&request, sender)),
            3 => drop(Self::register(&request)),
            _ => {}
        }
    }
}

/// Held for their `drop`.
#[expect(dead_code)]
enum RustBench {
    Requests(Registration<Control>, Registration<Sink>),
    Many(KVec<Registration<Echo>>),
}

impl kernel::Module for RustBench {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        #[expect(
            clippy::clone_on_copy,
            reason = "value() is a reference before Linux 7.3"
        )]
        let ids = module_parameters::ids.value().clone();
        if ids == 0 {
            let group = Group::new(GROUP).ok_or(EINVAL)?;
            return Ok(Self::Requests(
                Registration::new(CONTROL, c"control", Control { group })?,
                Registration::new(SINK, c"sink", Sink)?,
            ));
        }
        // CAST: `u32` to `usize` loses nothing.
        let mut many = KVec::with_capacity(ids as usize, GFP_KERNEL)?;
        for val in 1..=ids {
            let id = CbId { idx: MANY_IDX, val };
            many.push(Registration::new(id, c"many", Echo)?, GFP_KERNEL)?;
        }
        Ok(Self::Many(many))
    }
}
