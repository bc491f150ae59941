// SPDX-License-Identifier: GPL-2.0

//! Messages as they lie in memory: a header, and the data behind it.

use core::{
    mem::MaybeUninit,
    ptr::{
        self,
        NonNull, //
    },
    slice, //
};

use kernel::{
    alloc::Flags,
    prelude::*, //
};

use crate::{
    bindings,
    gfp,
    CbId,
    Header,
    SendError, //
};

/// An id of C's.
#[inline(always)]
pub(crate) fn id_of(id: &bindings::cb_id) -> CbId {
    CbId {
        idx: id.idx,
        val: id.val,
    }
}

/// Lays a message out as C wants it, and calls `f` with it.
///
/// The C functions take header and data in one piece: a small message is put together on the
/// stack, a larger one in memory that is allocated with `flags`.
#[inline(always)]
pub(crate) fn with_cn_msg<R>(
    header: &Header,
    data: &[&[u8]],
    flags: Flags,
    f: impl FnOnce(NonNull<bindings::cn_msg>) -> R,
) -> Result<R, SendError> {
    /// Aligned as `cn_msg` is.
    #[repr(C, align(4))]
    struct OnStack([MaybeUninit<u8>; 128]);

    let mut on_stack = OnStack([MaybeUninit::uninit(); 128]);
    if let Some(bytes) = lay_out(header, data, &mut on_stack.0) {
        return Ok(f(NonNull::from(bytes).cast()));
    }
    let mut allocated =
        KVec::with_capacity(Header::SIZE + usize::from(header.len), gfp::to_flags(flags))?;
    let room = allocated.spare_capacity_mut();
    let bytes = lay_out(header, data, room).ok_or(SendError::NoMemory)?;
    Ok(f(NonNull::from(bytes).cast()))
}

/// Writes a header and data to the start of `room`, and returns them; or `None` if they do not fit.
#[inline(always)]
pub(crate) fn lay_out<'a>(
    header: &Header,
    data: &[&[u8]],
    room: &'a mut [MaybeUninit<u8>],
) -> Option<&'a mut [u8]> {
    let size = Header::SIZE + data.iter().map(|part| part.len()).sum::<usize>();
    let to = room.get_mut(..size)?.as_mut_ptr().cast::<u8>();
    // SAFETY: `to` is valid for writes of `size` bytes, and nobody else refers to them. They are
    // all written here, so that they can be read then.
    unsafe {
        write(header, data, to);
        Some(slice::from_raw_parts_mut(to, size))
    }
}

/// Writes a header and data.
///
/// Copies each part in one piece: [`KVec::extend_from_slice`] goes byte by byte, since it clones.
///
/// # Safety
///
/// `to` must be valid for writes of all of it.
#[inline(always)]
pub(crate) unsafe fn write(header: &Header, data: &[&[u8]], to: *mut u8) {
    let Header {
        id,
        seq,
        ack,
        len,
        flags,
    } = *header;
    let raw = bindings::cn_msg {
        id: bindings::cb_id {
            idx: id.idx,
            val: id.val,
        },
        seq,
        ack,
        len,
        flags,
        data: bindings::__IncompleteArrayField::new(),
    };
    // SAFETY: By this function's contract. In a batch, messages need not be aligned.
    unsafe {
        to.cast::<bindings::cn_msg>().write_unaligned(raw);
        let mut at = to.add(Header::SIZE);
        for part in data {
            ptr::copy_nonoverlapping(part.as_ptr(), at, part.len());
            at = at.add(part.len());
        }
    }
}
