// SPDX-License-Identifier: GPL-2.0

//! The netlink message that a connector message travels in.

use crate::{
    bindings,
    wire::netlink::NlHeader, //
};

/// What the size of a netlink message is rounded up to, where another one follows.
///
/// C counterpart: `NLMSG_ALIGN()`.
#[inline(always)]
pub(crate) const fn padded(size: usize) -> usize {
    // In two instructions, where next_multiple_of() takes five.
    const ALIGNTO: usize = 4;
    (size + (ALIGNTO - 1)) & !(ALIGNTO - 1)
}

/// Makes what lies at `at` a netlink message of the kernel's, of `size` bytes, for a connector message
/// with this `seq`: writes the header before that, and the padding behind it.
///
/// C counterpart: `__nlmsg_put()`, which takes 40 instructions more.
///
/// # Safety
///
/// [`padded`]`(size)` bytes at `at`, which is aligned for a netlink message, must be valid for writes, and
/// nobody else may use the first 16 and those from `size` on.
#[inline(always)]
pub(crate) unsafe fn write_around(at: *mut u8, size: usize, seq: u32) {
    let padding = padded(size) - size;
    // SAFETY: By this function's contract.
    unsafe {
        at.cast::<bindings::nlmsghdr>().write(bindings::nlmsghdr {
            // CAST: At most 16 + 20 + 65535.
            nlmsg_len: size as u32,
            nlmsg_type: bindings::NLMSG_DONE as u16,
            nlmsg_flags: 0,
            nlmsg_seq: seq,
            nlmsg_pid: 0,
        });
        if padding > 0 {
            at.add(size).write_bytes(0, padding);
        }
    }
}

/// The size of the netlink message that a connector message of `size` bytes travels in.
#[inline(always)]
pub(crate) const fn size_around(size: usize) -> usize {
    NlHeader::SIZE + size
}
