// SPDX-License-Identifier: GPL-2.0

//! `ct_reply`: answers a message to `30:6` in every way there is.
//!
//! The message begins with two numbers: which way, a number of [`Way`], and an argument. After the
//! answer, or answers, comes one more with two numbers: the error of the first one that failed or
//! 0, and whether the message is as it was.

use connector::{
    CbId,
    Handler,
    Header,
    Message,
    Registration,
    Sender, //
};
use kernel::{
    error::code,
    prelude::*, //
};

module! {
    type: Module,
    name: "ct_reply",
    authors: ["The rust_connector authors"],
    description: "Test: ways to reply",
    license: "GPL",
}

/// How to answer; `n` is the argument.
#[derive(Clone, Copy)]
enum Way {
    /// With the message's own data, `n` times.
    Own,
    /// With the first `n` bytes of its data.
    Beginning,
    /// With its data but for the first `n` bytes.
    End,
    /// With `n` bytes that lie on the stack.
    Stack,
    /// With `n` bytes that were allocated.
    Allocated,
    /// With every beginning of its data up to `n` bytes, then with all of it.
    Growing,
}

impl Way {
    fn from_number(number: u32) -> Option<Self> {
        [
            Self::Own,
            Self::Beginning,
            Self::End,
            Self::Stack,
            Self::Allocated,
            Self::Growing,
        ]
        .get(number as usize)
        .copied()
    }
}

/// What is sent where the data are not the message's own.
fn byte(at: usize) -> u8 {
    // CAST: The lowest byte is meant.
    (at * 7) as u8
}

fn filled(len: usize) -> Result<KVVec<u8>> {
    let mut bytes = KVVec::with_capacity(len, GFP_KERNEL)?;
    for at in 0..len {
        bytes.push(byte(at), GFP_KERNEL)?;
    }
    Ok(bytes)
}

fn reply(message: &Message<'_>, sender: &Sender<'_>, way: Way, n: usize) -> Result {
    let data = message.data();
    match way {
        Way::Own => (0..n).try_for_each(|_| sender.reply(message, message.data()))?,
        Way::Beginning => sender.reply(message, data.get(..n).ok_or(code::EINVAL)?)?,
        Way::End => sender.reply(message, data.get(n..).ok_or(code::EINVAL)?)?,
        Way::Stack => {
            let mut bytes = [0; 256];
            for (at, to) in bytes.iter_mut().enumerate() {
                *to = byte(at);
            }
            sender.reply(message, bytes.get(..n).ok_or(code::EINVAL)?)?
        }
        Way::Allocated => sender.reply(message, &filled(n)?)?,
        Way::Growing => {
            for len in 0..n {
                sender.reply(message, data.get(..len).ok_or(code::EINVAL)?)?;
            }
            sender.reply(message, data)?
        }
    }
    Ok(())
}

struct Replier;

impl Handler for Replier {
    fn handle(&self, message: &Message<'_>, sender: &Sender<'_>) {
        let number = |at: usize| {
            let bytes = message.data().get(at..at + 4)?;
            Some(u32::from_ne_bytes(bytes.try_into().ok()?))
        };
        let (Some(way), Some(n)) = (number(0).and_then(Way::from_number), number(4)) else {
            return;
        };
        let Ok(before) = copy(message) else {
            return;
        };
        let errno = match reply(message, sender, way, n as usize) {
            Ok(()) => 0,
            Err(error) => error.to_errno(),
        };
        let untouched = before.0 == message.header() && *before.1 == *message.data();
        let mut verdict = [0; 8];
        let (to_errno, to_untouched) = verdict.split_at_mut(4);
        to_errno.copy_from_slice(&errno.to_ne_bytes());
        to_untouched.copy_from_slice(&u32::from(untouched).to_ne_bytes());
        let _ = sender.reply(message, &verdict);
    }
}

fn copy(message: &Message<'_>) -> Result<(Header, KVec<u8>)> {
    let mut data = KVec::new();
    data.extend_from_slice(message.data(), GFP_KERNEL)?;
    Ok((message.header(), data))
}

struct Module {
    _replier: Registration<Replier>,
}

impl kernel::Module for Module {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        Ok(Self {
            _replier: Registration::new(CbId { idx: 30, val: 6 }, c"ct_reply", Replier)?,
        })
    }
}
