// SPDX-License-Identifier: GPL-2.0

//! The other object of `ct_two`.

use connector::{
    send,
    CbId,
    Destination,
    OutMessage, //
};
use kernel::prelude::*;

/// Whether a message of an id that nobody registered can be sent, which it cannot.
#[no_mangle]
pub extern "C" fn ct_two_part() -> bool {
    let message = OutMessage::new(CbId { idx: 41, val: 2 }, b"");
    send(&message, Destination::Registered, GFP_KERNEL).is_ok()
}
