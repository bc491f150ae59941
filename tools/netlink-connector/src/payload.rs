// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The data of a message, without an allocation where there is little of it.

use std::{
    fmt,
    hash::{Hash, Hasher},
    ops::Deref,
};

/// The most bytes that are kept in place: makes a payload 64 bytes large. Process events have 40.
const INLINE: usize = 62;

/// The data of a message: bytes. It dereferences to a slice, and compares as one.
///
/// Little data is kept in place, which saves most messages an allocation.
///
/// # Examples
///
/// ```
/// use netlink_connector::Payload;
///
/// let payload = Payload::from(&b"hello"[..]);
/// assert_eq!(payload, b"hello");
/// assert_eq!(payload.len(), 5);
/// assert_eq!(payload.into_vec(), b"hello");
/// ```
#[derive(Clone)]
pub struct Payload(Repr);

#[derive(Clone)]
enum Repr {
    Inline { len: u8, bytes: [u8; INLINE] },
    Heap(Vec<u8>),
}

impl Payload {
    /// The bytes.
    #[inline]
    pub fn as_slice(&self) -> &[u8] {
        match &self.0 {
            Repr::Inline { len, bytes } => &bytes[..usize::from(*len)],
            Repr::Heap(bytes) => bytes,
        }
    }

    /// The first `len` bytes of `bytes`, if they can be kept in place and there are more behind
    /// them: copying a fixed number is cheaper.
    #[inline]
    pub(crate) fn inline(bytes: &[u8], len: usize) -> Option<Self> {
        if len > INLINE {
            return None;
        }
        Some(Self(Repr::Inline {
            // INLINE fits.
            len: len as u8,
            bytes: *bytes.first_chunk()?,
        }))
    }

    /// The bytes as a vector; allocates if they are kept in place.
    pub fn into_vec(self) -> Vec<u8> {
        match self.0 {
            Repr::Inline { .. } => self.as_slice().to_vec(),
            Repr::Heap(bytes) => bytes,
        }
    }
}

impl From<&[u8]> for Payload {
    #[inline]
    fn from(data: &[u8]) -> Self {
        let mut bytes = [0; INLINE];
        match bytes.get_mut(..data.len()) {
            Some(room) => {
                room.copy_from_slice(data);
                Self(Repr::Inline {
                    // INLINE fits.
                    len: data.len() as u8,
                    bytes,
                })
            }
            None => Self(Repr::Heap(data.to_vec())),
        }
    }
}

impl From<Vec<u8>> for Payload {
    fn from(data: Vec<u8>) -> Self {
        Self(Repr::Heap(data))
    }
}

impl Default for Payload {
    fn default() -> Self {
        Self::from(&[][..])
    }
}

impl Deref for Payload {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        self.as_slice()
    }
}

impl AsRef<[u8]> for Payload {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl<T: AsRef<[u8]> + ?Sized> PartialEq<T> for Payload {
    fn eq(&self, other: &T) -> bool {
        self.as_slice() == other.as_ref()
    }
}

impl Eq for Payload {}

impl Hash for Payload {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_slice().hash(state);
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_slice().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_kept_whether_few_or_many() {
        for len in [0, 1, INLINE - 1, INLINE, INLINE + 1, 65535] {
            let bytes: Vec<u8> = (0..len).map(|at| at as u8).collect();
            let payload = Payload::from(&bytes[..]);
            assert_eq!(payload, bytes);
            assert_eq!(payload, Payload::from(bytes.clone()));
            assert_eq!(matches!(payload.0, Repr::Inline { .. }), len <= INLINE);
            assert_eq!(payload.into_vec(), bytes);
        }
    }

    #[test]
    fn a_payload_fits_into_a_cache_line() {
        assert_eq!(size_of::<Payload>(), 64);
    }
}
