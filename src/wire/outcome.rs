// SPDX-License-Identifier: GPL-2.0

//! How a request ended, as many services say it.

/// Reads a reply that begins with a native-endian `i32`: 0, and behind it the data that were asked
/// for; or an error number, which the kernel makes negative and this returns positive.
///
/// `None` if there are fewer than four bytes: then it is no such reply.
#[inline]
pub fn outcome(reply: &[u8]) -> Option<Result<&[u8], u32>> {
    let (status, data) = reply.split_first_chunk()?;
    Some(match i32::from_ne_bytes(*status) {
        0 => Ok(data),
        error => Err(error.unsigned_abs()),
    })
}
