// SPDX-License-Identifier: GPL-2.0

//! `ct_puppet`: sends what it is told to, late and out of order, right and wrong.
//!
//! A message to `30:8` is never answered by itself: it is a request whose reply, and whatever else
//! should come before that, is sent when a message to `30:9` says so. Such a message has three
//! numbers, the port, the group (one of both is 0), and how often; then come messages, which are
//! sent as they are in one datagram. In each repetition their `seq` is one more. The answer is how
//! many times sending succeeded.

use connector::{
    send_multi,
    wire::Messages,
    Batch,
    CbId,
    Destination,
    Group,
    Handler,
    Message,
    OutMessage,
    Registration,
    Sender, //
};
use core::num::NonZero;
use kernel::{
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    },
};

module! {
    type: Module,
    name: "ct_puppet",
    authors: ["The rust_connector authors"],
    description: "Test: sends what it is told to",
    license: "GPL",
}

/// How many requests the puppet has got.
static REQUESTS: Atomic<u32> = Atomic::new(0);

/// Leaves requests to the one who holds the strings.
struct Puppet;

impl Handler for Puppet {
    fn handle(&self, _message: &Message<'_>, _sender: &Sender<'_>) {
        REQUESTS.fetch_add(1, Relaxed);
    }
}

/// What those who show names must not hand to a terminal: a colour, a turn of the line, what is not UTF-8.
const NAME: &CStr = c"strings \x1b[31m\u{202e}\xff";

/// Holds the strings.
struct Strings;

impl Strings {
    /// Sends what `order` says; returns how many times that succeeded.
    fn pull(order: &[u8]) -> Result<u32> {
        let (numbers, messages) = order.split_at_checked(12).ok_or(EINVAL)?;
        let number = |at: usize| -> Result<u32> {
            let bytes = numbers.get(at..at + 4).ok_or(EINVAL)?;
            Ok(u32::from_ne_bytes(bytes.try_into().map_err(|_| EINVAL)?))
        };
        let to = match NonZero::new(number(0)?) {
            Some(port) => Destination::Port(port),
            None => Destination::Group(Group::new(number(4)?).ok_or(EINVAL)?),
        };
        let mut batch = Batch::new();
        let mut succeeded = 0;
        for repetition in 0..number(8)? {
            batch.clear();
            for message in Messages::new(messages) {
                let message = message.map_err(|_| EINVAL)?;
                let header = message.header;
                let message = OutMessage {
                    seq: header.seq.wrapping_add(repetition),
                    ack: header.ack,
                    flags: header.flags,
                    ..OutMessage::new(header.id, message.data)
                };
                batch.push(&message, GFP_KERNEL)?;
            }
            succeeded += u32::from(send_multi(&batch, to, GFP_KERNEL).is_ok());
        }
        Ok(succeeded)
    }
}

impl Handler for Strings {
    fn handle(&self, message: &Message<'_>, sender: &Sender<'_>) {
        let answer = match message.data() {
            [] => Ok(REQUESTS.load(Relaxed)),
            order => Self::pull(order),
        };
        if let Ok(answer) = answer {
            let _ = sender.reply(message, &answer.to_ne_bytes());
        }
    }
}

struct Module {
    _puppet: Registration<Puppet>,
    _strings: Registration<Strings>,
}

impl kernel::Module for Module {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        Ok(Self {
            _puppet: Registration::new(CbId { idx: 30, val: 8 }, c"ct_puppet", Puppet)?,
            _strings: Registration::new(CbId { idx: 30, val: 9 }, NAME, Strings)?,
        })
    }
}
