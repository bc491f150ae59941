// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Putting messages together to datagrams.

use connector_wire::{
    Header, MAX_DATA_SIZE, MAX_MESSAGE_SIZE,
    netlink::{self, NlHeader},
};

use crate::{
    error::{Error, Result},
    frame::HEADERS,
};

/// One datagram with several messages.
///
/// The core looks at the first message only: it goes by its id and hands the whole datagram to that
/// service, whose business the others are. Few services expect more than one.
///
/// # Examples
///
/// ```
/// use netlink_connector::{Batch, Header};
///
/// let mut batch = Batch::new();
/// batch.push(&Header::default(), b"first")?;
/// batch.push(&Header::default(), b"second")?;
/// assert_eq!(batch.payload_size(), 2 * Header::SIZE + 11);
/// # Ok::<(), netlink_connector::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Batch {
    bytes: Vec<u8>,
}

impl Batch {
    /// A datagram without a message; it cannot be sent as long as it has none.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a message. Of the header, `len` is ignored: it becomes the length of `data`.
    ///
    /// # Errors
    ///
    /// [`Error::TooLarge`] if the core would drop the datagram with this message in it; the batch
    /// is then as it was.
    pub fn push(&mut self, header: &Header, data: &[u8]) -> Result<()> {
        let size = self.payload_size() + Header::SIZE + data.len();
        if size > MAX_MESSAGE_SIZE {
            return Err(Error::TooLarge {
                len: size - Header::SIZE,
            });
        }
        if self.bytes.is_empty() {
            self.bytes
                .extend_from_slice(&netlink_header(header, 0, size));
        }
        self.bytes
            .extend_from_slice(&message_header(header, data.len()));
        self.bytes.extend_from_slice(data);
        // nlmsg_len, the first field, grows with every message.
        let total = (self.bytes.len() as u32).to_ne_bytes();
        self.bytes[..total.len()].copy_from_slice(&total);
        Ok(())
    }

    /// The size of the messages with their headers, in bytes; [`MAX_MESSAGE_SIZE`] is the limit.
    pub fn payload_size(&self) -> usize {
        self.bytes.len().saturating_sub(NlHeader::SIZE)
    }

    /// Whether there is no message.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Removes all messages; what was allocated is kept.
    pub fn clear(&mut self) {
        self.bytes.clear();
    }

    /// The datagram as it is sent.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// Whether `data` is not too much for a message.
#[inline]
pub(crate) fn check(data: &[u8]) -> Result<()> {
    match data.len() {
        0..=MAX_DATA_SIZE => Ok(()),
        len => Err(Error::TooLarge { len }),
    }
}

/// What precedes `len` bytes of data, at most [`MAX_DATA_SIZE`], in a datagram with one message; `flags`
/// are those of the netlink header. Of the other header, `len` is ignored.
#[inline]
pub(crate) fn headers(header: &Header, flags: u16, len: usize) -> [u8; HEADERS] {
    let mut bytes = [0; HEADERS];
    let (netlink, message) = bytes.split_at_mut(NlHeader::SIZE);
    netlink.copy_from_slice(&netlink_header(header, flags, Header::SIZE + len));
    message.copy_from_slice(&message_header(header, len));
    bytes
}

/// A datagram with one message.
pub(crate) fn datagram(header: &Header, data: &[u8]) -> Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(HEADERS + data.len());
    put_datagram(&mut bytes, header, data)?;
    Ok(bytes)
}

/// Appends a datagram with one message to `bytes`.
pub(crate) fn put_datagram(bytes: &mut Vec<u8>, header: &Header, data: &[u8]) -> Result<()> {
    check(data)?;
    bytes.extend_from_slice(&headers(header, 0, data.len()));
    bytes.extend_from_slice(data);
    Ok(())
}

/// The netlink header for a payload of `size` bytes, which is at most [`MAX_MESSAGE_SIZE`].
#[inline]
fn netlink_header(header: &Header, flags: u16, size: usize) -> [u8; NlHeader::SIZE] {
    let netlink = NlHeader {
        len: (NlHeader::SIZE + size) as u32,
        kind: netlink::DONE,
        flags,
        seq: header.seq,
        ..NlHeader::default()
    };
    netlink.to_bytes()
}

/// The header of a message with `len` bytes of data, at most [`MAX_DATA_SIZE`].
#[inline]
fn message_header(header: &Header, len: usize) -> [u8; Header::SIZE] {
    let header = Header {
        len: len as u16,
        ..*header
    };
    header.to_bytes()
}

#[cfg(test)]
mod tests {
    use connector_wire::Messages;

    use super::*;

    #[test]
    fn what_is_put_together_comes_apart_the_same() {
        let mut batch = Batch::new();
        assert!(batch.is_empty());
        for (seq, data) in [(1, &b"a"[..]), (2, b""), (3, b"bcd")] {
            let header = Header {
                seq,
                len: 77,
                ..Header::default()
            };
            batch.push(&header, data).unwrap();
        }
        let (netlink, payload) = netlink::parse(batch.as_bytes()).unwrap();
        assert_eq!((netlink.kind, netlink.seq), (3, 1));
        let messages: Vec<_> = Messages::new(payload)
            .map(|message| message.map(|m| (m.header.seq, m.data)).unwrap())
            .collect();
        assert_eq!(messages, [(1, &b"a"[..]), (2, b""), (3, b"bcd")]);
    }

    #[test]
    fn a_full_batch_refuses_more_and_stays_as_it_is() {
        let mut batch = Batch::new();
        let header = Header::default();
        let most = vec![0; MAX_DATA_SIZE - Header::SIZE];
        batch.push(&header, &most).unwrap();
        assert!(batch.push(&header, b"x").is_err());
        batch.push(&header, b"").unwrap();
        assert_eq!(batch.payload_size(), MAX_MESSAGE_SIZE);
        assert!(batch.push(&header, b"").is_err());
        assert!(netlink::parse(batch.as_bytes()).is_ok());
    }

    #[test]
    fn the_largest_message_is_made_and_one_byte_more_is_refused() {
        let mut bytes = Vec::new();
        let header = Header::default();
        put_datagram(&mut bytes, &header, &[0; MAX_DATA_SIZE]).unwrap();
        assert_eq!(bytes.len(), NlHeader::SIZE + MAX_MESSAGE_SIZE);
        let error = put_datagram(&mut bytes, &header, &[0; MAX_DATA_SIZE + 1]).unwrap_err();
        assert!(matches!(error, Error::TooLarge { len: 16365 }));
    }
}
