// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Reading and writing native-endian integers at fixed offsets.

/// Reads a `u32` at `offset`, or `None` where `bytes` ends before it.
#[inline]
pub(crate) fn read_u32(bytes: &[u8], offset: usize) -> Option<u32> {
    let field = bytes.get(offset..)?.first_chunk()?;
    Some(u32::from_ne_bytes(*field))
}

/// Reads a `u16` at `offset`, or `None` where `bytes` ends before it.
#[inline]
pub(crate) fn read_u16(bytes: &[u8], offset: usize) -> Option<u16> {
    let field = bytes.get(offset..)?.first_chunk()?;
    Some(u16::from_ne_bytes(*field))
}

/// Joins 32-bit words to the bytes that represent them in memory.
///
/// `N` must be four times `W`; this is checked when the program is compiled.
#[inline]
pub(crate) fn from_words<const W: usize, const N: usize>(words: [u32; W]) -> [u8; N] {
    const { assert!(N == 4 * W) };
    let mut bytes = [0; N];
    for (field, word) in bytes.chunks_exact_mut(4).zip(words) {
        field.copy_from_slice(&word.to_ne_bytes());
    }
    bytes
}

/// Puts two 16-bit fields that lie next to each other in memory into one 32-bit word.
#[inline]
pub(crate) fn pair(first: u16, second: u16) -> u32 {
    let ([a, b], [c, d]) = (first.to_ne_bytes(), second.to_ne_bytes());
    u32::from_ne_bytes([a, b, c, d])
}
